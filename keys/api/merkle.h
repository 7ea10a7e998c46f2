/*
 * The tree over the audit log: anyone with a signed root can check that an entry is in it, and that a later tree only
 * grew. [RFC 9162 section 2.1, SHA-256]
 */
#pragma once

#include "base/bytes.h"

enum { MERKLE_HASH_LEN = 32, MERKLE_LEVELS = 64 };

struct merkle_hash {
    uint8_t at[MERKLE_HASH_LEN];
};

/* A tree that only grows: its size and the roots of its complete subtrees. The zero state is empty. */
struct merkle {
    uint64_t           size;
    struct merkle_hash frontier[MERKLE_LEVELS]; /* [l] holds 2^l leaves where bit l of size is set */
};

struct merkle_hash merkle_leaf(struct bytes entry);
struct merkle_hash merkle_node(const struct merkle_hash *left, const struct merkle_hash *right);
void               merkle_add(struct merkle *tree, const struct merkle_hash *leaf);
/* The same; tells the nodes that it completed: nodes[l] for every l up to the level that is returned. */
unsigned           merkle_add_nodes(struct merkle *tree, const struct merkle_hash *leaf,
                                    struct merkle_hash nodes[static MERKLE_LEVELS + 1]);
struct merkle_hash merkle_root(const struct merkle *tree);

/* The hashes of a proof, in order; at most one per level. */
struct merkle_proof {
    struct merkle_hash at[MERKLE_LEVELS];
    size_t             n;
};

/* How many leaves the left subtree of n has: the largest power of two below n; n > 1. */
uint64_t merkle_split(uint64_t n);

/* Where the roots of subtrees come from: over leaves first .. first + n - 1, which are a subtree of some tree. */
struct merkle_source {
    FALLIBLE (*root)(void *owner, uint64_t first, uint64_t n, struct merkle_hash *out, struct err *err);
    void *owner;
};

/* That leaf `index` is in the tree of the first `size`; index < size. Fails as the source does. */
FALLIBLE merkle_prove_inclusion(const struct merkle_source *from, uint64_t size, uint64_t index,
                                struct merkle_proof *out, struct err *err);
bool merkle_check_inclusion(const struct merkle_hash *leaf, uint64_t index, uint64_t size,
                            const struct merkle_proof *proof, const struct merkle_hash *root);

/* That the tree of the first `first` is a beginning of that of `size`; 0 < first <= size. Fails as the source does. */
FALLIBLE merkle_prove_consistency(const struct merkle_source *from, uint64_t first, uint64_t size,
                                  struct merkle_proof *out, struct err *err);
bool merkle_check_consistency(uint64_t first, uint64_t size, const struct merkle_hash *first_root,
                              const struct merkle_hash *root, const struct merkle_proof *proof);
