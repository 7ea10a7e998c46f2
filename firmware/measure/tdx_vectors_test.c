/* MRTD and TD HOB of ../shared/vectors/tdx. */
#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "base/ossl.h"
#include "base/text.h"
#include "firmware/measure/acpi_blobs.h"
#include "firmware/measure/mrtd.h"
#include "firmware/measure/rtmr.h"
#include "tests/harness/test.h"

enum { SKIPPED = 77 };

static FALLIBLE vector_read(const char *name, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    if (name[0] == '/')
        return file_read(name, FIRMWARE_LEN_MAX, out, err);
    buffer_printf(&path, "%s/tdx/%s", getenv("CLOISTER_VECTORS"), name);
    return file_read(buffer_text(&path), FIRMWARE_LEN_MAX, out, err);
}

static void mrtd_is(const struct tdvf *tdvf, enum mrtd_order order, const char *wanted)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint8_t                    mrtd[MRTD_LEN];
    struct err                 err;

    assert_true(mrtd_measure(tdvf, order, mrtd, &err));
    hex_append(&hex, BYTES_OF(mrtd));
    assert_string_equal(buffer_text(&hex), wanted);
}

static void check_image(const char *name, struct json_object *expected)
{
    AUTO(buffer) struct buffer path = { 0 }, image = { 0 };
    const char                *one = NULL, *two = NULL;
    struct tdvf                tdvf;
    struct err                 err;

    buffer_printf(&path, "%s%s", name[0] == '/' ? "" : "mrtd/", name);
    if (!vector_read(buffer_text(&path), &image, &err)) {
        printf("not on this machine: %s\n", name);
        return;
    }
    if (json_has(expected, "expect")) {
        assert_false(tdvf_read(buffer_bytes(&image), &tdvf, &err));
        return;
    }
    if (!tdvf_read(buffer_bytes(&image), &tdvf, &err))
        fail_msg("%s: %s", name, err.text);
    assert_true(json_get_text(expected, "mrtd", &one, &err) && json_get_text(expected, "mrtd_two_pass", &two, &err));
    mrtd_is(&tdvf, MRTD_PAGE_BY_PAGE, one);
    mrtd_is(&tdvf, MRTD_REGION_BY_REGION, two);
}

static void mrtd_of_each_image_matches(void **state)
{
    AUTO(buffer) struct buffer     text  = { 0 };
    AUTO(json) struct json_object *whole = NULL;
    struct err                     err;

    (void) state;
    assert_true(vector_read("mrtd/expected.json", &text, &err));
    assert_true(json_read(buffer_bytes(&text), 1 << 20, &whole, &err));
    json_object_object_foreach(whole, name, expected)
    {
        if (json_has(expected, "mrtd") || json_has(expected, "expect"))
            check_image(name, expected);
    }
}

static const struct tdvf ovmf_2024 = {
    .section = { { .type = TDVF_TEMP_MEM, .gpa = 0x810000, .size = 0x10000 },
                 { .type = TDVF_TEMP_MEM, .gpa = 0x80b000, .size = 0x2000 },
                 { .type = TDVF_TD_HOB, .gpa = 0x809000, .size = 0x2000 },
                 { .type = TDVF_TEMP_MEM, .gpa = 0x800000, .size = 0x6000 } },
    .n_sections = 4 };

static void the_td_hob_is_the_one_that_hardware_measured(void **state)
{
    static const struct { const char *name; uint64_t memory; } cases[] = {
        { "tdhob/td_hob_2g.bin", 2ULL << 30 }, { "tdhob/td_hob_64g.bin", 64ULL << 30 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(buffer) struct buffer known = { 0 }, built = { 0 };
        struct err                 err;

        assert_true(vector_read(cases[i].name, &known, &err));
        assert_true(td_hob_build(&ovmf_2024, cases[i].memory, &built, &err));
        assert_true(bytes_equal(td_hob_measured(&built), buffer_bytes(&known)) ||
                    bytes_equal(buffer_bytes(&built), buffer_bytes(&known)));
    }
}

static void acpi_blobs_equal_the_captured_ones(void **state)
{
    static const char *const names[] = { "qemu72_q35_hpet_4g", "qemu72_q35_nohpet_2g" };

    (void) state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        AUTO(buffer) struct buffer tables = { 0 }, loader = { 0 }, rsdp = { 0 }, known_loader = { 0 };
        AUTO(buffer) struct buffer known_rsdp = { 0 }, path = { 0 };
        struct err                 err;

        buffer_printf(&path, "acpi/%s.tables.bin", names[i]);
        assert_true(vector_read(buffer_text(&path), &tables, &err));
        path.len = 0;
        buffer_printf(&path, "acpi/%s.loader.bin", names[i]);
        assert_true(vector_read(buffer_text(&path), &known_loader, &err));
        path.len = 0;
        buffer_printf(&path, "acpi/%s.rsdp.bin", names[i]);
        assert_true(vector_read(buffer_text(&path), &known_rsdp, &err));
        assert_true(acpi_blobs_derive(buffer_bytes(&tables), &loader, &rsdp, &err));
        assert_true(bytes_equal(buffer_bytes(&loader), buffer_bytes(&known_loader)));
        assert_true(bytes_equal(buffer_bytes(&rsdp), buffer_bytes(&known_rsdp)));
    }
}

/* Captured inside a TD; the digests are those of the derived blobs. */
static void acpi_blobs_of_a_running_td_match(void **state)
{
    AUTO(buffer) struct buffer tables = { 0 }, loader = { 0 }, rsdp = { 0 }, hex = { 0 };
    uint8_t                    digest[SHA384_LEN];
    struct err                 err;

    (void) state;
    assert_true(vector_read("acpi/tinfoil_runtime_capture_acpi_tables.bin", &tables, &err));
    assert_true(acpi_blobs_derive(buffer_bytes(&tables), &loader, &rsdp, &err));
    sha384_of(buffer_bytes(&loader), digest);
    hex_append(&hex, BYTES_OF(digest));
    assert_string_equal(buffer_text(&hex), "84db560c1236915fc523c9bc14355a124290f448db2f302740b06170548dc93d"
                                           "dbf16d0aac71276ae5be29e0761782c4");
    hex.len = 0;
    hex_append(&hex, buffer_bytes(&rsdp));
    assert_string_equal(buffer_text(&hex), "525344205054522000424f434853200091250000");
}

/* Our events against the log of a TD whose quote holds the same registers: all but those of the unknown ACPI blobs. */
static void events_are_those_of_a_td_that_hardware_quoted(void **state)
{
    AUTO(buffer) struct buffer tsv = { 0 }, tables = { 0 }, vars = { 0 };
    struct tdvf                tdvf = ovmf_2024;
    struct rtmr_log            log  = { .n = 0 };
    struct rtmr_options        o    = { .tdvf = &tdvf, .memory = 64ULL << 30, .append = "" };
    size_t                     n    = 0;
    struct err                 err;

    (void) state;
    if (!file_read("/usr/share/OVMF/OVMF_VARS_4M.fd", FIRMWARE_LEN_MAX, &vars, &err))
        skip(); /* the log's variable store is this file */
    tdvf.section[tdvf.n_sections++] = (struct tdvf_section){ .type = TDVF_CFV, .content = buffer_bytes(&vars) };
    assert_true(vector_read("eventlog/dstack_qemu912.events.tsv", &tsv, &err));
    assert_true(vector_read("acpi/qemu72_q35_hpet_4g.tables.bin", &tables, &err));
    o.acpi_tables = buffer_bytes(&tables);
    assert_false(rtmr_measure(&o, &log, &err)); /* there is no kernel: RTMR0 is complete before that is noticed */
    assert_int_equal(log.n, 13);
    for (size_t i = 0; i < log.n; i++) {
        AUTO(buffer) struct buffer hex = { 0 };

        hex_append(&hex, BYTES_OF(log.at[i].digest));
        n += strstr(buffer_text(&tsv), buffer_text(&hex)) != NULL;
    }
    assert_int_equal(n, log.n - 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mrtd_of_each_image_matches),
        cmocka_unit_test(the_td_hob_is_the_one_that_hardware_measured),
        cmocka_unit_test(acpi_blobs_equal_the_captured_ones),
        cmocka_unit_test(acpi_blobs_of_a_running_td_match),
        cmocka_unit_test(events_are_those_of_a_td_that_hardware_quoted),
    };
    AUTO(buffer) struct buffer probe = { 0 };
    struct err                 err;

    if (!getenv("CLOISTER_VECTORS") || !vector_read("mrtd/expected.json", &probe, &err)) {
        printf("skipped: no vectors in CLOISTER_VECTORS\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
