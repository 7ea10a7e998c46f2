/*
 * When OpenSSL cannot do its work (no memory, no provider, a broken engine), evidence is refused: each call that the
 * appraisers make fails once, in its turn, and none of them may end in an acceptance or a leak.
 */
#include "tests/harness/test.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "attestation/verifier/credential.h"
#include "attestation/verifier/ek_certificate.h"
#include "attestation/verifier/hcl.h"
#include "attestation/verifier/instant.h"
#include "attestation/verifier/snp.h"
#include "attestation/verifier/snp_id_block.h"
#include "attestation/verifier/tdx.h"
#include "tests/harness/vectors.h"

static size_t n_calls, failing; /* the call that fails, from 1; 0: none */

static bool   hashes_abort;     /* tpm_hash_of() ends the program when it cannot hash: left alone then */

static bool fails_now(void) { return ++n_calls == failing; }
static bool hash_fails_now(void) { return !hashes_abort && fails_now(); }

/* The linker puts __wrap_X in front of each X (--wrap). */
#define FAULT(type, failure, name, parameters, arguments)                         \
    type __real_##name parameters;                                                \
    type __wrap_##name parameters;                                                \
    type __wrap_##name parameters { return fails_now() ? (failure) : __real_##name arguments; }
#define HASH_FAULT(type, failure, name, parameters, arguments)                    \
    type __real_##name parameters;                                                \
    type __wrap_##name parameters;                                                \
    type __wrap_##name parameters { return hash_fails_now() ? (failure) : __real_##name arguments; }

FAULT(BIGNUM *, NULL, BN_bin2bn, (const unsigned char *s, int len, BIGNUM *ret), (s, len, ret))
FAULT(BIGNUM *, NULL, BN_new, (void), ())
FAULT(int, 0, BN_set_word, (BIGNUM *a, BN_ULONG w), (a, w))
FAULT(BIO *, NULL, BIO_new_mem_buf, (const void *buf, int len), (buf, len))
FAULT(void *, NULL, CRYPTO_memdup, (const void *d, size_t n, const char *f, int l), (d, n, f, l))
FAULT(int, 0, ECDSA_SIG_set0, (ECDSA_SIG *s, BIGNUM *r, BIGNUM *v), (s, r, v))
FAULT(ECDSA_SIG *, NULL, ECDSA_SIG_new, (void), ())
FAULT(EVP_CIPHER_CTX *, NULL, EVP_CIPHER_CTX_new, (void), ())
HASH_FAULT(int, 0, EVP_DigestFinal_ex, (EVP_MD_CTX *c, unsigned char *md, unsigned int *s), (c, md, s))
HASH_FAULT(int, 0, EVP_DigestInit_ex, (EVP_MD_CTX *c, const EVP_MD *t, ENGINE *e), (c, t, e))
HASH_FAULT(int, 0, EVP_DigestUpdate, (EVP_MD_CTX *c, const void *d, size_t n), (c, d, n))
FAULT(int, -1, EVP_DigestVerify, (EVP_MD_CTX *c, const unsigned char *s, size_t n, const unsigned char *t, size_t m),
      (c, s, n, t, m))
FAULT(int, 0, EVP_DigestVerifyInit, (EVP_MD_CTX *c, EVP_PKEY_CTX **p, const EVP_MD *t, ENGINE *e, EVP_PKEY *k),
      (c, p, t, e, k))
FAULT(int, 0, EVP_EncryptInit_ex, (EVP_CIPHER_CTX *c, const EVP_CIPHER *t, ENGINE *e, const unsigned char *k,
      const unsigned char *v), (c, t, e, k, v))
FAULT(int, 0, EVP_EncryptUpdate, (EVP_CIPHER_CTX *c, unsigned char *o, int *l, const unsigned char *i, int n),
      (c, o, l, i, n))
HASH_FAULT(EVP_MD_CTX *, NULL, EVP_MD_CTX_new, (void), ())
FAULT(EVP_PKEY_CTX *, NULL, EVP_PKEY_CTX_new, (EVP_PKEY *k, ENGINE *e), (k, e))
FAULT(EVP_PKEY_CTX *, NULL, EVP_PKEY_CTX_new_from_name, (OSSL_LIB_CTX *l, const char *n, const char *p), (l, n, p))
FAULT(int, 0, EVP_PKEY_CTX_set0_rsa_oaep_label, (EVP_PKEY_CTX *c, void *l, int n), (c, l, n))
FAULT(int, 0, EVP_PKEY_CTX_set_rsa_mgf1_md, (EVP_PKEY_CTX *c, const EVP_MD *m), (c, m))
FAULT(int, 0, EVP_PKEY_CTX_set_rsa_oaep_md, (EVP_PKEY_CTX *c, const EVP_MD *m), (c, m))
FAULT(int, 0, EVP_PKEY_CTX_set_rsa_padding, (EVP_PKEY_CTX *c, int p), (c, p))
FAULT(int, 0, EVP_PKEY_CTX_set_rsa_pss_saltlen, (EVP_PKEY_CTX *c, int n), (c, n))
FAULT(int, 0, EVP_PKEY_CTX_set_signature_md, (EVP_PKEY_CTX *c, const EVP_MD *m), (c, m))
FAULT(int, 0, EVP_PKEY_copy_parameters, (EVP_PKEY *to, const EVP_PKEY *from), (to, from))
FAULT(int, 0, EVP_PKEY_derive, (EVP_PKEY_CTX *c, unsigned char *k, size_t *n), (c, k, n))
FAULT(int, 0, EVP_PKEY_derive_init, (EVP_PKEY_CTX *c), (c))
FAULT(int, 0, EVP_PKEY_derive_set_peer, (EVP_PKEY_CTX *c, EVP_PKEY *p), (c, p))
FAULT(int, 0, EVP_PKEY_encrypt, (EVP_PKEY_CTX *c, unsigned char *o, size_t *n, const unsigned char *i, size_t m),
      (c, o, n, i, m))
FAULT(int, 0, EVP_PKEY_encrypt_init, (EVP_PKEY_CTX *c), (c))
FAULT(int, -1, EVP_PKEY_eq, (const EVP_PKEY *a, const EVP_PKEY *b), (a, b))
FAULT(int, 0, EVP_PKEY_fromdata, (EVP_PKEY_CTX *c, EVP_PKEY **k, int s, OSSL_PARAM p[]), (c, k, s, p))
FAULT(int, 0, EVP_PKEY_fromdata_init, (EVP_PKEY_CTX *c), (c))
FAULT(int, 0, EVP_PKEY_get_octet_string_param, (const EVP_PKEY *k, const char *n, unsigned char *b, size_t m, size_t *o),
      (k, n, b, m, o))
FAULT(EVP_PKEY *, NULL, EVP_PKEY_new, (void), ())
FAULT(int, 0, EVP_PKEY_set1_encoded_public_key, (EVP_PKEY *k, const unsigned char *p, size_t n), (k, p, n))
FAULT(int, -1, EVP_PKEY_verify, (EVP_PKEY_CTX *c, const unsigned char *s, size_t n, const unsigned char *t, size_t m),
      (c, s, n, t, m))
FAULT(int, 0, EVP_PKEY_verify_init, (EVP_PKEY_CTX *c), (c))
FAULT(unsigned char *, NULL, EVP_Q_mac, (OSSL_LIB_CTX *l, const char *n, const char *q, const char *s, const OSSL_PARAM *p,
      const void *k, size_t kn, const unsigned char *d, size_t dn, unsigned char *o, size_t os, size_t *ol),
      (l, n, q, s, p, k, kn, d, dn, o, os, ol))
FAULT(OSSL_PARAM_BLD *, NULL, OSSL_PARAM_BLD_new, (void), ())
FAULT(int, 0, OSSL_PARAM_BLD_push_BN, (OSSL_PARAM_BLD *b, const char *k, const BIGNUM *n), (b, k, n))
FAULT(int, 0, OSSL_PARAM_BLD_push_octet_string, (OSSL_PARAM_BLD *b, const char *k, const void *v, size_t n), (b, k, v, n))
FAULT(int, 0, OSSL_PARAM_BLD_push_utf8_string, (OSSL_PARAM_BLD *b, const char *k, const char *v, size_t n), (b, k, v, n))
FAULT(OSSL_PARAM *, NULL, OSSL_PARAM_BLD_to_param, (OSSL_PARAM_BLD *b), (b))
FAULT(int, 0, OPENSSL_sk_push, (OPENSSL_STACK *s, const void *d), (s, d))
FAULT(OPENSSL_STACK *, NULL, OPENSSL_sk_new_null, (void), ())
FAULT(BIO *, NULL, BIO_new, (const BIO_METHOD *m), (m))
FAULT(X509_STORE *, NULL, X509_STORE_new, (void), ())
FAULT(int, 0, X509_STORE_add_cert, (X509_STORE *s, X509 *c), (s, c))
FAULT(X509_STORE_CTX *, NULL, X509_STORE_CTX_new, (void), ())
FAULT(int, 0, X509_STORE_CTX_init, (X509_STORE_CTX *c, X509_STORE *s, X509 *l, STACK_OF(X509) *u), (c, s, l, u))
FAULT(int, -1, X509_verify_cert, (X509_STORE_CTX *c), (c))
FAULT(int, 0, RAND_priv_bytes, (unsigned char *b, int n), (b, n))
FAULT(int, -1, i2d_ECDSA_SIG, (const ECDSA_SIG *s, unsigned char **o), (s, o))

/* Two lists of one root and two numbers: the test root signed all of its lists with the same one. */
static const struct snp_crl *raised;

uint64_t __real_snp_crl_number(const struct snp_crl *crl);
uint64_t __wrap_snp_crl_number(const struct snp_crl *crl);
uint64_t __wrap_snp_crl_number(const struct snp_crl *crl) { return __real_snp_crl_number(crl) + (crl == raised); }

/* One file per name, read once: reading makes no call that counts. */
enum { FILES_MAX = 40 };
static struct { const char *name; bool is_shared; struct buffer content; } files[FILES_MAX];

static struct bytes file_of(const char *name, bool is_shared)
{
    size_t i = 0;

    while (files[i].name && strcmp(files[i].name, name) != 0)
        i++;
    assert_true(i < FILES_MAX - 1);
    if (!files[i].name) {
        files[i].name    = name;
        files[i].content = is_shared ? shared_vector(name) : own_vector(name);
    }
    return buffer_bytes(&files[i].content);
}

static struct bytes own(const char *name) { return file_of(name, false); }
static struct bytes shared(const char *name) { return file_of(name, true); }

static bool snp_accepts(const char *report, const char *vek, bool is_vlek)
{
    AUTO(snp_trust) struct snp_trust  *trust  = NULL;
    AUTO(snp_crl) struct snp_crl      *list   = NULL;
    AUTO(snp_result) struct snp_result result = { 0 };
    struct snp_policy                  policy = snp_policy_bare();
    const struct snp_root              root   = { .name = "test", .product = SNP_MILAN,
                                                  .ark = own("amd-snp/synthetic/ca-milan-ark.der") };
    const struct snp_certificates      given  = { .vcek = is_vlek ? (struct bytes){ 0 } : own(vek),
                                                  .vlek = is_vlek ? own(vek) : (struct bytes){ 0 },
                                                  .ask  = own("amd-snp/synthetic/ca-milan-ask.der"),
                                                  .asvk = own("amd-snp/synthetic/ca-milan-asvk.der") };
    const struct snp_crl              *lists[1];
    struct verdict                     v;
    struct appraisal                   a = appraisal_start(&v, NULL);
    struct err                         err;

    policy.products[SNP_MILAN] = true;
    policy.vlek_allowed        = true;
    policy.crl                 = CRL_REQUIRED;
    if (!snp_trust_new(&root, 1, &trust, NULL, &err) ||
        !snp_crl_new(trust, own("amd-snp/synthetic/crl-milan-clean.der"), &list, &a))
        return false;
    lists[0] = list;

    const struct snp_request request = { .report = own(report), .certificates = &given, .trust = trust, .crls = lists,
                                         .n_crls = 1, .policy = &policy, .now = INT64_C(1788220800) };

    return snp_verify(&request, &result);
}

static bool vcek_report(void) { return snp_accepts("amd-snp/synthetic/rep-good-v5.bin", "amd-snp/synthetic/vcek-milan-good.der", false); }
static bool vlek_report(void) { return snp_accepts("amd-snp/synthetic/rep-good-vlek.bin", "amd-snp/synthetic/vlek-milan-good.der", true); }

static bool id_block(void)
{
    struct snp_id_facts facts;
    struct verdict      v;
    struct appraisal    a = appraisal_start(&v, NULL);

    return snp_id_block_verify(own("amd-snp/idblock/virtee-id_block.bin"), own("amd-snp/idblock/virtee-test_auth_block.bin"),
                               &facts, &a);
}

static bool tdx_quote(void)
{
    const struct tdx_files files_given = { own("tdx/synthetic/tcb_info.json"), own("tdx/synthetic/qe_identity.json"),
                                           own("tdx/synthetic/issuer_chain.pem"), own("tdx/synthetic/root_ca.pem"),
                                           own("tdx/synthetic/root_ca_crl.der"), own("tdx/synthetic/pck_crl.der") };
    AUTO(tdx_policy) struct tdx_policy policy;
    struct tdx_question                q = { .policy = &policy };
    struct tdx_result                  result;

    tdx_policy_default(&policy);
    assert_true(instant_of_text(bytes_of_text("2025-01-15T00:00:00Z"), &q.now));
    return tdx_verify(own("tdx/synthetic/quote.bin"), &files_given, &q, &result);
}

static bool tpm_accepts(const char *message, const char *signature, struct bytes key)
{
    AUTO(tpm_key) struct tpm_key ak       = { 0 };
    struct tpm_policy            policy   = { 0 };
    struct tpm_question          q        = { .policy = &policy };
    const struct tpm_evidence    evidence = { .quote = shared(message), .signature = shared(signature) };
    struct tpm_result            result;
    struct err                   err;

    return tpm_key_read(key, &ak, &err) && tpm_verify(&evidence, &ak, &q, &result);
}

static bool tpm_ecc(void) { return tpm_accepts("tpm/swtpm/quote_ecc.msg", "tpm/swtpm/quote_ecc.sig", shared("tpm/swtpm/ak_ecc.tpm2b_public")); }
static bool tpm_rsa(void) { return tpm_accepts("tpm/swtpm/quote_rsa.msg", "tpm/swtpm/quote_rsa.sig", shared("tpm/swtpm/ak_rsa.tpm2b_public")); }
static bool tpm_pss(void) { return tpm_accepts("tpm/swtpm/quote_rsapss.msg", "tpm/swtpm/quote_rsapss.sig", shared("tpm/swtpm/ak_rsapss.tpm2b_public")); }
static bool tpm_pem(void) { return tpm_accepts("tpm/swtpm/quote_rsa.msg", "tpm/swtpm/quote_rsa.sig", shared("tpm/swtpm/ak_rsa.pem")); }

static bool azure_report(void)
{
    struct bytes                 report = own("tpm/snp_a.hcl_report.bin");
    const struct hcl_question    q      = { .report = report, .report_data = { report.at + 32 + 0x50, 64 } };
    AUTO(tpm_key) struct tpm_key ak     = { 0 };
    struct verdict               v;
    struct appraisal             a = appraisal_start(&v, NULL);

    return hcl_check(&q, &ak, &a);
}

static bool ek_certificate(void)
{
    struct tpm_public  ek;
    struct verdict     v;
    struct appraisal   a = appraisal_start(&v, NULL);
    struct err         err;
    struct ek_question q = { .certificate = shared("tpm/swtpm/nv_01c00002_ek_rsa_cert.der"),
                             .intermediates = shared("tpm/swtpm/localca_issuer.pem"),
                             .roots = shared("tpm/swtpm/localca_root.pem"), .ek = &ek, .now = INT64_C(1796083200) };

    return tpm_public_parse(shared("tpm/swtpm/ek_rsa.tpm2b_public"), &ek, &err) && ek_certificate_check(&q, &a);
}

static bool credential_for(struct bytes ek_text)
{
    AUTO(secret) struct secret secret = { 0 };
    AUTO(buffer) struct buffer object = { 0 }, wrapped = { 0 };
    struct tpm_public          ek;
    struct err                 err;

    return tpm_public_parse(ek_text, &ek, &err) && secret_random(32, &secret, &err) &&
           credential_make(&ek, BYTES_OF("name"), &secret, &object, &wrapped, &err);
}

static bool credential_rsa(void) { return credential_for(shared("tpm/swtpm/ek_rsa.tpm2b_public")); }
static bool credential_ecc(void) { return credential_for(shared("tpm/swtpm/ek_ecc_p384_81010016.tpm2b_public")); }

static void each_failing_call_is_a_refusal(void **state)
{
    static const struct { const char *what; bool (*accepts)(void), hashes_abort; } scenarios[] = {
        { "report under a VCEK", vcek_report, false }, { "report under a VLEK", vlek_report, false },
        { "ID block", id_block, false },               { "TDX quote", tdx_quote, false },
        { "TPM quote, ECDSA", tpm_ecc, true },         { "TPM quote, RSASSA", tpm_rsa, true },
        { "TPM quote, RSAPSS", tpm_pss, true },        { "TPM quote, key in PEM", tpm_pem, true },
        { "Azure's report", azure_report, true },      { "credential, RSA", credential_rsa, false },
        { "credential, ECC", credential_ecc, false },  { "EK certificate", ek_certificate, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        size_t n;

        failing      = 0;
        hashes_abort = scenarios[i].hashes_abort;
        assert_true(scenarios[i].accepts()); /* reads the files */
        n_calls = 0;
        if (!scenarios[i].accepts())
            fail_msg("%s is refused", scenarios[i].what);
        n = n_calls;
        assert_true(n > 0);
        for (failing = 1; failing <= n; failing++) {
            n_calls = 0;
            if (scenarios[i].accepts())
                fail_msg("%s is accepted although call %zu of %zu failed", scenarios[i].what, failing, n);
        }
        print_message("%s: %zu failures, all refused\n", scenarios[i].what, n);
    }
    failing = 0;
}

static void of_two_lists_the_higher_number_is_used(void **state)
{
    AUTO(snp_trust) struct snp_trust *trust  = NULL;
    AUTO(snp_crl) struct snp_crl     *clean  = NULL, *revoking = NULL;
    struct snp_policy                 policy = snp_policy_bare();
    const struct snp_root             root   = { .name = "test", .product = SNP_MILAN,
                                                 .ark = own("amd-snp/synthetic/ca-milan-ark.der"),
                                                 .ask = own("amd-snp/synthetic/ca-milan-ask.der") };
    const struct snp_certificates     given  = { .vcek = own("amd-snp/synthetic/vcek-milan-good.der") };
    struct verdict                    v;
    struct appraisal                  a = appraisal_start(&v, NULL);
    struct err                        err;

    (void) state;
    policy.products[SNP_MILAN] = true;
    policy.crl                 = CRL_REQUIRED;
    assert_true(snp_trust_new(&root, 1, &trust, NULL, &err));
    assert_true(snp_crl_new(trust, own("amd-snp/synthetic/crl-milan-clean.der"), &clean, &a) &&
                snp_crl_new(trust, own("amd-snp/synthetic/crl-milan-ask-revoked.der"), &revoking, &a));
    for (unsigned order = 0; order < 4; order++) {
        AUTO(snp_result) struct snp_result result  = { 0 };
        const struct snp_crl *const        lists[] = { order & 1 ? clean : revoking, order & 1 ? revoking : clean };
        const struct snp_request           request = { .report = own("amd-snp/synthetic/rep-good-v5.bin"),
                                                       .certificates = &given, .trust = trust, .crls = lists, .n_crls = 2,
                                                       .policy = &policy, .now = INT64_C(1788220800) };

        raised = order & 2 ? clean : revoking;
        (void) snp_verify(&request, &result); /* the verdict says it */
        assert_ptr_equal(result.crl, raised);
        assert_int_equal(result.verdict.reason, order & 2 ? REASON_OK : REASON_SNP_REVOKED);
    }
    raised = NULL;
}

static int release(void **state)
{
    (void) state;
    for (size_t i = 0; i < FILES_MAX; i++)
        buffer_free(&files[i].content);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_failing_call_is_a_refusal),
                                          cmocka_unit_test(of_two_lists_the_higher_number_is_used) };
    struct err              err;

    vectors_required("tpm/swtpm/expected.json");
    if (!secret_heap_open(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, release);
}
