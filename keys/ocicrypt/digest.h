/* Content digests, "sha256:<hex>" and "sha512:<hex>". [OCI-IMAGE descriptor, digests] */
#pragma once

#include "base/ossl.h"

enum digest_algorithm { DIGEST_SHA256, DIGEST_SHA512 };

enum { DIGEST_TEXT_LEN_MAX = 7 + 2 * SHA512_LEN };

struct digest {
    enum digest_algorithm algorithm;
    uint8_t               value[SHA512_LEN]; /* zeros behind the 32 bytes of SHA-256 */
};

struct digest_text { char at[DIGEST_TEXT_LEN_MAX + 1]; };

/* Fails MALFORMED; UNSUPPORTED for another algorithm. Lower-case hex of exact length only. */
FALLIBLE digest_read(struct bytes text, struct digest *out, struct err *err);

struct digest_text digest_text(const struct digest *digest);
const char        *digest_hex(const struct digest_text *text);            /* the part behind the colon */
const char        *digest_algorithm_name(enum digest_algorithm algorithm); /* "sha256" */
bool               digest_equal(const struct digest *a, const struct digest *b);
void               digest_of(struct bytes b, enum digest_algorithm algorithm, struct digest *out);

/* A digest over bytes that arrive in parts. The zero state is not running; release with AUTO(digest_run). */
struct digest_run {
    enum digest_algorithm algorithm;
    EVP_MD_CTX           *ctx;
};

void digest_run_begin(struct digest_run *run, enum digest_algorithm algorithm); /* aborts when OpenSSL cannot hash */
void digest_run_update(struct digest_run *run, struct bytes more);
void digest_run_end(struct digest_run *run, struct digest *out);

static inline void auto_digest_run(struct digest_run *run) { EVP_MD_CTX_free(run->ctx); }
