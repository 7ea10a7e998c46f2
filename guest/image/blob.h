/* Blobs from the untrusted source: a document whole, a layer into memory or a nameless file, nothing used unverified. */
#pragma once

#include "guest/image/image.h"
#include "guest/image/stream.h"
#include "keys/ocicrypt/layer_cipher.h"

/* The ledger that all steps of one image_unpack share. */
struct ledger {
    const struct image_source *sources;
    size_t                     n_sources;
    struct image_keep          keep;
    struct image_progress     *progress;
    uint64_t                   packed_left; /* of the budget */
    const struct manifest     *manifest;    /* NULL until it is read */
    uint32_t                   shunned;     /* bit i: source i lied or was too slow, and another one is left */
    uint32_t                   expecting;   /* bit i: source i was told what to expect */
    uint64_t                 (*now_ns)(void); /* tests; NULL: clock_now_ns */
};

void     phase_enter(struct ledger *ledger, enum image_phase phase);
uint64_t clock_now_ns(void);
/* Books the time since `*since` and moves it on. */
void phase_spent(struct ledger *ledger, enum image_phase phase, uint64_t *since);

enum blob_kind { BLOB_MANIFEST, BLOB_OTHER };

/*
 * Reads the whole blob from the first source that gives it, and checks its digest.
 *
 *   size    what its descriptor says; NULL: up to OCI_DOCUMENT_MAX
 *   out     replaced
 *
 * Fails as the last source does; UNTRUSTED for other bytes, MALFORMED for another size, LIMIT.
 */
FALLIBLE blob_read(struct ledger *ledger, enum blob_kind kind, const struct digest *digest, const uint64_t *size,
                   struct buffer *out, struct err *err);

/* A layer's bytes, all there and verified: digest, and HMAC when there is a key. */
struct blob {
    uint8_t                *memory; /* where all bytes are, decrypted in place; NULL: they are in `fd` */
    uint64_t                memory_len;
    int                     fd;     /* nameless file; NO_FD: they are in `memory` */
    uint64_t                size;
    uint64_t                offset; /* read so far */
    uint64_t                freed;  /* given back so far */
    const struct layer_key *key;    /* borrowed; NULL: not encrypted */
    struct layer_ctr        ctr;
    uint8_t                *piece;  /* IMAGE_CHUNK_LEN, for the file */
};

#define NO_BLOB ((struct blob){ .fd = NO_FD })

/* Counts a layer's bytes on the budget, whether they are fetched or not: blob_fetch does it by itself. Fails LIMIT. */
FALLIBLE blob_charge(struct ledger *ledger, const struct descriptor *layer, struct err *err);

/*
 * Fetches a layer to `scratch_fd`'s folder, or into memory with NO_FD.
 * Fails as blob_read; UNTRUSTED for a wrong HMAC; OS when there is no room. `out` is yours, AUTO(blob).
 */
FALLIBLE blob_fetch(struct ledger *ledger, const struct descriptor *layer, const struct layer_key *key,
                    int scratch_fd, struct blob *out, struct err *err);

/*
 * Passes a layer on to who keeps ciphertext, from the first source that is none of theirs, and holds no more of it than a piece.
 * Fails as blob_read; LIMIT when it is not kept.
 */
FALLIBLE blob_pass_on(struct ledger *ledger, const struct descriptor *layer, struct err *err);

/* The plaintext, once, front to back; what was read is given back to the system. */
struct stream blob_stream(struct blob *blob);
void          blob_free(struct blob *blob);
static inline void auto_blob(struct blob *blob) { blob_free(blob); }
