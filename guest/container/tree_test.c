#include "tests/harness/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/container/tree.h"

static char *folder;

static const char *at(const char *name)
{
    static char paths[2][400];
    static int  next;
    char       *path = paths[next++ % 2];

    (void) snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int open_folder(void **state)
{
    struct err err;

    (void) state;
    return directory_make_temporary("tree", &folder, &err) ? 0 : -1;
}

static int remove_folder(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_remove(folder, &err));
    free(folder);
    return 0;
}

static void holds(const char *name, const char *content)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    assert_true(file_read(at(name), 100, &text, &err));
    assert_string_equal(buffer_text(&text), content);
}

static void links_to(const char *name, const char *wanted)
{
    char target[100] = "";

    assert_true(readlink(at(name), target, sizeof target - 1) > 0);
    assert_string_equal(target, wanted);
}

static void other_files_take_the_place_of_all(void **state)
{
    const struct volume_file first[]  = { { "a", bytes_of_text("1"), 0640 }, { "sub/deep/b", bytes_of_text("2"), 0644 }, { "sub/c", bytes_of_text("3"), 0444 } };
    const struct volume_file second[] = { { "a", bytes_of_text("new"), 0644 }, { "d", bytes_of_text("4"), 0644 } };
    struct stat              st;
    struct err               err;

    (void) state;
    assert_true(tree_write(at("v"), first, 3, getuid(), getgid(), &err));
    links_to("v/..data", "..1");
    links_to("v/a", "..data/a");
    links_to("v/sub", "..data/sub");
    holds("v/a", "1");
    holds("v/sub/deep/b", "2");
    assert_int_equal(stat(at("v/a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(tree_write(at("v"), second, 2, getuid(), getgid(), &err));
    links_to("v/..data", "..2");
    holds("v/a", "new");
    holds("v/d", "4");
    assert_int_equal(lstat(at("v/sub"), &st), -1);
    assert_int_equal(lstat(at("v/..1"), &st), -1);
    assert_true(tree_write(at("v"), NULL, 0, getuid(), getgid(), &err)); /* a volume may become empty */
    assert_int_equal(lstat(at("v/a"), &st), -1);
}

static void what_fails_leaves_the_old_files(void **state)
{
    const struct volume_file good[] = { { "a", bytes_of_text("1"), 0644 } };
    const struct volume_file bad[]  = { { "a", bytes_of_text("2"), 0644 }, { "a/b", bytes_of_text("3"), 0644 } };
    struct stat              st;
    struct err               err;

    (void) state;
    assert_true(tree_write(at("v"), good, 1, getuid(), getgid(), &err));
    assert_false(tree_write(at("v"), bad, 2, getuid(), getgid(), &err));
    assert_int_equal(err.kind, ERR_OS);
    links_to("v/..data", "..1");
    holds("v/a", "1");
    assert_int_equal(lstat(at("v/..2"), &st), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(other_files_take_the_place_of_all, open_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_fails_leaves_the_old_files, open_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
