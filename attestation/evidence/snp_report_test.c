#include "tests/harness/test.h"

#include "attestation/evidence/snp_report.h"
#include "tests/harness/vectors.h"

static bool parse_copy(struct bytes from, enum snp_report_defect *defect, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from.at, from.len);
    struct snp_report   r;

    return snp_report_parse((struct bytes){ exact, from.len }, &r, defect, err);
}

static void reads_every_field_of_a_genuine_version_5_report(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("amd-snp/reports/siena-v5-lunal.bin");
    const struct snp_tcb       tcb  = { .bootloader = 10, .tee = 0, .snp = 27, .microcode = 27 };
    struct snp_report          r;
    struct err                 err;

    (void) state;
    assert_true(snp_report_parse(buffer_bytes(&file), &r, NULL, &err));
    assert_int_equal(r.version, 5);
    assert_int_equal(r.policy, 0x30000);
    assert_int_equal(r.platform_info, 0x25);
    assert_int_equal(r.product, SNP_GENOA); /* Siena's keys are Genoa's */
    assert_int_equal(r.signing_key, SNP_SIGNED_BY_VCEK);
    assert_true(snp_tcb_equal(&r.reported_tcb, &tcb));
    assert_true(snp_tcb_equal(&r.current_tcb, &tcb));
    assert_true(snp_tcb_equal(&r.committed_tcb, &tcb));
    assert_true(snp_tcb_equal(&r.launch_tcb, &tcb));
    assert_int_equal(r.current_firmware.major, 1);
    assert_int_equal(r.current_firmware.minor, 55);
    assert_int_equal(r.current_firmware.build, 49);
    assert_int_equal(r.committed_firmware.build, 49);
    assert_true(r.has_mitigations);
    assert_int_equal(r.launch_mitigations, 0x0b);
    assert_int_equal(r.current_mitigations, 0x0b);
    assert_memory_equal(r.report_data.at, "hello-attestation", 17);
    assert_int_equal(r.measurement.at[0], 0xd9);
    assert_int_equal(r.chip_id.at[63], 0xce);
    assert_int_equal(r.cpuid_stepping, 2);
    assert_int_equal(r.signed_part.len, 672);
    assert_ptr_equal(r.signature_r.at, file.at + 0x2a0);
    assert_ptr_equal(r.signature_s.at, file.at + 0x2e8);
}

static void reads_a_vlek_report_and_one_without_cpuid(void **state)
{
    AUTO(buffer) struct buffer vlek = own_vector("amd-snp/reports/milan-v3-vlek-aws-trustee.bin");
    AUTO(buffer) struct buffer v2   = own_vector("amd-snp/reports/milan-v2-baremetal-virtee.bin");
    struct snp_report          r;
    struct err                 err;

    (void) state;
    assert_true(snp_report_parse(buffer_bytes(&vlek), &r, NULL, &err));
    assert_int_equal(r.signing_key, SNP_SIGNED_BY_VLEK);
    assert_int_equal(r.vmpl, 1);
    assert_int_equal(r.product, SNP_MILAN);
    assert_true(bytes_are_zero(r.chip_id));
    assert_int_equal(r.current_tcb.microcode, 0xdc);
    assert_int_equal(r.committed_tcb.microcode, 0xdb);
    assert_int_equal(r.reported_tcb.microcode, 0xd9);
    assert_false(r.has_mitigations);
    assert_true(snp_report_parse(buffer_bytes(&v2), &r, NULL, &err));
    assert_false(r.has_cpuid);
    assert_int_equal(r.product, SNP_PRODUCT_UNKNOWN);
}

static void reads_turins_tcb_in_its_own_layout(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("amd-snp/synthetic/rep-good-turin.bin");
    struct snp_report          r;
    struct err                 err;

    (void) state;
    assert_true(snp_report_parse(buffer_bytes(&file), &r, NULL, &err));
    assert_int_equal(r.product, SNP_TURIN);
    assert_true(r.is_turin_layout);
    assert_int_equal(r.reported_tcb.fmc, 1);
    assert_int_equal(r.reported_tcb.bootloader, 1);
    assert_int_equal(r.reported_tcb.snp, 4);
    assert_int_equal(r.reported_tcb.microcode, 0x52);
}

static void refuses_every_other_length_and_leaves_out_alone(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("amd-snp/reports/milan-v3-oak-cb.bin");
    struct err                 err;
    enum snp_report_defect     defect = N_SNP_REPORT_DEFECTS;

    (void) state;
    for (size_t len = 0; len < SNP_REPORT_LEN; len++) {
        struct snp_report   r     = { .version = 77 };
        AUTO(heap) uint8_t *exact = exact_copy(file.at, len);

        assert_false(snp_report_parse((struct bytes){ exact, len }, &r, &defect, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(defect, DEFECT_SNP_LENGTH);
        assert_int_equal(r.version, 77);
    }
    assert_true(parse_copy(buffer_bytes(&file), NULL, &err));
    buffer_append_text(&file, "x");
    assert_false(parse_copy(buffer_bytes(&file), &defect, &err));
    assert_string_equal(err.text, "SNP report: 1185 bytes, wanted 1184");
}

struct defect_case {
    const char            *file; /* NULL: milan-v3-oak-cb */
    size_t                 at;
    uint8_t                value;
    enum snp_report_defect defect;
    const char            *text;
};

static const struct defect_case defect_cases[] = {
    { NULL, 0x000, 0x00, DEFECT_SNP_VERSION, "SNP report: version 0, wanted 2 to 5" },
    { NULL, 0x000, 0x01, DEFECT_SNP_VERSION, "SNP report: version 1, wanted 2 to 5" },
    { NULL, 0x000, 0x06, DEFECT_SNP_VERSION, "SNP report: version 6, wanted 2 to 5" },
    { NULL, 0x003, 0x80, DEFECT_SNP_VERSION, "SNP report: version 2147483651, wanted 2 to 5" },
    { NULL, 0x034, 0x00, DEFECT_SNP_ALGORITHM, "SNP report: SIGNATURE_ALGO is 0, wanted 1" },
    { NULL, 0x034, 0x02, DEFECT_SNP_ALGORITHM, "SNP report: SIGNATURE_ALGO is 2, wanted 1" },
    { NULL, 0x00a, 0x01, DEFECT_SNP_POLICY_BITS, "SNP report: POLICY is 0x10000, wanted bit 17 and none above 25" },
    { NULL, 0x00b, 0x04, DEFECT_SNP_POLICY_BITS, "SNP report: POLICY is 0x4030000, wanted bit 17 and none above 25" },
    { NULL, 0x00f, 0x80, DEFECT_SNP_POLICY_BITS,
      "SNP report: POLICY is 0x8000000000030000, wanted bit 17 and none above 25" },
    { NULL, 0x048, 0x20, DEFECT_SNP_KEY_BITS, "SNP report: KEY_INFO is 0x20" },
    { NULL, 0x048, 0x08, DEFECT_SNP_KEY_BITS, "SNP report: KEY_INFO is 0x8" },
    { NULL, 0x048, 0x18, DEFECT_SNP_KEY_BITS, "SNP report: KEY_INFO is 0x18" },
    { NULL, 0x030, 0x04, DEFECT_SNP_VMPL_RANGE, "SNP report: VMPL is 0x4" },
    { NULL, 0x04c, 0x01, DEFECT_SNP_RESERVED, "SNP report: reserved bytes at 0x4c are not zero" },
    { NULL, 0x19f, 0x01, DEFECT_SNP_RESERVED, "SNP report: reserved bytes at 0x18b are not zero" },
    { NULL, 0x1eb, 0x01, DEFECT_SNP_RESERVED, "SNP report: reserved bytes at 0x1eb are not zero" },
    { NULL, 0x1ef, 0x01, DEFECT_SNP_RESERVED, "SNP report: reserved bytes at 0x1ef are not zero" },
    { NULL, 0x208, 0x01, DEFECT_SNP_RESERVED, "SNP report: reserved bytes at 0x208 are not zero" },
    { NULL, 0x29f, 0x80, DEFECT_SNP_RESERVED, "SNP report: reserved bytes at 0x208 are not zero" },
    { NULL, 0x1f8, 0x01, DEFECT_SNP_RESERVED, "SNP report: version 3 has mitigation bits at 0x1f8" },
    { NULL, 0x207, 0x01, DEFECT_SNP_RESERVED, "SNP report: version 3 has mitigation bits at 0x1f8" },
    { "amd-snp/reports/milan-v2-baremetal-virtee.bin", 0x188, 0x19, DEFECT_SNP_RESERVED,
      "SNP report: version 2 has CPUID bytes at 0x188" },
    { "amd-snp/reports/milan-v2-baremetal-virtee.bin", 0x189, 0x01, DEFECT_SNP_RESERVED,
      "SNP report: version 2 has CPUID bytes at 0x188" },
    { "amd-snp/reports/milan-v2-baremetal-virtee.bin", 0x18a, 0x01, DEFECT_SNP_RESERVED,
      "SNP report: version 2 has CPUID bytes at 0x188" },
    { NULL, 0x330, 0x01, DEFECT_SNP_SIGNATURE_TAIL, "SNP report: bytes at 0x330, behind the signature, are not zero" },
    { NULL, 0x49f, 0x01, DEFECT_SNP_SIGNATURE_TAIL, "SNP report: bytes at 0x330, behind the signature, are not zero" },
    { NULL, 0x03a, 0x01, DEFECT_SNP_TCB_RESERVED, "SNP report: CURRENT_TCB has a reserved byte set" },
    { NULL, 0x183, 0x01, DEFECT_SNP_TCB_RESERVED, "SNP report: REPORTED_TCB has a reserved byte set" },
    { NULL, 0x1e4, 0x01, DEFECT_SNP_TCB_RESERVED, "SNP report: COMMITTED_TCB has a reserved byte set" },
    { NULL, 0x1f5, 0x01, DEFECT_SNP_TCB_RESERVED, "SNP report: LAUNCH_TCB has a reserved byte set" },
    { "amd-snp/synthetic/rep-good-turin.bin", 0x184, 0x01, DEFECT_SNP_TCB_RESERVED,
      "SNP report: REPORTED_TCB has a reserved byte set" },
    { "amd-snp/synthetic/rep-good-turin.bin", 0x185, 0x01, DEFECT_SNP_TCB_RESERVED,
      "SNP report: REPORTED_TCB has a reserved byte set" },
    { "amd-snp/synthetic/rep-good-turin.bin", 0x186, 0x01, DEFECT_SNP_TCB_RESERVED,
      "SNP report: REPORTED_TCB has a reserved byte set" },
    { "amd-snp/synthetic/rep-good-turin.bin", 0x1a8, 0x01, DEFECT_SNP_CHIP_ID_TAIL,
      "SNP report: Turin's CHIP_ID has bytes set after the first 8" },
};

static void refuses_each_defect_by_its_name(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof defect_cases / sizeof *defect_cases; i++) {
        const struct defect_case  *c    = &defect_cases[i];
        AUTO(buffer) struct buffer file = own_vector(c->file ? c->file : "amd-snp/reports/milan-v3-oak-cb.bin");
        enum snp_report_defect     defect = N_SNP_REPORT_DEFECTS;
        struct err                 err;

        assert_int_not_equal(file.at[c->at], c->value);
        file.at[c->at] = c->value;
        assert_false(parse_copy(buffer_bytes(&file), &defect, &err));
        assert_string_equal(err.text, c->text);
        assert_int_equal(defect, c->defect);
        assert_int_equal(err.kind, c->defect == DEFECT_SNP_VERSION ? ERR_UNSUPPORTED : ERR_MALFORMED);
    }
}

static void tells_products_by_cpuid_at_each_border(void **state)
{
    static const struct {
        uint8_t          family, model;
        enum snp_product product;
    } cases[] = {
        { 0x19, 0x00, SNP_MILAN }, { 0x19, 0x0f, SNP_MILAN }, { 0x19, 0x10, SNP_GENOA }, { 0x19, 0x1f, SNP_GENOA },
        { 0x19, 0xa0, SNP_GENOA }, { 0x19, 0xaf, SNP_GENOA }, { 0x19, 0x20, SNP_PRODUCT_UNKNOWN },
        { 0x19, 0x9f, SNP_PRODUCT_UNKNOWN }, { 0x19, 0xb0, SNP_PRODUCT_UNKNOWN }, { 0x1a, 0x50, SNP_PRODUCT_UNKNOWN },
        { 0x1a, 0x12, SNP_PRODUCT_UNKNOWN }, { 0x18, 0x01, SNP_PRODUCT_UNKNOWN }, { 0x1f, 0x01, SNP_PRODUCT_UNKNOWN },
    };
    AUTO(buffer) struct buffer file  = own_vector("amd-snp/reports/milan-v3-oak-cb.bin");
    AUTO(buffer) struct buffer turin = own_vector("amd-snp/synthetic/rep-good-turin.bin");
    struct snp_report          r;
    struct err                 err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file.at[0x188] = cases[i].family;
        file.at[0x189] = cases[i].model;
        assert_true(snp_report_parse(buffer_bytes(&file), &r, NULL, &err));
        assert_int_equal(r.product, cases[i].product);
    }
    for (unsigned model = 0; model <= 0x11; model++) {
        turin.at[0x189] = (uint8_t) model;
        assert_true(snp_report_parse(buffer_bytes(&turin), &r, NULL, &err));
        assert_int_equal(r.product, SNP_TURIN);
    }
}

static void tells_turin_without_cpuid_by_its_short_chip_id(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("amd-snp/reports/milan-v2-baremetal-virtee.bin");
    struct snp_report          r;
    struct err                 err;

    (void) state;
    memset(file.at + 0x1a8, 0, 56);
    memset(file.at + 0x38, 0, 8);
    memset(file.at + 0x180, 0, 8);
    memset(file.at + 0x1e0, 0, 8);
    memset(file.at + 0x1f0, 0, 8);
    assert_true(snp_report_parse(buffer_bytes(&file), &r, NULL, &err));
    assert_int_equal(r.product, SNP_TURIN);
    memset(file.at + 0x1a0, 0, 8);
    assert_true(snp_report_parse(buffer_bytes(&file), &r, NULL, &err));
    assert_int_equal(r.product, SNP_PRODUCT_UNKNOWN);
}

static void a_masked_turin_chip_id_is_well_formed(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("amd-snp/synthetic/rep-good-turin.bin");
    struct err                 err;

    (void) state;
    memset(file.at + 0x1a0, 0, 64);
    assert_true(parse_copy(buffer_bytes(&file), NULL, &err));
}

static void an_unknown_product_keeps_its_tcb_unjudged(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("amd-snp/reports/milan-v3-oak-cb.bin");
    struct err                 err;

    (void) state;
    file.at[0x188] = 0x1f;
    file.at[0x183] = 1;
    assert_true(parse_copy(buffer_bytes(&file), NULL, &err));
}

static void tcbs_compare_by_component_and_survive_a_round_trip(void **state)
{
    const struct snp_tcb high_microcode = { .bootloader = 3, .snp = 24, .microcode = 0xff };
    const struct snp_tcb usual          = { .bootloader = 4, .snp = 24, .microcode = 0xdb };
    const struct snp_tcb turin          = { .fmc = 1, .bootloader = 2, .tee = 3, .snp = 4, .microcode = 5 };
    struct snp_tcb       back;
    uint8_t              wire[8];

    (void) state;
    assert_false(snp_tcb_at_least(&high_microcode, &usual)); /* although greater as a number */
    assert_false(snp_tcb_at_least(&usual, &high_microcode));
    assert_true(snp_tcb_at_least(&usual, &usual));
    assert_true(snp_tcb_equal(&usual, &usual));
    for (size_t i = 0; i < 5; i++) {
        struct snp_tcb lower = turin;

        ((uint8_t *) &lower)[i]--;
        assert_false(snp_tcb_at_least(&lower, &turin));
        assert_true(snp_tcb_at_least(&turin, &lower));
        assert_false(snp_tcb_equal(&turin, &lower));
    }
    snp_tcb_write(&turin, true, wire);
    assert_memory_equal(wire, "\1\2\3\4\0\0\0\5", 8);
    assert_true(snp_tcb_read(BYTES_OF(wire), true, &back));
    assert_true(snp_tcb_equal(&back, &turin));
    snp_tcb_write(&usual, false, wire);
    assert_memory_equal(wire, "\4\0\0\0\0\0\x18\xdb", 8);
    assert_true(snp_tcb_read(BYTES_OF(wire), false, &back));
    assert_true(snp_tcb_equal(&back, &usual));
    assert_false(snp_tcb_read((struct bytes){ wire, 7 }, false, &back));
}

static void product_names_read_back(void **state)
{
    (void) state;
    assert_int_equal(snp_product_by_name("milan"), SNP_MILAN);
    assert_int_equal(snp_product_by_name("Genoa"), SNP_GENOA);
    assert_int_equal(snp_product_by_name("TURIN"), SNP_TURIN);
    assert_int_equal(snp_product_by_name("unknown"), SNP_PRODUCT_UNKNOWN);
    assert_string_equal(snp_product_name(N_SNP_PRODUCTS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_field_of_a_genuine_version_5_report),
        cmocka_unit_test(reads_a_vlek_report_and_one_without_cpuid),
        cmocka_unit_test(reads_turins_tcb_in_its_own_layout),
        cmocka_unit_test(refuses_every_other_length_and_leaves_out_alone),
        cmocka_unit_test(refuses_each_defect_by_its_name),
        cmocka_unit_test(tells_products_by_cpuid_at_each_border),
        cmocka_unit_test(tells_turin_without_cpuid_by_its_short_chip_id),
        cmocka_unit_test(a_masked_turin_chip_id_is_well_formed),
        cmocka_unit_test(an_unknown_product_keeps_its_tcb_unjudged),
        cmocka_unit_test(tcbs_compare_by_component_and_survive_a_round_trip),
        cmocka_unit_test(product_names_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
