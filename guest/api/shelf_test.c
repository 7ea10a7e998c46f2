#include "tests/harness/test.h"

#include "guest/api/shelf.h"

enum { FIRST_ROW = 64, SECOND_ROW = 128, LEN_AT = 24 };

static const struct shelf_directory two = { .rows = { [0] = { "img-0123456789abcdef", 8192 }, [30] = { "vol-data", SHELF_SLOT_LEN } } };

static bool read_directory(const uint8_t *from, size_t len, struct shelf_directory *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from, len);

    return shelf_directory_read((struct bytes){ exact, len }, out, err);
}

static void what_is_written_is_read(void **state)
{
    uint8_t                block[SHELF_DIRECTORY_LEN];
    struct shelf_directory found;
    struct err             err;

    (void) state;
    shelf_directory_write(&two, block);
    assert_true(read_directory(block, sizeof block, &found, &err));
    assert_int_equal(shelf_find(&found, "img-0123456789abcdef"), 0);
    assert_int_equal(found.rows[0].len, 8192);
    assert_int_equal(shelf_find(&found, "vol-data"), 30);
    assert_int_equal(found.rows[30].len, SHELF_SLOT_LEN);
    assert_int_equal(shelf_find(&found, "vol-other"), SHELF_SLOTS);
    assert_int_equal(block[510] | block[511], 0);
}

static void rejects_every_truncation_and_leaves_out_alone(void **state)
{
    uint8_t                block[SHELF_DIRECTORY_LEN + 1] = { 0 };
    struct shelf_directory found = { .rows = { { "x", 7 } } };
    struct err             err;

    (void) state;
    shelf_directory_write(&two, block);
    for (size_t len = 0; len <= sizeof block; len++) {
        if (len == SHELF_DIRECTORY_LEN)
            continue;
        assert_false(read_directory(block, len, &found, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(found.rows[0].len, 7);
    }
}

static void each_defect_has_its_reason(void **state)
{
    static const struct { size_t at; uint8_t to; const char *why; } defects[] = {
        { 0, 'X', "shelf: no shelf" },
        { 9, 1, "shelf: no shelf" },
        { FIRST_ROW, 'I', "shelf: a name of other letters" },
        { FIRST_ROW, '/', "shelf: a name of other letters" },
        { FIRST_ROW, 0, "shelf: a row that is none" },
        { FIRST_ROW + 20, 'a', "shelf: a row that is none" },
        { FIRST_ROW + 40, 1, "shelf: a row that is none" },
        { FIRST_ROW + LEN_AT, 1, "shelf: a disk of 8193 bytes" },
        { FIRST_ROW + LEN_AT + 1, 0, "shelf: a disk of 0 bytes" },
        { SECOND_ROW, 'a', "shelf: a disk of 0 bytes" },
        { SECOND_ROW + LEN_AT + 1, 2, "shelf: a disk of 512 bytes" },
        { FIRST_ROW + 30 * 64 + LEN_AT + 1, 2, "shelf: a disk of 17592186044928 bytes" },
        { SHELF_DIRECTORY_LEN - 1, 1, "shelf: something behind the rows" },
    };
    uint8_t                block[SHELF_DIRECTORY_LEN];
    struct shelf_directory found;
    struct err             err;

    (void) state;
    for (size_t i = 0; i < sizeof defects / sizeof *defects; i++) {
        shelf_directory_write(&two, block);
        block[defects[i].at] = defects[i].to;
        assert_false(read_directory(block, sizeof block, &found, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, defects[i].why);
    }
}

static void a_name_is_there_once(void **state)
{
    struct shelf_directory twice = two, found;
    uint8_t                block[SHELF_DIRECTORY_LEN];
    struct err             err;

    (void) state;
    twice.rows[4] = twice.rows[30];
    shelf_directory_write(&twice, block);
    assert_false(read_directory(block, sizeof block, &found, &err));
    assert_string_equal(err.text, "shelf: two disks vol-data");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(rejects_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(each_defect_has_its_reason),
        cmocka_unit_test(a_name_is_there_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
