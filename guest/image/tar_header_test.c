#include "tests/harness/test.h"

#include <stdio.h>

#include "guest/image/tar_header.h"

enum { AT_NAME = 0, AT_MODE = 100, AT_UID = 108, AT_GID = 116, AT_SIZE = 124, AT_MTIME = 136, AT_SUM = 148, AT_TYPE = 156,
       AT_LINK = 157, AT_MAGIC = 257, AT_MAJOR = 329, AT_MINOR = 337, AT_PREFIX = 345 };

static void checksum_set(uint8_t block[static TAR_BLOCK_LEN])
{
    unsigned sum = 0;

    memset(block + AT_SUM, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK_LEN; i++)
        sum += block[i];
    (void) snprintf((char *) block + AT_SUM, 8, "%06o", sum); /* at most 512 * 255: six digits */
}

static void header_make(uint8_t block[static TAR_BLOCK_LEN])
{
    memset(block, 0, TAR_BLOCK_LEN);
    memcpy(block + AT_NAME, "file", 4);
    memcpy(block + AT_MODE, "0104755", 7);
    memcpy(block + AT_UID, "0001750", 7);
    memcpy(block + AT_GID, "   144 ", 7);
    memcpy(block + AT_SIZE, "00000000012", 11);
    memcpy(block + AT_MTIME, "14524770400", 11);
    block[AT_TYPE] = '0';
    memcpy(block + AT_MAGIC, "ustar\0" "00", 8);
    checksum_set(block);
}

static bool read_block(const uint8_t *block, size_t len, struct tar_header *h, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(block, len);

    return tar_header_read((struct bytes){ exact, len }, h, err);
}

static void reads_each_field(void **state)
{
    uint8_t           block[TAR_BLOCK_LEN];
    struct tar_header h;
    struct err        err;

    (void) state;
    header_make(block);
    memcpy(block + AT_PREFIX, "some/folder", 11);
    memcpy(block + AT_LINK, "target", 6);
    block[AT_TYPE] = '3';
    memcpy(block + AT_MAJOR, "0000001", 7);
    memcpy(block + AT_MINOR, "0000003", 7);
    checksum_set(block);
    assert_true(read_block(block, sizeof block, &h, &err));
    assert_string_equal(h.name, "some/folder/file");
    assert_string_equal(h.link, "target");
    assert_int_equal(h.mode, 04755); /* the file type bits in it do not count */
    assert_int_equal(h.uid, 1000);
    assert_int_equal(h.gid, 100);
    assert_int_equal(h.size, 10);
    assert_int_equal(h.mtime, 1700000000);
    assert_int_equal(h.type, '3');
    assert_int_equal(h.major, 1);
    assert_int_equal(h.minor, 3);
}

static void takes_names_that_fill_their_fields(void **state)
{
    uint8_t           block[TAR_BLOCK_LEN];
    struct tar_header h;
    struct err        err;

    (void) state;
    header_make(block);
    memset(block + AT_NAME, 'n', 100);
    memset(block + AT_LINK, 'l', 100);
    memset(block + AT_PREFIX, 'p', 155);
    checksum_set(block);
    assert_true(read_block(block, sizeof block, &h, &err));
    assert_int_equal(strlen(h.name), 256);
    assert_int_equal(h.name[155], '/');
    assert_int_equal(strlen(h.link), 100);
    memcpy(block + AT_MAGIC, "ustar  \0", 8); /* GNU keeps other things where the prefix is */
    checksum_set(block);
    assert_true(read_block(block, sizeof block, &h, &err));
    assert_int_equal(strlen(h.name), 100);
}

static void reads_numbers_in_base_256(void **state)
{
    static const struct { uint8_t bytes[12]; int64_t value; bool is_good; } CASES[] = {
        { { 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, 256, true },
        { { 0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, INT64_MAX, true },
        { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfb }, -5, true },
        { { 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0 }, 0, false },
        { { 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 }, 0, false },
        { { 0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 0, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint8_t           block[TAR_BLOCK_LEN];
        struct tar_header h;
        struct err        err;

        header_make(block);
        memcpy(block + AT_MTIME, CASES[i].bytes, 12);
        checksum_set(block);
        assert_int_equal(read_block(block, sizeof block, &h, &err), CASES[i].is_good);
        if (CASES[i].is_good)
            assert_true(h.mtime == CASES[i].value);
        else
            assert_string_equal(err.text, "tar header: field \"mtime\" is no number in range");
    }
}

static void refuses_headers_by_their_one_defect(void **state)
{
    static const struct { size_t at, len; const char *put, *why; } CASES[] = {
        { AT_MODE, 7, "000008", "field \"mode\"" },
        { AT_UID, 8, "-000001", "field \"uid\"" },
        { AT_GID, 4, "0x1", "field \"gid\"" },
        { AT_SIZE, 3, "1 2", "field \"size\"" },
        { AT_SIZE, 12, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "field \"size\"" },
        { AT_UID, 8, "\x80\x00\x00\x01\x00\x00\x00", "field \"uid\"" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint8_t           block[TAR_BLOCK_LEN];
        struct tar_header h = { .uid = 7 };
        struct err        err;

        header_make(block);
        memcpy(block + CASES[i].at, CASES[i].put, CASES[i].len);
        checksum_set(block);
        assert_false(read_block(block, sizeof block, &h, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        if (!strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(h.uid, 7);
    }
}

static void refuses_every_change_that_the_checksum_does_not_cover(void **state)
{
    uint8_t           block[TAR_BLOCK_LEN];
    struct tar_header h;
    struct err        err;

    (void) state;
    header_make(block);
    for (size_t i = 0; i < sizeof block; i++) {
        if (i >= AT_SUM && i < AT_SUM + 8)
            continue;
        block[i] ^= 1;
        assert_false(read_block(block, sizeof block, &h, &err));
        assert_string_equal(err.text, "tar header: wrong checksum");
        block[i] ^= 1;
    }
}

static void takes_the_checksum_of_signed_bytes_too(void **state)
{
    uint8_t           block[TAR_BLOCK_LEN];
    struct tar_header h;
    struct err        err;
    int               sum = 0;

    (void) state;
    header_make(block);
    block[AT_NAME] = 0xe9;
    memset(block + AT_SUM, ' ', 8);
    for (size_t i = 0; i < sizeof block; i++)
        sum += (int8_t) block[i];
    (void) snprintf((char *) block + AT_SUM, 8, "%06o", (unsigned) sum); /* positive: most bytes are ASCII */
    assert_true(read_block(block, sizeof block, &h, &err));
}

static void refuses_every_truncation(void **state)
{
    uint8_t           block[TAR_BLOCK_LEN];
    struct tar_header h;
    struct err        err;

    (void) state;
    header_make(block);
    for (size_t len = 0; len < sizeof block; len++) {
        assert_false(read_block(block, len, &h, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_field),
        cmocka_unit_test(takes_names_that_fill_their_fields),
        cmocka_unit_test(reads_numbers_in_base_256),
        cmocka_unit_test(refuses_headers_by_their_one_defect),
        cmocka_unit_test(refuses_every_change_that_the_checksum_does_not_cover),
        cmocka_unit_test(takes_the_checksum_of_signed_bytes_too),
        cmocka_unit_test(refuses_every_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
