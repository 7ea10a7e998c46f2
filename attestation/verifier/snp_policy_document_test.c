#include "tests/harness/test.h"

#include "attestation/verifier/snp_policy.h"

static struct snp_policy_document *read_ok(const char *text)
{
    struct snp_policy           strict   = snp_policy_strict();
    struct snp_policy_document *document = NULL;
    struct err                  err;

    if (!snp_policy_read(bytes_of_text(text), &strict, &document, &err))
        fail_msg("%s: %s", text, err.text);
    return document;
}

static void an_empty_document_is_the_base(void **state)
{
    AUTO(snp_policy_document) struct snp_policy_document *d = read_ok("{}");
    const struct snp_policy                              *p      = snp_policy_of(d);
    struct snp_policy                                     strict = snp_policy_strict();

    (void) state;
    assert_memory_equal(p->versions, strict.versions, sizeof strict.versions);
    assert_memory_equal(p->products, strict.products, sizeof strict.products);
    assert_memory_equal(p->vmpls, strict.vmpls, sizeof strict.vmpls);
    assert_int_equal(p->grants_allowed, strict.grants_allowed);
    assert_int_equal(p->platform_required, strict.platform_required);
    assert_int_equal(p->measurement.kind, FIELD_LISTED);
    assert_int_equal(p->host_data.kind, FIELD_ZERO);
    assert_int_equal(p->chip_id.kind, FIELD_ANY);
    assert_int_equal(p->crl, CRL_REQUIRED);
}

static void the_strict_base_accepts_no_measurement_and_no_milan(void **state)
{
    struct snp_policy strict = snp_policy_strict(), bare = snp_policy_bare();

    (void) state;
    assert_int_equal(strict.measurement.kind, FIELD_LISTED);
    assert_int_equal(strict.measurement.n, 0);
    assert_int_equal(strict.report_data.kind, FIELD_LISTED);
    assert_false(strict.products[SNP_MILAN] || strict.vlek_allowed || strict.versions[2] || strict.provisional_allowed);
    assert_int_equal(strict.crl, CRL_REQUIRED);
    assert_false(bare.products[SNP_MILAN]);
    assert_false((bare.grants_allowed | strict.grants_allowed) & (SNP_POLICY_DEBUG | SNP_POLICY_MIGRATE_MA));
}

static void every_member_is_read(void **state)
{
    AUTO(snp_policy_document) struct snp_policy_document *d = read_ok(
        "{\"versions\":[2,5],\"products\":[\"Milan\",\"Turin\"],\"signers\":[\"VLEK\"],\"vmpl\":[1,3],"
        "\"allow\":[\"masked-chip-id\",\"provisional-firmware\"],\"guest_policy_allow\":[\"debug\",\"smt\"],"
        "\"guest_policy_require\":[\"single-socket\",\"aes-256-xts\"],\"min_abi\":\"1.55\",\"platform_require\":[\"ecc\"],"
        "\"platform_refuse\":[\"tsme\",\"tio\"],"
        "\"min_tcb\":{\"Genoa\":{\"bootloader\":1,\"tee\":2,\"snp\":3,\"microcode\":4},"
        "\"Turin\":{\"fmc\":9,\"bootloader\":1,\"tee\":2,\"snp\":3,\"microcode\":4}},"
        "\"min_launch_tcb\":{\"Milan\":{\"bootloader\":5,\"tee\":6,\"snp\":7,\"microcode\":255}},\"min_tcb_required\":true,"
        "\"min_firmware\":\"1.55.39\",\"mitigations\":11,\"min_guest_svn\":4294967295,"
        "\"measurement\":[\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f\"],"
        "\"report_data\":\"any\",\"host_data\":\"zero\",\"id_key_digest\":[],\"author_key_digest\":\"any\","
        "\"family_id\":[\"000102030405060708090a0b0c0d0e0f\"],\"image_id\":\"zero\",\"chip_id\":\"any\",\"csp_id\":[\"CN=x\"],"
        "\"crl\":\"warn\",\"min_crl_number\":{\"Genoa\":10},\"not_before_skew\":300}");
    const struct snp_policy *p = snp_policy_of(d);

    (void) state;
    assert_true(p->versions[2] && !p->versions[3] && !p->versions[4] && p->versions[5]);
    assert_true(p->products[SNP_MILAN] && !p->products[SNP_GENOA] && p->products[SNP_TURIN]);
    assert_true(!p->vcek_allowed && p->vlek_allowed);
    assert_true(!p->vmpls[0] && p->vmpls[1] && !p->vmpls[2] && p->vmpls[3]);
    assert_true(p->masked_chip_id_allowed && !p->migration_agent_allowed && p->provisional_allowed);
    assert_int_equal(p->grants_allowed, SNP_POLICY_DEBUG | SNP_POLICY_SMT);
    assert_int_equal(p->demands_required, SNP_POLICY_SINGLE_SOCKET | SNP_POLICY_AES_256_XTS);
    assert_true(p->least_abi_major == 1 && p->least_abi_minor == 55);
    assert_int_equal(p->platform_required, SNP_PLATFORM_ECC);
    assert_int_equal(p->platform_refused, SNP_PLATFORM_TSME | SNP_PLATFORM_TIO);
    assert_true(p->least_tcb[SNP_GENOA].is_set && p->least_tcb[SNP_GENOA].least.snp == 3 && p->least_tcb[SNP_GENOA].least.fmc == 0);
    assert_true(p->least_tcb[SNP_TURIN].least.fmc == 9 && p->least_tcb[SNP_TURIN].least.microcode == 4);
    assert_false(p->least_tcb[SNP_MILAN].is_set);
    assert_int_equal(p->least_launch_tcb[SNP_MILAN].least.microcode, 255);
    assert_true(p->least_tcb_required);
    assert_true(p->least_firmware.major == 1 && p->least_firmware.minor == 55 && p->least_firmware.build == 39);
    assert_int_equal(p->mitigations_required, 11);
    assert_int_equal(p->least_guest_svn, UINT32_MAX);
    assert_int_equal(p->measurement.n, 1);
    assert_int_equal(p->measurement.at[0].at[47], 0x2f);
    assert_int_equal(p->report_data.kind, FIELD_ANY);
    assert_int_equal(p->host_data.kind, FIELD_ZERO);
    assert_true(p->id_key_digest.kind == FIELD_LISTED && p->id_key_digest.n == 0);
    assert_int_equal(p->family_id.at[0].len, 16);
    assert_true(bytes_equal(p->csp_id.at[0], bytes_of_text("CN=x")));
    assert_int_equal(p->crl, CRL_WARNED);
    assert_int_equal(p->least_crl_number[SNP_GENOA], 10);
    assert_int_equal(p->not_before_skew_s, 300);
}

static void each_defect_is_refused_by_its_name(void **state)
{
    static const struct { const char *text, *wanted; } cases[] = {
        { "", "SNP policy: " },
        { "[]", "SNP policy: is no object" },
        { "{\"measurment\":[]}", "SNP policy: no member \"measurment\" is known" },
        { "{\"versions\":3}", "SNP policy: versions: is no array of numbers" },
        { "{\"versions\":[1]}", "SNP policy: versions: element 0 is below 2" },
        { "{\"versions\":[6]}", "SNP policy: versions: element 0: is over 5" },
        { "{\"versions\":[\"3\"]}", "SNP policy: versions: element 0: is no number from 0 up" },
        { "{\"vmpl\":[-1]}", "SNP policy: vmpl: element 0: is no number from 0 up" },
        { "{\"products\":[\"Rome\"]}", "SNP policy: products: knows no \"Rome\"" },
        { "{\"products\":\"Genoa\"}", "SNP policy: products: is no array of names" },
        { "{\"products\":[1]}", "SNP policy: products: knows no \"\"" },
        { "{\"signers\":[\"ARK\"]}", "SNP policy: signers: knows no \"ARK\"" },
        { "{\"allow\":[\"everything\"]}", "SNP policy: allow: knows no \"everything\"" },
        { "{\"guest_policy_allow\":{}}", "SNP policy: guest_policy_allow: is no array of names" },
        { "{\"guest_policy_allow\":[\"single-socket\"]}", "SNP policy: guest_policy_allow: knows no \"single-socket\"" },
        { "{\"guest_policy_require\":[7]}", "SNP policy: guest_policy_require: element 0 is no text" },
        { "{\"platform_require\":[\"x\"]}", "SNP policy: platform_require: knows no \"x\"" },
        { "{\"min_abi\":\"1\"}", "SNP policy: min_abi: is no text of 2 numbers up to 255 with dots between" },
        { "{\"min_abi\":\"1.256\"}", "SNP policy: min_abi: is no text of 2 numbers up to 255 with dots between" },
        { "{\"min_abi\":\"1.+5\"}", "SNP policy: min_abi: is no text of 2 numbers up to 255 with dots between" },
        { "{\"min_abi\":1.55}", "SNP policy: min_abi: is no text of 2 numbers up to 255 with dots between" },
        { "{\"min_firmware\":\"1.55\"}", "SNP policy: min_firmware: is no text of 3 numbers up to 255 with dots between" },
        { "{\"min_firmware\":\"1.55.1.2\"}", "SNP policy: min_firmware: is no text of 3 numbers up to 255 with dots between" },
        { "{\"min_tcb\":[]}", "SNP policy: min_tcb: is no object by product" },
        { "{\"min_tcb\":{\"Rome\":{}}}", "SNP policy: min_tcb: knows no product \"Rome\"" },
        { "{\"min_tcb\":{\"Genoa\":{\"snp\":1}}}", "SNP policy: min_tcb: Genoa: is no object of bootloader, tee, snp, microcode" },
        { "{\"min_tcb\":{\"Turin\":7}}", "SNP policy: min_tcb: Turin: is no object of bootloader, tee, snp, microcode, fmc" },
        { "{\"min_tcb\":{\"Genoa\":{\"bootloader\":1,\"tee\":0,\"snp\":1,\"fmc\":0}}}", "SNP policy: min_tcb: Genoa: " },
        { "{\"min_launch_tcb\":{\"Genoa\":{\"bootloader\":256,\"tee\":0,\"snp\":1,\"microcode\":0}}}",
          "SNP policy: min_launch_tcb: Genoa: " },
        { "{\"min_tcb_required\":1}", "SNP policy: min_tcb_required: is neither true nor false" },
        { "{\"mitigations\":\"0x0b\"}", "SNP policy: mitigations: is no number from 0 up" },
        { "{\"min_guest_svn\":4294967296}", "SNP policy: min_guest_svn: is over 4294967295" },
        { "{\"measurement\":\"all\"}", "SNP policy: measurement: is neither \"any\", \"zero\" nor an array" },
        { "{\"measurement\":[7]}", "SNP policy: measurement: value 0: element 0 is no text" },
        { "{\"measurement\":[\"zz\"]}", "SNP policy: measurement: value 0: " },
        { "{\"host_data\":[\"00\"]}", "SNP policy: host_data: value 0: 1 bytes, wanted 32" },
        { "{\"csp_id\":\"zero\"}", "SNP policy: csp_id: is neither \"any\" nor an array" },
        { "{\"crl\":\"maybe\"}", "SNP policy: crl: knows no \"maybe\"" },
        { "{\"crl\":true}", "SNP policy: crl: knows no \"\"" },
        { "{\"min_crl_number\":{\"Genoa\":-1}}", "SNP policy: min_crl_number: Genoa: is no number from 0 up" },
        { "{\"not_before_skew\":86401}", "SNP policy: not_before_skew: is over 86400" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct snp_policy           strict   = snp_policy_strict();
        struct snp_policy_document *document = NULL;
        struct err                  err;

        assert_false(snp_policy_read(bytes_of_text(cases[i].text), &strict, &document, &err));
        assert_null(document);
        if (err.kind != ERR_MALFORMED || strncmp(err.text, cases[i].wanted, strlen(cases[i].wanted)) != 0)
            fail_msg("%s: %s", cases[i].text, err.text);
    }
}

static void limits_hold(void **state)
{
    AUTO(buffer) struct buffer  text     = { 0 };
    struct snp_policy           strict   = snp_policy_strict();
    struct snp_policy_document *document = NULL;
    struct err                  err;

    (void) state;
    buffer_append_text(&text, "{\"csp_id\":[\"\"");
    for (int i = 0; i < 4096; i++)
        buffer_append_text(&text, ",\"\"");
    buffer_append_text(&text, "]}");
    assert_false(snp_policy_read(buffer_bytes(&text), &strict, &document, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(buffer_grow(&text, SNP_POLICY_LEN_MAX));
    assert_false(snp_policy_read(buffer_bytes(&text), &strict, &document, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_document_is_the_base),
        cmocka_unit_test(the_strict_base_accepts_no_measurement_and_no_milan),
        cmocka_unit_test(every_member_is_read),
        cmocka_unit_test(each_defect_is_refused_by_its_name),
        cmocka_unit_test(limits_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
