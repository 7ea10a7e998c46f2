#include "firmware/stage0/directory.h"
#include "tests/harness/test.h"

static void put_file(struct writer *w, uint32_t len, uint16_t key, const char *name)
{
    uint8_t text[DIRECTORY_NAME_LEN] = { 0 };

    memcpy(text, name, strlen(name));
    put_u32be(w, len);
    put_u16be(w, key);
    put_u16be(w, 0);
    put(w, BYTES_OF(text));
}

static size_t good_entries(uint8_t entries[static 3 * DIRECTORY_ENTRY_LEN])
{
    struct writer w = writer_over(entries, 3 * DIRECTORY_ENTRY_LEN);

    put_file(&w, 20, 0x20, "etc/acpi/rsdp");
    put_file(&w, 40, 0x21, "etc/e820");
    put_file(&w, 60, 0x22, "etc/e820x");
    return w.len;
}

static void finds_a_file_by_its_whole_name(void **state)
{
    uint8_t               entries[3 * DIRECTORY_ENTRY_LEN];
    struct bytes          all = { entries, good_entries(entries) };
    struct directory_file file;
    bool                  present;
    struct err            err;

    (void) state;
    assert_true(directory_find(all, "etc/e820", &present, &file, &err));
    assert_true(present);
    assert_int_equal(file.len, 40);
    assert_int_equal(file.key, 0x21);
    assert_true(directory_find(all, "etc/e82", &present, &file, &err));
    assert_false(present);
}

static void rejects_every_truncation_inside_an_entry(void **state)
{
    uint8_t               entries[3 * DIRECTORY_ENTRY_LEN];
    size_t                len = good_entries(entries);
    struct directory_file file;
    bool                  present;
    struct err            err;

    (void) state;
    for (size_t cut = 0; cut < len; cut++) {
        AUTO(heap) uint8_t *exact = exact_copy(entries, cut);

        assert_int_equal(directory_find((struct bytes){ exact, cut }, "x", &present, &file, &err),
                         cut % DIRECTORY_ENTRY_LEN == 0);
    }
}

static void rejects_a_file_listed_twice_and_a_name_without_end(void **state)
{
    uint8_t               entries[3 * DIRECTORY_ENTRY_LEN];
    struct bytes          all = { entries, good_entries(entries) };
    struct directory_file file;
    bool                  present;
    struct err            err;

    (void) state;
    memcpy(entries + 2 * DIRECTORY_ENTRY_LEN, entries + DIRECTORY_ENTRY_LEN, DIRECTORY_ENTRY_LEN);
    assert_false(directory_find(all, "etc/e820", &present, &file, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_string_equal(err.text, "fw_cfg: etc/e820 is listed twice");

    good_entries(entries);
    memset(entries + 8, 'a', DIRECTORY_NAME_LEN);
    assert_false(directory_find(all, "etc/e820", &present, &file, &err));
    assert_string_equal(err.text, "fw_cfg: a file name without an end");
}

static void rejects_too_many_files(void **state)
{
    static uint8_t        entries[(DIRECTORY_FILES_MAX + 1) * DIRECTORY_ENTRY_LEN];
    struct directory_file file;
    bool                  present;
    struct err            err;

    (void) state;
    assert_false(directory_find(BYTES_OF(entries), "x", &present, &file, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_file_by_its_whole_name),
        cmocka_unit_test(rejects_every_truncation_inside_an_entry),
        cmocka_unit_test(rejects_a_file_listed_twice_and_a_name_without_end),
        cmocka_unit_test(rejects_too_many_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
