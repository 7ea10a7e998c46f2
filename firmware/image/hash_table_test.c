#include "firmware/image/hash_table.h"
#include "tests/harness/test.h"

static const struct kernel_hashes good = { .cmdline = { 1, 2 }, .initrd = { 3, 4 }, .kernel = { 5, 6 } };

static void reads_what_it_wrote(void **state)
{
    uint8_t              table[KERNEL_HASHES_LEN];
    struct kernel_hashes hashes;
    struct err           err;

    (void) state;
    hash_table_write(&good, table);
    assert_true(hash_table_read(BYTES_OF(table), &hashes, &err));
    assert_memory_equal(&hashes, &good, sizeof good);
}

static void rejects_every_truncation_and_leaves_out_alone(void **state)
{
    uint8_t              table[KERNEL_HASHES_LEN];
    struct kernel_hashes hashes = { .kernel = { 0x77 } };
    struct err           err;

    (void) state;
    hash_table_write(&good, table);
    for (size_t len = 0; len < sizeof table; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(table, len);

        assert_false(hash_table_read((struct bytes){ exact, len }, &hashes, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(hashes.kernel[0], 0x77);
    }
}

static void tells_an_unwritten_place_from_a_broken_table(void **state)
{
    static const uint8_t zeros[KERNEL_HASHES_LEN];
    struct kernel_hashes hashes;
    struct err           err;

    (void) state;
    assert_false(hash_table_read(BYTES_OF(zeros), &hashes, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "hash table: nobody wrote one");
}

/* The table is 18 bytes of head, then per entry 16 of GUID, 2 of length, 32 of digest. */
static void rejects_one_defect_each_and_names_it(void **state)
{
    static const struct { size_t at; uint8_t value; const char *text; } cases[] = {
        { 0, 0, "hash table: it does not begin with its GUID" },
        { 16, 118, "hash table: 118 bytes, not 168" },
        { 18, 0, "hash table: command line: not this entry at its place" },
        { 34, 49, "hash table: command line: an entry of 49 bytes" },
        { 68, 0, "hash table: initrd: not this entry at its place" },
        { 118, 0, "hash table: kernel: not this entry at its place" },
        { 168, 1, "hash table: bytes behind its end" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t              table[KERNEL_HASHES_LEN];
        struct kernel_hashes hashes;
        struct err           err;

        hash_table_write(&good, table);
        table[cases[i].at] = cases[i].value;
        assert_false(hash_table_read(BYTES_OF(table), &hashes, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void rejects_an_entry_twice_and_a_zero_digest(void **state)
{
    uint8_t              table[KERNEL_HASHES_LEN];
    struct kernel_hashes hashes;
    struct err           err;

    (void) state;
    for (size_t from = 0; from < 3; from++)
        for (size_t to = 0; to < 3; to++) {
            hash_table_write(&good, table);
            memmove(table + 18 + 50 * to, table + 18 + 50 * from, 50);
            assert_int_equal(hash_table_read(BYTES_OF(table), &hashes, &err), from == to);
        }
    for (size_t which = 0; which < 3; which++) {
        hash_table_write(&good, table);
        memset(table + 18 + 50 * which + 18, 0, 32);
        assert_false(hash_table_read(BYTES_OF(table), &hashes, &err));
        assert_non_null(strstr(err.text, "a digest of zeros"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_wrote),
        cmocka_unit_test(rejects_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(tells_an_unwritten_place_from_a_broken_table),
        cmocka_unit_test(rejects_one_defect_each_and_names_it),
        cmocka_unit_test(rejects_an_entry_twice_and_a_zero_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
