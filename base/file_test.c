#include <sys/stat.h>

#include "base/file.h"
#include "tests/harness/test.h"

static void a_file_is_replaced_whole_with_the_exact_mode(void **state)
{
    AUTO(text) char           *dir = NULL, *path = NULL;
    AUTO(buffer) struct buffer back = { 0 };
    struct stat                at;
    struct err                 err;

    (void) state;
    assert_true(directory_make_temporary("file-test-", &dir, &err));
    assert_true(asprintf(&path, "%s/f", dir) > 0);
    assert_true(file_write(path, bytes_of_text("one"), 0644, &err));
    assert_true(file_write(path, bytes_of_text("two"), 0600, &err));
    assert_true(file_read(path, 3, &back, &err));
    assert_string_equal(buffer_text(&back), "two");
    assert_return_code(stat(path, &at), 0);
    assert_int_equal(at.st_mode & 07777, 0600);
    assert_false(file_read(path, 2, &back, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(directory_remove(dir, &err));
    assert_false(file_read(path, 3, &back, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_true(directory_remove(dir, &err)); /* a missing one is fine */
}

static void removal_does_not_follow_symbolic_links(void **state)
{
    AUTO(text) char *kept = NULL, *gone = NULL, *file = NULL, *link = NULL;
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("file-test-", &kept, &err));
    assert_true(directory_make_temporary("file-test-", &gone, &err));
    assert_true(asprintf(&file, "%s/f", kept) > 0 && asprintf(&link, "%s/l", gone) > 0);
    assert_true(file_write(file, bytes_of_text("x"), 0600, &err));
    assert_return_code(symlink(kept, link), 0);
    assert_true(directory_remove(gone, &err));
    assert_return_code(access(file, F_OK), 0);
    assert_true(directory_remove(kept, &err));
}

static void a_memory_file_is_sealed(void **state)
{
    AUTO(fd) int fd = NO_FD;
    struct err   err;

    (void) state;
    assert_true(memory_file("m", bytes_of_text("abc"), &fd, &err));
    assert_int_equal(write(fd, "x", 1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_whole_with_the_exact_mode),
        cmocka_unit_test(removal_does_not_follow_symbolic_links),
        cmocka_unit_test(a_memory_file_is_sealed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
