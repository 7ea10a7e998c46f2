#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

/* What a workload may leave behind: a path to the innermost would be far longer than the kernel takes. */
static void a_tree_of_any_depth_is_removed_without_stack_or_descriptors(void **state)
{
    enum { DEPTH = 5000 };
    static const struct rlimit few = { 32, 32 };
    AUTO(text) char           *dir = NULL;
    int                        status;
    struct err                 err;

    (void) state;
    assert_true(directory_make_temporary("file-test-", &dir, &err));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        assert_true(mkdirat(fd, ".removed-1", 0700) == 0 && mkdirat(fd, "beside", 0700) == 0 && symlinkat("/", fd, "link") == 0);
        int next = openat(fd, ".removed-1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void) close(fd);
        assert_true(next >= 0);
        fd = next;
    }
    (void) close(fd);
    pid_t pid = fork();
    if (pid == 0)
        _exit(setrlimit(RLIMIT_NOFILE, &few) == 0 && directory_remove(dir, &err) ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(access(dir, F_OK), -1);
    assert_true(directory_remove(dir, &err)); /* when it is gone, too */
}

static void what_is_mounted_in_a_tree_is_left_alone(void **state)
{
    AUTO(text) char *dir = NULL, *other = NULL, *place = NULL, *file = NULL;
    struct err       err;

    (void) state;
    if (geteuid() != 0)
        skip();
    assert_true(directory_make_temporary("file-test-", &dir, &err) && directory_make_temporary("file-test-", &other, &err));
    assert_true(asprintf(&place, "%s/a", dir) > 0 && asprintf(&file, "%s/f", other) > 0 && directory_make(place, &err) &&
                file_write(file, bytes_of_text("x"), 0600, &err));
    if (mount(other, place, NULL, MS_BIND, NULL) < 0)
        skip(); /* root of a container, perhaps */
    assert_false(directory_remove(dir, &err));
    assert_int_equal(access(file, F_OK), 0);
    assert_int_equal(umount(place), 0);
    assert_true(directory_remove(dir, &err) && directory_remove(other, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_whole_with_the_exact_mode),
        cmocka_unit_test(removal_does_not_follow_symbolic_links),
        cmocka_unit_test(a_memory_file_is_sealed),
        cmocka_unit_test(a_tree_of_any_depth_is_removed_without_stack_or_descriptors),
        cmocka_unit_test(what_is_mounted_in_a_tree_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
