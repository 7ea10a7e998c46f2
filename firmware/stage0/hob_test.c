#include "firmware/stage0/hob.h"

#include "tests/harness/test.h"

enum { PHIT = 56, RESOURCE = 48, END = 8, ROOM = PHIT + (MEMORY_E820_MAX + 2) * RESOURCE + END };

static void put_head(struct writer *w, uint16_t type, uint16_t len)
{
    put_u16le(w, type);
    put_u16le(w, len);
    put_zeros(w, 4);
}

static void put_range(struct writer *w, uint64_t start, uint64_t len, uint32_t kind)
{
    put_head(w, 3, RESOURCE);
    put_zeros(w, 16);
    put_u32le(w, kind);
    put_u32le(w, 7);
    put_u64le(w, start);
    put_u64le(w, len);
}

static void put_start(struct writer *w)
{
    put_head(w, 1, PHIT);
    put_zeros(w, PHIT - 8);
}

/* As QEMU makes it: parts of one RAM, some of them added at launch, and RAM above 4 GiB. */
static size_t good_list(uint8_t list[static ROOM])
{
    struct writer w = writer_over(list, ROOM);

    put_start(&w);
    put_range(&w, 0, 0x10000, 7);
    put_range(&w, 0x10000, 0x4000, 0);
    put_range(&w, 0x14000, 0x7ffec000, 7);
    put_range(&w, 0x100000000, 0x40000000, 7);
    put_head(&w, 0xffff, END);
    return w.len;
}

static void joins_what_touches_and_leaves_the_end_out_of_the_measurement(void **state)
{
    uint8_t           list[ROOM];
    size_t            len = good_list(list);
    struct memory_map map;
    struct bytes      measured;
    struct err        err;

    (void) state;
    assert_true(hob_read((struct bytes){ list, len }, &map, &measured, &err));
    assert_int_equal(map.n, 2);
    assert_int_equal(map.at[0].start, 0);
    assert_int_equal(map.at[0].end, 0x80000000);
    assert_int_equal(map.at[0].type, MEMORY_RAM);
    assert_int_equal(map.at[1].start, 0x100000000);
    assert_int_equal(map.at[1].end, 0x140000000);
    assert_ptr_equal(measured.at, list);
    assert_int_equal(measured.len, len - END);
}

static void rejects_every_truncation(void **state)
{
    uint8_t    list[ROOM];
    size_t     len = good_list(list);
    struct err err;

    (void) state;
    for (size_t cut = 0; cut < len; cut++) {
        AUTO(heap) uint8_t *exact = exact_copy(list, cut);
        struct memory_map   map;
        struct bytes        measured;

        assert_false(hob_read((struct bytes){ exact, cut }, &map, &measured, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void rejects_one_defect_each_and_names_it(void **state)
{
    static const struct { size_t at; unsigned width; uint64_t value; enum err_kind kind; const char *text; } cases[] = {
        { 0, 2, 3, ERR_MALFORMED, "TD HOB: it starts with type 3, 56 bytes" },
        { 2, 2, 64, ERR_MALFORMED, "TD HOB: it starts with type 1, 64 bytes" },
        { PHIT, 2, 2, ERR_UNSUPPORTED, "TD HOB: type 2, 48 bytes" },
        { PHIT + 2, 2, 8, ERR_UNSUPPORTED, "TD HOB: type 3, 8 bytes" },
        { PHIT + 24, 4, 1, ERR_UNSUPPORTED, "TD HOB: a resource of type 1" },
        { PHIT + 32, 8, 0x800, ERR_MALFORMED, "TD HOB: 0x10000 bytes at 0x800" },
        { PHIT + 40, 8, 0, ERR_MALFORMED, "TD HOB: 0 bytes at 0" },
        { PHIT + 40, 8, 0x10001, ERR_MALFORMED, "TD HOB: 0x10001 bytes at 0" },
        { PHIT + 40, 8, 0x11000, ERR_MALFORMED, "TD HOB: memory at 0x10000 comes late or twice" },
        { PHIT + 3 * RESOURCE + 32, 8, 0x7fff0000, ERR_MALFORMED, "TD HOB: memory at 0x7fff0000 comes late or twice" },
        { PHIT + 3 * RESOURCE + 40, 8, UINT64_MAX - 0xfff, ERR_MALFORMED,
          "TD HOB: 0xfffffffffffff000 bytes at 0x100000000" },
        { PHIT + 3 * RESOURCE + 40, 8, MEMORY_TOP_MAX, ERR_LIMIT, "TD HOB: RAM up to 0x80c0000000" },
        { PHIT + 4 * RESOURCE + 2, 2, 16, ERR_UNSUPPORTED, "TD HOB: type 65535, 16 bytes" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t           list[ROOM];
        size_t            len = good_list(list);
        struct memory_map map;
        struct bytes      measured;
        struct err        err;

        for (unsigned j = 0; j < cases[i].width; j++)
            list[cases[i].at + j] = (uint8_t) (cases[i].value >> (8 * j));
        assert_false(hob_read((struct bytes){ list, len }, &map, &measured, &err));
        assert_string_equal(err.text, cases[i].text);
        assert_int_equal(err.kind, cases[i].kind);
    }
}

static void rejects_too_many_ranges(void **state)
{
    uint8_t           list[ROOM];
    struct writer     w = writer_over(list, sizeof list);
    struct memory_map map;
    struct bytes      measured;
    struct err        err;

    (void) state;
    put_start(&w);
    for (uint64_t i = 0; i <= MEMORY_E820_MAX; i++)
        put_range(&w, i * 0x2000, 0x1000, 7);
    put_head(&w, 0xffff, END);
    assert_false(hob_read(writer_bytes(&w), &map, &measured, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_what_touches_and_leaves_the_end_out_of_the_measurement),
        cmocka_unit_test(rejects_every_truncation),
        cmocka_unit_test(rejects_one_defect_each_and_names_it),
        cmocka_unit_test(rejects_too_many_ranges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
