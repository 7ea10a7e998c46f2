#include "tests/harness/test.h"

#include "runtime/shim/sub_path.h"

#define POD "/var/lib/kubelet/pods/3f"
#define SOURCE(name) POD "/volume-subpaths/" name "/main/0"

/* A node with one file system, one volume of tmpfs, a disk at /data, and a space in a path. */
static const char mounts[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 22 0:45 / " POD "/volumes/kubernetes.io~empty-dir/fast rw shared:9 - tmpfs tmpfs rw\n"
    "31 22 0:46 / " POD "/volumes/kubernetes.io~secret/keys rw shared:9 - tmpfs tmpfs rw\n"
    "32 22 8:1 " POD "/volumes/kubernetes.io~empty-dir/cache/a/b " SOURCE("cache") " rw shared:1 - ext4 /dev/sda1 rw\n"
    "33 22 0:45 /deep/er " SOURCE("fast") " rw shared:9 - tmpfs tmpfs rw\n"
    "34 22 0:46 /..2026_11/sub " SOURCE("keys") " rw shared:9 - tmpfs tmpfs rw\n"
    "35 22 8:1 " POD "/volumes/kubernetes.io~configmap/map/..2026/x\\040y " SOURCE("map") " ro shared:1 - ext4 /dev/sda1 rw\n"
    "36 22 8:17 /x " SOURCE("disk") " rw shared:1 - ext4 /dev/sdb1 rw\n"
    "37 22 8:1 " POD "/volumes/kubernetes.io~empty-dir/cache " SOURCE("whole") " rw shared:1 - ext4 /dev/sda1 rw\n"
    "38 22 8:1 /etc " SOURCE("stray") " rw shared:1 - ext4 /dev/sda1 rw\n"
    "39 22 8:1 " POD "/volumes/kubernetes.io~empty-dir/cache2/z " SOURCE("prefix") " rw shared:1 - ext4 /dev/sda1 rw\n";

static struct sub_path find(const char *source)
{
    AUTO(heap) uint8_t *exact = exact_copy(mounts, sizeof mounts - 1);
    struct sub_path     found;
    struct err          err;

    if (!sub_path_find((struct bytes){ exact, sizeof mounts - 1 }, source, &found, &err))
        fail_msg("%s: %s", source, err.text);
    return found;
}

static void finds_the_volume_and_the_way_in_it(void **state)
{
    static const struct { const char *source; enum sub_path_kind kind; const char *volume, *path; } cases[] = {
        { SOURCE("cache"), SUB_PATH_EMPTY, "cache", "a/b" },
        { SOURCE("fast"), SUB_PATH_EMPTY, "fast", "deep/er" },
        { SOURCE("keys"), SUB_PATH_FILES, "keys", "..2026_11/sub" },
        { SOURCE("map"), SUB_PATH_FILES, "map", "..2026/x y" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sub_path found = find(cases[i].source);

        assert_int_equal(found.kind, cases[i].kind);
        assert_string_equal(found.volume, cases[i].volume);
        assert_string_equal(found.path, cases[i].path);
    }
}

/* Of a persistent volume, of another volume than the path's name says, of no mount, of none of the kubelet's. */
static void takes_nothing_else_for_one(void **state)
{
    static const char *const sources[] = { SOURCE("disk"), SOURCE("whole"), SOURCE("stray"), SOURCE("prefix"), SOURCE("absent"), "/etc",
                                           POD "/volumes/kubernetes.io~empty-dir/cache", POD "/volume-subpaths/cache", "relative/volume-subpaths/a/b/0" };

    (void) state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        assert_int_equal(find(sources[i]).kind, SUB_PATH_NONE);
}

static void what_is_mounted_last_is_on_top(void **state)
{
    static const char text[] = "1 0 8:1 / / rw - a b c\n2 1 8:1 /p/volumes/kubernetes.io~empty-dir/v/old /p/volume-subpaths/v/c/0 rw - a b c\n"
                               "3 1 8:1 /p/volumes/kubernetes.io~empty-dir/v/new /p/volume-subpaths/v/c/0 rw - a b c\n";
    struct sub_path   found;
    struct err        err;

    (void) state;
    assert_true(sub_path_find(bytes_of_text(text), "/p/volume-subpaths/v/c/0", &found, &err));
    assert_string_equal(found.path, "new");
}

static void a_line_that_ends_early_is_refused(void **state)
{
    struct sub_path found;
    struct err      err;

    (void) state;
    for (size_t len = 1; len < sizeof mounts - 1; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(mounts, len);

        if (!sub_path_find((struct bytes){ exact, len }, SOURCE("fast"), &found, &err))
            assert_string_equal(err.text, "mountinfo: a line ends early");
    }
    assert_false(sub_path_find(bytes_of_text("1 2 3"), SOURCE("fast"), &found, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static void a_way_that_is_too_long_is_refused(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct sub_path            found;
    struct err                 err;

    (void) state;
    buffer_append_text(&text, "1 0 8:1 / / rw - a b c\n2 1 8:1 " POD "/volumes/kubernetes.io~empty-dir/v/");
    memset(buffer_grow(&text, VOLUME_PATH_MAX + 1), 'x', VOLUME_PATH_MAX + 1);
    buffer_append_text(&text, " " SOURCE("v") " rw - a b c\n");
    assert_false(sub_path_find(buffer_bytes(&text), SOURCE("v"), &found, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "subPath: over 255 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_volume_and_the_way_in_it),
        cmocka_unit_test(takes_nothing_else_for_one),
        cmocka_unit_test(what_is_mounted_last_is_on_top),
        cmocka_unit_test(a_line_that_ends_early_is_refused),
        cmocka_unit_test(a_way_that_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
