/*
 * Decrypt and verify: a layer of 256 MiB through blob_fetch and blob_stream, against what its three primitives cost
 * alone on the same core in the same run: SHA-256, HMAC-SHA-256 and AES-256-CTR.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest/image/blob.h"

/* Below this something is wrong. The aim is 0.80; what lacks is the memory itself, a fault and a zeroing per page. */
#define LEAST 0.65

enum { LEN = 256 << 20, STEP = 256 << 10, ROUNDS = 5 };

static double cpu_seconds(void)
{
    struct timespec now = { 0 };

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* cannot fail */
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void die(const struct err *err)
{
    fprintf(stderr, "decrypt_bench: %s\n", err->text);
    exit(1);
}

/* What the transport would take is not ours: the copy is timed, and taken off. */
struct memory_source {
    const uint8_t *whole;
    double         seconds;
};

static bool memory_read(void *owner, const char *digest, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                        uint64_t *total, struct err *err)
{
    struct memory_source *source = owner;
    double                began  = cpu_seconds();

    (void) digest;
    (void) err; /* there is one blob, and memory does not fail */
    *total = LEN;
    *got   = LEN - offset < len ? (size_t) (LEN - offset) : len;
    memcpy(into, source->whole + offset, *got);
    source->seconds += cpu_seconds() - began;
    return true;
}

/* The layer as it is unpacked, up to the plaintext. */
static double ours(const struct descriptor *layer, const struct layer_key *key, uint8_t *ciphertext)
{
    struct memory_source   memory   = { ciphertext, 0 };
    struct image_source    source   = { .read = memory_read, .owner = &memory };
    struct image_progress  progress = { .phase = IMAGE_PULL };
    struct ledger          ledger   = { .sources = &source, .n_sources = 1, .progress = &progress, .packed_left = UINT64_MAX };
    AUTO(blob) struct blob blob     = NO_BLOB;
    struct err             err;
    double                 began = cpu_seconds();

    if (!blob_fetch(&ledger, layer, key, NO_FD, &blob, &err))
        die(&err);
    for (struct stream s = blob_stream(&blob);;) {
        struct bytes piece = { 0 };

        if (!s.next(s.owner, &piece, &err))
            die(&err);
        if (piece.len == 0)
            return cpu_seconds() - began - memory.seconds;
    }
}

static double digest_alone(const uint8_t *from)
{
    AUTO(digest_run) struct digest_run run = { 0 };
    struct digest                      out;
    double                             began = cpu_seconds();

    digest_run_begin(&run, DIGEST_SHA256);
    for (size_t at = 0; at < LEN; at += STEP)
        digest_run_update(&run, (struct bytes){ from + at, STEP });
    digest_run_end(&run, &out);
    return cpu_seconds() - began;
}

static double hmac_alone(const uint8_t *from, const struct secret *key)
{
    AUTO(layer_mac) struct layer_mac mac = { 0 };
    uint8_t                          out[ENC_HMAC_LEN];
    struct err                       err;
    double                           began = cpu_seconds();

    if (!layer_mac_begin(&mac, key, &err))
        die(&err);
    for (size_t at = 0; at < LEN; at += STEP)
        if (!layer_mac_update(&mac, (struct bytes){ from + at, STEP }, &err))
            die(&err);
    if (!layer_mac_end(&mac, out, &err))
        die(&err);
    return cpu_seconds() - began;
}

static double ctr_alone(const uint8_t *from, const struct layer_private *options)
{
    AUTO(layer_ctr) struct layer_ctr ctr = { 0 };
    AUTO(heap) uint8_t              *to  = malloc(STEP);
    struct err                       err;
    double                           began = cpu_seconds();

    if (!to || !layer_ctr_begin(&ctr, options, &err))
        die(&err);
    for (size_t at = 0; at < LEN; at += STEP)
        if (!layer_ctr_apply(&ctr, (struct bytes){ from + at, STEP }, to, &err))
            die(&err);
    return cpu_seconds() - began;
}

static void layer_prepare(uint8_t *ciphertext, struct descriptor *layer, struct layer_key *key)
{
    AUTO(layer_mac) struct layer_mac mac = { 0 };
    struct err                       err;

    for (size_t i = 0; i < LEN; i += 4096)
        ciphertext[i] = (uint8_t) (i >> 12);
    layer->size = LEN;
    digest_of((struct bytes){ ciphertext, LEN }, DIGEST_SHA256, &layer->digest);
    if (!layer_private_new(&key->private, &err) || !layer_mac_begin(&mac, &key->private.key, &err) ||
        !layer_mac_update(&mac, (struct bytes){ ciphertext, LEN }, &err) ||
        !layer_mac_end(&mac, key->public.hmac, &err))
        die(&err);
}

int main(void)
{
    AUTO(heap) uint8_t              *ciphertext = malloc(LEN);
    struct descriptor                layer      = { .size = 0 };
    AUTO(layer_key) struct layer_key key        = { .public = { { 0 } } };
    double                           best = 0, best_sum = 1e9, best_ours = 1e9;

    if (!ciphertext)
        return 1;
    layer_prepare(ciphertext, &layer, &key);
    for (int round = 0; round < ROUNDS; round++) {
        double sha = digest_alone(ciphertext), hmac = hmac_alone(ciphertext, &key.private.key);
        double ctr = ctr_alone(ciphertext, &key.private), all = ours(&layer, &key, ciphertext);

        printf("round %d: SHA-256 %.3f s, HMAC %.3f s, CTR %.3f s; sum %.3f s; verify and decrypt %.3f s: %.0f %%\n",
               round + 1, sha, hmac, ctr, sha + hmac + ctr, all, 100 * (sha + hmac + ctr) / all);
        best_sum  = sha + hmac + ctr < best_sum ? sha + hmac + ctr : best_sum;
        best_ours = all < best_ours ? all : best_ours;
    }
    best = best_sum / best_ours;
    printf("decrypt_verify_of_primitives=%.2f (aim 0.80) throughput=%.0f MiB/s of CPU\n", best, 256 / best_ours);
    return best >= LEAST ? 0 : 1;
}
