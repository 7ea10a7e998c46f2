#include "tests/harness/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/shim/volumes.h"

static char *folder;

static const char *at(const char *name)
{
    static char paths[4][600];
    static int  next;
    char       *path = paths[next++ % 4];

    (void) snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void keep(const char *name, const char *content, mode_t mode)
{
    struct err err;

    assert_true(file_write(at(name), bytes_of_text(content), mode, &err));
}

/* A ConfigMap's folder as the kubelet leaves it, and things beside it that no one may see. */
static int open_folder(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_make_temporary("volumes", &folder, &err));
    assert_true(directory_make(at("map/..2026/sub"), &err) && directory_make(at("plain"), &err) && directory_make(at("out"), &err));
    keep("map/..2026/key", "value", 0640);
    keep("map/..2026/sub/deep", "below", 0644);
    keep("out/secret", "never", 0644);
    keep("hosts", "127.0.0.1 localhost\n", 0644);
    assert_int_equal(symlink("..2026", at("map/..data")), 0);
    assert_int_equal(symlink("..data/key", at("map/key")), 0);
    assert_int_equal(symlink(at("out/secret"), at("map/..2026/link")), 0);
    assert_int_equal(symlink(at("out/secret"), at("link")), 0);
    assert_int_equal(symlink("../out", at("plain/..data")), 0);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    return 0;
}

static int remove_folder(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_remove(folder, &err));
    free(folder);
    return 0;
}

static bool read_mount(const char *source, const char *target, struct host_volumes *out, struct err *err)
{
    static struct spec_mount mount;
    struct container_spec    spec = { .mounts = &mount, .n_mounts = 1 };

    mount = (struct spec_mount){ source, target, false };
    return host_volumes_read(&spec, out, err) && host_volumes_read_trees(&spec, out, err);
}

static const Agent__File *file_of(const struct host_volumes *v, const char *path)
{
    for (size_t i = 0; i < v->n_files; i++)
        if (strcmp(v->files_at[i]->path, path) == 0)
            return v->files_at[i];
    fail_msg("%s is not there", path);
    return NULL;
}

static void expect_file(const struct host_volumes *v, const char *path, const char *content, uint32_t mode)
{
    const Agent__File *file = file_of(v, path);

    assert_int_equal(file->content.len, strlen(content));
    assert_memory_equal(file->content.data, content, strlen(content));
    assert_int_equal(file->mode, mode);
}

static void sends_files_and_what_a_volume_holds_now(void **state)
{
    struct host_volumes v;
    struct err          err;

    (void) state;
    assert_true(read_mount(at("hosts"), "/etc/hosts", &v, &err));
    assert_int_equal(v.n_files, 1);
    expect_file(&v, "/etc/hosts", "127.0.0.1 localhost\n", 0644);
    host_volumes_free(&v);
    assert_true(read_mount(at("map"), "/etc/config", &v, &err));
    assert_int_equal(v.n_files, 2); /* the links among them are no files */
    assert_int_equal(v.n_alone, 0);
    assert_int_equal(v.n_trees, 1);
    assert_string_equal(v.trees_at[0]->path, "/etc/config");
    assert_int_equal(v.trees_at[0]->n_files, 2);
    expect_file(&v, "key", "value", 0640);
    expect_file(&v, "sub/deep", "below", 0644);
    assert_null(v.unmet);
    host_volumes_free(&v);
}

/* The guest's word, so a length that was checked, into a file that must be one. */
static void last_words_go_into_a_plain_file(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    (void) state;
    keep("words", "from before, and longer", 0644);
    assert_true(host_volume_keep_last_words(at("words"), bytes_of_text("done"), &err));
    assert_true(file_read(at("words"), 100, &text, &err));
    assert_string_equal(buffer_text(&text), "done");
    assert_false(host_volume_keep_last_words(at("link"), bytes_of_text("done"), &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_false(host_volume_keep_last_words("/dev/null", bytes_of_text("done"), &err));
    assert_string_equal(err.text, "termination log: no plain file");
}

static void an_empty_directory_is_a_name(void **state)
{
    struct host_volumes v;
    struct err          err;

    (void) state;
    assert_true(read_mount("/var/lib/kubelet/pods/1/volumes/kubernetes.io~empty-dir/cache", "/cache", &v, &err));
    assert_int_equal(v.n_files, 0);
    assert_int_equal(v.n_directories, 1);
    assert_string_equal(v.directories_at[0]->path, "/cache");
    assert_string_equal(v.directories_at[0]->volume, "cache");
    host_volumes_free(&v);
}

/* Links, devices, folders that are no volume, and a "..data" that leads out of its volume. */
static void passes_nothing_else_on(void **state)
{
    static const char *const sources[] = { "link", "fifo", "out", "plain", "missing", "map/..2026" };
    struct host_volumes      v;
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        assert_true(read_mount(at(sources[i]), "/t", &v, &err));
        assert_int_equal(v.n_files + v.n_directories, 0);
        assert_string_equal(v.unmet, "/t");
    }
    assert_true(read_mount("/dev/null", "/t", &v, &err));
    assert_string_equal(v.unmet, "/t");
    assert_true(read_mount("relative", "/t", &v, &err));
    assert_string_equal(v.unmet, "/t");
}

static void bounds_what_it_reads(void **state)
{
    AUTO(buffer) struct buffer large = { 0 };
    struct spec_mount          mounts[2] = { { .target = "/a" }, { .target = "/b" } };
    struct container_spec      spec      = { .mounts = mounts, .n_mounts = 2 };
    struct host_volumes        v;
    struct err                 err;

    (void) state;
    memset(buffer_grow(&large, VOLUME_FILE_LEN_MAX + 1), 'x', VOLUME_FILE_LEN_MAX + 1);
    assert_true(file_write(at("large"), buffer_bytes(&large), 0600, &err));
    large.len = VOLUME_FILE_LEN_MAX;
    assert_true(file_write(at("half"), buffer_bytes(&large), 0600, &err));
    assert_false(read_mount(at("large"), "/big", &v, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.text, "volume at /big: "));
    host_volumes_free(&v);
    mounts[0].source = mounts[1].source = at("half");
    assert_false(host_volumes_read(&spec, &v, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "volume at /b: over 458752 bytes in all volumes of the container");
    host_volumes_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_files_and_what_a_volume_holds_now),
        cmocka_unit_test(an_empty_directory_is_a_name),
        cmocka_unit_test(last_words_go_into_a_plain_file),
        cmocka_unit_test(passes_nothing_else_on),
        cmocka_unit_test(bounds_what_it_reads),
    };

    return cmocka_run_group_tests(tests, open_folder, remove_folder);
}
