#include "tests/harness/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/container/volumes.h"

static void refuses_path(const char *path, enum err_kind kind, const char *why)
{
    struct err err;

    assert_false(volume_path_check(path, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, why);
}

static void a_path_has_one_form(void **state)
{
    static const char *const good[] = { "/a", "/etc/hosts", "/a/..b/.c/...", "/process", "/devices/x", "/system" };
    static const char *const bad[]  = { "", "a", "/", "//a", "/a/", "/a//b", "/./a", "/a/.", "/..", "/a/../b", "/a/.." };
    char                     large[VOLUME_PATH_MAX + 2], why[200];
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(volume_path_check(good[i], &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void) snprintf(why, sizeof why, "volume: path %s: wanted an absolute path below / without empty, . and .. components", bad[i]);
        refuses_path(bad[i], ERR_MALFORMED, why);
    }
    refuses_path("/proc", ERR_MALFORMED, "volume path /proc: nothing can be put into /proc");
    refuses_path("/sys/fs/x", ERR_MALFORMED, "volume path /sys/fs/x: nothing can be put into /sys");
    refuses_path("/dev/null", ERR_MALFORMED, "volume path /dev/null: nothing can be put into /dev");
    memset(large, 'a', sizeof large - 1);
    large[0] = '/';
    large[sizeof large - 1] = 0;
    refuses_path(large, ERR_LIMIT, "volume: path over 255 characters");
    large[sizeof large - 2] = 0;
    assert_true(volume_path_check(large, &err));
}

static void refuses(struct volumes v, enum err_kind kind, const char *why)
{
    struct err err;

    assert_false(volumes_check(&v, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, why);
}

static void refuses_what_collides_or_is_too_much(void **state)
{
    static uint8_t     large[VOLUME_FILE_LEN_MAX + 1];
    const struct bytes whole = { large, VOLUME_FILE_LEN_MAX };

    (void) state;
    refuses((struct volumes){ .files = { { "/a", .mode = 01777 } }, .n_files = 1 }, ERR_MALFORMED, "file /a: mode 1777 is more than permissions");
    refuses((struct volumes){ .files = { { "/a" }, { "/a" } }, .n_files = 2 }, ERR_MALFORMED, "volume path /a: is, or lies below, another file");
    refuses((struct volumes){ .files = { { "/a" }, { "/a/b" } }, .n_files = 2 }, ERR_MALFORMED, "volume path /a/b: is, or lies below, another file");
    refuses((struct volumes){ .files = { { "/a" } }, .n_files = 1, .directories = { { "/a/b", "v" } }, .n_directories = 1 }, ERR_MALFORMED,
            "volume path /a/b: is, or lies below, another file");
    refuses((struct volumes){ .files = { { "/a" } }, .n_files = 1, .directories = { { "/a", "v" } }, .n_directories = 1 }, ERR_MALFORMED,
            "volume path /a: is named twice");
    refuses((struct volumes){ .directories = { { "/a", "v" }, { "/a", "w" } }, .n_directories = 2 }, ERR_MALFORMED,
            "volume path /a: is named twice");
    refuses((struct volumes){ .directories = { { "/a", "../v" } }, .n_directories = 1 }, ERR_MALFORMED,
            "volume name: wanted 1 to 63 of a-z, 0-9 and, not first, -");
    refuses((struct volumes){ .directories = { { "/a", "" } }, .n_directories = 1 }, ERR_MALFORMED,
            "volume name: wanted 1 to 63 of a-z, 0-9 and, not first, -");
    refuses((struct volumes){ .trees = { { "/a" }, { "/a/b" } }, .n_trees = 2 }, ERR_MALFORMED, "volume path /a/b: is, or lies in, another volume of files");
    refuses((struct volumes){ .trees = { { "/a" } }, .n_trees = 1, .files = { { "/a/b" } }, .n_files = 1 }, ERR_MALFORMED,
            "volume path /a/b: is, or lies in, another volume of files");
    refuses((struct volumes){ .trees = { { "/a" } }, .n_trees = 1, .directories = { { "/a", "v" } }, .n_directories = 1 }, ERR_MALFORMED,
            "volume path /a: is named twice");
    refuses((struct volumes){ .trees = { { "/dev/shm" } }, .n_trees = 1 }, ERR_MALFORMED, "volume path /dev/shm: nothing can be put into /dev");
    refuses((struct volumes){ .trees = { { "/a", 0, 1 } }, .n_trees = 1, .files = { { "../x" } } }, ERR_MALFORMED,
            "path in a volume ../x: wanted a relative path without empty and . components and names that begin with ..");
    refuses((struct volumes){ .trees = { { "/a", 0, 2 } }, .n_trees = 1, .files = { { "x" }, { "x/y" } } }, ERR_MALFORMED,
            "path in a volume x/y: is, or lies below, another file");
    refuses((struct volumes){ .trees = { { "/a", 0, 1 } }, .n_trees = 1, .files = { { "x", .mode = 04755 } } }, ERR_MALFORMED,
            "file x: mode 4755 is more than permissions");
    refuses((struct volumes){ .trees = { { "/a", 1, 1 } }, .n_trees = 1, .files = { { "/b", whole, 0 }, { "x", whole, 0 } }, .n_files = 1 }, ERR_LIMIT,
            "files: over 458752 bytes together");
    refuses((struct volumes){ .termination_log = "/dev/null" }, ERR_MALFORMED, "volume path /dev/null: nothing can be put into /dev");
    refuses((struct volumes){ .termination_log = "/a", .files = { { "/a" } }, .n_files = 1 }, ERR_MALFORMED,
            "volume path /a: is, or lies below, another file");
    refuses((struct volumes){ .files = { { "/a", { large, sizeof large }, 0 } }, .n_files = 1 }, ERR_LIMIT, "file /a: over 262144 bytes");
    refuses((struct volumes){ .files = { { "/a", whole, 0 }, { "/b", whole, 0 } }, .n_files = 2 }, ERR_LIMIT, "files: over 458752 bytes together");
}

static void persistent_volumes_stand_apart(void **state)
{
    struct volumes good = { .files = { { "/etc/x" } }, .n_files = 1, .directories = { { "/tmp", "v" } }, .n_directories = 1,
                            .disks = { { .path = "/data", .volume = "data" }, { .path = "/data2", .volume = "data" } }, .n_disks = 2 };
    struct err     err;
    char           place[VOLUME_HOST_PATH_MAX];

    (void) state;
    assert_true(volumes_check(&good, &err));
    refuses((struct volumes){ .disks = { { .path = "/a", .volume = "v" }, { .path = "/a/b", .volume = "w" } }, .n_disks = 2 }, ERR_MALFORMED,
            "volume path /a: overlaps with the persistent volume at /a/b");
    refuses((struct volumes){ .disks = { { .path = "/a/b", .volume = "v" } }, .n_disks = 1, .files = { { "/a/b/c" } }, .n_files = 1 }, ERR_MALFORMED,
            "volume path /a/b/c: overlaps with the persistent volume at /a/b");
    refuses((struct volumes){ .disks = { { .path = "/a/b", .volume = "v" } }, .n_disks = 1, .directories = { { "/a", "v" } }, .n_directories = 1 },
            ERR_MALFORMED, "volume path /a: overlaps with the persistent volume at /a/b");
    refuses((struct volumes){ .disks = { { .path = "/dev/x", .volume = "v" } }, .n_disks = 1 }, ERR_MALFORMED,
            "volume path /dev/x: nothing can be put into /dev");
    refuses((struct volumes){ .disks = { { .path = "/a", .volume = "abcdefghijklmnopq" } }, .n_disks = 1 }, ERR_MALFORMED,
            "volume name: wanted 1 to 16 of a-z, 0-9 and, not first, -");
    refuses((struct volumes){ .disks = { { .path = "/a", .volume = "../v" } }, .n_disks = 1 }, ERR_MALFORMED,
            "volume name: wanted 1 to 16 of a-z, 0-9 and, not first, -");
    volume_disk_place("data", place);
    assert_string_equal(place, "/run/volumes/data");
}

static void makes_files_and_keeps_directories(void **state)
{
    struct volumes v = { .files = { { "/d/f", bytes_of_text("content"), 0440 } }, .n_files = 1,
                         .directories = { { "/d/inner", "two" }, { "/d", "one" } }, .n_directories = 2 };
    AUTO(text) char           *folder = NULL, *files = NULL, *shared = NULL;
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[VOLUME_HOST_PATH_MAX];
    struct stat                st;
    struct err                 err;

    (void) state;
    assert_true(directory_make_temporary("volumes", &folder, &err));
    assert_true(asprintf(&files, "%s/files", folder) > 0 && asprintf(&shared, "%s/shared", folder) > 0);
    const struct volume_places places = { files, shared };
    assert_true(volumes_check(&v, &err));
    assert_string_equal(v.directories[0].path, "/d"); /* the outer one is mounted first */
    assert_true(volumes_make(&v, &places, getuid(), getgid(), &err));
    volume_file_place(files, 0, path);
    assert_true(file_read(path, 100, &text, &err));
    assert_string_equal(buffer_text(&text), "content");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0440);
    volume_directory_place(shared, "one", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0777);
    strcat(path, "/kept");
    assert_true(file_write(path, bytes_of_text("x"), 0600, &err));
    assert_true(volumes_make(&v, &places, getuid(), getgid(), &err)); /* another container of the pod */
    assert_int_equal(stat(path, &st), 0);
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_has_one_form),
        cmocka_unit_test(refuses_what_collides_or_is_too_much),
        cmocka_unit_test(persistent_volumes_stand_apart),
        cmocka_unit_test(makes_files_and_keeps_directories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
