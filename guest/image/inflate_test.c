#include "tests/harness/test.h"

#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "guest/image/inflate.h"
#include "guest/image/limits.h"

enum { ROOM = 1 << 20, GUARD = 4096 };

struct feed {
    struct bytes left;
    size_t       piece;
    uint8_t     *end; /* of ROOM bytes with a page behind them that nobody may read: no sanitizer sees into the libraries */
};

static bool feed_next(void *owner, struct bytes *piece, struct err *err)
{
    struct feed *f = owner;
    size_t       n = f->left.len < f->piece ? f->left.len : f->piece;

    (void) err; /* memory does not fail */
    if (n > 0)
        memcpy(f->end - n, f->left.at, n);
    *piece  = (struct bytes){ f->end - n, n };
    f->left = (struct bytes){ f->left.at + n, f->left.len - n };
    return true;
}

static uint8_t *room_map(void)
{
    uint8_t *at = mmap(NULL, ROOM + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(at != MAP_FAILED);
    assert_int_equal(mprotect(at + ROOM, GUARD, PROT_NONE), 0);
    return at;
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

static bool unpack_from(struct inflate *inflate, struct buffer *out, struct digest *digest, struct err *err)
{
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

static bool unpack(enum layer_packing packing, struct bytes packed, size_t piece, uint32_t ratio, struct buffer *out,
                   struct digest *digest, struct err *err)
{
    AUTO(inflate) struct inflate *inflate = NULL;
    uint8_t                      *room    = room_map();
    struct feed                   f       = { packed, piece, room + ROOM };
    struct inflate_options        options = { packing, { feed_next, &f }, ratio, 27, DIGEST_SHA256 };
    bool                          ok = inflate_new(&options, &inflate, err) && unpack_from(inflate, out, digest, err);

    assert_int_equal(munmap(room, ROOM + GUARD), 0);
    return ok;
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
    static const size_t        PIECES[] = { 1, 100, 4096, ROOM };
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
    uint8_t                      *guarded = room_map();
    struct feed                   f       = { .piece = 4096, .end = guarded + ROOM };
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
    assert_int_equal(munmap(guarded, ROOM + GUARD), 0);
}

/* ---- gzip, byte by byte. [RFC 1952] ---- */

#define STORED_ABC "\x01\x03\x00\xfc\xff" "abc"
#define ALL_FIELDS "\x05\x00" "extra" "name\0" "comment\0"

enum { IN_MAGIC = 0, IN_METHOD = 2, IN_FLAGS = 3, FIELDS_AT = 10, HAS_ALL_FIELDS = 0x1e };

static void append_u32le(struct buffer *out, unsigned long value)
{
    for (int i = 0; i < 4; i++)
        buffer_append(out, (struct bytes){ (const uint8_t[]){ (uint8_t) (value >> (8 * i)) }, 1 });
}

static void member_end(struct buffer *out, const char *content)
{
    append_u32le(out, crc32(0, (const uint8_t *) content, (unsigned) strlen(content)));
    append_u32le(out, strlen(content));
}

/* A member with every field that there is: 10 bytes of header, the fields, their checksum, the content, 8 bytes of trailer. */
static void member_of_abc(struct buffer *out)
{
    static const uint8_t head[FIELDS_AT] = { 0x1f, 0x8b, 8, HAS_ALL_FIELDS, 1, 2, 3, 4, 2, 255 };
    unsigned long        sum;

    buffer_append(out, (struct bytes){ head, sizeof head });
    buffer_append(out, (struct bytes){ (const uint8_t *) ALL_FIELDS, sizeof ALL_FIELDS - 1 });
    sum = crc32(0, out->at, (unsigned) out->len);
    buffer_append(out, (struct bytes){ (const uint8_t[]){ (uint8_t) sum, (uint8_t) (sum >> 8) }, 2 });
    buffer_append(out, (struct bytes){ (const uint8_t *) STORED_ABC, sizeof STORED_ABC - 1 });
    member_end(out, "abc");
}

static void assert_refused(const struct buffer *packed, const char *why)
{
    for (size_t piece = 1; piece <= 64; piece += 63) {
        struct digest found;
        struct err    err;

        assert_false(unpack(LAYER_TAR_GZIP, buffer_bytes(packed), piece, 256, NULL, &found, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, why);
    }
}

static void reads_all_fields_of_a_gzip_header_and_refuses_each_defect(void **state)
{
    enum { CONTENT_AT = FIELDS_AT + sizeof ALL_FIELDS - 1 + 2, END = CONTENT_AT + sizeof STORED_ABC - 1 };
    static const struct {
        size_t      at;
        uint8_t     flip;
        const char *why;
    } defects[] = {
        { IN_MAGIC, 1, "gzip: incorrect header check" },
        { IN_MAGIC + 1, 1, "gzip: incorrect header check" },
        { IN_METHOD, 1, "gzip: unknown compression method" },
        { IN_FLAGS, 0x20, "gzip: unknown header flags set" },
        { IN_FLAGS, 0x40, "gzip: unknown header flags set" },
        { IN_FLAGS, 0x80, "gzip: unknown header flags set" },
        { FIELDS_AT + 3, 1, "gzip: header crc mismatch" },
        { CONTENT_AT - 1, 1, "gzip: header crc mismatch" },
        { CONTENT_AT, 6, "gzip: invalid block type" },
        { CONTENT_AT + 1, 1, "gzip: invalid stored block lengths" },
        { CONTENT_AT + 5, 1, "gzip: incorrect data check" },
        { END, 1, "gzip: incorrect data check" },
        { END + 3, 0x80, "gzip: incorrect data check" },
        { END + 4, 1, "gzip: incorrect length check" },
        { END + 7, 0x80, "gzip: incorrect length check" },
    };
    AUTO(buffer) struct buffer packed = { 0 };

    (void) state;
    member_of_abc(&packed);
    assert_int_equal(packed.len, END + 8);
    for (size_t piece = 1; piece <= packed.len; piece++) {
        AUTO(buffer) struct buffer out = { 0 };
        struct digest              found;
        struct err                 err;

        assert_true(unpack(LAYER_TAR_GZIP, buffer_bytes(&packed), piece, 256, &out, &found, &err));
        assert_string_equal(buffer_text(&out), "abc");
    }
    for (size_t i = 0; i < sizeof defects / sizeof *defects; i++) {
        packed.at[defects[i].at] ^= defects[i].flip;
        assert_refused(&packed, defects[i].why);
        packed.at[defects[i].at] ^= defects[i].flip;
    }
}

struct bits {
    struct buffer out;
    unsigned      n;
};

static void put_bits(struct bits *b, unsigned value, unsigned n)
{
    for (unsigned i = 0; i < n; i++, b->n++) {
        if (b->n % 8 == 0)
            *buffer_grow(&b->out, 1) = 0;
        b->out.at[b->out.len - 1] = (uint8_t) (b->out.at[b->out.len - 1] | (value >> i & 1) << b->n % 8);
    }
}

/* Huffman codes come with their first bit first. [RFC 1951 3.1.1] */
static void put_code(struct bits *b, unsigned code, unsigned n)
{
    while (n-- > 0)
        put_bits(b, code >> n & 1, 1);
}

static void bits_begin(struct bits *b)
{
    static const uint8_t head[FIELDS_AT] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255 };

    buffer_append(&b->out, (struct bytes){ head, sizeof head });
}

static void refuses_what_lies_before_the_first_byte(void **state)
{
    struct bits b = { .n = 0 };

    (void) state;
    bits_begin(&b);
    put_bits(&b, 1, 1);
    put_bits(&b, 1, 2);               /* a block with the fixed codes */
    put_code(&b, 0x30 + 'a', 8); /* one byte */
    put_code(&b, 1, 7);          /* 3 bytes again, */
    put_code(&b, 1, 5);          /* from 2 bytes ago */
    put_code(&b, 0, 7);          /* end of the block */
    member_end(&b.out, "aaaa");
    assert_refused(&b.out, "gzip: invalid distance too far back");
    buffer_free(&b.out);
}

/* One block: literal 'A' and the end mark have codes of one bit; lengths of the distance codes as asked. */
static void dynamic_block(struct bits *b, const unsigned n_of_len[16])
{
    bits_begin(b);
    put_bits(b, 1, 1);
    put_bits(b, 2, 2);
    put_bits(b, 0, 5);  /* 257 literals */
    put_bits(b, 29, 5); /* 30 distances */
    put_bits(b, 15, 4); /* 19 lengths: none for the three repetitions, then 4 bits for each of 0 to 15 */
    for (int i = 0; i < 19; i++)
        put_bits(b, i < 3 ? 0 : 4, 3);
    for (unsigned i = 0; i < 257; i++)
        put_code(b, i == 'A' || i == 256 ? 1 : 0, 4);
    for (unsigned len = 0; len < 16; len++)
        for (unsigned i = 0; i < n_of_len[len]; i++)
            put_code(b, len, 4);
    put_code(b, 0, 1);
    put_code(b, 0, 1);
    put_code(b, 1, 1); /* "AA" and the end */
    member_end(&b->out, "AA");
}

/* Incomplete codes; the second one needs more room in ISA-L's table than there is: docs/decisions/gzip-by-zlib.md. */
static void refuses_distance_codes_with_unused_patterns(void **state)
{
    static const unsigned complete[16] = { [0] = 28, [1] = 2 }, one_lacks[16] = { [0] = 28, [1] = 1, [2] = 1 },
                          widest[16] = { [11] = 2, [12] = 7, [13] = 1, [14] = 17, [15] = 3 },
                          too_many[16] = { [0] = 27, [1] = 3 };
    AUTO(buffer) struct buffer out = { 0 };
    struct bits                b   = { .n = 0 };
    struct digest              found;
    struct err                 err;

    (void) state;
    dynamic_block(&b, complete);
    assert_true(unpack(LAYER_TAR_GZIP, buffer_bytes(&b.out), 64, 256, &out, &found, &err));
    assert_string_equal(buffer_text(&out), "AA");
    for (int i = 0; i < 3; i++) {
        b.out.len = b.n = 0;
        dynamic_block(&b, i == 0 ? one_lacks : i == 1 ? widest : too_many);
        assert_refused(&b.out, "gzip: invalid distances set");
    }
    buffer_free(&b.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_was_packed_for_any_size_of_piece),
        cmocka_unit_test(joins_members_and_frames),
        cmocka_unit_test(refuses_every_truncation_and_all_that_follows_the_end),
        cmocka_unit_test(refuses_what_grows_beyond_the_ratio),
        cmocka_unit_test(refuses_a_zstd_window_over_the_budget),
        cmocka_unit_test(reads_all_fields_of_a_gzip_header_and_refuses_each_defect),
        cmocka_unit_test(refuses_what_lies_before_the_first_byte),
        cmocka_unit_test(refuses_distance_codes_with_unused_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
