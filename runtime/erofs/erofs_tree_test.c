#include "tests/harness/test.h"

#include <sys/stat.h>

#include "runtime/erofs/erofs_tree.h"

static struct erofs_node *add(struct erofs_tree *tree, const char *folder, const char *name, mode_t mode, unsigned layer)
{
    struct erofs_node *at = NULL, *node = NULL;
    struct err         err;

    if (!erofs_walk(tree, folder, layer, &at, &err) || !erofs_node_new(tree, at, mode, &node, &err))
        fail_msg("%s/%s: %s", folder, name, err.text);
    erofs_put(tree, at, name, node, layer);
    return node;
}

static void add_link(struct erofs_tree *tree, const char *folder, const char *name, const char *target)
{
    add(tree, folder, name, S_IFLNK | 0777, 0)->link = strdup(target);
}

static bool has(struct erofs_tree *tree, const char *folder, const char *name)
{
    struct erofs_node *at = NULL;
    struct err         err;

    return erofs_walk(tree, folder, ~0U, &at, &err) && erofs_find(at, name);
}

static void names_stay_in_order(void **state)
{
    AUTO(erofs_tree) struct erofs_tree tree = { .root = NULL };
    struct err                         err;
    char                               name[8];

    (void) state;
    assert_true(erofs_tree_new(1000, &tree, &err));
    for (unsigned i = 0; i < 200; i++) {
        (void) snprintf(name, sizeof name, "%u", i * 37 % 200); /* fits */
        add(&tree, "", name, S_IFREG, 0);
    }
    assert_int_equal(tree.root->n, 200);
    for (size_t i = 1; i < tree.root->n; i++)
        assert_true(strcmp(tree.root->names[i - 1].text, tree.root->names[i].text) < 0);
    add(&tree, "", "7", S_IFREG, 0); /* in the other's place */
    assert_int_equal(tree.root->n, 200);
    assert_int_equal(tree.n_nodes, 201);
}

static void links_are_followed_and_lead_nowhere_else(void **state)
{
    AUTO(erofs_tree) struct erofs_tree tree = { .root = NULL };
    struct erofs_node                 *at   = NULL;
    struct err                         err;

    (void) state;
    assert_true(erofs_tree_new(100, &tree, &err));
    add(&tree, "usr/lib", "there", S_IFREG, 0);
    add_link(&tree, "", "lib", "usr/lib");
    add_link(&tree, "usr", "up", "../../../../usr/./lib");
    add_link(&tree, "", "absolute", "/usr");
    add_link(&tree, "", "dangling", "usr/nowhere");
    add_link(&tree, "", "round", "round");
    assert_true(has(&tree, "lib", "there") && has(&tree, "usr/up", "there") && has(&tree, "absolute/up", "there"));
    add(&tree, "lib/made/deep", "x", S_IFREG, 0); /* folders are made behind a link, not where it would lead to nothing */
    assert_true(has(&tree, "usr/lib/made/deep", "x"));
    assert_false(erofs_walk(&tree, "dangling/x", 0, &at, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_false(erofs_walk(&tree, "round/x", 0, &at, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(erofs_walk(&tree, "lib/there/x", 0, &at, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static void whiteouts_hide_lower_layers_only(void **state)
{
    AUTO(erofs_tree) struct erofs_tree tree = { .root = NULL };
    struct erofs_node                 *at   = NULL;
    struct err                         err;

    (void) state;
    assert_true(erofs_tree_new(100, &tree, &err));
    add(&tree, "d/e", "old", S_IFREG, 0);
    add(&tree, "d", "old", S_IFREG, 0);
    add(&tree, "d/e", "new", S_IFREG, 1);
    add(&tree, "f", "old", S_IFREG, 0);
    assert_true(erofs_walk(&tree, "", ~0U, &at, &err));
    erofs_hide(&tree, at, "d", 1);
    assert_true(has(&tree, "d/e", "new") && !has(&tree, "d/e", "old") && !has(&tree, "d", "old") && has(&tree, "f", "old"));
    erofs_hide(&tree, at, NULL, 1);
    assert_true(has(&tree, "d/e", "new") && !has(&tree, "", "f"));
    erofs_hide(&tree, at, "not there", 1);
}

static void a_hard_link_outlives_its_other_name(void **state)
{
    AUTO(erofs_tree) struct erofs_tree tree = { .root = NULL };
    struct erofs_node                 *file = NULL;
    struct err                         err;

    (void) state;
    assert_true(erofs_tree_new(100, &tree, &err));
    file = add(&tree, "d", "a", S_IFREG, 0);
    erofs_put(&tree, tree.root, "d", file, 1); /* in the place of the folder that holds its other name */
    assert_int_equal(file->n_names, 1);
    assert_ptr_equal(erofs_find(tree.root, "d")->node, file);
    assert_int_equal(tree.n_nodes, 2);
}

static void budgets_are_kept(void **state)
{
    AUTO(erofs_tree) struct erofs_tree tree = { .root = NULL };
    struct erofs_node                 *at   = NULL, *node = NULL;
    struct err                         err;

    (void) state;
    assert_true(erofs_tree_new(EROFS_DEPTH_MAX + 2, &tree, &err));
    at = tree.root;
    for (unsigned i = 0; i < EROFS_DEPTH_MAX; i++) {
        assert_true(erofs_node_new(&tree, at, S_IFDIR, &node, &err));
        erofs_put(&tree, at, "d", node, 0);
        at = node;
    }
    assert_false(erofs_node_new(&tree, at, S_IFDIR, &node, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(erofs_node_new(&tree, at, S_IFREG, &node, &err));
    erofs_put(&tree, at, "f", node, 0);
    assert_false(erofs_node_new(&tree, tree.root, S_IFREG, &node, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stay_in_order),
        cmocka_unit_test(links_are_followed_and_lead_nowhere_else),
        cmocka_unit_test(whiteouts_hide_lower_layers_only),
        cmocka_unit_test(a_hard_link_outlives_its_other_name),
        cmocka_unit_test(budgets_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
