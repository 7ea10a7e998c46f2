#include "runtime/snapshotter/blob_cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "runtime/oci/layout.h"
#include "runtime/snapshotter/node_image.h"
#include "tests/harness/test.h"

struct fixture {
    char             *root;
    struct blob_cache cache;
};

static void set_up(struct fixture *f, uint64_t limit)
{
    struct err err;

    *f = (struct fixture){ 0 };
    assert_true(directory_make_temporary("cloister-cache-", &f->root, &err));
    assert_true(blob_cache_open(f->root, limit, &f->cache, &err));
}

static void auto_fixture(struct fixture *f)
{
    struct err err;

    blob_cache_close(&f->cache);
    assert_true(directory_remove(f->root, &err));
    free(f->root);
}

static struct digest add(struct fixture *f, const char *text)
{
    struct digest digest;
    struct err    err;

    digest_of(bytes_of_text(text), DIGEST_SHA256, &digest);
    assert_true(blob_cache_add(&f->cache, &digest, bytes_of_text(text), &err));
    return digest;
}

static void set_use(struct fixture *f, const struct digest *digest, time_t at)
{
    struct digest_text text = digest_text(digest);
    struct timespec    times[2] = { { .tv_sec = at }, { .tv_sec = at } };
    char               path[300];

    (void) snprintf(path, sizeof path, "%s/blobs/sha256/%s", f->root, digest_hex(&text));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void the_blobs_unused_for_longest_go_first(void **state)
{
    AUTO(fixture) struct fixture f;
    struct err                   err;
    size_t                       n;

    (void) state;
    set_up(&f, 9);
    struct digest a = add(&f, "aaaa"), b = add(&f, "bbbb"), c = add(&f, "cccc");
    set_use(&f, &a, 300), set_use(&f, &b, 100), set_use(&f, &c, 200);
    assert_true(blob_cache_evict(&f.cache, &n, &err));
    assert_int_equal(n, 1);
    assert_false(blob_cache_has(&f.cache, &b));
    assert_true(blob_cache_has(&f.cache, &c)); /* a use: now a is the oldest */
    struct digest d = add(&f, "dddd");
    assert_true(blob_cache_evict(&f.cache, &n, &err));
    assert_false(blob_cache_has(&f.cache, &a));
    assert_true(blob_cache_has(&f.cache, &c) && blob_cache_has(&f.cache, &d));
}

/* Of whom there may be more than that when a node comes from an older life, or when guests bring many. */
static void so_do_those_of_a_cache_with_too_many(void **state)
{
    AUTO(fixture) struct fixture f;
    struct err                   err;
    size_t                       n;

    (void) state;
    set_up(&f, 1000);
    struct digest a = add(&f, "aaaa"), b = add(&f, "bbbb"), c = add(&f, "cccc");
    set_use(&f, &a, 300), set_use(&f, &b, 100), set_use(&f, &c, 200);
    f.cache.blobs_max = 1;
    assert_true(blob_cache_evict(&f.cache, &n, &err));
    assert_int_equal(n, 2);
    assert_true(blob_cache_has(&f.cache, &a));
    assert_false(blob_cache_has(&f.cache, &b) || blob_cache_has(&f.cache, &c));
}

static void names_follow_their_manifests(void **state)
{
    AUTO(fixture) struct fixture f;
    static const char            manifest[] = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{},\"layers\":[]}";
    struct layout_reference      reference  = { .tag = "registry:5000/a/b:tag" };
    char                         found[LAYOUT_DIGEST_LEN];
    struct err                   err;
    size_t                       n;

    (void) state;
    set_up(&f, 1000);
    struct digest      one = add(&f, manifest);
    struct digest_text text = digest_text(&one);
    assert_true(blob_cache_name(&f.cache, reference.tag, &one, sizeof manifest - 1, "application/vnd.oci.image.manifest.v1+json", &err));
    assert_true(blob_cache_name(&f.cache, reference.tag, &one, sizeof manifest - 1, "application/vnd.oci.image.manifest.v1+json", &err));
    (void) snprintf(reference.directory, sizeof reference.directory, "%s", f.root);
    if (!layout_find_manifest(&reference, found, &err))
        fail_msg("%s", err.text);
    assert_string_equal(found, text.at);
    f.cache.limit = 0;
    assert_true(blob_cache_evict(&f.cache, &n, &err));
    assert_false(layout_find_manifest(&reference, found, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void what_was_half_written_is_gone_after_the_next_start(void **state)
{
    AUTO(fixture) struct fixture f;
    AUTO(fd) int                 fd = NO_FD;
    AUTO(blob_cache) struct blob_cache again = { 0 };
    struct digest                digest;
    struct err                   err;
    char                         path[300];

    (void) state;
    set_up(&f, 1000);
    digest_of(bytes_of_text("whole"), DIGEST_SHA256, &digest);
    assert_true(blob_cache_begin(&f.cache, &digest, &fd, &err));
    assert_int_equal(write(fd, "wh", 2), 2);
    assert_false(blob_cache_has(&f.cache, &digest));
    assert_true(blob_cache_open(f.root, 1000, &again, &err));
    (void) snprintf(path, sizeof path, "%s/incoming", f.root);
    assert_int_equal(rmdir(path), 0); /* it is empty */
}

/* Where shims look whether to wait: runtime/oci/image_disks.c. */
static void what_is_announced_is_on_its_way_until_it_is_there_or_given_up(void **state)
{
    AUTO(fixture) struct fixture f;
    struct digest                digest;
    struct digest_text           text;
    char                         path[300];

    (void) state;
    set_up(&f, 1000);
    digest_of(bytes_of_text("whole"), DIGEST_SHA256, &digest);
    text = digest_text(&digest);
    (void) snprintf(path, sizeof path, "%s/incoming/%s", f.root, digest_hex(&text));
    for (int is_given_up = 0; is_given_up < 2; is_given_up++) {
        blob_cache_announce(&f.cache, &digest);
        assert_int_equal(access(path, F_OK), 0);
        if (is_given_up)
            blob_cache_abandon(&f.cache, &digest);
        else
            (void) add(&f, "whole");
        assert_int_equal(access(path, F_OK), -1);
    }
}

static void an_index_that_cannot_be_read_is_begun_anew(void **state)
{
    AUTO(fixture) struct fixture f;
    struct err                   err;
    char                         path[300];

    (void) state;
    set_up(&f, 1000);
    (void) snprintf(path, sizeof path, "%s/index.json", f.root);
    assert_true(file_write(path, bytes_of_text("{\"manifests\":"), 0644, &err));
    struct digest one = add(&f, "{}");
    assert_true(blob_cache_name(&f.cache, "x", &one, 2, "application/vnd.oci.image.manifest.v1+json", &err));
}

static void urls_come_from_references(void **state)
{
    static const struct { const char *reference, *url; } rows[] = {
        { "registry.example/a/b:tag", "https://registry.example/v2/a/b/blobs/" },
        { "registry.example:5000/a:tag@sha256:00", "https://registry.example:5000/v2/a/blobs/" },
        { "127.0.0.1:5000/a/b", "http://127.0.0.1:5000/v2/a/b/blobs/" },
        { "localhost/a", "http://localhost/v2/a/blobs/" },
        { "localhost.example/a", "https://localhost.example/v2/a/blobs/" },
        { "docker.io/library/busybox:latest", "https://registry-1.docker.io/v2/library/busybox/blobs/" },
    };
    static const char *const bad[] = { "", "a", "/a", "host/", "host/:x", "host/a?b", "host/../../x", "ho st/a", "host/a//b", "user@host/a", "host/A" };
    struct digest digest;
    struct err    err;
    char          url[NODE_URL_MAX];

    (void) state;
    digest_of(bytes_of_text("x"), DIGEST_SHA256, &digest);
    struct digest_text text = digest_text(&digest);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char wanted[NODE_URL_MAX];

        (void) snprintf(wanted, sizeof wanted, "%s%s", rows[i].url, text.at);
        assert_true(node_image_url(rows[i].reference, &digest, url, &err));
        assert_string_equal(url, wanted);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(node_image_url(bad[i], &digest, url, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_blobs_unused_for_longest_go_first),
        cmocka_unit_test(so_do_those_of_a_cache_with_too_many),
        cmocka_unit_test(names_follow_their_manifests),
        cmocka_unit_test(what_was_half_written_is_gone_after_the_next_start),
        cmocka_unit_test(what_is_announced_is_on_its_way_until_it_is_there_or_given_up),
        cmocka_unit_test(an_index_that_cannot_be_read_is_begun_anew),
        cmocka_unit_test(urls_come_from_references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
