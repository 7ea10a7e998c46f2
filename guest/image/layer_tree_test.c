#include "tests/harness/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "guest/image/layer_tree.h"
#include "guest/image/limits.h"

struct place {
    char *path;
    int   fd;
};

static struct place place_make(void)
{
    struct place p = { NULL, NO_FD };
    struct err   err;

    assert_true(directory_make_temporary("layer-tree-", &p.path, &err));
    p.fd = open(p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(p.fd >= 0);
    assert_int_equal(mkdirat(p.fd, "d", 0755), 0);
    assert_int_equal(mkdirat(p.fd, "d/e", 0755), 0);
    assert_int_equal(symlinkat("/tmp", p.fd, "d/link"), 0);
    for (const char *const *name = (const char *const[]){ "d/a", "d/b", "d/e/f", NULL }; *name; name++) {
        AUTO(fd) int fd = openat(p.fd, *name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
    }
    return p;
}

static void auto_place(struct place *p)
{
    struct err err;

    auto_fd(&p->fd);
    assert_true(directory_remove(p->path, &err));
    free(p->path);
}

static bool is_there(const struct place *p, const char *name)
{
    struct stat st;

    return fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static ino_t inode_of(const struct place *p, const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_ino;
}

static void remembers_each_name_in_its_folder(void **state)
{
    AUTO(layer_names) struct layer_names names = { 0 };
    char                                 name[32];

    (void) state;
    assert_false(layer_names_have(&names, 1, "a"));
    for (unsigned i = 0; i < 5000; i++) {
        (void) snprintf(name, sizeof name, "n%u", i); /* fits */
        layer_names_add(&names, i % 7, name);
        layer_names_add(&names, i % 7, name);
    }
    assert_int_equal(names.n, 5000);
    assert_true(layer_names_have(&names, 4999 % 7, "n4999"));
    assert_false(layer_names_have(&names, 4999 % 7 + 1, "n4999"));
    assert_false(layer_names_have(&names, 0, "n5000"));
}

static void removes_a_tree_without_following_links(void **state)
{
    AUTO(place) struct place p = place_make();
    struct err               err;

    (void) state;
    assert_true(layer_tree_remove(p.fd, "d", NULL, &err));
    assert_false(is_there(&p, "d"));
    assert_int_equal(access("/tmp", F_OK), 0);
    assert_true(layer_tree_remove(p.fd, "d", NULL, &err)); /* one that is missing is fine */
}

static void keeps_what_is_to_be_kept_and_the_way_there(void **state)
{
    AUTO(place) struct place             p    = place_make();
    AUTO(layer_names) struct layer_names keep = { 0 };
    struct err                           err;

    (void) state;
    layer_names_add(&keep, inode_of(&p, "d/e"), "f");
    assert_true(layer_tree_remove(p.fd, "d", &keep, &err));
    assert_true(is_there(&p, "d/e/f"));
    assert_false(is_there(&p, "d/a") || is_there(&p, "d/b") || is_there(&p, "d/link"));
}

static void keeps_a_folder_that_is_named_but_not_what_was_in_it(void **state)
{
    AUTO(place) struct place             p    = place_make();
    AUTO(layer_names) struct layer_names keep = { 0 };
    struct err                           err;

    (void) state;
    layer_names_add(&keep, inode_of(&p, "d"), "e");
    layer_names_add(&keep, inode_of(&p, "d"), "link");
    assert_true(layer_tree_clear(p.fd, &keep, &err));
    assert_true(is_there(&p, "d/e") && is_there(&p, "d/link"));
    assert_false(is_there(&p, "d/a") || is_there(&p, "d/e/f"));
}

/* `n` folders, each in the one before. */
static void nest(const struct place *p, int n)
{
    int at = dup(p->fd);

    for (int i = 0; i < n; i++) {
        assert_int_equal(mkdirat(at, "x", 0755), 0);
        int next = openat(at, "x", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void) close(at);
        at = next;
    }
    (void) close(at);
}

static void stops_at_the_depth_limit(void **state)
{
    AUTO(place) struct place p = place_make();
    struct err               err;

    (void) state;
    nest(&p, LAYER_DEPTH_MAX + 1);
    assert_false(layer_tree_remove(p.fd, "x", NULL, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "folders nested deeper than 512");
}

static void *remove_x(void *of)
{
    const struct place *p = of;
    static struct err   err;

    return layer_tree_remove(p->fd, "x", NULL, &err) ? NULL : err.text;
}

/* A layer's own nesting takes no stack: it would be of a worker, which has little. */
static void removes_the_deepest_on_a_small_stack(void **state)
{
    enum { SMALL_LEN = 96 << 10 };
    AUTO(place) struct place p = place_make();
    pthread_attr_t           small;
    pthread_t                thread;
    void                    *why = NULL;

    (void) state;
    nest(&p, LAYER_DEPTH_MAX);
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, SMALL_LEN), 0);
    assert_int_equal(pthread_create(&thread, &small, remove_x, &p), 0);
    assert_int_equal(pthread_join(thread, &why), 0);
    assert_int_equal(pthread_attr_destroy(&small), 0);
    assert_null(why);
    assert_false(is_there(&p, "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_each_name_in_its_folder),
        cmocka_unit_test(removes_a_tree_without_following_links),
        cmocka_unit_test(keeps_what_is_to_be_kept_and_the_way_there),
        cmocka_unit_test(keeps_a_folder_that_is_named_but_not_what_was_in_it),
        cmocka_unit_test(stops_at_the_depth_limit),
        cmocka_unit_test(removes_the_deepest_on_a_small_stack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
