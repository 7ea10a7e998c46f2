/* Evidence of kind "tpm" that is made here, so that its registers, selection and nonce can be what a test needs. */
#include "tests/harness/test.h"

#include <openssl/x509.h>

#include "attestation/verifier/envelope.h"
#include "tests/harness/vectors.h"

static EVP_PKEY     *ak;
static struct buffer ak_public;

static int key_make(void **state)
{
    unsigned char *der = NULL;

    (void) state;
    ak      = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);
    int len = i2d_PUBKEY(ak, &der);

    assert_true(len > 0);
    buffer_append(&ak_public, (struct bytes){ der, (size_t) len });
    OPENSSL_free(der);
    return 0;
}

static int key_free(void **state)
{
    (void) state;
    EVP_PKEY_free(ak);
    buffer_free(&ak_public);
    return 0;
}

/* A TPMS_ATTEST over the SHA-256 PCRs of `selection`, whose values stand in the envelope. [TPM-P2 10.12.8] */
static void quote_make(struct evidence_envelope *e, uint32_t selection, struct bytes nonce)
{
    AUTO(buffer) struct buffer values = { 0 };
    uint8_t                    digest[SHA256_LEN];
    uint8_t                   *room = buffer_grow(&e->tpm.message, 256);
    struct writer              w    = writer_over(room, 256);
    struct err                 err;

    for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++)
        if (selection >> pcr & 1)
            buffer_append(&values, BYTES_OF(e->tpm.pcr[pcr]));
    sha256_of(buffer_bytes(&values), digest);
    put_u32be(&w, 0xff544347); /* TPM_GENERATED_VALUE */
    put_u16be(&w, 0x8018);     /* TPM_ST_ATTEST_QUOTE */
    put_u16be(&w, 0);          /* qualified signer */
    put_u16be(&w, (uint16_t) nonce.len);
    put(&w, nonce);
    put_zeros(&w, 8 + 4 + 4); /* clock, resets, restarts */
    put_u8(&w, 1);            /* safe */
    put_zeros(&w, 8);         /* firmware */
    put_u32be(&w, 1);
    put_u16be(&w, TPM_SHA256);
    put_u8(&w, 3);
    put_u8(&w, (uint8_t) selection);
    put_u8(&w, (uint8_t) (selection >> 8));
    put_u8(&w, (uint8_t) (selection >> 16));
    put_u16be(&w, sizeof digest);
    put(&w, BYTES_OF(digest));
    assert_true(writer_ok(&w, &err));
    e->tpm.message.len = w.len;
}

static void quote_sign(struct evidence_envelope *e)
{
    AUTO(md_ctx) EVP_MD_CTX *c    = EVP_MD_CTX_new();
    uint8_t                 *room = buffer_grow(&e->tpm.signature, 256);
    size_t                   len  = 256;

    assert_true(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, ak) == 1 &&
                EVP_DigestSign(c, room, &len, e->tpm.message.at, e->tpm.message.len) == 1);
    buffer_append(&e->ak_public, buffer_bytes(&ak_public));
}

static struct evidence_envelope evidence(uint32_t selection, struct bytes nonce, const uint8_t pcr8[static SHA256_LEN])
{
    struct evidence_envelope e = { .kind = ENVELOPE_TPM };

    for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++)
        memset(e.tpm.pcr[pcr], (int) pcr, SHA256_LEN);
    memcpy(e.tpm.pcr[8], pcr8, SHA256_LEN);
    quote_make(&e, selection, nonce);
    quote_sign(&e);
    return e;
}

static const uint8_t digest[SHA256_LEN] = { 1, 2, 3 }, report_data[48] = { 0xaa, 0xbb, [47] = 0xcc };

/* What PCR 8 holds after one extend of `of`. */
static void extended_once(const uint8_t of[static SHA256_LEN], uint8_t out[static TPM_HASH_LEN_MAX])
{
    static const uint8_t zero[SHA256_LEN];

    tpm_hash_of(tpm_hash_by_id(TPM_SHA256), BYTES_OF(zero), (struct bytes){ of, SHA256_LEN }, out);
}

static const struct tpm_policy any_selection;

static struct envelope_question question(void)
{
    struct envelope_question q = { .report_data = BYTES_OF(report_data) };

    q.tpm.policy = &any_selection;
    q.tpm.any_ak = true;
    return q;
}

static enum verdict_reason reason_of(const struct evidence_envelope *e, const struct envelope_question *q)
{
    AUTO(envelope_result) struct envelope_result r = { 0 };

    return envelope_verify(e, q, &r) ? REASON_OK : r.verdict.reason;
}

static void initdata_is_what_register_8_was_extended_with(void **state)
{
    uint8_t                  pcr8[TPM_HASH_LEN_MAX], other[SHA256_LEN] = { 9 };
    struct envelope_question q = question();

    (void) state;
    extended_once(digest, pcr8);
    AUTO(evidence_envelope) struct evidence_envelope e = evidence(0xffffff, BYTES_OF(report_data), pcr8);
    AUTO(envelope_result) struct envelope_result     r = { 0 };

    q.has_init_data = true;
    q.init_data     = BYTES_OF(digest);
    if (!envelope_verify(&e, &q, &r))
        fail_msg("%s: %s", reason_code(r.verdict.reason), r.verdict.detail);
    assert_true(envelope_binds_init_data(&r, BYTES_OF(digest)));
    assert_false(envelope_binds_init_data(&r, BYTES_OF(other)));
    assert_false(envelope_binds_init_data(&r, (struct bytes){ digest, 16 }));
    assert_true(bytes_equal(envelope_init_data(&r), (struct bytes){ pcr8, SHA256_LEN }));
    q.init_data = BYTES_OF(other);
    assert_int_equal(reason_of(&e, &q), REASON_INIT_DATA);
    q.init_data = (struct bytes){ pcr8, SHA256_LEN }; /* the register itself is not the digest */
    assert_int_equal(reason_of(&e, &q), REASON_INIT_DATA);
}

/* A value that the quote does not cover says nothing, whatever stands at its place. */
static void a_register_that_is_not_quoted_binds_nothing(void **state)
{
    uint8_t                  pcr8[TPM_HASH_LEN_MAX];
    struct envelope_question q = question();

    (void) state;
    extended_once(digest, pcr8);
    AUTO(evidence_envelope) struct evidence_envelope e = evidence(0xfffeff, BYTES_OF(report_data), pcr8);
    AUTO(envelope_result) struct envelope_result     r = { 0 };

    assert_true(envelope_verify(&e, &q, &r));
    AUTO(json) struct json_object *claims = envelope_claims(&r);

    assert_false(json_has(claims, "pcr08"));
    assert_true(json_has(claims, "pcr09"));
    assert_int_equal(envelope_init_data(&r).len, 0);
    q.has_init_data = true;
    q.init_data     = BYTES_OF(digest);
    assert_int_equal(reason_of(&e, &q), REASON_INIT_DATA);
}

static void the_nonce_has_one_of_three_forms(void **state)
{
    static const struct { size_t len; bool holds; } rows[] = {
        { 48, true }, { 64, true }, { 32, true }, { 47, false }, { 33, false }, { 16, false }, { 0, false }, { 49, false },
    };
    static const uint8_t zero[SHA256_LEN];
    uint8_t              padded[64] = { 0 };

    (void) state;
    memcpy(padded, report_data, sizeof report_data);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(evidence_envelope) struct evidence_envelope e = evidence(0xffffff, (struct bytes){ padded, rows[i].len }, zero);
        struct envelope_question                         q = question();
        enum verdict_reason                              found = reason_of(&e, &q);

        if (found != (rows[i].holds ? REASON_OK : REASON_TPM_NONCE))
            fail_msg("%zu bytes: %s", rows[i].len, reason_code(found));
    }
}

static void a_listed_key_is_trusted_and_only_that(void **state)
{
    static const uint8_t                             zero[SHA256_LEN];
    AUTO(evidence_envelope) struct evidence_envelope e      = evidence(0xffffff, BYTES_OF(report_data), zero);
    struct envelope_question                         q      = question();
    struct bytes                                     list[] = { BYTES_OF(digest), buffer_bytes(&ak_public) };

    (void) state;
    q.tpm.any_ak      = false;
    q.tpm.trusted_aks = list;
    assert_int_equal(reason_of(&e, &q), REASON_TPM_AK_UNTRUSTED);
    q.tpm.n_trusted_aks = 1;
    assert_int_equal(reason_of(&e, &q), REASON_TPM_AK_UNTRUSTED);
    q.tpm.n_trusted_aks = 2;
    assert_int_equal(reason_of(&e, &q), REASON_OK);
    e.tpm.message.len = 4; /* and a quote that cannot be read is refused with its own reason */
    assert_int_equal(reason_of(&e, &q), REASON_TPM_FORMAT);
}

/* Whoever changes a value after the quote, or the kind that it travels as. */
static void changed_evidence_is_refused(void **state)
{
    static const uint8_t                             zero[SHA256_LEN];
    AUTO(evidence_envelope) struct evidence_envelope e = evidence(0xffffff, BYTES_OF(report_data), zero);
    struct envelope_question                         q = question();

    (void) state;
    e.tpm.pcr[23][0] ^= 1;
    assert_int_equal(reason_of(&e, &q), REASON_TPM_PCR_DIGEST);
    e.tpm.pcr[23][0] ^= 1;
    e.tpm.signature.at[9] ^= 1;
    assert_int_equal(reason_of(&e, &q), REASON_TPM_SIGNATURE);
    e.tpm.signature.at[9] ^= 1;
    e.kind = ENVELOPE_AZ_SNP_VTPM;
    assert_int_equal(reason_of(&e, &q), REASON_TPM_HCL_FORMAT);
    e.kind = ENVELOPE_AZ_TDX_VTPM;
    assert_int_equal(reason_of(&e, &q), REASON_NOT_CONFIGURED);
    e.kind = ENVELOPE_TPM;
    assert_int_equal(reason_of(&e, &q), REASON_OK);
    e.ak_public.len--;
    assert_int_equal(reason_of(&e, &q), REASON_TPM_AK_FORMAT);
}

static void no_kind_is_trusted_by_default(void **state)
{
    struct envelope_question q = { .report_data = BYTES_OF(report_data) };

    (void) state;
    for (int kind = 0; kind <= N_ENVELOPE_KINDS; kind++) {
        AUTO(evidence_envelope) struct evidence_envelope e = { .kind = (enum envelope_kind) kind };
        AUTO(envelope_result) struct envelope_result     r = { 0 };

        assert_false(envelope_verify(&e, &q, &r));
        assert_null(envelope_claims(&r));
        assert_true(r.verdict.reason != REASON_OK && r.verdict.reason != REASON_NOT_EXAMINED);
    }
}

static void a_vlek_travels_as_a_vcek_does(void **state)
{
    AUTO(buffer) struct buffer        report = own_vector("amd-snp/synthetic/rep-good-vlek.bin"),
                               ark = own_vector("amd-snp/synthetic/ca-milan-ark.der");
    AUTO(snp_trust) struct snp_trust *trust  = NULL;
    struct snp_policy                 policy = snp_policy_bare();
    struct snp_root                   root   = { .name = "test", .product = SNP_MILAN, .ark = buffer_bytes(&ark) };
    AUTO(evidence_envelope) struct evidence_envelope e = { .kind = ENVELOPE_SNP };
    struct envelope_question          q      = { .now = INT64_C(1788220800) };
    struct err                        err;

    (void) state;
    assert_int_equal(report.len, sizeof e.snp.report);
    memcpy(e.snp.report, report.at, report.len);
    e.snp.vek     = own_vector("amd-snp/synthetic/vlek-milan-good.der");
    e.snp.ask     = own_vector("amd-snp/synthetic/ca-milan-asvk.der");
    e.snp.is_vlek = true;
    assert_true(snp_trust_new(&root, 1, &trust, NULL, &err));
    policy.products[SNP_MILAN] = true;
    policy.vlek_allowed        = true;
    policy.crl                 = CRL_OFF;
    q.snp.trust                = trust;
    q.snp.policy               = &policy;
    q.report_data              = (struct bytes){ report.at + 0x50, 64 };
    if (reason_of(&e, &q) != REASON_OK)
        fail_msg("%s", reason_code(reason_of(&e, &q)));
    e.snp.is_vlek = false; /* then there is no VLEK for a report that says it was signed by one */
    assert_int_equal(reason_of(&e, &q), REASON_SNP_VEK_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initdata_is_what_register_8_was_extended_with),
        cmocka_unit_test(a_register_that_is_not_quoted_binds_nothing),
        cmocka_unit_test(the_nonce_has_one_of_three_forms),
        cmocka_unit_test(a_listed_key_is_trusted_and_only_that),
        cmocka_unit_test(changed_evidence_is_refused),
        cmocka_unit_test(no_kind_is_trusted_by_default),
        cmocka_unit_test(a_vlek_travels_as_a_vcek_does),
    };

    return cmocka_run_group_tests(tests, key_make, key_free);
}
