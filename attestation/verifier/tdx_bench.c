/* TDX verification against OpenSSL's floor, measured in the same run: ratios, not absolute times, are promised. */
#include <stdio.h>
#include <time.h>

#include "attestation/verifier/instant.h"
#include "attestation/verifier/tdx.h"
#include "tests/harness/vectors.h"

enum { ROUNDS = 9, PER_ROUND = 200, RAW_VERIFICATIONS = 10, CACHED_VERIFICATIONS = 2 };

static double now_us(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail for this clock */
    return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

struct bench {
    struct buffer          quote, file[6];
    struct tdx_files       files;
    struct tdx_policy      policy;
    struct tdx_question    question;
    struct tdx_collateral *collateral;
    struct tdx_platform   *platform;
    uint8_t                digest[SHA256_LEN]; /* of the root certificate */
};

/* What OpenSSL needs for one certificate's signature: nothing of ours is in it. */
static void floor_once(struct bench *b)
{
    const struct intel_certificate *c = &b->collateral->root;
    AUTO(pkey_ctx) EVP_PKEY_CTX    *verify = EVP_PKEY_CTX_new(b->collateral->root_key, NULL);

    if (!verify || EVP_PKEY_verify_init(verify) != 1 ||
        EVP_PKEY_verify(verify, c->signature.at, c->signature.len, b->digest, sizeof b->digest) != 1)
        abort();
}

static void cached_once(struct bench *b)
{
    struct tdx_result r;

    if (!tdx_verify_cached(buffer_bytes(&b->quote), b->collateral, &b->platform, &b->question, &r))
        abort();
}

static void raw_once(struct bench *b)
{
    struct tdx_result r;

    if (!tdx_verify(buffer_bytes(&b->quote), &b->files, &b->question, &r))
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

static void bench_open(struct bench *b, const char *folder, const char *at)
{
    static const char *const names[] = { "tcb_info.json", "qe_identity.json", "issuer_chain.pem", "root_ca.pem",
                                         "root_ca_crl.der", "pck_crl.der" };
    struct verdict           v;
    struct appraisal         a = appraisal_start(&v, NULL);
    char                     path[128];

    (void) snprintf(path, sizeof path, "tdx/%s/quote.bin", folder); /* short names */
    b->quote = own_vector(path);
    for (size_t i = 0; i < 6; i++) {
        (void) snprintf(path, sizeof path, "tdx/%s/%s", folder, names[i]); /* short names */
        b->file[i] = own_vector(path);
    }
    b->files = (struct tdx_files){ buffer_bytes(&b->file[0]), buffer_bytes(&b->file[1]), buffer_bytes(&b->file[2]),
                                   buffer_bytes(&b->file[3]), buffer_bytes(&b->file[4]), buffer_bytes(&b->file[5]) };
    tdx_policy_default(&b->policy);
    b->question.policy = &b->policy;
    if (!instant_of_text(bytes_of_text(at), &b->question.now))
        abort();
    b->collateral = tdx_collateral_new(&b->files, &a);
    if (!b->collateral)
        abort();
    sha256_of(b->collateral->root.tbs, b->digest);
    cached_once(b);
}

static void bench_close(struct bench *b)
{
    tdx_platform_free(b->platform);
    tdx_collateral_free(b->collateral);
    buffer_free(&b->quote);
    for (size_t i = 0; i < 6; i++)
        buffer_free(&b->file[i]);
}

int main(void)
{
    struct bench b   = { 0 };
    double       one = 0, cached = 0, raw = 0;

    bench_open(&b, "intel_v4", "2025-07-01T00:00:00Z");
    for (int i = 0; i < ROUNDS; i++) {
        fastest(&one, floor_once, &b);
        fastest(&cached, cached_once, &b);
        fastest(&raw, raw_once, &b);
    }
    printf("one P-256 verification        %8.1f us\n", one);
    printf("quote, collateral cached      %8.1f us = %.2f x two verifications (at most 1.50)\n", cached,
           cached / (CACHED_VERIFICATIONS * one));
    printf("quote, everything from files  %8.1f us = %.2f x ten verifications (at most 1.50)\n", raw,
           raw / (RAW_VERIFICATIONS * one));
    bench_close(&b);
    return cached <= 1.5 * CACHED_VERIFICATIONS * one && raw <= 1.5 * RAW_VERIFICATIONS * one ? 0 : 1;
}
