#include "firmware/stage0/efi_tables.h"

#include "tests/harness/test.h"

enum { UNIT = EFI_UNIT };
#define GPA 0x7fff0000ULL

static uint64_t load(const uint8_t *at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = width; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

static bool make(const struct memory_map *map, const struct memory_map *pending, uint8_t **room, struct linux_efi *efi,
                 struct err *err)
{
    *room = malloc(EFI_TABLES_ROOM); /* with whatever is there */
    assert_non_null(*room);
    return efi_tables_write(*room, GPA, map, pending, efi, err);
}

/* As Linux looks: system table, configuration table, list. */
static const uint8_t *find_list(const uint8_t *room, const struct linux_efi *efi)
{
    const uint8_t *table = room + (efi->system_table - GPA), *entry = room + (load(table + 112, 8) - GPA);

    assert_memory_equal(table, "IBI SYST", 8);
    assert_int_equal(load(table + 88, 8), 0); /* runtime services */
    assert_int_equal(load(table + 96, 8), 0); /* boot services */
    assert_int_equal(load(table + 104, 8), 1);
    assert_memory_equal(entry, "\x3c\xde\xd1\xd5\x5c\x10\xf9\x44\x9e\xa9\xbc\xef\x98\x12\x00\x31", 16);
    return room + (load(entry + 16, 8) - GPA);
}

static void linux_finds_the_pending_units(void **state)
{
    struct memory_map   map     = { .n = 3, .at = { { 0, 10 * UNIT, MEMORY_RAM }, { 10 * UNIT, 11 * UNIT, MEMORY_ACPI },
                                                    { 1ULL << 32, (1ULL << 32) + 100 * UNIT, MEMORY_RAM } } };
    struct memory_map   pending = { .n = 2, .at = { { 3 * UNIT, 5 * UNIT, MEMORY_RAM },
                                                    { 1ULL << 32, (1ULL << 32) + 100 * UNIT, MEMORY_RAM } } };
    AUTO(heap) uint8_t *room    = NULL;
    const uint8_t      *list;
    struct linux_efi    efi;
    struct err          err;

    (void) state;
    assert_true(make(&map, &pending, &room, &efi, &err));
    list = find_list(room, &efi);
    assert_int_equal(load(list, 4), 1);
    assert_int_equal(load(list + 4, 4), UNIT);
    assert_int_equal(load(list + 8, 8), 0);
    assert_int_equal(load(list + 16, 8), 272); /* (2048 + 100 units) in words of 64 */
    for (unsigned unit = 0; unit < 272 * 8; unit++)
        assert_int_equal(list[24 + unit / 8] >> unit % 8 & 1, (unit >= 3 && unit < 5) || (unit >= 2048 && unit < 2148));
}

static void the_memory_map_is_that_of_the_machine(void **state)
{
    static const struct { uint32_t type; uint64_t start, pages; } wanted[] = {
        { 15, 3ULL * UNIT, 1024 }, { 7, 0, 3 * 512 }, { 7, 5ULL * UNIT, 5 * 512 }, { 9, 10ULL * UNIT, 512 } };
    struct memory_map   map     = { .n = 3, .at = { { 0, 10 * UNIT, MEMORY_RAM }, { 10 * UNIT, 11 * UNIT, MEMORY_ACPI },
                                                    { 12 * UNIT, 12 * UNIT + 1, MEMORY_RESERVED } } };
    struct memory_map   pending = { .n = 1, .at = { { 3 * UNIT, 5 * UNIT, MEMORY_RAM } } };
    AUTO(heap) uint8_t *room    = NULL;
    struct linux_efi    efi;
    struct err          err;

    (void) state;
    assert_true(make(&map, &pending, &room, &efi, &err));
    assert_int_equal(efi.descriptor_len, 40);
    assert_int_equal(efi.map_len, sizeof wanted / sizeof wanted[0] * 40);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const uint8_t *d = room + (efi.map - GPA) + 40 * i;

        assert_int_equal(load(d, 4), wanted[i].type);
        assert_int_equal(load(d + 8, 8), wanted[i].start);
        assert_int_equal(load(d + 24, 8), wanted[i].pages);
    }
}

/* The most that memory_map_read() lets through, and all of it pending. */
static void all_memory_fits(void **state)
{
    struct memory_map   map     = { .n = 1, .at = { { 0, MEMORY_TOP_MAX, MEMORY_RAM } } };
    AUTO(heap) uint8_t *room    = NULL;
    const uint8_t      *list;
    struct linux_efi    efi;
    struct err          err;

    (void) state;
    assert_true(make(&map, &map, &room, &efi, &err));
    list = find_list(room, &efi);
    assert_int_equal(load(list + 16, 8), MEMORY_TOP_MAX / UNIT / 8);
    assert_true(list + 24 + load(list + 16, 8) <= room + EFI_TABLES_ROOM);
}

static void parts_of_units_and_too_much_memory_are_a_bug(void **state)
{
    static const struct memory_range bad[] = { { UNIT + 4096, 2 * UNIT, MEMORY_RAM }, { UNIT, 2 * UNIT - 4096, MEMORY_RAM },
                                               { 0, MEMORY_TOP_MAX + UNIT, MEMORY_RAM } };

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct memory_map   map  = { .n = 1, .at = { bad[i] } };
        AUTO(heap) uint8_t *room = NULL;
        struct linux_efi    efi;
        struct err          err;

        assert_false(make(&map, &map, &room, &efi, &err));
        assert_int_equal(err.kind, ERR_BUG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_finds_the_pending_units),
        cmocka_unit_test(the_memory_map_is_that_of_the_machine),
        cmocka_unit_test(all_memory_fits),
        cmocka_unit_test(parts_of_units_and_too_much_memory_are_a_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
