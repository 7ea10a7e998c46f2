#include "firmware/image/tdvf.h"

#include "tests/harness/test.h"

/* The descriptor's GUID lies before `DESCRIPTOR`; the volume's content is the image's first page. */
enum { IMAGE_LEN = 8192, DESCRIPTOR = 4096 + 16, SECTION = DESCRIPTOR + 16, N = 3 };

static void store(uint8_t *at, size_t width, uint64_t value)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t) (value >> (8 * i));
}

static void put_section(struct writer *w, uint32_t raw, uint64_t gpa, uint64_t size, uint32_t type, uint32_t attributes)
{
    put_u32le(w, 0);
    put_u32le(w, raw);
    put_u64le(w, gpa);
    put_u64le(w, size);
    put_u32le(w, type);
    put_u32le(w, attributes);
}

static void build(uint8_t image[static IMAGE_LEN])
{
    static const uint8_t guid[] = { 0xf3, 0xf9, 0xea, 0xe9, 0x8e, 0x16, 0xd5, 0x44,
                                    0xa8, 0xeb, 0x7f, 0x4d, 0x87, 0x38, 0xf6, 0xae };
    struct writer        w      = writer_over(image + DESCRIPTOR - 16, IMAGE_LEN - DESCRIPTOR + 16);
    struct writer        t      = writer_over(image + IMAGE_LEN - FOOTER_GAP - 40, 40);

    memset(image, 0, IMAGE_LEN);
    put(&w, BYTES_OF(guid));
    put(&w, bytes_of_text("TDVF"));
    put_u32le(&w, 16 + 32 * N);
    put_u32le(&w, 1);
    put_u32le(&w, N);
    put_section(&w, 4096, 0xfffff000, 4096, TDVF_BFV, TDVF_MR_EXTEND);
    put_section(&w, 0, 0x809000, 0x2000, TDVF_TD_HOB, 0);
    put_section(&w, 0, 0x810000, 0x10000, TDVF_TEMP_MEM, 0);
    put_u32le(&t, IMAGE_LEN - DESCRIPTOR);
    put_u16le(&t, 22);
    put(&t, (struct bytes){ GUID_TDX_METADATA, GUID_LEN });
    put_u16le(&t, 40);
    put(&t, (struct bytes){ GUID_FOOTER, GUID_LEN });
    assert_false(w.failed || t.failed);
}

static void reads_sections_in_order(void **state)
{
    uint8_t     image[IMAGE_LEN];
    struct tdvf t;
    struct err  err;

    (void) state;
    build(image);
    assert_true(tdvf_read(BYTES_OF(image), &t, &err));
    assert_int_equal(t.n_sections, N);
    assert_int_equal(t.section[0].content.len, 4096);
    assert_ptr_equal(t.section[0].content.at, image);
    assert_ptr_equal(tdvf_find(&t, TDVF_TD_HOB), &t.section[1]);
    assert_null(tdvf_find(&t, TDVF_CFV));
}

static void rejects_one_defect_each_and_names_it(void **state)
{
    static const struct { size_t at, width; uint64_t value; enum err_kind kind; const char *text; } cases[] = {
        { DESCRIPTOR - 1, 1, 0, ERR_MALFORMED, "it does not begin with its GUID and \"TDVF\"" },
        { DESCRIPTOR, 1, 't', ERR_MALFORMED, "it does not begin with its GUID and \"TDVF\"" },
        { DESCRIPTOR + 4, 4, 80, ERR_MALFORMED, "80 bytes for 3 sections" },
        { DESCRIPTOR + 8, 4, 2, ERR_UNSUPPORTED, "version 2" },
        { DESCRIPTOR + 12, 4, 65, ERR_LIMIT, "65 sections, 2 to 64" },
        { DESCRIPTOR + 12, 4, 1, ERR_LIMIT, "1 sections, 2 to 64" },
        { SECTION, 4, 0x1001, ERR_MALFORMED, "section 0: 0x1000 bytes at 0x1001 in an image of 0x2000" },
        { SECTION + 4, 4, 0, ERR_MALFORMED, "section 0: a BFV without content" },
        { SECTION + 4, 4, 0x1001, ERR_MALFORMED, "section 0: 0x1001 bytes of content in 0x1000 of memory" },
        { SECTION + 8, 8, 0xfffff800, ERR_MALFORMED, "section 0: 0x1000 bytes at 0xfffff800 are not whole pages" },
        { SECTION + 16, 8, 0, ERR_MALFORMED, "section 0: 0 bytes at 0xfffff000 are not whole pages" },
        { SECTION + 16, 8, 0xfffffffffffff000, ERR_MALFORMED,
          "section 0: 0xfffffffffffff000 bytes at 0xfffff000 wrap around" },
        { SECTION + 24, 4, 9, ERR_UNSUPPORTED, "section 0: unknown type 9" },
        { SECTION + 28, 4, 4, ERR_UNSUPPORTED, "section 0: attributes 0x4" },
        { SECTION + 32 + 4, 4, 1, ERR_MALFORMED, "section 1: a TD_HOB with content" },
        { SECTION + 64 + 8, 8, 0x80a000, ERR_MALFORMED, "sections at 0x809000 and 0x80a000 overlap" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t     image[IMAGE_LEN];
        struct tdvf t = { .n_sections = 99 };
        struct err  err;
        char        text[256];

        build(image);
        store(image + cases[i].at, cases[i].width, cases[i].value);
        assert_false(tdvf_read(BYTES_OF(image), &t, &err));
        assert_int_equal(err.kind, cases[i].kind);
        (void) snprintf(text, sizeof text, "firmware image: TDVF metadata: %s", cases[i].text);
        assert_string_equal(err.text, text);
        assert_int_equal(t.n_sections, 99);
    }
}

/* The last bytes of the image are the descriptor's first: it is cut off by the end of the file. */
static void rejects_a_descriptor_cut_by_the_end_of_the_file(void **state)
{
    (void) state;
    for (uint32_t from_end = 1; from_end < 16; from_end++) {
        uint8_t     image[IMAGE_LEN];
        struct tdvf t;
        struct err  err;

        build(image);
        memcpy(image + IMAGE_LEN - from_end - 16, image + DESCRIPTOR - 16, 16 + from_end);
        store(image + IMAGE_LEN - FOOTER_GAP - 40, 4, from_end);
        assert_false(tdvf_read(BYTES_OF(image), &t, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void finds_td_shims_descriptor_without_a_table(void **state)
{
    uint8_t     image[IMAGE_LEN];
    struct tdvf t;
    struct err  err;

    (void) state;
    build(image);
    image[IMAGE_LEN - FOOTER_GAP - 1] ^= 1; /* no footer GUID any more */
    assert_false(tdvf_read(BYTES_OF(image), &t, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    store(image + IMAGE_LEN - FOOTER_GAP, 4, DESCRIPTOR);
    assert_true(tdvf_read(BYTES_OF(image), &t, &err));
    store(image + IMAGE_LEN - FOOTER_GAP, 4, IMAGE_LEN);
    assert_false(tdvf_read(BYTES_OF(image), &t, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sections_in_order),
        cmocka_unit_test(rejects_one_defect_each_and_names_it),
        cmocka_unit_test(rejects_a_descriptor_cut_by_the_end_of_the_file),
        cmocka_unit_test(finds_td_shims_descriptor_without_a_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
