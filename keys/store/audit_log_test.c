/* The log of decisions: proven entry by entry, and what is told of one that others changed. */
#include "tests/harness/store_rig.h"

static void audit_count(void *owner, uint64_t seq, struct bytes entry)
{
    struct merkle     *tree = owner;
    struct merkle_hash leaf = merkle_leaf(entry);

    assert_int_equal(seq, tree->size);
    merkle_add(tree, &leaf);
}

/* Enough for nodes on two kept levels. */
static void proves_every_entry_and_growth_of_a_long_log(void **state)
{
    enum { MOST = 70000, STEP = 6151 };
    struct store              *store = opened();
    struct merkle              tree  = { 0 };
    uint64_t                   size;
    struct err                 err;

    (void) state;
    for (size = store_audit_tree(store)->size; size < MOST; size++) {
        char entry[32];

        (void) snprintf(entry, sizeof entry, "entry %llu", (unsigned long long) size); /* fits */
        assert_true(store_audit_add(store, bytes_of_text(entry), &err));
    }
    assert_true(store_commit(store, &err));
    assert_true(store_audit_each(store, 0, INT64_MAX, audit_count, &tree, &err));
    assert_int_equal(tree.size, MOST);

    struct merkle_hash root = merkle_root(&tree), head = merkle_root(store_audit_tree(store));

    assert_memory_equal(&root, &head, sizeof root);
    for (uint64_t i = 0; i < MOST; i += STEP) {
        struct merkle_proof proof;
        struct merkle       first = { 0 };
        struct merkle_hash  leaf, first_root;

        assert_true(store_prove_consistency(store, i + 1, MOST, &proof, &err));
        assert_true(store_audit_each(store, 0, i + 1, audit_count, &first, &err));
        first_root = merkle_root(&first);
        assert_true(merkle_check_consistency(i + 1, MOST, &first_root, &root, &proof));

        char entry[32];

        (void) snprintf(entry, sizeof entry, "entry %llu", (unsigned long long) i); /* fits */
        leaf = merkle_leaf(bytes_of_text(entry));
        assert_true(store_prove_inclusion(store, i, MOST, &proof, &err));
        if (i > 1) /* the first ones were written by tests before */
            assert_true(merkle_check_inclusion(&leaf, i, MOST, &proof, &root));
    }
    store_close(store);
}

static void tells_a_log_that_was_cut_or_grown_by_others(void **state)
{
    (void) state;
    alter("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)");
    refuses(ERR_UNTRUSTED, "store: the audit log has 69999 entries and its sealed tree 70000: it was altered");
    alter("INSERT INTO audit (seq, entry) SELECT 69999 + seq, entry FROM audit WHERE seq < 2");
    refuses(ERR_UNTRUSTED, "store: the audit log has 70001 entries and its sealed tree 70000: it was altered");
    alter("DELETE FROM audit WHERE seq = 70000");
    store_close(opened());
    alter("UPDATE proof SET sealed = (SELECT sealed FROM proof WHERE name = 'proof') WHERE name = 'audit tree'");
    refuses(ERR_UNTRUSTED, "store: the audit log's tree: sealed secret: changed, moved, or sealed under another key");
    alter("DELETE FROM proof WHERE name = 'audit tree'");
    refuses(ERR_UNTRUSTED, "store: the audit log has 70000 entries and its sealed tree 0: it was altered");
}

static void tells_an_entry_that_was_rewritten_or_moved_when_it_looks_at_all(void **state)
{
    char       copy[4200];
    struct err err;

    (void) state;
    start_anew();
    begin_with_a_little();
    (void) snprintf(copy, sizeof copy, "%s/altered.db", folder); /* fits */
    alter("UPDATE audit SET seq = seq + 1000000 WHERE seq < 2");
    alter("UPDATE audit SET seq = 1000001 - seq WHERE seq >= 1000000");
    assert_false(store_verify(where, &key, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "store: the audit log's entries are not those of its sealed tree: it was altered");
    assert_false(store_backup(where, &key, copy, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_int_equal(access(copy, F_OK), -1);
    alter("UPDATE audit SET seq = seq + 1000000 WHERE seq < 2");
    alter("UPDATE audit SET seq = 1000001 - seq WHERE seq >= 1000000");
    assert_true(store_verify(where, &key, &err));
    alter("UPDATE resource SET sealed = (SELECT sealed FROM proof WHERE name = 'proof')");
    assert_false(store_verify(where, &key, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proves_every_entry_and_growth_of_a_long_log),
        cmocka_unit_test(tells_a_log_that_was_cut_or_grown_by_others),
        cmocka_unit_test(tells_an_entry_that_was_rewritten_or_moved_when_it_looks_at_all),
    };

    return STORE_RIG_RUN(argc, argv, tests, tests);
}
