#include "tests/harness/test.h"

#include "attestation/evidence/snp_certificates.h"

static const struct snp_certificates whole = {
    .vcek = { (const uint8_t *) "vcek!", 5 }, .vlek = { (const uint8_t *) "vlek", 4 }, .ask = { (const uint8_t *) "ask", 3 },
    .ark = { (const uint8_t *) "ar", 2 },     .crl = { (const uint8_t *) "c", 1 },
};
static const uint8_t vcek_guid[16] = { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                                       0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd };

static void writes_and_reads_back_every_kind(void **state)
{
    AUTO(buffer) struct buffer table = { 0 };
    struct snp_certificates    back;
    struct err                 err;

    (void) state;
    snp_certificates_write(&whole, &table);
    assert_int_equal(table.len, 6 * 24 + 15);
    assert_true(snp_certificates_parse(buffer_bytes(&table), &back, &err));
    assert_true(bytes_equal(back.vcek, whole.vcek));
    assert_true(bytes_equal(back.vlek, whole.vlek));
    assert_true(bytes_equal(back.ask, whole.ask));
    assert_true(bytes_equal(back.ark, whole.ark));
    assert_true(bytes_equal(back.crl, whole.crl));
    assert_int_equal(back.asvk.len, 0);
}

static void nothing_sent_is_nothing_found(void **state)
{
    AUTO(buffer) struct buffer    table = { 0 };
    const struct snp_certificates none  = { 0 };
    struct snp_certificates       back  = whole;
    struct err                    err;

    (void) state;
    assert_true(snp_certificates_parse((struct bytes){ 0 }, &back, &err));
    assert_int_equal(back.vcek.len, 0);
    snp_certificates_write(&none, &table);
    assert_int_equal(table.len, 24);
    assert_true(snp_certificates_parse(buffer_bytes(&table), &back, &err));
    assert_int_equal(back.ask.len, 0);
}

static void refuses_every_truncation_and_leaves_out_alone(void **state)
{
    AUTO(buffer) struct buffer table = { 0 };
    struct err                 err;

    (void) state;
    snp_certificates_write(&whole, &table);
    for (size_t len = 1; len < table.len; len++) {
        AUTO(heap) uint8_t     *exact = exact_copy(table.at, len);
        struct snp_certificates out   = { .ark = { exact, 77 } };

        assert_false(snp_certificates_parse((struct bytes){ exact, len }, &out, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(out.ark.len, 77);
    }
}

/* One entry for a VCEK at `offset` of `len` bytes, a second GUID, a terminator, and 8 bytes behind. */
static bool parse_one(uint32_t offset, uint32_t len, const uint8_t *second, struct snp_certificates *out, struct err *err)
{
    static uint8_t table[80];
    struct writer  w = writer_over(table, sizeof table);

    memset(table, 0, sizeof table);
    put(&w, BYTES_OF(vcek_guid));
    put_u32le(&w, offset);
    put_u32le(&w, len);
    if (second) {
        put(&w, (struct bytes){ second, 16 });
        put_u32le(&w, 72);
        put_u32le(&w, 1);
    }
    return snp_certificates_parse(BYTES_OF(table), out, err);
}

static void refuses_an_entry_outside_the_table_or_in_its_header(void **state)
{
    static const struct { uint32_t offset, len; const char *text; } cases[] = {
        { 47, 1, "SNP certificate table: offset 0x2f lies in the header of 48 bytes" },
        { 0, 80, "SNP certificate table: offset 0 lies in the header of 48 bytes" },
        { 72, 9, "SNP certificate table: offset 0x48, length 0x9 in 80 bytes" },
        { 81, 1, "SNP certificate table: offset 0x51, length 0x1 in 80 bytes" },
        { 72, 0xfffffff0, "SNP certificate table: offset 0x48, length 0xfffffff0 in 80 bytes" },
        { 0xffffffff, 0xffffffff, "SNP certificate table: offset 0xffffffff, length 0xffffffff in 80 bytes" },
    };
    struct snp_certificates out;
    struct err              err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(parse_one(cases[i].offset, cases[i].len, NULL, &out, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, cases[i].text);
    }
    assert_true(parse_one(48, 32, NULL, &out, &err));
    assert_int_equal(out.vcek.len, 32);
}

static void a_zero_length_means_absent_wherever_it_points(void **state)
{
    struct snp_certificates out;
    struct err              err;

    (void) state;
    assert_true(parse_one(3, 0, NULL, &out, &err));
    assert_int_equal(out.vcek.len, 0);
}

static void refuses_a_repeated_guid_and_skips_an_unknown_one(void **state)
{
    static const uint8_t    unknown[16] = { 9 };
    struct snp_certificates out;
    struct err              err;

    (void) state;
    assert_false(parse_one(72, 1, vcek_guid, &out, &err));
    assert_string_equal(err.text, "SNP certificate table: entry 1 repeats the GUID of entry 0");
    assert_true(parse_one(73, 1, unknown, &out, &err));
    assert_int_equal(out.vcek.len, 1);
}

static void limits_hold(void **state)
{
    AUTO(heap) uint8_t     *big = calloc(1, SNP_TABLE_LEN_MAX + 1);
    struct snp_certificates out;
    struct err              err;

    (void) state;
    assert_non_null(big);
    assert_true(snp_certificates_parse((struct bytes){ big, SNP_TABLE_LEN_MAX }, &out, &err));
    assert_false(snp_certificates_parse((struct bytes){ big, SNP_TABLE_LEN_MAX + 1 }, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    for (uint8_t i = 0; i < SNP_TABLE_ENTRIES_MAX; i++)
        big[24 * i] = (uint8_t) (i + 1);
    assert_true(snp_certificates_parse((struct bytes){ big, SNP_TABLE_LEN_MAX }, &out, &err));
    big[24 * SNP_TABLE_ENTRIES_MAX] = 0xff;
    assert_false(snp_certificates_parse((struct bytes){ big, SNP_TABLE_LEN_MAX }, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "SNP certificate table: more than 32 entries");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads_back_every_kind),
        cmocka_unit_test(nothing_sent_is_nothing_found),
        cmocka_unit_test(refuses_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(refuses_an_entry_outside_the_table_or_in_its_header),
        cmocka_unit_test(a_zero_length_means_absent_wherever_it_points),
        cmocka_unit_test(refuses_a_repeated_guid_and_skips_an_unknown_one),
        cmocka_unit_test(limits_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
