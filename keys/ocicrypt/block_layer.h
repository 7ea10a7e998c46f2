/*
 * A layer that is mounted instead of unpacked: a file system in blocks of 4096 bytes, behind it the hash tree of
 * dm-verity over these very bytes. Encrypted, the blocks are AES-256-XTS and the tree is over the ciphertext, so that a
 * block is judged before it is decrypted. The root of the tree stands in an annotation of the layer, and so under the
 * manifest's digest; an encrypted layer's public options hold an HMAC over it, as others hold one over the ciphertext.
 */
#pragma once

#include "keys/ocicrypt/layer_options.h"
#include "keys/ocicrypt/manifest.h"
#include "keys/ocicrypt/verity_tree.h"

/* containerd takes for a layer what begins so, and asks its snapshotter about it; of other types it wants every blob. */
#define BLOCK_LAYER_TYPE       "application/vnd.oci.image.layer.v1.cloister.erofs"
#define BLOCK_LAYER_TYPE_0     "application/vnd.cloister.image.layer.v1.erofs" /* of images that were made before that */
#define BLOCK_LAYER_ANNOTATION "org.cloister.image.verity" /* "1 4096 DATA-BLOCKS sha256 ROOT-IN-HEX" */

enum { BLOCK_LAYER_TEXT_MAX = 96, BLOCK_LAYER_KEY_LEN = 64 /* XTS takes two of 32 */ };

struct block_layer {
    uint64_t n_blocks;         /* of the file system; the tree begins behind them */
    uint8_t  root[SHA256_LEN];
};

/* Bytes of the whole blob. */
uint64_t block_layer_len(const struct block_layer *layer);

/*
 * Reads the annotation, and compares the blob's size with it.
 * Fails NOT_FOUND without one, MALFORMED, LIMIT; UNSUPPORTED for another version, block size or hash.
 */
FALLIBLE block_layer_read(const struct descriptor *descriptor, struct block_layer *out, struct err *err);
void     block_layer_text(const struct block_layer *layer, char out[static BLOCK_LAYER_TEXT_MAX]);

/* The key of the blocks, from a layer's private options. `out` is yours, AUTO(secret). */
FALLIBLE block_layer_key(const struct layer_private *private, struct secret *out, struct err *err);
/* The HMAC of the public options. */
FALLIBLE block_layer_seal(const struct block_layer *layer, const struct layer_private *private, struct layer_public *out,
                          struct err *err);
/* Fails UNTRUSTED unless the HMAC is this layer's, compared in constant time. */
FALLIBLE block_layer_check(const struct block_layer *layer, const struct layer_private *private,
                           const struct layer_public *public, struct err *err);

/*
 * Encrypts or decrypts whole blocks in place, the first of which has the number `block`. As dm-crypt's
 * "aes-xts-plain64" with sector_size:4096 does it: the tweak is the number of the first sector of 512 bytes.
 */
FALLIBLE block_layer_crypt(const struct secret *key, bool encrypts, uint64_t block, uint8_t *data, size_t len, struct err *err);
