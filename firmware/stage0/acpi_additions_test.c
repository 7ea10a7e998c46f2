#include "firmware/stage0/acpi_additions.h"

#include "tests/harness/test.h"

/* Where the tables of the tests lie. */
enum { RSDP = 0, RSDT = 32, MADT = RSDT + 36 + 8, MADT_LEN = 44 + 8, FACP = MADT + MADT_LEN + 8, AREA_LEN = FACP + 244 };
#define AREA_GPA    0x7ff80000ULL
#define ROOM_GPA    0x7fff3000ULL
#define MAILBOX_GPA 0x7fff0000ULL
#define LOG_GPA     0x7ffe0000ULL

static void store(uint8_t *at, size_t width, uint64_t value)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t) (value >> (8 * i));
}

static uint64_t load(const uint8_t *at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = width; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

static void put_table(uint8_t *at, const char *name, uint32_t len)
{
    memcpy(at, name, 4);
    store(at + 4, 4, len);
}

/* An RSDT that names FACP and MADT; the MADT has one CPU. */
static void good_tables(uint8_t area[static AREA_LEN])
{
    memset(area, 0, AREA_LEN);
    memcpy(area + RSDP, "RSD PTR ", 8);
    store(area + RSDP + 16, 4, AREA_GPA + RSDT);
    put_table(area + RSDT, "RSDT", 36 + 8);
    store(area + RSDT + 36, 4, AREA_GPA + FACP);
    store(area + RSDT + 40, 4, AREA_GPA + MADT);
    put_table(area + MADT, "APIC", MADT_LEN);
    memcpy(area + MADT + 44, "\0\x08\0\0\1\0\0\0", 8);
    put_table(area + FACP, "FACP", 244);
}

/* `room` gets the new tables. */
static bool make(uint8_t *area, size_t area_len, uint8_t room[static ACPI_ADDITIONS_ROOM], struct err *err)
{
    struct acpi_additions a = { .area = area, .area_len = area_len, .area_gpa = AREA_GPA, .room = room,
                                .room_gpa = ROOM_GPA, .rsdp = AREA_GPA + RSDP, .mailbox = MAILBOX_GPA, .log = LOG_GPA,
                                .log_len = 65536 };

    return acpi_additions_make(&a, err);
}

static uint8_t sum(const uint8_t *at, size_t len)
{
    uint8_t s = 0;

    for (size_t i = 0; i < len; i++)
        s = (uint8_t) (s + at[i]);
    return s;
}

static const uint8_t *new_table(const uint8_t *room, uint64_t gpa, const char *name)
{
    const uint8_t *at = room + (gpa - ROOM_GPA);

    assert_true(gpa >= ROOM_GPA && gpa - ROOM_GPA < ACPI_ADDITIONS_ROOM - 36);
    assert_memory_equal(at, name, 4);
    assert_int_equal(sum(at, load(at + 4, 4)), 0);
    return at;
}

static void adds_a_mailbox_and_a_log(void **state)
{
    uint8_t             good[AREA_LEN];
    AUTO(heap) uint8_t *room = exact_copy((uint8_t[ACPI_ADDITIONS_ROOM]){ 0 }, ACPI_ADDITIONS_ROOM);
    AUTO(heap) uint8_t *area = NULL;
    const uint8_t      *rsdt, *madt, *ccel;
    struct err          err;

    (void) state;
    good_tables(good);
    area = exact_copy(good, sizeof good);
    assert_true(make(area, AREA_LEN, room, &err));
    assert_int_equal(sum(area + RSDP, 20), 0);
    rsdt = new_table(room, load(area + RSDP + 16, 4), "RSDT");
    assert_int_equal(load(rsdt + 4, 4), 36 + 12);
    assert_int_equal(load(rsdt + 36, 4), AREA_GPA + FACP);
    madt = new_table(room, load(rsdt + 40, 4), "APIC");
    assert_int_equal(load(madt + 4, 4), MADT_LEN + 16);
    assert_memory_equal(madt + 44, good + MADT + 44, 8);
    assert_memory_equal(madt + MADT_LEN, "\x10\x10\0\0\0\0\0\0", 8);
    assert_int_equal(load(madt + MADT_LEN + 8, 8), MAILBOX_GPA);
    ccel = new_table(room, load(rsdt + 44, 4), "CCEL");
    assert_int_equal(load(ccel + 4, 4), 56);
    assert_int_equal(load(ccel + 36, 4), 2);
    assert_int_equal(load(ccel + 40, 8), 65536);
    assert_int_equal(load(ccel + 48, 8), LOG_GPA);
}

/* The tables' last byte is the FACP's: any shorter area cuts off a table. */
static void rejects_every_truncation(void **state)
{
    uint8_t             good[AREA_LEN];
    AUTO(heap) uint8_t *room = exact_copy((uint8_t[ACPI_ADDITIONS_ROOM]){ 0 }, ACPI_ADDITIONS_ROOM);
    struct err          err;

    (void) state;
    good_tables(good);
    for (size_t len = 0; len < AREA_LEN; len++) {
        AUTO(heap) uint8_t *area = exact_copy(good, len);

        assert_false(make(area, len, room, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void rejects_one_defect_each_and_names_it(void **state)
{
    static const struct { size_t at; unsigned width; uint64_t value; enum err_kind kind; const char *text; } cases[] = {
        { RSDP, 1, 'r', ERR_MALFORMED, "ACPI tables: no RSDT" },
        { RSDT, 1, 'X', ERR_MALFORMED, "ACPI tables: no RSDT" },
        { RSDT + 4, 4, 36 + 7, ERR_MALFORMED, "ACPI tables: no RSDT" },
        { RSDT + 4, 4, 35, ERR_MALFORMED, "ACPI tables: a table of 35 bytes" },
        { RSDP + 16, 4, AREA_GPA - 1, ERR_MALFORMED, "ACPI tables: a table at 0x7ff7ffff lies elsewhere" },
        { RSDT + 36, 4, 0, ERR_MALFORMED, "ACPI tables: a table at 0 lies elsewhere" },
        { RSDT + 36, 4, ROOM_GPA, ERR_MALFORMED, "ACPI tables: a table at 0x7fff3000 lies elsewhere" },
        { RSDT + 36, 4, AREA_GPA + MADT, ERR_MALFORMED, "ACPI tables: two MADTs" },
        { MADT, 1, 'X', ERR_MALFORMED, "ACPI tables: no MADT" },
        { FACP, 4, 0x4c454343, ERR_UNTRUSTED, "ACPI tables: the host has a CCEL of its own" },
        { MADT + 44, 1, 0x10, ERR_UNTRUSTED, "ACPI tables: the host's MADT has a mailbox of its own" },
        { MADT + 45, 1, 1, ERR_MALFORMED, "ACPI tables: a MADT entry of 1 bytes" },
        { MADT + 45, 1, 9, ERR_MALFORMED, NULL }, /* the reader's own words */
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t             area[AREA_LEN];
        AUTO(heap) uint8_t *room = exact_copy((uint8_t[ACPI_ADDITIONS_ROOM]){ 0 }, ACPI_ADDITIONS_ROOM);
        struct err          err;

        good_tables(area);
        store(area + cases[i].at, cases[i].width, cases[i].value);
        assert_false(make(area, sizeof area, room, &err));
        if (cases[i].text)
            assert_string_equal(err.text, cases[i].text);
        assert_int_equal(err.kind, cases[i].kind);
    }
}

static void rejects_a_madt_that_does_not_fit_in_the_room(void **state)
{
    enum { LONG = ACPI_ADDITIONS_ROOM };
    AUTO(heap) uint8_t *room = exact_copy((uint8_t[ACPI_ADDITIONS_ROOM]){ 0 }, ACPI_ADDITIONS_ROOM);
    AUTO(heap) uint8_t *area = calloc(1, AREA_LEN + LONG);
    struct err          err;

    (void) state;
    assert_non_null(area);
    good_tables(area);
    store(area + RSDT + 40, 4, AREA_GPA + AREA_LEN);
    put_table(area + AREA_LEN, "APIC", LONG);
    for (size_t at = AREA_LEN + 44; at < AREA_LEN + LONG; at += 4)
        area[at + 1] = 4;
    assert_false(make(area, AREA_LEN + LONG, room, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_a_mailbox_and_a_log),
        cmocka_unit_test(rejects_every_truncation),
        cmocka_unit_test(rejects_one_defect_each_and_names_it),
        cmocka_unit_test(rejects_a_madt_that_does_not_fit_in_the_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
