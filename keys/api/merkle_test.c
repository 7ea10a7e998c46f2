#include "tests/harness/test.h"

#include "base/text.h"
#include "keys/api/merkle.h"

enum { MOST = 40 };

/* The eight entries of Certificate Transparency's own reference test, and the roots that it gives for them. */
static const char *const ENTRIES[8] = { "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                        "606162636465666768696a6b6c6d6e6f" };
static const char *const ROOTS[8] = {
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static void gives_the_published_roots(void **state)
{
    struct merkle tree = { 0 };
    struct err    err;

    (void) state;
    for (size_t i = 0; i < 8; i++) {
        AUTO(buffer) struct buffer entry = { 0 };
        AUTO(buffer) struct buffer hex   = { 0 };
        struct merkle_hash         leaf, root;

        assert_true(hex_read(bytes_of_text(ENTRIES[i]), &entry, &err));
        leaf = merkle_leaf(buffer_bytes(&entry));
        merkle_add(&tree, &leaf);
        root = merkle_root(&tree);
        hex_append(&hex, BYTES_OF(root.at));
        assert_string_equal(buffer_text(&hex), ROOTS[i]);
    }
}

static struct merkle_hash leaves[MOST], roots[MOST + 1];

static FALLIBLE root_over(void *owner, uint64_t first, uint64_t n, struct merkle_hash *out, struct err *err)
{
    const struct merkle_hash *all  = owner;
    struct merkle             tree = { 0 };

    (void) err;
    for (uint64_t i = first; i < first + n; i++)
        merkle_add(&tree, &all[i]);
    *out = merkle_root(&tree);
    return true;
}

static const struct merkle_source LEAVES = { root_over, leaves };

static void fill(void)
{
    struct merkle tree = { 0 };

    for (uint8_t i = 0; i < MOST; i++) {
        leaves[i] = merkle_leaf((struct bytes){ &i, 1 });
        merkle_add(&tree, &leaves[i]);
        roots[i + 1] = merkle_root(&tree);
    }
}

static void proves_every_leaf_of_every_tree_and_no_other(void **state)
{
    (void) state;
    fill();
    for (uint64_t size = 1; size <= MOST; size++) {
        for (uint64_t i = 0; i < size; i++) {
            struct merkle_proof proof;
            struct merkle_hash  other = leaves[(i + 1) % MOST];
            struct err          err;

            assert_true(merkle_prove_inclusion(&LEAVES, size, i, &proof, &err));
            assert_true(merkle_check_inclusion(&leaves[i], i, size, &proof, &roots[size]));
            assert_false(merkle_check_inclusion(&other, i, size, &proof, &roots[size]));
            assert_false(merkle_check_inclusion(&leaves[i], size, size, &proof, &roots[size]));
            if (proof.n > 0) {
                proof.at[proof.n / 2].at[7] ^= 1;
                assert_false(merkle_check_inclusion(&leaves[i], i, size, &proof, &roots[size]));
                proof.at[proof.n / 2].at[7] ^= 1;
                proof.n--;
                assert_false(merkle_check_inclusion(&leaves[i], i, size, &proof, &roots[size]));
            }
        }
    }
}

static void proves_every_growth_and_no_rewrite(void **state)
{
    struct merkle_hash rewritten = merkle_leaf(bytes_of_text("rewritten"));

    (void) state;
    fill();
    for (uint64_t size = 1; size <= MOST; size++) {
        for (uint64_t first = 1; first <= size; first++) {
            struct merkle_proof proof;
            struct err          err;

            assert_true(merkle_prove_consistency(&LEAVES, first, size, &proof, &err));
            assert_true(merkle_check_consistency(first, size, &roots[first], &roots[size], &proof));
            assert_false(merkle_check_consistency(first, size, &rewritten, &roots[size], &proof));
            assert_false(merkle_check_consistency(first, size, &roots[first], &rewritten, &proof));
            if (proof.n > 0) {
                proof.at[0].at[0] ^= 1;
                assert_false(merkle_check_consistency(first, size, &roots[first], &roots[size], &proof));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_roots),
        cmocka_unit_test(proves_every_leaf_of_every_tree_and_no_other),
        cmocka_unit_test(proves_every_growth_and_no_rewrite),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
