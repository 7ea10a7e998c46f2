#include "tests/harness/test.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/file.h"
#include "keys/api/development_root.h"

static const int64_t NOW = 1795564800; /* 2026-11-24 */

static char                    *folder;
static struct development_root  root;

static int make(void **state)
{
    struct err err;

    (void) state;
    if (!directory_make_temporary("development-root-", &folder, &err) || !development_root_make(folder, NOW, &err) ||
        !development_root_load(folder, &root, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return 0;
}

static int clean(void **state)
{
    struct err err;

    (void) state;
    development_root_free(&root);
    if (!directory_remove(folder, &err))
        return 1;
    free(folder);
    return 0;
}

static X509 *certificate(const struct buffer *der)
{
    const unsigned char *at = der->at;

    return d2i_X509(NULL, &at, (long) der->len);
}

static void chains_from_the_vcek_to_the_root(void **state)
{
    AUTO(x509) X509 *ark  = certificate(&root.ark);
    AUTO(x509) X509 *ask  = certificate(&root.ask);
    AUTO(x509) X509 *vcek = certificate(&root.vcek);

    (void) state;
    assert_int_equal(X509_verify(ark, X509_get0_pubkey(ark)), 1);
    assert_int_equal(X509_verify(ask, X509_get0_pubkey(ark)), 1);
    assert_int_equal(X509_verify(vcek, X509_get0_pubkey(ask)), 1);
    assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(vcek), X509_get_subject_name(ask)), 0);
    assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(ask), X509_get_subject_name(ark)), 0);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(ark)), 4096);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(vcek)), 384);
}

static void has_the_form_of_amds_own_certificates(void **state)
{
    AUTO(x509) X509 *vcek = certificate(&root.vcek);
    const char      *oids[] = { "1.3.6.1.4.1.3704.1.1",   "1.3.6.1.4.1.3704.1.2",   "1.3.6.1.4.1.3704.1.3.1",
                                "1.3.6.1.4.1.3704.1.3.2", "1.3.6.1.4.1.3704.1.3.3", "1.3.6.1.4.1.3704.1.3.8",
                                "1.3.6.1.4.1.3704.1.4" };
    char             cn[64];

    (void) state;
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(vcek), NID_commonName, cn, sizeof cn) > 0);
    assert_string_equal(cn, "SEV-VCEK");
    assert_int_equal(X509_get_signature_nid(vcek), NID_rsassaPss);
    for (size_t i = 0; i < sizeof oids / sizeof *oids; i++) {
        ASN1_OBJECT *oid = OBJ_txt2obj(oids[i], 1);
        int          at  = X509_get_ext_by_OBJ(vcek, oid, -1);

        ASN1_OBJECT_free(oid);
        assert_true(at >= 0);
        if (i == 6) {
            const ASN1_OCTET_STRING *held = X509_EXTENSION_get_data(X509_get_ext(vcek, at));

            assert_int_equal(ASN1_STRING_length(held), DEVELOPMENT_CHIP_ID_LEN);
            assert_memory_equal(ASN1_STRING_get0_data(held), root.chip_id, DEVELOPMENT_CHIP_ID_LEN);
        }
    }
}

static void tells_when_key_and_certificate_are_of_two_roots(void **state)
{
    AUTO(development_root) struct development_root mixed = { 0 };
    AUTO(pkey) EVP_PKEY *other = EVP_EC_gen("P-384");
    AUTO(bio) BIO       *bio   = BIO_new(BIO_s_mem());
    AUTO(buffer) struct buffer was = { 0 };
    char                 path[4096];
    char                *at;
    long                 len;
    struct err           err;

    (void) state;
    (void) snprintf(path, sizeof path, "%s/vcek.key", folder);
    assert_true(file_read(path, 1 << 16, &was, &err));
    assert_int_equal(PEM_write_bio_PrivateKey(bio, other, NULL, NULL, 0, NULL, NULL), 1);
    len = BIO_get_mem_data(bio, &at);
    assert_true(file_write(path, (struct bytes){ (uint8_t *) at, (size_t) len }, 0600, &err));
    assert_false(development_root_load(folder, &mixed, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_true(file_write(path, buffer_bytes(&was), 0600, &err));
}

static void keeps_the_root_of_whoever_was_first(void **state)
{
    AUTO(development_root) struct development_root still = { 0 };
    struct err                                     err;

    (void) state;
    assert_true(development_root_make(folder, NOW, &err));
    assert_true(development_root_load(folder, &still, &err));
    assert_int_equal(EVP_PKEY_eq(still.vcek_key, root.vcek_key), 1);
}

static void says_what_is_missing(void **state)
{
    AUTO(development_root) struct development_root none = { 0 };
    struct err                                     err;

    (void) state;
    assert_false(development_root_exists("/nowhere"));
    assert_true(development_root_exists(folder));
    assert_false(development_root_load("/nowhere", &none, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_from_the_vcek_to_the_root),
        cmocka_unit_test(has_the_form_of_amds_own_certificates),
        cmocka_unit_test(tells_when_key_and_certificate_are_of_two_roots),
        cmocka_unit_test(keeps_the_root_of_whoever_was_first),
        cmocka_unit_test(says_what_is_missing),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
