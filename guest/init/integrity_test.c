#include "tests/harness/test.h"

#include "guest/init/integrity.h"

enum { DISK_SECTORS = 2048 };

static void superblock(uint8_t bytes[static 24], uint64_t provided)
{
    struct writer w = writer_over(bytes, 24);

    put(&w, (struct bytes){ (const uint8_t *) "integrt", 8 });
    put_zeros(&w, 8);
    put_u64le(&w, provided);
}

static bool read_superblock(const uint8_t *from, size_t len, uint64_t *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from, len);

    return integrity_superblock_read((struct bytes){ exact, len }, DISK_SECTORS, out, err);
}

static void whole_pages_are_provided(void **state)
{
    uint8_t    bytes[24];
    uint64_t   sectors = 0;
    struct err err;

    (void) state;
    superblock(bytes, 1999);
    assert_true(read_superblock(bytes, sizeof bytes, &sectors, &err));
    assert_int_equal(sectors, 1992);
}

static void rejects_every_truncation_and_leaves_out_alone(void **state)
{
    uint8_t    bytes[24];
    uint64_t   sectors = 7;
    struct err err;

    (void) state;
    superblock(bytes, 1992);
    for (size_t len = 0; len < sizeof bytes; len++) {
        assert_false(read_superblock(bytes, len, &sectors, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(sectors, 7);
    }
}

static void a_superblock_that_lies_is_refused(void **state)
{
    static const uint64_t lies[] = { 0, 7, DISK_SECTORS, DISK_SECTORS + 8, UINT64_MAX };
    uint8_t               bytes[24];
    uint64_t              sectors = 7;
    struct err            err;

    (void) state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        superblock(bytes, lies[i]);
        assert_false(read_superblock(bytes, sizeof bytes, &sectors, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_non_null(strstr(err.text, "sectors of 2048"));
    }
    superblock(bytes, 1992);
    bytes[0] = 'I';
    assert_false(read_superblock(bytes, sizeof bytes, &sectors, &err));
    assert_string_equal(err.text, "superblock: no dm-integrity");
    assert_int_equal(sectors, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_pages_are_provided),
        cmocka_unit_test(rejects_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(a_superblock_that_lies_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
