#include "tests/harness/test.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/container/sub_directory.h"

static char *folder, *volume, *place;
static bool  can_mount; /* in a mount namespace of the test's own */

static int open_folder(void **state)
{
    struct err err;

    (void) state;
    can_mount = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    assert_true(directory_make_temporary("sub", &folder, &err));
    assert_true(asprintf(&volume, "%s/volume", folder) > 0 && asprintf(&place, "%s/place", folder) > 0);
    assert_true(directory_make(volume, &err));
    return 0;
}

static int remove_folder(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_remove(folder, &err));
    free(folder);
    free(volume);
    free(place);
    return 0;
}

static char *in_volume(const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", volume, name) > 0);
    return path;
}

static void shows_a_directory_that_it_makes_for_everyone(void **state)
{
    AUTO(text) char *file = in_volume("a/b/kept"), *through = NULL, *directory = in_volume("a/b");
    struct stat      st;
    struct err       err;

    (void) state;
    if (!can_mount)
        skip();
    assert_true(asprintf(&through, "%s/kept", place) > 0);
    if (!sub_directory_mount(volume, "a/b", place, &err))
        fail_msg("%s", err.text);
    assert_int_equal(stat(directory, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0777);
    assert_true(file_write(through, bytes_of_text("x"), 0644, &err));
    assert_int_equal(access(file, F_OK), 0);
    sub_directory_unmount(place);
    assert_int_equal(access(place, F_OK), -1);
    assert_int_equal(access(file, F_OK), 0); /* what is in the volume stays */
    assert_true(sub_directory_mount(volume, "a/b", place, &err)); /* once more, for the next container */
    assert_int_equal(access(through, F_OK), 0);
    sub_directory_unmount(place);
    sub_directory_unmount(place);
}

/* What another container of the pod may have put there. */
static void CVE_2017_1002101_CVE_2021_25741_follows_no_link_and_leaves_the_volume_never(void **state)
{
    static const char *const targets[] = { "/", "/etc", "..", "../..", "a", ".", "/proc/self/root", "/proc/1/cwd" };
    AUTO(text) char         *link = in_volume("link"), *file = in_volume("file"), *inner = in_volume("a");
    struct err               err;

    (void) state;
    assert_true(directory_make(inner, &err) && file_write(file, bytes_of_text("x"), 0644, &err));
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        (void) unlink(link);
        assert_int_equal(symlink(targets[i], link), 0);
        assert_false(sub_directory_mount(volume, "link", place, &err));
        assert_int_equal(err.kind, ERR_DENIED);
        assert_string_equal(err.text, "link in a volume: link is no directory of the volume");
        assert_false(sub_directory_mount(volume, "link/x", place, &err));
        assert_int_equal(err.kind, ERR_DENIED);
        assert_int_equal(access(place, F_OK), -1);
    }
    assert_false(sub_directory_mount(volume, "file", place, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_false(sub_directory_mount(link, "a", place, &err)); /* nor is the volume one */
    assert_int_equal(err.kind, ERR_OS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_a_directory_that_it_makes_for_everyone),
        cmocka_unit_test(CVE_2017_1002101_CVE_2021_25741_follows_no_link_and_leaves_the_volume_never),
    };

    return cmocka_run_group_tests(tests, open_folder, remove_folder);
}
