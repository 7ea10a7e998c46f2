/* The audit log and its Merkle tree. The tree's right edge is kept sealed; complete subtrees are kept as they come. */
#include <string.h>

#include "keys/store/inside.h"

/* A node is kept at every eighth level: a proof reads few, and adding an entry seldom writes one. */
enum { KEPT_LEVELS = 8, KEPT_LEAVES = 1 << KEPT_LEVELS, BATCH = 4096, EDGE_LEN_MAX = 8 + MERKLE_LEVELS * MERKLE_HASH_LEN };
#define TREE "audit tree"

const struct merkle *store_audit_tree(const struct store *store) { return &store->committed; }

/* ---- the tree's right edge ---- */

FALLIBLE tree_save(struct store *store, struct err *err)
{
    uint8_t       edge[EDGE_LEN_MAX];
    struct writer w = writer_over(edge, sizeof edge);

    if (store->pending.size == store->committed.size)
        return true;
    put_u64be(&w, store->pending.size);
    for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
        if (store->pending.size >> level & 1)
            put(&w, BYTES_OF(store->pending.frontier[level].at));
    }
    return writer_ok(&w, err) && sealed_put(store, TREE, writer_bytes(&w), err);
}

FALLIBLE tree_load(struct store *store, struct err *err)
{
    AUTO(secret) struct secret edge = { 0 };
    struct merkle              tree = { 0 };

    if (sealed_get(store, TREE, &edge, err)) {
        struct reader r = reader_over(secret_expose(&edge));

        tree.size = take_u64be(&r);
        for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
            struct bytes hash = tree.size >> level & 1 ? take(&r, MERKLE_HASH_LEN) : (struct bytes){ 0 };

            if (hash.len > 0)
                memcpy(tree.frontier[level].at, hash.at, hash.len);
        }
        if (!reader_done(&r, err))
            return context(err, "store: the audit log's tree");
    } else if (err->kind != ERR_NOT_FOUND) {
        return context(err, "store: the audit log's tree");
    }
    store->pending = store->committed = tree;
    return true;
}

FALLIBLE store_audit_refresh(struct store *store, struct err *err)
{
    return store->dirty || tree_load(store, err);
}

static void size_found(void *owner, const struct value *row) { *(uint64_t *) owner = (uint64_t) row[0].number + 1; }

FALLIBLE tree_check(struct store *store, struct err *err)
{
    uint64_t entries = 0;

    if (!tree_load(store, err) || !store_run(store, AUDIT_LAST, NULL, 0, size_found, &entries, NULL, err))
        return false;
    return entries == store->committed.size ||
           fail_with(err, ERR_UNTRUSTED, "store: the audit log has %llu entries and its sealed tree %llu: it was altered",
                     (unsigned long long) entries, (unsigned long long) store->committed.size);
}

/* ---- adding ---- */

static FALLIBLE leaf_add(struct store *store, const struct merkle_hash *leaf, struct err *err)
{
    struct merkle_hash nodes[MERKLE_LEVELS + 1];
    unsigned           highest = merkle_add_nodes(&store->pending, leaf, nodes);

    for (unsigned level = KEPT_LEVELS; level <= highest; level += KEPT_LEVELS) {
        uint64_t number = (store->pending.size >> level) - 1;

        if (!store_run(store, NODE_PUT, VALUES(value_number(level), value_number((int64_t) number),
                                               value_bytes(BYTES_OF(nodes[level].at))), NULL, NULL, NULL, err))
            return false;
    }
    return true;
}

FALLIBLE store_audit_add(struct store *store, struct bytes entry, struct err *err)
{
    struct merkle_hash leaf = merkle_leaf(entry);

    return store_begin(store, err) &&
           store_run(store, AUDIT_ADD, VALUES(value_number((int64_t) store->pending.size), value_bytes(entry)), NULL, NULL,
                     NULL, err) &&
           leaf_add(store, &leaf, err);
}

/* ---- reading ---- */

struct audit_listing {
    audit_fn *fn;
    void     *owner;
};

static void entry_tell(void *owner, const struct value *row)
{
    struct audit_listing *l = owner;

    l->fn(l->owner, (uint64_t) row[0].number, row[1].bytes);
}

FALLIBLE store_audit_each(struct store *store, uint64_t from, uint64_t most, audit_fn *fn, void *owner, struct err *err)
{
    struct audit_listing l = { fn, owner };

    while (most > 0) {
        uint64_t wanted = most < BATCH ? most : BATCH, n = 0;

        if (!store_run(store, AUDIT_LIST, VALUES(value_number((int64_t) from), value_number((int64_t) wanted)), entry_tell,
                       &l, &n, err))
            return false;
        if (n < wanted)
            return true;
        from += n;
        most -= n;
    }
    return true;
}

struct growth {
    struct store *store;
    bool          has_gap, failed;
    struct err    err;
};

static void grow(void *owner, uint64_t seq, struct bytes entry)
{
    struct growth     *g    = owner;
    struct merkle_hash leaf = merkle_leaf(entry);

    g->has_gap = g->has_gap || seq != g->store->pending.size;
    g->failed  = g->failed || !leaf_add(g->store, &leaf, &g->err);
}

FALLIBLE tree_build(struct store *store, struct err *err)
{
    struct growth g = { .store = store };

    if (!store_begin(store, err) || !store_audit_each(store, 0, INT64_MAX, grow, &g, err))
        return false;
    if (g.failed) {
        *err = g.err;
        return false;
    }
    if (g.has_gap)
        return fail_with(err, ERR_UNTRUSTED, "store: the audit log has a gap; an entry was removed");
    return store_commit(store, err);
}

/* ---- proving ---- */

static void leaf_grow(void *owner, uint64_t seq, struct bytes entry)
{
    struct merkle_hash leaf = merkle_leaf(entry);

    (void) seq;
    merkle_add(owner, &leaf);
}

static void hash_found(void *owner, const struct value *row)
{
    if (row[0].bytes.len == MERKLE_HASH_LEN)
        memcpy(((struct merkle_hash *) owner)->at, row[0].bytes.at, MERKLE_HASH_LEN);
}

static FALLIBLE few_root(struct store *store, uint64_t first, uint64_t n, struct merkle_hash *out, struct err *err)
{
    struct merkle tree = { 0 };

    if (!store_audit_each(store, first, n, leaf_grow, &tree, err))
        return false;
    if (tree.size != n)
        return fail_with(err, ERR_UNTRUSTED, "store: the audit log has a gap; an entry was removed");
    *out = merkle_root(&tree);
    return true;
}

/* Depth: one for each level of the tree, 64 at most. */
static FALLIBLE subtree_root(void *owner, uint64_t first, uint64_t n, struct merkle_hash *out, struct err *err)
{
    struct merkle_hash left, right;
    uint64_t           found = 0;
    unsigned           level = (unsigned) __builtin_ctzll(n);

    if (n < KEPT_LEAVES)
        return few_root(owner, first, n, out, err);
    if ((n & (n - 1)) == 0 && level % KEPT_LEVELS == 0) {
        if (!store_run(owner, NODE_GET, VALUES(value_number(level), value_number((int64_t) (first >> level))), hash_found, out,
                       &found, err))
            return false;
        return found > 0 || fail_with(err, ERR_UNTRUSTED, "store: a node of the audit log's tree is missing");
    }

    uint64_t k = merkle_split(n);

    if (!subtree_root(owner, first, k, &left, err) || !subtree_root(owner, first + k, n - k, &right, err))
        return false;
    *out = merkle_node(&left, &right);
    return true;
}

FALLIBLE store_prove_inclusion(struct store *store, uint64_t index, uint64_t size, struct merkle_proof *out, struct err *err)
{
    struct merkle_source from = { subtree_root, store };

    return merkle_prove_inclusion(&from, size, index, out, err);
}

FALLIBLE store_prove_consistency(struct store *store, uint64_t first, uint64_t size, struct merkle_proof *out,
                                 struct err *err)
{
    struct merkle_source from = { subtree_root, store };

    return merkle_prove_consistency(&from, first, size, out, err);
}
