#include "tests/harness/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "runtime/oci/layout_writer.h"

#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static int open_folder(void **state)
{
    char      *folder = NULL;
    struct err err;

    if (!directory_make_temporary("layout-", &folder, &err) || !layout_make(folder, &err))
        return -1;
    *state = folder;
    return 0;
}

static int close_folder(void **state)
{
    struct err err;
    bool       ok = directory_remove(*state, &err);

    free(*state);
    return ok ? 0 : -1;
}

static size_t count_blobs(const char *folder)
{
    char   path[4096];
    size_t n = 0;

    (void) snprintf(path, sizeof path, "%s/blobs/sha256", folder); /* fits */
    AUTO(dir) DIR *dir = opendir(path);

    for (struct dirent *e; (e = readdir(dir));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    return n;
}

static void puts_a_blob_under_its_digest(void **state)
{
    AUTO(buffer) struct buffer again = { 0 };
    struct descriptor          made  = { 0 };
    AUTO(fd) int               fd    = NO_FD;
    struct err                 err;

    assert_true(layout_put_blob(*state, bytes_of_text("abc"), &made, &err));
    assert_string_equal(digest_text(&made.digest).at, ABC);
    assert_int_equal(made.size, 3);
    assert_true(layout_read_blob(*state, ABC, 100, &again, &err));
    assert_string_equal(buffer_text(&again), "abc");
    assert_true(layout_open_blob(*state, &made, &fd, &err));
    made.size = 4;
    assert_false(layout_open_blob(*state, &made, &fd, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_string_equal(err.text, "blob of 3 bytes; its descriptor says 4");
}

typedef bool open_fn(const char *directory, struct layout_sink *out, struct err *err);

static open_fn *const WAYS[] = { layout_sink_open, layout_sink_open_named };

enum { N_WAYS = sizeof WAYS / sizeof *WAYS };

static bool has_nameless_files(const char *folder)
{
    AUTO(fd) int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    return fd >= 0;
}

static void leaves_nothing_of_a_blob_that_is_not_kept(void **state)
{
    for (int way = 0; way < N_WAYS; way++) {
        {
            AUTO(layout_sink) struct layout_sink sink = NO_LAYOUT_SINK;
            struct err                           err;

            assert_true(WAYS[way](*state, &sink, &err));
            assert_true(layout_sink_write(&sink, bytes_of_text("half"), &err));
        }
        assert_int_equal(count_blobs(*state), 0);
    }
}

static void leaves_nothing_when_it_is_killed(void **state)
{
    int   status = 0;
    pid_t child;

    if (!has_nameless_files(*state))
        skip();
    child = fork();
    if (child == 0) {
        struct layout_sink sink = NO_LAYOUT_SINK;
        struct err         err;

        if (layout_sink_open(*state, &sink, &err) && layout_sink_write(&sink, bytes_of_text("secret"), &err))
            (void) raise(SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(count_blobs(*state), 0);
}

static void keeps_a_blob_in_the_place_of_one_of_that_name(void **state)
{
    char path[4096];

    (void) snprintf(path, sizeof path, "%s/blobs/sha256/%s", (char *) *state, &ABC[sizeof "sha256:" - 1]); /* fits */
    for (int way = 0; way < N_WAYS; way++) {
        AUTO(layout_sink) struct layout_sink sink  = NO_LAYOUT_SINK;
        AUTO(buffer) struct buffer           again = { 0 };
        struct descriptor                    made  = { 0 };
        struct err                           err;

        assert_true(file_write(path, bytes_of_text("cut"), 0600, &err));
        assert_true(WAYS[way](*state, &sink, &err) && layout_sink_write(&sink, bytes_of_text("abc"), &err) &&
                    layout_sink_keep(&sink, *state, &made, &err));
        assert_true(layout_read_blob(*state, ABC, 100, &again, &err));
        assert_int_equal(count_blobs(*state), 1);
    }
}

static void assert_finds(const char *folder, const char *tag, const struct descriptor *wanted)
{
    struct layout_reference reference;
    char                    text[4096], found[LAYOUT_DIGEST_LEN];
    struct err              err;

    (void) snprintf(text, sizeof text, "oci:%s%s%s", folder, tag[0] ? ":" : "", tag); /* fits */
    assert_true(layout_reference_read(text, &reference, &err));
    if (!layout_find_manifest(&reference, found, &err))
        fail_msg("%s", err.text);
    assert_string_equal(found, digest_text(&wanted->digest).at);
}

static void names_manifests_and_renames_the_same_tag(void **state)
{
    struct descriptor first = { .media_type = "application/vnd.oci.image.manifest.v1+json" }, second = first, blob = { 0 };
    const char        text[] = "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
                               "\"digest\":\"" ABC "\",\"size\":3},\"layers\":[],\"n\":%d}";
    char              one[512], two[512];
    struct err        err;

    (void) snprintf(one, sizeof one, text, 1); /* both fit */
    (void) snprintf(two, sizeof two, text, 2);
    assert_true(layout_put_blob(*state, bytes_of_text("abc"), &blob, &err));
    assert_true(layout_put_blob(*state, bytes_of_text(one), &first, &err) && layout_put_blob(*state, bytes_of_text(two), &second, &err));
    assert_true(layout_name_manifest(*state, &first, "", &err));
    assert_finds(*state, "", &first);
    assert_true(layout_name_manifest(*state, &second, "", &err));
    assert_finds(*state, "", &second);
    assert_true(layout_name_manifest(*state, &first, "v1", &err));
    assert_finds(*state, "v1", &first);
    assert_true(layout_name_manifest(*state, &second, "v1", &err));
    assert_finds(*state, "v1", &second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(puts_a_blob_under_its_digest, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(leaves_nothing_of_a_blob_that_is_not_kept, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(leaves_nothing_when_it_is_killed, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(keeps_a_blob_in_the_place_of_one_of_that_name, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(names_manifests_and_renames_the_same_tag, open_folder, close_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
