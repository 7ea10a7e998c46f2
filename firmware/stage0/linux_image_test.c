#include "firmware/stage0/linux_image.h"
#include "tests/harness/test.h"

enum { FILE_LEN = 2048, SETUP_LEN = 1024 };

static void store(uint8_t *file, size_t at, size_t width, uint64_t value)
{
    for (size_t i = 0; i < width; i++)
        file[at + i] = (uint8_t) (value >> (8 * i));
}

static void good_file(uint8_t file[static FILE_LEN])
{
    memset(file, 0, FILE_LEN);
    store(file, 0x1f1, 1, 1);                      /* setup sectors */
    store(file, 0x1f4, 4, (FILE_LEN - SETUP_LEN) / 16);
    store(file, 0x1fe, 2, 0xaa55);
    store(file, 0x201, 1, 0x6a);                   /* the header ends at 0x26c */
    memcpy(file + 0x202, "HdrS", 4);
    store(file, 0x206, 2, 0x20f);
    store(file, 0x211, 1, 1);
    store(file, 0x22c, 4, 0x7fffffff);
    store(file, 0x230, 4, 0x200000);
    store(file, 0x234, 1, 1);
    store(file, 0x236, 2, 1);
    store(file, 0x238, 4, 2047);
    store(file, 0x260, 4, 0x100000);
}

static void reads_the_header(void **state)
{
    uint8_t            file[FILE_LEN];
    struct linux_image image;
    struct err         err;

    (void) state;
    good_file(file);
    assert_true(linux_image_read(BYTES_OF(file), &image, &err));
    assert_int_equal(image.setup_len, SETUP_LEN);
    assert_int_equal(image.init_size, 0x100000);
    assert_int_equal(image.alignment, 0x200000);
    assert_int_equal(image.initrd_max, 0x7fffffff);
    assert_int_equal(image.cmdline_max, 2047);
    assert_int_equal(image.header.len, 0x26c - 0x1f1);
}

static void rejects_every_truncation_and_leaves_out_alone(void **state)
{
    uint8_t            file[FILE_LEN];
    struct linux_image image = { .setup_len = 7 };
    struct err         err;

    (void) state;
    good_file(file);
    for (size_t len = 0; len < FILE_LEN - 15; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(file, len);

        assert_false(linux_image_read((struct bytes){ exact, len }, &image, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(image.setup_len, 7);
    }
}

static void rejects_one_defect_each_and_names_it(void **state)
{
    static const struct { size_t at, width; uint64_t value; enum err_kind kind; const char *text; } cases[] = {
        { 0x1fe, 2, 0, ERR_MALFORMED, "not a bzImage" },
        { 0x202, 1, 'h', ERR_MALFORMED, "not a bzImage" },
        { 0x206, 2, 0x20b, ERR_UNSUPPORTED, "boot protocol 0x20b, at least 0x20c" },
        { 0x211, 1, 0, ERR_UNSUPPORTED, "no relocatable 64-bit entry" },
        { 0x234, 1, 0, ERR_UNSUPPORTED, "no relocatable 64-bit entry" },
        { 0x236, 2, 2, ERR_UNSUPPORTED, "no relocatable 64-bit entry" },
        { 0x1f1, 1, 64, ERR_MALFORMED, "it is cut off" },
        { 0x1f4, 4, 66, ERR_MALFORMED, "it is cut off" },
        { 0x1f4, 4, 0xffffffff, ERR_MALFORMED, "it is cut off" },
        { 0x230, 4, 0, ERR_MALFORMED, "alignment 0" },
        { 0x230, 4, 3, ERR_MALFORMED, "alignment 0x3" },
        { 0x230, 4, 0x80000000, ERR_MALFORMED, "alignment 0x80000000" },
        { 0x260, 4, 1, ERR_MALFORMED, "it needs less memory than its own size" },
        { 0x201, 1, 0xff, ERR_MALFORMED, "a header that ends at 0x301" },
        { 0x201, 1, 0x10, ERR_MALFORMED, "a header that ends at 0x212" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t            file[FILE_LEN];
        struct linux_image image;
        struct err         err;

        good_file(file);
        store(file, cases[i].at, cases[i].width, cases[i].value);
        assert_false(linux_image_read(BYTES_OF(file), &image, &err));
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void parameters_carry_header_map_and_addresses(void **state)
{
    static const uint8_t range[20] = { 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x1f, 0, 0, 0, 0, 1 };
    uint8_t              file[FILE_LEN], params[LINUX_PARAMS_LEN];
    struct linux_image   image;
    struct linux_start   start = { 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, { 0x100006000, 0x200007000, 0x8000, 40 } };
    struct memory_map    map   = { .n = 1, .at = { { 0x100000, 0x20000000, MEMORY_RAM } } };
    struct err           err;

    (void) state;
    good_file(file);
    assert_true(linux_image_read(BYTES_OF(file), &image, &err));
    assert_true(linux_params_write(&image, &start, &map, params, &err));
    assert_memory_equal(params + 0x202, "HdrS", 4);
    assert_int_equal(params[0x210], 0xff);
    assert_int_equal(params[0x1e8], 1);
    assert_memory_equal(params + 0x2d0, range, sizeof range);
    assert_memory_equal(params + 0x228, "\0\x10\0", 4);
    assert_memory_equal(params + 0x218, "\0\x20\0\0\0\x30\0", 8);
    assert_memory_equal(params + 0x070, "\0\x40\0\0\0\0\0", 8);
    assert_memory_equal(params + 0x250, "\0\x50\0\0\0\0\0", 8);
    assert_true(bytes_are_zero((struct bytes){ params + 0x2d0 + 20, 256 }));
    assert_memory_equal(params + 0x1c0, "EL64\0\x60\0\0\x28\0\0\0\1\0\0\0\0\x70\0\0\0\x80\0\0\1\0\0\0\2\0\0\0", 32);
    start.efi.system_table = 0;
    assert_true(linux_params_write(&image, &start, &map, params, &err));
    assert_true(bytes_are_zero((struct bytes){ params + 0x1c0, 32 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_header),
        cmocka_unit_test(rejects_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(rejects_one_defect_each_and_names_it),
        cmocka_unit_test(parameters_carry_header_map_and_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
