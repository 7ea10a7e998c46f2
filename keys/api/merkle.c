#include "keys/api/merkle.h"

#include <string.h>

#include "base/ossl.h"

struct merkle_hash merkle_leaf(struct bytes entry)
{
    AUTO(buffer) struct buffer input = { 0 };
    struct merkle_hash         out;

    buffer_append(&input, (struct bytes){ (const uint8_t *) "\x00", 1 });
    buffer_append(&input, entry);
    sha256_of(buffer_bytes(&input), out.at);
    return out;
}

struct merkle_hash merkle_node(const struct merkle_hash *left, const struct merkle_hash *right)
{
    uint8_t            input[1 + 2 * MERKLE_HASH_LEN] = { 1 };
    struct merkle_hash out;

    memcpy(input + 1, left->at, MERKLE_HASH_LEN);
    memcpy(input + 1 + MERKLE_HASH_LEN, right->at, MERKLE_HASH_LEN);
    sha256_of(BYTES_OF(input), out.at);
    return out;
}

static bool hash_equal(const struct merkle_hash *a, const struct merkle_hash *b)
{
    return bytes_equal(BYTES_OF(a->at), BYTES_OF(b->at));
}

void merkle_add(struct merkle *tree, const struct merkle_hash *leaf)
{
    struct merkle_hash nodes[MERKLE_LEVELS + 1];

    (void) merkle_add_nodes(tree, leaf, nodes); /* which ones: nobody asks */
}

unsigned merkle_add_nodes(struct merkle *tree, const struct merkle_hash *leaf, struct merkle_hash nodes[static MERKLE_LEVELS + 1])
{
    unsigned level = 0;

    nodes[0] = *leaf;
    for (; tree->size >> level & 1; level++)
        nodes[level + 1] = merkle_node(&tree->frontier[level], &nodes[level]);
    tree->frontier[level] = nodes[level];
    tree->size++;
    return level;
}

struct merkle_hash merkle_root(const struct merkle *tree)
{
    struct merkle_hash root;
    bool               has_one = false;

    sha256_of((struct bytes){ 0 }, root.at); /* of the empty tree */
    for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
        if (!(tree->size >> level & 1))
            continue;
        root    = has_one ? merkle_node(&tree->frontier[level], &root) : tree->frontier[level];
        has_one = true;
    }
    return root;
}

uint64_t merkle_split(uint64_t n)
{
    uint64_t k = 1;

    while (k < n - k)
        k *= 2;
    return k;
}

FALLIBLE merkle_prove_inclusion(const struct merkle_source *from, uint64_t size, uint64_t index,
                                struct merkle_proof *out, struct err *err)
{
    struct merkle_hash beside[MERKLE_LEVELS]; /* from the root down */
    uint64_t           at = 0;
    size_t             n  = 0;

    while (size > 1) {
        uint64_t k        = merkle_split(size);
        bool     is_right = index >= at + k;

        if (!(is_right ? from->root(from->owner, at, k, &beside[n++], err)
                       : from->root(from->owner, at + k, size - k, &beside[n++], err)))
            return false;
        at += is_right ? k : 0;
        size = is_right ? size - k : k;
    }
    out->n = n;
    for (size_t i = 0; i < n; i++)
        out->at[i] = beside[n - 1 - i];
    return true;
}

bool merkle_check_inclusion(const struct merkle_hash *leaf, uint64_t index, uint64_t size,
                            const struct merkle_proof *proof, const struct merkle_hash *root)
{
    struct merkle_hash r = *leaf;
    uint64_t           f = index, s = size - 1;

    if (index >= size)
        return false;
    for (size_t i = 0; i < proof->n; i++) {
        if (s == 0)
            return false;
        if ((f & 1) || f == s) {
            r = merkle_node(&proof->at[i], &r);
            while (!(f & 1) && f != 0)
                f >>= 1, s >>= 1;
        } else {
            r = merkle_node(&r, &proof->at[i]);
        }
        f >>= 1, s >>= 1;
    }
    return s == 0 && hash_equal(&r, root);
}

FALLIBLE merkle_prove_consistency(const struct merkle_source *from, uint64_t first, uint64_t size,
                                  struct merkle_proof *out, struct err *err)
{
    struct merkle_hash beside[MERKLE_LEVELS]; /* from the root down */
    uint64_t           at       = 0;
    size_t             n        = 0;
    bool               is_whole = true; /* the subtree at hand is all of the first tree: its root is known */

    while (first != size) {
        uint64_t k        = merkle_split(size);
        bool     is_right = first > k;

        if (!(is_right ? from->root(from->owner, at, k, &beside[n++], err)
                       : from->root(from->owner, at + k, size - k, &beside[n++], err)))
            return false;
        at += is_right ? k : 0;
        first -= is_right ? k : 0;
        size     = is_right ? size - k : k;
        is_whole = is_whole && !is_right;
    }
    out->n = 0;
    if (!is_whole && !from->root(from->owner, at, size, &out->at[out->n++], err))
        return false;
    while (n > 0)
        out->at[out->n++] = beside[--n];
    return true;
}

bool merkle_check_consistency(uint64_t first, uint64_t size, const struct merkle_hash *first_root,
                              const struct merkle_hash *root, const struct merkle_proof *proof)
{
    struct merkle_hash a, b;
    uint64_t           f = first - 1, s = size - 1;
    size_t             i = 0;

    if (first == 0 || first > size)
        return false;
    if (first == size)
        return proof->n == 0 && hash_equal(first_root, root);
    while (f & 1)
        f >>= 1, s >>= 1;
    if (f == 0) { /* the first tree is complete: its root begins the path */
        a = *first_root;
    } else {
        if (proof->n == 0)
            return false;
        a = proof->at[i++];
    }
    b = a;
    for (; i < proof->n; i++) {
        if (s == 0)
            return false;
        if ((f & 1) || f == s) {
            a = merkle_node(&proof->at[i], &a);
            b = merkle_node(&proof->at[i], &b);
            while (!(f & 1) && f != 0)
                f >>= 1, s >>= 1;
        } else {
            b = merkle_node(&b, &proof->at[i]);
        }
        f >>= 1, s >>= 1;
    }
    return s == 0 && hash_equal(&a, first_root) && hash_equal(&b, root);
}
