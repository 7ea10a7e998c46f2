#include "tests/harness/test.h"

#include "keys/ocicrypt/verity_tree.h"

static void fill(uint8_t block[static VERITY_BLOCK_LEN], unsigned number)
{
    for (size_t i = 0; i < VERITY_BLOCK_LEN; i++)
        block[i] = (uint8_t) (i * 7 + number * 31 + number / 8);
}

static void add_blocks(struct verity_tree *tree, unsigned n)
{
    uint8_t    block[VERITY_BLOCK_LEN];
    struct err err;

    for (unsigned i = 0; i < n; i++) {
        fill(block, i);
        assert_true(verity_tree_add(tree, BYTES_OF(block), &err));
    }
}

static void one_block_is_its_own_root(void **state)
{
    AUTO(verity_tree) struct verity_tree tree  = { .n_blocks = 0 };
    AUTO(buffer) struct buffer           nodes = { 0 };
    uint8_t                              block[VERITY_BLOCK_LEN], wanted[SHA256_LEN], root[SHA256_LEN];

    (void) state;
    add_blocks(&tree, 1);
    verity_tree_end(&tree, &nodes, root);
    fill(block, 0);
    sha256_of(BYTES_OF(block), wanted);
    assert_memory_equal(root, wanted, SHA256_LEN);
    assert_int_equal(nodes.len, 0);
    assert_int_equal(verity_tree_blocks(1), 0);
}

/* 129 blocks: two blocks of digests, the second with one digest and zeros; a top block with their two. */
static void levels_stand_top_first_and_padded(void **state)
{
    AUTO(verity_tree) struct verity_tree tree  = { .n_blocks = 0 };
    AUTO(buffer) struct buffer           nodes = { 0 };
    uint8_t                              block[VERITY_BLOCK_LEN], root[SHA256_LEN], wanted[SHA256_LEN];
    uint8_t                              level[2 * VERITY_BLOCK_LEN] = { 0 }, top[VERITY_BLOCK_LEN] = { 0 };

    (void) state;
    for (unsigned i = 0; i < 129; i++) {
        fill(block, i);
        sha256_of(BYTES_OF(block), level + i * SHA256_LEN);
    }
    sha256_of((struct bytes){ level, VERITY_BLOCK_LEN }, top);
    sha256_of((struct bytes){ level + VERITY_BLOCK_LEN, VERITY_BLOCK_LEN }, top + SHA256_LEN);
    sha256_of(BYTES_OF(top), wanted);
    add_blocks(&tree, 129);
    assert_int_equal(tree.n_blocks, 129);
    verity_tree_end(&tree, &nodes, root);
    assert_memory_equal(root, wanted, SHA256_LEN);
    assert_int_equal(nodes.len, 3 * VERITY_BLOCK_LEN);
    assert_memory_equal(nodes.at, top, sizeof top);
    assert_memory_equal(nodes.at + sizeof top, level, sizeof level);
}

static void counts_the_blocks_of_a_tree(void **state)
{
    static const struct { uint64_t n, tree; } CASES[] = { { 1, 0 }, { 2, 1 }, { 128, 1 }, { 129, 3 }, { 128 * 128, 129 },
                                                          { 128 * 128 + 1, 129 + 1 + 2 } };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(verity_tree_blocks(CASES[i].n), CASES[i].tree);
}

static void takes_whole_blocks_only(void **state)
{
    AUTO(verity_tree) struct verity_tree tree = { .n_blocks = 0 };
    uint8_t                              block[VERITY_BLOCK_LEN] = { 0 };
    struct err                           err;

    (void) state;
    assert_false(verity_tree_add(&tree, (struct bytes){ block, VERITY_BLOCK_LEN - 1 }, &err));
    assert_int_equal(err.kind, ERR_BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_block_is_its_own_root),
        cmocka_unit_test(levels_stand_top_first_and_padded),
        cmocka_unit_test(counts_the_blocks_of_a_tree),
        cmocka_unit_test(takes_whole_blocks_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
