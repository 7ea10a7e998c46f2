#include "firmware/measure/acpi_blobs.h"

#include "tests/harness/test.h"

enum { BLOB_LEN = 1024, DSDT = 0, FACP = 64, RSDT = 64 + 244, END = RSDT + 40 };

static void put_table(uint8_t *at, const char *name, uint32_t len)
{
    memcpy(at, name, 4);
    for (unsigned i = 0; i < 4; i++)
        at[4 + i] = (uint8_t) (len >> (8 * i));
}

static void good_blob(uint8_t blob[static BLOB_LEN])
{
    memset(blob, 0, BLOB_LEN);
    put_table(blob + DSDT, "DSDT", 64);
    put_table(blob + FACP, "FACP", 244);
    put_table(blob + RSDT, "RSDT", 40);
}

static bool derive(const uint8_t *blob, size_t len, struct err *err)
{
    AUTO(buffer) struct buffer loader = { 0 }, rsdp = { 0 };
    AUTO(heap) uint8_t        *exact  = exact_copy(blob, len);

    return acpi_blobs_derive((struct bytes){ exact, len }, &loader, &rsdp, err);
}

static void rejects_every_truncation_of_the_tables(void **state)
{
    uint8_t    blob[BLOB_LEN];
    struct err err;

    (void) state;
    good_blob(blob);
    for (size_t len = 0; len < END; len++) {
        assert_false(derive(blob, len, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
    assert_true(derive(blob, END, &err));
    assert_true(derive(blob, BLOB_LEN, &err));
}

static void rejects_one_defect_each_and_names_it(void **state)
{
    static const struct { size_t at; uint8_t value; const char *text; } cases[] = {
        { DSDT, 'd', "ACPI tables: not one each of DSDT, FACP and RSDT" },
        { RSDT, 'X', "ACPI tables: not one each of DSDT, FACP and RSDT" },
        { DSDT + 4, 35, "ACPI tables: table at 0: 35 bytes" },
        { DSDT + 4, 0, "ACPI tables: table at 0: 0 bytes" },
        { END + 8, 1, "ACPI tables: bytes behind the last table" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t    blob[BLOB_LEN];
        struct err err;

        good_blob(blob);
        blob[cases[i].at] = cases[i].value;
        assert_false(derive(blob, BLOB_LEN, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rejects_every_truncation_of_the_tables),
        cmocka_unit_test(rejects_one_defect_each_and_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
