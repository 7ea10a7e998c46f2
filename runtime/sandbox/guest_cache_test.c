#include "tests/harness/test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "runtime/sandbox/guest_cache.h"

enum { LEN = 1000 };

struct rig {
    char             *folder;
    struct guest_cache cache;
    uint8_t           blobs[8][LEN];
    char              digests[8][DIGEST_TEXT_LEN_MAX + 1];
};

static struct rig *rig_new(uint64_t bytes_max)
{
    struct rig *r = calloc(1, sizeof *r);
    struct err  err;

    assert_non_null(r);
    assert_true(directory_make_temporary("guest-cache-", &r->folder, &err) &&
                guest_cache_open(r->folder, bytes_max, &r->cache, &err));
    for (size_t i = 0; i < 8; i++) {
        struct digest digest;

        memset(r->blobs[i], (int) i, LEN);
        digest_of(BYTES_OF(r->blobs[i]), DIGEST_SHA256, &digest);
        strcpy(r->digests[i], digest_text(&digest).at);
    }
    return r;
}

static void auto_rig(struct rig **rig)
{
    struct rig *r = *rig;
    struct err  err;

    guest_cache_close(&r->cache);
    assert_true(directory_remove(r->folder, &err));
    free(r->folder);
    free(r);
}

static bool bring(struct rig *r, size_t i, struct err *err)
{
    for (uint64_t offset = 0; offset < LEN; offset += 400) {
        uint64_t left = LEN - offset;

        if (!guest_cache_put(&r->cache, r->digests[i], offset, LEN, (struct bytes){ r->blobs[i] + offset, left < 400 ? left : 400 }, err))
            return false;
    }
    return true;
}

static bool has(struct rig *r, size_t i)
{
    AUTO(buffer) struct buffer content = { 0 };
    AUTO(fd) int               fd      = NO_FD;
    struct err                 err;

    if (!guest_cache_get(&r->cache, r->digests[i], &fd, &err)) {
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        return false;
    }
    assert_true(file_read_fd(fd, LEN + 1, &content, &err));
    assert_true(bytes_equal(buffer_bytes(&content), BYTES_OF(r->blobs[i])));
    return true;
}

static void keeps_what_is_whole_and_right(void **state)
{
    AUTO(rig) struct rig *r = rig_new(100000);
    struct err            err;

    (void) state;
    assert_false(has(r, 1));
    assert_true(bring(r, 1, &err) && has(r, 1));
    assert_true(bring(r, 1, &err) && has(r, 1)); /* again, by another guest */
}

static void keeps_nothing_that_is_something_else(void **state)
{
    AUTO(rig) struct rig *r = rig_new(100000);
    struct err            err;

    (void) state;
    r->blobs[1][999] ^= 1;
    assert_false(bring(r, 1, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_false(has(r, 1));
    assert_true(guest_cache_put(&r->cache, r->digests[2], 0, LEN, (struct bytes){ r->blobs[2], 400 }, &err));
    assert_false(has(r, 2)); /* not whole */
}

static void refuses_pieces_out_of_order(void **state)
{
    static const struct { size_t blob; uint64_t offset, size; size_t len; } CASES[] = {
        { 2, 401, LEN, 1 }, { 2, 399, LEN, 1 }, { 2, 400, LEN + 1, 1 }, { 2, 400, LEN, 601 }, { 3, 400, LEN, 1 }, { 2, UINT64_MAX, LEN, 1 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(rig) struct rig *r = rig_new(100000);
        struct err            err;

        assert_true(guest_cache_put(&r->cache, r->digests[2], 0, LEN, (struct bytes){ r->blobs[2], 400 }, &err));
        assert_false(guest_cache_put(&r->cache, r->digests[CASES[i].blob], CASES[i].offset, CASES[i].size, (struct bytes){ r->blobs[2], CASES[i].len }, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_true(bring(r, 2, &err) && has(r, 2)); /* from the start it goes on */
    }
    AUTO(rig) struct rig *r = rig_new(100000);
    struct err            err;

    assert_false(guest_cache_put(&r->cache, "sha256:../../x", 0, 1, BYTES_OF("x"), &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static void what_was_not_used_for_longest_makes_room(void **state)
{
    AUTO(rig) struct rig *r = rig_new(4 * LEN);
    struct err            err;

    (void) state;
    for (size_t i = 0; i < 4; i++) {
        struct timespec old[2] = { { (time_t) i + 1, 0 }, { (time_t) i + 1, 0 } };
        char            path[BLOB_PATH_LEN];

        r->cache.bytes_left = LEN;
        assert_true(bring(r, i, &err) && blob_path(r->digests[i], path, &err));
        assert_int_equal(utimensat(r->cache.folder_fd, path, old, 0), 0);
    }
    assert_true(has(r, 0)); /* used: now the youngest */
    r->cache.bytes_left = LEN;
    assert_true(bring(r, 4, &err));
    assert_true(has(r, 0) && !has(r, 1) && has(r, 2) && has(r, 3) && has(r, 4));
}

static void one_guest_brings_in_half_and_no_more(void **state)
{
    AUTO(rig) struct rig *r = rig_new(4 * LEN);
    struct err            err;

    (void) state;
    assert_true(bring(r, 0, &err) && bring(r, 1, &err));
    assert_false(bring(r, 2, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(has(r, 0) && has(r, 1) && !has(r, 2));
}

static void one_guest_brings_in_so_many_however_small(void **state)
{
    AUTO(rig) struct rig *r = rig_new(100000);
    struct err            err;

    (void) state;
    r->cache.blobs_left = 1;
    assert_true(bring(r, 0, &err));
    assert_false(bring(r, 1, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "this guest has brought enough into the node's cache");
    assert_true(has(r, 0) && !has(r, 1));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_is_whole_and_right),
        cmocka_unit_test(keeps_nothing_that_is_something_else),
        cmocka_unit_test(refuses_pieces_out_of_order),
        cmocka_unit_test(what_was_not_used_for_longest_makes_room),
        cmocka_unit_test(one_guest_brings_in_half_and_no_more),
        cmocka_unit_test(one_guest_brings_in_so_many_however_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
