/*
 * The hash tree of dm-verity over a stream of blocks: format version 1, SHA-256, blocks of 4096 bytes, no salt, no
 * superblock. [Linux, Documentation/admin-guide/device-mapper/verity.rst]
 */
#pragma once

#include "base/ossl.h"
#include "keys/ocicrypt/limits.h"

enum { VERITY_BLOCK_LEN = 4096, VERITY_LEVELS_MAX = 8 };

/* The zero state is an empty tree. */
struct verity_tree {
    struct buffer digests; /* of the data blocks, in order */
    uint64_t      n_blocks;
};

/* `data` is whole blocks. Fails LIMIT beyond BLOCK_LAYER_MIB_MAX. */
FALLIBLE verity_tree_add(struct verity_tree *tree, struct bytes data, struct err *err);

/*
 * Ends the tree, which holds at least one block.
 *
 *   nodes   appended: the levels, top first, each padded to whole blocks; what stands behind the data on the device
 *   root    the digest of the top block; of the data block itself when there is but one
 */
void verity_tree_end(struct verity_tree *tree, struct buffer *nodes, uint8_t root[static SHA256_LEN]);

/* How many blocks a tree over `n_blocks` (at least 1) takes. */
uint64_t verity_tree_blocks(uint64_t n_blocks);

static inline void auto_verity_tree(struct verity_tree *tree) { buffer_free(&tree->digests); }
