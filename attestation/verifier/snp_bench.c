/* SNP verification against OpenSSL's floor, measured in the same run: ratios, not absolute times, are promised. */
#include <stdio.h>
#include <openssl/rsa.h>
#include <time.h>

#include "attestation/verifier/p384.h"
#include "attestation/verifier/snp.h"
#include "tests/harness/vectors.h"

enum { ROUNDS = 15, PER_ROUND = 100 };
#define NOW INT64_C(1788220800) /* 2026-09-01T00:00:00Z */

static double now_us(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail for this clock */
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

struct bench {
    struct buffer           report, vek, crl;
    struct snp_trust       *trust;
    struct snp_crl         *list;
    struct snp_policy       policy;
    struct snp_certificates given;
    struct snp_request      request;
    const struct snp_crl   *lists[1];
    struct snp_chain       *chain;
    EVP_PKEY               *ask_key;
    uint8_t                 digest[SHA384_LEN];
    uint8_t                 der[2 + 2 * (2 + 1 + P384_INTEGER_LEN)];
    size_t                  der_len;
};

/* What OpenSSL needs for the report's signature: nothing of ours is in it. */
static void p384_once(struct bench *b)
{
    AUTO(pkey_ctx) EVP_PKEY_CTX *verify = EVP_PKEY_CTX_new(snp_chain_key(b->chain), NULL);

    if (!verify || EVP_PKEY_verify_init(verify) != 1 ||
        EVP_PKEY_verify(verify, b->der, b->der_len, b->digest, sizeof b->digest) != 1)
        abort();
}

/* And for one certificate's. */
static void rsa_once(struct bench *b)
{
    const struct snp_certificate *vek  = snp_chain_vek(b->chain);
    AUTO(md_ctx) EVP_MD_CTX      *ctx  = EVP_MD_CTX_new();
    EVP_PKEY_CTX                 *pctx = NULL; /* owned by ctx */

    if (!ctx || EVP_DigestVerifyInit(ctx, &pctx, EVP_sha384(), NULL, b->ask_key) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, SHA384_LEN) != 1 ||
        EVP_DigestVerify(ctx, vek->signature.at, vek->signature.len, vek->tbs.at, vek->tbs.len) != 1)
        abort();
}

static void cached_once(struct bench *b)
{
    struct snp_result r;

    if (!snp_verify_with_chain(&b->request, b->chain, &r))
        abort();
}

static void cold_once(struct bench *b)
{
    AUTO(snp_result) struct snp_result r;

    if (!snp_verify(&b->request, &r))
        abort();
}

static void fastest(double *best, void (*once)(struct bench *b), struct bench *b)
{
    double start = now_us(), each;

    for (int i = 0; i < PER_ROUND; i++)
        once(b);
    each = (now_us() - start) / PER_ROUND;
    if (*best == 0 || each < *best)
        *best = each;
}

/* The report's r and s as OpenSSL wants them, made by OpenSSL. */
static void signature_make(struct bench *b, const struct snp_report *report)
{
    AUTO(ecdsa_sig) ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM                    *r   = BN_lebin2bn(report->signature_r.at, (int) report->signature_r.len, NULL);
    BIGNUM                    *s   = BN_lebin2bn(report->signature_s.at, (int) report->signature_s.len, NULL);
    uint8_t                   *end = b->der;

    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1)
        abort();
    b->der_len = (size_t) i2d_ECDSA_SIG(sig, &end);
    sha384_of(report->signed_part, b->digest);
}

static void bench_open(struct bench *b)
{
    size_t                 n     = 0;
    const struct snp_root *roots = snp_amd_roots(&n);
    struct verdict         v;
    struct appraisal       a = appraisal_start(&v, NULL);
    struct snp_result      first;
    struct err             err;

    b->report = own_vector("amd-snp/reports/siena-v5-lunal.bin");
    b->vek    = own_vector("amd-snp/vek/siena-v5-lunal.vcek.der");
    b->crl    = own_vector("amd-snp/crl/genoa-010.der");
    if (!snp_trust_new(roots, n, &b->trust, NULL, &err) || !snp_crl_new(b->trust, buffer_bytes(&b->crl), &b->list, &a))
        abort();
    b->policy     = snp_policy_bare();
    b->policy.crl = CRL_REQUIRED;
    b->given.vcek = buffer_bytes(&b->vek);
    b->lists[0]   = b->list;
    b->request    = (struct snp_request){ .report = buffer_bytes(&b->report), .certificates = &b->given, .trust = b->trust,
                                          .crls = b->lists, .n_crls = 1, .policy = &b->policy, .now = NOW };
    if (!snp_verify(&b->request, &first))
        abort();
    b->chain = TAKE(first.chain);
    signature_make(b, &first.report);
    if (!snp_certificate_key(snp_chain_intermediate(b->chain), "ASK", &b->ask_key, &a))
        abort();
}

static void bench_close(struct bench *b)
{
    EVP_PKEY_free(b->ask_key);
    snp_chain_free(b->chain);
    snp_crl_free(b->list);
    snp_trust_free(b->trust);
    buffer_free(&b->report);
    buffer_free(&b->vek);
    buffer_free(&b->crl);
}

int main(void)
{
    struct bench b    = { 0 };
    double       p384 = 0, rsa = 0, cached = 0, cold = 0, floor;

    bench_open(&b);
    for (int i = 0; i < ROUNDS; i++) {
        fastest(&p384, p384_once, &b);
        fastest(&rsa, rsa_once, &b);
        fastest(&cached, cached_once, &b);
        fastest(&cold, cold_once, &b);
    }
    floor = p384 + 2 * rsa;
    printf("one P-384 verification        %8.1f us\n", p384);
    printf("one RSA-4096-PSS verification %8.1f us\n", rsa);
    printf("report, chain cached          %8.1f us = %.3f x one P-384 (at most 1.05)\n", cached, cached / p384);
    printf("report, everything from bytes %8.1f us = %.3f x one P-384 and two RSA-4096-PSS (at most 1.15)\n", cold,
           cold / floor);
    bench_close(&b);
    return cached <= 1.05 * p384 && cold <= 1.15 * floor ? 0 : 1;
}
