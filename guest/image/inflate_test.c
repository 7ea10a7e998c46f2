#include "tests/harness/test.h"

#include <zlib.h>
#include <zstd.h>

#include "guest/image/inflate.h"
#include "guest/image/limits.h"

struct feed {
    struct bytes left;
    size_t       piece;
};

static bool feed_next(void *owner, struct bytes *piece, struct err *err)
{
    struct feed *f = owner;
    size_t       n = f->left.len < f->piece ? f->left.len : f->piece;

    (void) err; /* memory does not fail */
    *piece  = (struct bytes){ f->left.at, n };
    f->left = (struct bytes){ f->left.at + n, f->left.len - n };
    return true;
}

static void pack(enum layer_packing packing, struct bytes plain, struct buffer *out)
{
    size_t   room = plain.len + plain.len / 100 + 1000;
    uint8_t *to;
    z_stream gzip = { 0 };

    if (packing == LAYER_TAR) {
        buffer_append(out, plain);
        return;
    }
    size_t before = out->len;

    to = buffer_grow(out, room);
    if (packing == LAYER_TAR_ZSTD) {
        out->len = before + ZSTD_compress(to, room, plain.at, plain.len, 3);
        return;
    }
    assert_int_equal(deflateInit2(&gzip, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    gzip.next_in   = (uint8_t *) (uintptr_t) plain.at;
    gzip.avail_in  = (unsigned) plain.len;
    gzip.next_out  = to;
    gzip.avail_out = (unsigned) room;
    assert_int_equal(deflate(&gzip, Z_FINISH), Z_STREAM_END);
    out->len = before + gzip.total_out;
    assert_int_equal(deflateEnd(&gzip), Z_OK);
}

static bool unpack(enum layer_packing packing, struct bytes packed, size_t piece, uint32_t ratio, struct buffer *out,
                   struct digest *digest, struct err *err)
{
    AUTO(heap) uint8_t           *exact   = exact_copy(packed.at, packed.len);
    AUTO(inflate) struct inflate *inflate = NULL;
    struct feed                   f       = { { exact, packed.len }, piece };
    struct inflate_options        options = { packing, { feed_next, &f }, ratio, 27, DIGEST_SHA256 };

    if (!inflate_new(&options, &inflate, err))
        return false;
    for (struct stream s = inflate_stream(inflate);;) {
        struct bytes part = { 0 };

        if (!s.next(s.owner, &part, err))
            return false;
        if (part.len == 0)
            break;
        if (out)
            buffer_append(out, part);
    }
    inflate_digest(inflate, digest);
    return true;
}

static void fill(struct buffer *out, size_t len)
{
    uint32_t seed = 1;

    for (size_t i = 0; i < len; i += 4) {
        seed = seed * 1664525 + 1013904223;
        buffer_append(out, (struct bytes){ (const uint8_t *) &seed, 3 });
        buffer_append(out, bytes_of_text("x"));
    }
}

static void gives_back_what_was_packed_for_any_size_of_piece(void **state)
{
    static const size_t        PIECES[] = { 1, 100, 4096, 1 << 20 };
    AUTO(buffer) struct buffer plain    = { 0 };
    struct digest              wanted;

    (void) state;
    fill(&plain, 600 << 10);
    digest_of(buffer_bytes(&plain), DIGEST_SHA256, &wanted);
    for (unsigned packing = 0; packing < 3; packing++) {
        AUTO(buffer) struct buffer packed = { 0 };

        pack((enum layer_packing) packing, buffer_bytes(&plain), &packed);
        for (size_t i = 0; i < sizeof PIECES / sizeof *PIECES; i++) {
            AUTO(buffer) struct buffer out = { 0 };
            struct digest              found;
            struct err                 err;

            if (!unpack((enum layer_packing) packing, buffer_bytes(&packed), PIECES[i], 256, &out, &found, &err))
                fail_msg("%s", err.text);
            assert_true(bytes_equal(buffer_bytes(&out), buffer_bytes(&plain)));
            assert_true(digest_equal(&found, &wanted));
        }
    }
}

static void joins_members_and_frames(void **state)
{
    (void) state;
    for (unsigned packing = LAYER_TAR_GZIP; packing <= LAYER_TAR_ZSTD; packing++) {
        AUTO(buffer) struct buffer packed = { 0 }, out = { 0 };
        struct digest              found;
        struct err                 err;

        pack((enum layer_packing) packing, bytes_of_text("one "), &packed);
        pack((enum layer_packing) packing, bytes_of_text("two"), &packed);
        assert_true(unpack((enum layer_packing) packing, buffer_bytes(&packed), 5, 256, &out, &found, &err));
        assert_string_equal(buffer_text(&out), "one two");
    }
}

static void refuses_every_truncation_and_all_that_follows_the_end(void **state)
{
    AUTO(buffer) struct buffer plain = { 0 };

    (void) state;
    fill(&plain, 300);
    for (unsigned packing = LAYER_TAR_GZIP; packing <= LAYER_TAR_ZSTD; packing++) {
        AUTO(buffer) struct buffer packed = { 0 };
        struct digest              found;
        struct err                 err;

        pack((enum layer_packing) packing, buffer_bytes(&plain), &packed);
        for (size_t len = 0; len < packed.len; len++) {
            assert_false(unpack((enum layer_packing) packing, (struct bytes){ packed.at, len }, 64, 256, NULL, &found, &err));
            assert_int_equal(err.kind, ERR_MALFORMED);
            assert_string_equal(err.text, "the packed stream ends too early");
        }
        buffer_append_text(&packed, "behind");
        assert_false(unpack((enum layer_packing) packing, buffer_bytes(&packed), 64, 256, NULL, &found, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void refuses_what_grows_beyond_the_ratio(void **state)
{
    AUTO(buffer) struct buffer zeros = { 0 };

    (void) state;
    buffer_grow(&zeros, 80 << 20);
    for (unsigned packing = LAYER_TAR_GZIP; packing <= LAYER_TAR_ZSTD; packing++) {
        AUTO(buffer) struct buffer packed = { 0 };
        struct digest              found;
        struct err                 err;

        pack((enum layer_packing) packing, buffer_bytes(&zeros), &packed);
        assert_false(unpack((enum layer_packing) packing, buffer_bytes(&packed), 4096, 10, NULL, &found, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_non_null(strstr(err.text, "the budget"));
    }
    AUTO(buffer) struct buffer packed = { 0 };
    struct digest              found;
    struct err                 err;

    pack(LAYER_TAR_GZIP, buffer_bytes(&zeros), &packed);
    assert_true(unpack(LAYER_TAR_GZIP, buffer_bytes(&packed), 4096, 1100, NULL, &found, &err));
}

static void refuses_a_zstd_window_over_the_budget(void **state)
{
    AUTO(inflate) struct inflate *inflate = NULL;
    uint8_t                       room[4096];
    ZSTD_CCtx                    *c       = ZSTD_createCCtx();
    ZSTD_inBuffer                 in      = { "abc", 3, 0 };
    ZSTD_outBuffer                out     = { room, sizeof room, 0 };
    struct bytes                  piece   = { 0 };
    struct feed                   f       = { .piece = 4096 };
    struct inflate_options        options = { LAYER_TAR_ZSTD, { feed_next, &f }, 256, LAYER_WINDOW_MIN, DIGEST_SHA256 };
    struct err                    err;

    (void) state;
    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 27)));
    assert_false(ZSTD_isError(ZSTD_compressStream2(c, &out, &in, ZSTD_e_flush)));
    assert_int_equal(ZSTD_compressStream2(c, &out, &in, ZSTD_e_end), 0);
    (void) ZSTD_freeCCtx(c); /* never fails */
    f.left = (struct bytes){ room, out.pos };
    assert_true(inflate_new(&options, &inflate, &err));
    struct stream s = inflate_stream(inflate);

    assert_false(s.next(s.owner, &piece, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_was_packed_for_any_size_of_piece),
        cmocka_unit_test(joins_members_and_frames),
        cmocka_unit_test(refuses_every_truncation_and_all_that_follows_the_end),
        cmocka_unit_test(refuses_what_grows_beyond_the_ratio),
        cmocka_unit_test(refuses_a_zstd_window_over_the_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
