#include "firmware/stage0/memory_map.h"
#include "tests/harness/test.h"

enum { ENTRY = 20 };

static void put_range(struct writer *w, uint64_t start, uint64_t len, uint32_t type)
{
    put_u64le(w, start);
    put_u64le(w, len);
    put_u32le(w, type);
}

static size_t good_table(uint8_t table[static 3 * ENTRY])
{
    struct writer w = writer_over(table, 3 * ENTRY);

    put_range(&w, 0x100000000, 0x40000000, 1); /* out of order, as QEMU may have them */
    put_range(&w, 0, 0x80000000, 1);
    put_range(&w, 0xfd00000000, 0x300000000, 2);
    return w.len;
}

static void sorts_what_it_reads(void **state)
{
    uint8_t           table[3 * ENTRY];
    struct memory_map map;
    struct err        err;

    (void) state;
    assert_true(memory_map_read((struct bytes){ table, good_table(table) }, &map, &err));
    assert_int_equal(map.n, 3);
    assert_int_equal(map.at[0].start, 0);
    assert_int_equal(map.at[1].start, 0x100000000);
    assert_int_equal(map.at[1].end, 0x140000000);
    assert_int_equal(map.at[2].type, MEMORY_RESERVED);
}

static void rejects_every_truncation(void **state)
{
    uint8_t    table[3 * ENTRY];
    size_t     len = good_table(table);
    struct err err;

    (void) state;
    for (size_t cut = 0; cut < len; cut++) {
        AUTO(heap) uint8_t *exact = exact_copy(table, cut);
        struct memory_map   map;

        assert_int_equal(memory_map_read((struct bytes){ exact, cut }, &map, &err), cut > 0 && cut % ENTRY == 0);
    }
}

static void rejects_one_defect_each_and_names_it(void **state)
{
    static const struct { uint64_t start, len; uint32_t type; enum err_kind kind; const char *text; } cases[] = {
        { 0x1000, 0, 1, ERR_MALFORMED, "e820: entry 3: 0 bytes at 0x1000" },
        { 0x8000000000000000, 0x8000000000000000, 2, ERR_MALFORMED,
          "e820: entry 3: 0x8000000000000000 bytes at 0x8000000000000000" },
        { 0xc0000800, 0x1000, 1, ERR_MALFORMED, "e820: entry 3: RAM at 0xc0000800 is not whole pages" },
        { 0xc0000000, 0x1001, 1, ERR_MALFORMED, "e820: entry 3: RAM at 0xc0000000 is not whole pages" },
        { MEMORY_TOP_MAX, 0x1000, 1, ERR_LIMIT, "e820: entry 3: RAM up to 0x7fc0001000" },
        { 0xc0000000, 0x1000, 3, ERR_UNSUPPORTED, "e820: entry 3: type 3 at 0xc0000000" },
        { 0x7ffff000, 0x2000, 1, ERR_MALFORMED, "e820: ranges overlap at 0x7ffff000" },
        { 0x7ffff000, 0x2000, 2, ERR_MALFORMED, "e820: ranges overlap at 0x7ffff000" },
        { 0, 0x1000, 1, ERR_MALFORMED, "e820: ranges overlap at 0" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t           table[4 * ENTRY];
        struct writer     w = writer_over(table, sizeof table);
        struct memory_map map;
        struct err        err;

        put_zeros(&w, good_table(table));
        (void) good_table(table);
        put_range(&w, cases[i].start, cases[i].len, cases[i].type);
        assert_false(memory_map_read(BYTES_OF(table), &map, &err));
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void rejects_too_many_ranges(void **state)
{
    uint8_t           table[(MEMORY_E820_MAX + 1) * ENTRY];
    struct writer     w = writer_over(table, sizeof table);
    struct memory_map map;
    struct err        err;

    (void) state;
    for (uint64_t i = 0; i <= MEMORY_E820_MAX; i++)
        put_range(&w, i * 0x2000, 0x1000, 1);
    assert_false(memory_map_read(BYTES_OF(table), &map, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* Every page of a small map, against the same change made on an array of pages. */
static void a_change_equals_the_change_page_by_page(void **state)
{
    enum { PAGES = 12 };
    static const enum memory_type start_types[PAGES] = { 1, 1, 1, 1, 0, 2, 2, 1, 1, 0, 1, 1 };

    (void) state;
    for (size_t from = 0; from < PAGES; from++)
        for (size_t to = from + 1; to <= PAGES; to++)
            for (unsigned type = MEMORY_HOLE; type <= MEMORY_ACPI; type++) {
                struct memory_map map = { .n = 5, .at = { { 0, 4, 1 }, { 5, 7, 2 }, { 7, 9, 1 }, { 10, 12, 1 } } };
                struct err        err;

                map.n = 4;
                assert_true(memory_map_set(&map, from, to, (enum memory_type) type, &err));
                for (size_t page = 0; page < PAGES; page++) {
                    enum memory_type want  = page >= from && page < to ? (enum memory_type) type : start_types[page];
                    enum memory_type found = MEMORY_HOLE;

                    for (size_t i = 0; i < map.n; i++)
                        if (page >= map.at[i].start && page < map.at[i].end)
                            found = map.at[i].type;
                    assert_int_equal(found, want);
                }
                for (size_t i = 1; i < map.n; i++)
                    assert_true(map.at[i - 1].end <= map.at[i].start);
            }
}

static void finds_the_highest_place_and_only_ram(void **state)
{
    struct memory_map map = { .n = 3, .at = { { 0, 0x80000000, MEMORY_RAM }, { 0xb0000000, 0xc0000000, MEMORY_RESERVED },
                                              { 0x100000000, 0x140000000, MEMORY_RAM } } };
    uint64_t          at = 0;
    struct err        err;

    (void) state;
    assert_true(memory_map_find(&map, 0x1001, 0x100000, 1ULL << 32, &at, &err));
    assert_int_equal(at, 0x7fffe000);
    assert_true(memory_map_find(&map, 0x1000, 0x100000, 0x7fffffff, &at, &err));
    assert_int_equal(at, 0x7fffe000);
    assert_false(memory_map_find(&map, 0x80000000, 0x100000, 1ULL << 32, &at, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(memory_map_is_ram(&map, 0x1000, 0x80000000));
    assert_false(memory_map_is_ram(&map, 0x1000, 0x80000001));
    assert_false(memory_map_is_ram(&map, 0xb0000000, 0xb0001000));
    assert_false(memory_map_is_ram(&map, 0x1000, 0x1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_what_it_reads),
        cmocka_unit_test(rejects_every_truncation),
        cmocka_unit_test(rejects_one_defect_each_and_names_it),
        cmocka_unit_test(rejects_too_many_ranges),
        cmocka_unit_test(a_change_equals_the_change_page_by_page),
        cmocka_unit_test(finds_the_highest_place_and_only_ram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
