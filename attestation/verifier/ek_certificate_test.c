/* Endorsement key certificates of an authority made here: what each must say, by leaving one thing out at a time. */
#include "tests/harness/test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "attestation/verifier/ek_certificate.h"
#include "tests/harness/vectors.h"

#define NOW INT64_C(1788220800) /* 2026-09-01T00:00:00Z */

enum { YEAR_S = 365 * 86400 };

/* What a certificate of the test's authority has. */
struct plan {
    const char *key_usage, *extended_use, *subject_alt_name; /* NULL: without */
    int64_t     from, to;
};

static EVP_PKEY         *authority_key;
static X509             *authority;
static struct buffer     ek_text, ecc_text, roots;
static struct tpm_public ek, ecc;

static const struct plan good_rsa = { "critical,keyEncipherment", "2.23.133.8.1", "critical,dirName:tpm", NOW - 1, NOW + YEAR_S };

static void extension_add(X509 *to, int nid, const char *value)
{
    /* manufacturer, model and version [TCG-EK 3.2.9]; a number and a dot in front keep names apart */
    static const char    section[] = "[tpm]\n1.2.23.133.2.1=id:4D534654\n2.2.23.133.2.2=model\n3.2.23.133.2.3=id:00010001\n"
                                     "[other]\n1.CN=nobody\n";
    AUTO(bio) BIO       *text      = BIO_new_mem_buf(section, -1);
    CONF                *conf;
    X509V3_CTX           ctx;
    X509_EXTENSION      *one;

    if (!value)
        return;
    conf = NCONF_new(NULL);
    assert_true(NCONF_load_bio(conf, text, NULL) == 1);
    X509V3_set_ctx(&ctx, authority, to, NULL, NULL, 0);
    X509V3_set_nconf(&ctx, conf);
    one = X509V3_EXT_nconf_nid(conf, &ctx, nid, value);
    assert_non_null(one);
    assert_int_equal(X509_add_ext(to, one, -1), 1);
    X509_EXTENSION_free(one);
    NCONF_free(conf);
}

static X509 *certificate_new(EVP_PKEY *of, const struct plan *p, bool is_authority)
{
    X509      *c    = X509_new();
    X509_NAME *name = X509_NAME_new();

    assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "test authority", -1, -1, 0) == 1);
    assert_true(X509_set_version(c, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(c), 7) == 1);
    assert_true(X509_set_issuer_name(c, name) == 1 && X509_set_pubkey(c, of) == 1);
    if (is_authority)
        assert_true(X509_set_subject_name(c, name) == 1);
    assert_true(ASN1_TIME_set(X509_getm_notBefore(c), p->from) && ASN1_TIME_set(X509_getm_notAfter(c), p->to));
    extension_add(c, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extension_add(c, NID_key_usage, p->key_usage);
    extension_add(c, NID_ext_key_usage, p->extended_use);
    extension_add(c, NID_subject_alt_name, p->subject_alt_name);
    assert_true(X509_sign(c, authority_key, EVP_sha256()) > 0);
    X509_NAME_free(name);
    return c;
}

static int authority_make(void **state)
{
    static const struct plan plan = { "critical,keyCertSign,cRLSign", NULL, NULL, NOW - YEAR_S, NOW + 9L * YEAR_S };
    AUTO(bio) BIO           *out  = BIO_new(BIO_s_mem());
    char                    *text = NULL;
    struct err               err;

    (void) state;
    authority_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    authority     = certificate_new(authority_key, &plan, true);
    assert_int_equal(PEM_write_bio_X509(out, authority), 1);
    long len = BIO_get_mem_data(out, &text);

    buffer_append(&roots, (struct bytes){ (const uint8_t *) text, (size_t) len });
    ek_text  = shared_vector("tpm/swtpm/ek_rsa.tpm2b_public");
    ecc_text = shared_vector("tpm/swtpm/ek_ecc_p384_81010016.tpm2b_public");
    assert_true(tpm_public_parse(buffer_bytes(&ek_text), &ek, &err) && tpm_public_parse(buffer_bytes(&ecc_text), &ecc, &err));
    return 0;
}

static int authority_free(void **state)
{
    (void) state;
    X509_free(authority);
    EVP_PKEY_free(authority_key);
    buffer_free(&roots);
    buffer_free(&ek_text);
    buffer_free(&ecc_text);
    return 0;
}

static struct buffer certificate_of(const struct tpm_public *key, const struct plan *p)
{
    AUTO(pkey) EVP_PKEY *of  = NULL;
    AUTO(x509) X509     *c   = NULL;
    struct buffer        out = { 0 };
    unsigned char       *der = NULL;
    struct err           err;

    assert_true(tpm_key_of(key, &of, &err));
    c       = certificate_new(of, p, false);
    int len = i2d_X509(c, &der);

    assert_true(len > 0);
    buffer_append(&out, (struct bytes){ der, (size_t) len });
    OPENSSL_free(der);
    return out;
}

static enum verdict_reason reason_of(struct bytes certificate, const struct tpm_public *key)
{
    const struct ek_question q = { .certificate = certificate, .roots = buffer_bytes(&roots), .ek = key, .now = NOW };
    struct verdict           v;
    struct appraisal         a = appraisal_start(&v, NULL);

    return ek_certificate_check(&q, &a) ? REASON_OK : v.reason;
}

static void a_certificate_must_be_for_an_endorsement_key(void **state)
{
    static const struct { struct plan plan; enum verdict_reason reason; } rows[] = {
        { { "critical,keyEncipherment", "2.23.133.8.1", "critical,dirName:tpm", NOW - 1, NOW + YEAR_S }, REASON_OK },
        { { "critical,keyEncipherment", "serverAuth,2.23.133.8.1", "dirName:tpm,dirName:other", NOW, NOW + 1 }, REASON_OK },
        { { "critical,digitalSignature", "2.23.133.8.1", "critical,dirName:tpm", NOW - 1, NOW + 1 }, REASON_TPM_EK_USE },
        { { "critical,keyEncipherment", NULL, "critical,dirName:tpm", NOW - 1, NOW + 1 }, REASON_TPM_EK_USE },
        { { "critical,keyEncipherment", "serverAuth", "critical,dirName:tpm", NOW - 1, NOW + 1 }, REASON_TPM_EK_USE },
        { { "critical,keyEncipherment", "2.23.133.8.1", NULL, NOW - 1, NOW + 1 }, REASON_TPM_EK_USE },
        { { "critical,keyEncipherment", "2.23.133.8.1", "dirName:other", NOW - 1, NOW + 1 }, REASON_TPM_EK_USE },
        { { "critical,keyEncipherment", "2.23.133.8.1", "DNS:tpm", NOW - 1, NOW + 1 }, REASON_TPM_EK_USE },
        { { "critical,keyEncipherment", "2.23.133.8.1", "critical,dirName:tpm", NOW - 9, NOW - 1 }, REASON_TPM_EK_CHAIN },
        { { "critical,keyEncipherment", "2.23.133.8.1", "critical,dirName:tpm", NOW + 9, NOW + 99 }, REASON_TPM_EK_CHAIN },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer der   = certificate_of(&ek, &rows[i].plan);
        enum verdict_reason        found = reason_of(buffer_bytes(&der), &ek);

        if (found != rows[i].reason)
            fail_msg("row %zu: %s", i, reason_code(found));
    }
}

static void an_elliptic_key_agrees_instead_of_deciphering(void **state)
{
    struct plan                agreement = good_rsa, signing = good_rsa;
    AUTO(buffer) struct buffer fine = { 0 }, wrong = { 0 };

    (void) state;
    agreement.key_usage = "critical,keyAgreement";
    signing.key_usage   = "critical,digitalSignature";
    fine                = certificate_of(&ecc, &agreement);
    wrong               = certificate_of(&ecc, &signing);
    assert_int_equal(reason_of(buffer_bytes(&fine), &ecc), REASON_OK);
    assert_int_equal(reason_of(buffer_bytes(&wrong), &ecc), REASON_TPM_EK_USE);
    assert_int_equal(reason_of(buffer_bytes(&fine), &ek), REASON_TPM_EK_USE); /* an RSA key needs more than agreement */
}

static void another_key_or_another_root_is_refused(void **state)
{
    AUTO(buffer) struct buffer der   = certificate_of(&ek, &good_rsa), kept = roots;
    struct tpm_public          other = ek;
    uint8_t                    modulus[512];

    (void) state;
    assert_true(ek.modulus.len <= sizeof modulus);
    memcpy(modulus, ek.modulus.at, ek.modulus.len);
    modulus[ek.modulus.len - 1] ^= 2;
    other.modulus = (struct bytes){ modulus, ek.modulus.len };
    assert_int_equal(reason_of(buffer_bytes(&der), &other), REASON_TPM_EK_KEY);
    roots = (struct buffer){ 0 };
    assert_int_equal(reason_of(buffer_bytes(&der), &ek), REASON_TPM_EK_CHAIN);
    roots = TAKE(kept);
}

/* The signature covers every byte: no bit may change, none may be left out or added. */
static void no_changed_certificate_is_accepted(void **state)
{
    AUTO(buffer) struct buffer der = certificate_of(&ek, &good_rsa);
    AUTO(buffer) struct buffer long_one = { 0 };

    (void) state;
    for (size_t at = 0; at < der.len; at++) {
        der.at[at] ^= (uint8_t) (1U << at % 8);
        if (reason_of(buffer_bytes(&der), &ek) == REASON_OK)
            fail_msg("offset %zu", at);
        der.at[at] ^= (uint8_t) (1U << at % 8);
    }
    for (size_t len = 0; len < der.len; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(der.at, len);

        assert_int_equal(reason_of((struct bytes){ exact, len }, &ek), REASON_TPM_EK_FORMAT);
    }
    assert_int_equal(reason_of(buffer_bytes(&der), &ek), REASON_OK);
    (void) buffer_grow(&der, 1); /* one byte more */
    assert_int_equal(reason_of(buffer_bytes(&der), &ek), REASON_TPM_EK_FORMAT);
    (void) buffer_grow(&long_one, EK_CERTIFICATES_LEN_MAX + 1);
    assert_int_equal(reason_of(buffer_bytes(&long_one), &ek), REASON_TPM_EK_FORMAT);
    der.len--;
    for (int which = 0; which < 2; which++) { /* nor may what stands beside it be endless */
        const struct ek_question q = { .certificate = buffer_bytes(&der), .ek = &ek, .now = NOW,
                                       .intermediates = which == 0 ? buffer_bytes(&long_one) : (struct bytes){ 0 },
                                       .roots = which == 1 ? buffer_bytes(&long_one) : buffer_bytes(&roots) };
        struct verdict           v;
        struct appraisal         a = appraisal_start(&v, NULL);

        assert_false(ek_certificate_check(&q, &a));
        assert_int_equal(v.reason, REASON_TPM_EK_FORMAT);
    }
}

static void a_point_off_the_curve_is_not_the_key(void **state)
{
    struct plan                agreement = good_rsa;
    AUTO(buffer) struct buffer der       = { 0 };
    struct tpm_public          other     = ecc;
    uint8_t                    x[64];

    (void) state;
    agreement.key_usage = "critical,keyAgreement";
    der                 = certificate_of(&ecc, &agreement);
    assert_true(ecc.x.len > 0 && ecc.x.len <= sizeof x);
    memcpy(x, ecc.x.at, ecc.x.len);
    x[ecc.x.len - 1] ^= 1;
    other.x = (struct bytes){ x, ecc.x.len };
    assert_int_equal(reason_of(buffer_bytes(&der), &other), REASON_TPM_EK_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_must_be_for_an_endorsement_key),
        cmocka_unit_test(an_elliptic_key_agrees_instead_of_deciphering),
        cmocka_unit_test(another_key_or_another_root_is_refused),
        cmocka_unit_test(no_changed_certificate_is_accepted),
        cmocka_unit_test(a_point_off_the_curve_is_not_the_key),
    };

    vectors_required("tpm/swtpm/expected.json");
    return cmocka_run_group_tests(tests, authority_make, authority_free);
}
