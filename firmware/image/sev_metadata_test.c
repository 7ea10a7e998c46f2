#include "firmware/image/sev_metadata.h"
#include "tests/harness/test.h"

enum { IMAGE_LEN = 4096, DESCRIPTOR = 256 };

static const struct sev_section good_sections[] = {
    { 0x10000, 0x3000, SEV_SECTION_MEMORY },
    { 0x13000, 0x1000, SEV_SECTION_SECRETS },
    { 0x14000, 0x1000, SEV_SECTION_CPUID },
    { 0x15000, 0x1000, SEV_SECTION_KERNEL_HASHES },
};
enum { N_GOOD = sizeof good_sections / sizeof good_sections[0] };

static void put_entry(struct writer *w, const uint8_t guid[static GUID_LEN], uint32_t a, uint32_t b, uint16_t len)
{
    put_u32le(w, a);
    if (len > 22)
        put_u32le(w, b);
    put_u16le(w, len);
    put(w, (struct bytes){ guid, GUID_LEN });
}

static void build(uint8_t image[static IMAGE_LEN])
{
    uint8_t       table[128];
    struct writer t = writer_over(table, sizeof table);
    struct writer m = writer_over(image + DESCRIPTOR, IMAGE_LEN - DESCRIPTOR);

    memset(image, 0, IMAGE_LEN);
    put_entry(&t, GUID_SEV_METADATA, IMAGE_LEN - DESCRIPTOR, 0, 22);
    put_entry(&t, GUID_SEV_HASH_TABLE, 0x15c00, 0x400, 26);
    put_entry(&t, GUID_SEV_ES_RESET, 0xffffe004, 0, 22);
    put_u16le(&t, (uint16_t) (t.len + 18));
    put(&t, (struct bytes){ GUID_FOOTER, GUID_LEN });
    memcpy(image + IMAGE_LEN - FOOTER_GAP - t.len, table, t.len);

    put(&m, bytes_of_text("ASEV"));
    put_u32le(&m, 16 + 12 * N_GOOD);
    put_u32le(&m, 1);
    put_u32le(&m, N_GOOD);
    for (size_t i = 0; i < N_GOOD; i++) {
        put_u32le(&m, good_sections[i].gpa);
        put_u32le(&m, good_sections[i].size);
        put_u32le(&m, good_sections[i].type);
    }
    assert_false(t.failed || m.failed);
}

static void reads_sections_in_order(void **state)
{
    uint8_t             image[IMAGE_LEN];
    struct sev_metadata m;
    struct err          err;

    (void) state;
    build(image);
    assert_true(sev_metadata_read(BYTES_OF(image), &m, &err));
    assert_int_equal(m.n_sections, N_GOOD);
    for (size_t i = 0; i < N_GOOD; i++) {
        assert_int_equal(m.section[i].gpa, good_sections[i].gpa);
        assert_int_equal(m.section[i].size, good_sections[i].size);
        assert_int_equal(m.section[i].type, good_sections[i].type);
    }
    assert_int_equal(m.hashes_gpa, 0x15c00);
    assert_int_equal(m.reset_eip, 0xffffe004);
}

static void rejects_one_defect_each_and_names_it(void **state)
{
    static const struct { size_t at; uint32_t value; enum err_kind kind; const char *text; } cases[] = {
        { 0, 0x41414141, ERR_MALFORMED, "it does not begin with \"ASEV\"" },
        { 4, 0, ERR_MALFORMED, "0 bytes for 4 sections" },
        { 8, 2, ERR_UNSUPPORTED, "version 2" },
        { 12, 65, ERR_LIMIT, "65 sections, at most 64" },
        { 12, 0x20000000, ERR_LIMIT, "536870912 sections, at most 64" },
        { 16, 0x10001, ERR_MALFORMED, "section 0: 0x3000 bytes at 0x10001 are not whole pages" },
        { 20, 0x3001, ERR_MALFORMED, "section 0: 0x3001 bytes at 0x10000 are not whole pages" },
        { 20, 0, ERR_MALFORMED, "section 0: 0 bytes at 0x10000 are not whole pages" },
        { 20, 0xffff1000, ERR_MALFORMED, "section 0: 0xffff1000 bytes at 0x10000 reach over 4 GiB" },
        { 20, 0x4000, ERR_MALFORMED, "sections at 0x10000 and 0x13000 overlap" },
        { 24, 0x77, ERR_UNSUPPORTED, "section 0: unknown section type 0x77" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t             image[IMAGE_LEN];
        struct sev_metadata m = { .n_sections = 99 };
        struct err          err;
        char                text[256];

        build(image);
        memcpy(image + DESCRIPTOR + cases[i].at, &cases[i].value, 4);
        assert_false(sev_metadata_read(BYTES_OF(image), &m, &err));
        assert_int_equal(err.kind, cases[i].kind);
        (void) snprintf(text, sizeof text, "firmware image: SEV metadata: %s", cases[i].text);
        assert_string_equal(err.text, text);
        assert_int_equal(m.n_sections, 99);
    }
}

static void demands_the_reset_block_and_the_metadata(void **state)
{
    uint8_t             image[IMAGE_LEN];
    struct sev_metadata m;
    struct err          err;
    size_t              footer = IMAGE_LEN - FOOTER_GAP - 18;

    (void) state;
    build(image);
    image[footer - 1] ^= 1; /* the last byte of the reset block's GUID */
    assert_false(sev_metadata_read(BYTES_OF(image), &m, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "firmware image: no SEV-ES reset block: it is not built for SEV-SNP");

    build(image);
    image[footer - 22 - 26 - 1] ^= 1; /* of the SEV metadata's GUID */
    assert_false(sev_metadata_read(BYTES_OF(image), &m, &err));
    assert_string_equal(err.text, "firmware image: no SEV metadata: it is not built for SEV-SNP");
}

static void rejects_a_descriptor_cut_by_the_end_of_the_file(void **state)
{
    (void) state;
    for (uint32_t from_end = 1; from_end < 16 + 12; from_end++) {
        uint8_t             image[IMAGE_LEN];
        struct sev_metadata m;
        struct err          err;

        build(image);
        memmove(image + IMAGE_LEN - from_end, image + DESCRIPTOR, from_end);
        memcpy(image + IMAGE_LEN - FOOTER_GAP - 18 - 22 - 26 - 22, &from_end, 4);
        assert_false(sev_metadata_read(BYTES_OF(image), &m, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sections_in_order),
        cmocka_unit_test(rejects_one_defect_each_and_names_it),
        cmocka_unit_test(demands_the_reset_block_and_the_metadata),
        cmocka_unit_test(rejects_a_descriptor_cut_by_the_end_of_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
