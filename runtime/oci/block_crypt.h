/* A layer of blocks on its way from a layout to another: each block encrypted or decrypted, the hash tree made anew. */
#pragma once

#include "keys/ocicrypt/block_layer.h"
#include "runtime/oci/layout_writer.h"

struct block_crypt {
    struct layout_sink *sink;  /* borrowed */
    uint8_t            *piece; /* borrowed: the pieces that come stand in it, and are changed in place */
    bool                encrypts;
    struct secret       key;
    struct block_layer  from;
    uint64_t            n_done; /* blocks */
    struct verity_tree  before, after;
};

static inline void auto_block_crypt(struct block_crypt *run)
{
    auto_secret(&run->key);
    auto_verity_tree(&run->before);
    auto_verity_tree(&run->after);
}

/* `sink` and `piece` are set. Fails as block_layer_read. */
FALLIBLE block_crypt_begin(struct block_crypt *run, const struct descriptor *from, const struct layer_private *private, bool encrypts,
                           struct err *err);
/* The blob's next bytes; the owner is a struct block_crypt. */
bool block_crypt_piece(void *owner, struct bytes piece, struct err *err);
/* Fails UNTRUSTED when what came is not what the annotation's root stands for. */
FALLIBLE block_crypt_end(struct block_crypt *run, struct block_layer *out, struct err *err);
