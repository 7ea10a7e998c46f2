#include "tests/harness/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "guest/image/rootfs.h"

/* A root in a folder of its own, and one archive that is only content: entries are made by hand. */
struct rig {
    char         *path;
    int           fd;
    struct rootfs fs;
    struct tar    tar;
    struct bytes  content;
};

static bool content_next(void *owner, struct bytes *piece, struct err *err)
{
    struct rig *r = owner;

    (void) err; /* memory does not fail */
    *piece     = r->content;
    r->content = (struct bytes){ 0 };
    return true;
}

static void rig_open(struct rig *r, const struct image_budget *budget)
{
    struct err err;

    *r = (struct rig){ .fd = NO_FD };
    assert_true(directory_make_temporary("rootfs-", &r->path, &err));
    r->fd  = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r->fs  = rootfs_over(r->fd, budget, true);
    r->tar = tar_over((struct stream){ content_next, r });
    assert_true(r->fd >= 0);
    rootfs_layer_begin(&r->fs);
}

static void auto_rig(struct rig *r)
{
    struct err err;

    rootfs_free(&r->fs);
    tar_free(&r->tar);
    auto_fd(&r->fd);
    assert_true(directory_remove(r->path, &err));
    free(r->path);
}

static bool apply(struct rig *r, enum tar_kind kind, const char *name, const char *link_or_content, struct err *err)
{
    bool             is_file = kind == TAR_FILE;
    struct tar_entry e       = { .kind = kind, .name = name, .link = is_file ? "" : link_or_content,
                                 .mode = kind == TAR_FOLDER ? 0750 : 0640, .mtime = 1000 };

    r->content        = is_file ? bytes_of_text(link_or_content) : (struct bytes){ 0 };
    r->tar.ahead      = (struct bytes){ 0 };
    e.size = e.stored = r->tar.content_left = r->content.len;
    return rootfs_apply(&r->fs, &e, &r->tar, err);
}

static void must(struct rig *r, enum tar_kind kind, const char *name, const char *rest)
{
    struct err err;

    if (!apply(r, kind, name, rest, &err))
        fail_msg("%s", err.text);
}

static void next_layer(struct rig *r)
{
    struct err err;

    assert_true(rootfs_layer_end(&r->fs, &err));
    rootfs_layer_begin(&r->fs);
}

static void assert_holds(const struct rig *r, const char *name, const char *wanted)
{
    AUTO(buffer) struct buffer found = { 0 };
    char                       path[4096];
    struct err                 err;

    (void) snprintf(path, sizeof path, "%s/%s", r->path, name); /* fits */
    if (!wanted) {
        assert_int_equal(faccessat(r->fd, name, F_OK, AT_SYMLINK_NOFOLLOW), -1);
        return;
    }
    if (!file_read(path, 4096, &found, &err))
        fail_msg("%s", err.text);
    assert_string_equal(buffer_text(&found), wanted);
}

static void assert_fails(struct rig *r, enum tar_kind kind, const char *name, const char *rest, enum err_kind wanted,
                         const char *text)
{
    struct err err;

    assert_false(apply(r, kind, name, rest, &err));
    assert_string_equal(err.text, text);
    assert_int_equal(err.kind, wanted);
}

static void makes_each_kind_with_its_mode_and_time(void **state)
{
    AUTO(rig) struct rig r;
    struct stat          st;

    (void) state;
    rig_open(&r, &IMAGE_BUDGET_DEFAULT);
    must(&r, TAR_FOLDER, "d", "");
    must(&r, TAR_FILE, "d/deep/er/f", "content");
    must(&r, TAR_SYMBOLIC_LINK, "l", "/d/deep");
    must(&r, TAR_HARD_LINK, "h", "l/er/f");
    must(&r, TAR_FIFO, "p", "");
    must(&r, TAR_CHARACTER, "c", ""); /* left out with our own owner */
    next_layer(&r);
    assert_holds(&r, "h", "content");
    assert_holds(&r, "c", NULL);
    assert_int_equal(fstatat(r.fd, "d", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(st.st_mtime, 1000); /* though it was filled afterwards */
    assert_int_equal(fstatat(r.fd, "d/deep/er/f", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(fstatat(r.fd, "l", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISLNK(st.st_mode) && st.st_mtime == 1000);
    assert_int_equal(fstatat(r.fd, "p", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISFIFO(st.st_mode) && (st.st_mode & 07777) == 0640 && st.st_mtime == 1000);
}

static void resolves_links_below_the_root_only(void **state)
{
    AUTO(rig) struct rig r;

    (void) state;
    rig_open(&r, &IMAGE_BUDGET_DEFAULT);
    must(&r, TAR_FOLDER, "tmp", "");
    must(&r, TAR_SYMBOLIC_LINK, "up", "../../../../../tmp");
    must(&r, TAR_SYMBOLIC_LINK, "abs", "/tmp");
    must(&r, TAR_FILE, "up/a", "1");
    must(&r, TAR_FILE, "abs/b", "2");
    assert_holds(&r, "tmp/a", "1");
    assert_holds(&r, "tmp/b", "2");
    must(&r, TAR_FILE, "abs", "replaced, not followed");
    assert_holds(&r, "abs", "replaced, not followed");
    must(&r, TAR_FILE, "abs2/x", "3");
    must(&r, TAR_SYMBOLIC_LINK, "esc", "/proc/self/root");
    assert_fails(&r, TAR_FILE, "esc/x", "4", ERR_NOT_FOUND, "\"esc/x\": its folder is missing, or a link to nothing");
}

static void forgets_a_parent_that_was_replaced(void **state)
{
    AUTO(rig) struct rig r;

    (void) state;
    rig_open(&r, &IMAGE_BUDGET_DEFAULT);
    must(&r, TAR_SYMBOLIC_LINK, "self", ".");
    must(&r, TAR_FILE, "self/a", "1");
    must(&r, TAR_FILE, "self/self", "now a file");
    assert_fails(&r, TAR_FILE, "self/b", "2", ERR_MALFORMED, "\"self/b\": its folder is not a folder");
    assert_holds(&r, "b", NULL);
}

static void hides_what_is_below_and_spares_its_own_layer(void **state)
{
    AUTO(rig) struct rig r;

    (void) state;
    rig_open(&r, &IMAGE_BUDGET_DEFAULT);
    must(&r, TAR_FILE, "d/a", "1");
    must(&r, TAR_FILE, "d/b", "1");
    must(&r, TAR_FILE, ".wh.d", ""); /* nothing is below the bottom */
    next_layer(&r);
    must(&r, TAR_FILE, "d/c", "2");
    must(&r, TAR_FILE, "d/.wh.a", "");
    must(&r, TAR_FILE, "d/.wh.c", "");
    must(&r, TAR_FILE, "no/.wh.x", "");
    assert_holds(&r, "d/a", NULL);
    assert_holds(&r, "d/b", "1");
    assert_holds(&r, "d/c", "2");
    next_layer(&r);
    must(&r, TAR_FILE, "d/n", "3");
    must(&r, TAR_FILE, "d/.wh..wh..opq", "");
    assert_holds(&r, "d/b", NULL);
    assert_holds(&r, "d/c", NULL);
    assert_holds(&r, "d/n", "3");
    assert_fails(&r, TAR_FOLDER, "d/.wh.n", "", ERR_MALFORMED, "\"d/.wh.n\": a whiteout that is not a file");
}

static void keeps_to_the_budget_of_files_bytes_and_depth(void **state)
{
    struct image_budget  small = IMAGE_BUDGET_DEFAULT;
    AUTO(rig) struct rig r;

    (void) state;
    small.inodes         = 5;
    small.unpacked_bytes = 4 * 4096;
    small.path_depth     = 3;
    rig_open(&r, &small);
    assert_fails(&r, TAR_FILE, "a/b/c/d", "x", ERR_LIMIT, "\"a/b/c/d\": a path of 4 steps; the budget is 3");
    must(&r, TAR_FILE, "a/b/c", "x"); /* three pages, three files */
    must(&r, TAR_FILE, "d", "x");
    assert_fails(&r, TAR_FILE, "e", "x", ERR_LIMIT, "\"e\": more than 16384 bytes, the budget");
    must(&r, TAR_HARD_LINK, "f", "d");
    assert_fails(&r, TAR_FIFO, "g", "", ERR_LIMIT, "\"g\": more than 5 files, the budget");
}

static void refuses_entries_by_their_one_defect(void **state)
{
    AUTO(rig) struct rig r;

    (void) state;
    rig_open(&r, &IMAGE_BUDGET_DEFAULT);
    must(&r, TAR_FOLDER, "d", "");
    must(&r, TAR_FILE, "f", "x");
    assert_fails(&r, TAR_FILE, "../x", "", ERR_MALFORMED, "\"../x\": \"..\" in the path of an entry");
    assert_fails(&r, TAR_FILE, "x/", "", ERR_MALFORMED, "\"x/\": a name with a final slash that is not a folder's");
    assert_fails(&r, TAR_FILE, "/", "", ERR_MALFORMED, "\"/\": an entry for the root that is not a folder");
    assert_fails(&r, TAR_FILE, "f/x", "", ERR_MALFORMED, "\"f/x\": its folder is not a folder");
    assert_fails(&r, TAR_HARD_LINK, "x", "d", ERR_MALFORMED, "\"x\": a hard link to a folder");
    assert_fails(&r, TAR_HARD_LINK, "x", "none", ERR_MALFORMED, "\"x\": a hard link to something that is not there");
    assert_fails(&r, TAR_HARD_LINK, "x", "../f", ERR_MALFORMED, "\"x\": target of a hard link: \"..\" in the path of an entry");
    assert_fails(&r, TAR_HARD_LINK, "x", "/", ERR_MALFORMED, "\"x\": target of a hard link: the root, a whiteout, or too deep");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_each_kind_with_its_mode_and_time),
        cmocka_unit_test(resolves_links_below_the_root_only),
        cmocka_unit_test(forgets_a_parent_that_was_replaced),
        cmocka_unit_test(hides_what_is_below_and_spares_its_own_layer),
        cmocka_unit_test(keeps_to_the_budget_of_files_bytes_and_depth),
        cmocka_unit_test(refuses_entries_by_their_one_defect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
