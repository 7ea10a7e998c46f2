#include "firmware/measure/snp_launch.h"

#include "base/text.h"
#include "tests/harness/test.h"

static void equals(const uint8_t digest[static LAUNCH_DIGEST_LEN], const char *hex)
{
    AUTO(buffer) struct buffer text = { 0 };

    hex_append(&text, (struct bytes){ digest, LAUNCH_DIGEST_LEN });
    assert_string_equal(buffer_text(&text), hex);
}

static const struct sev_metadata dstack_sections = {
    .section = { { 0x800000, 0x9000, SEV_SECTION_MEMORY }, { 0x80a000, 0x3000, SEV_SECTION_MEMORY },
                 { 0x80d000, 0x1000, SEV_SECTION_SECRETS }, { 0x80e000, 0x1000, SEV_SECTION_CPUID },
                 { 0x80f000, 0x1000, SEV_SECTION_CAA }, { 0x811000, 0xf000, SEV_SECTION_MEMORY },
                 { 0x810000, 0x1000, SEV_SECTION_KERNEL_HASHES } },
    .n_sections = 7, .reset_eip = 0x80b004, .hashes_gpa = 0x810c00, .hashes_size = 0x400,
};

static void dstack_start(struct snp_measurement *m, struct kernel_hashes *hashes)
{
    struct err err;

    *m = (struct snp_measurement){ .n_regions = 0 };
    assert_true(hex_read_exact("ffb57e393469a497c0e3b07bd1c97d8611e555f464d14491837665893ac642b263a71f9507ff100a"
                               "847897fe0c3f8c6f", m->digest.at, LAUNCH_DIGEST_LEN, &err));
    assert_true(hex_read_exact("dd9ea274ce9a07090b22e8284b0c841b65c021c2d15ca57d0f16731089dd226c", hashes->kernel,
                               32, &err));
    assert_true(hex_read_exact("5f844c4a2ca5a3d0711b3db38293b21ba929bb8e0b3c5bc1a779a57f69221c19", hashes->initrd,
                               32, &err));
    assert_true(hex_read_exact("02c866eb3b7308a4ca10156867bc67e43a9f074da6779a79d43831f3df1d4856", hashes->cmdline,
                               32, &err));
}

/* The expected value is the MEASUREMENT in a report that an EPYC signed (dstack's fixture; see the vectors). */
static void equals_what_hardware_reported(void **state)
{
    struct snp_launch_options o = { .n_vcpus = 2, .cpu_signature = 0x800f12, .guest_features = 1 };
    struct snp_measurement    m;
    struct kernel_hashes      hashes;
    uint8_t                   family[2][LAUNCH_DIGEST_LEN];
    struct err                err;

    (void) state;
    dstack_start(&m, &hashes);
    assert_true(snp_launch_continue(&o, &dstack_sections, &hashes, family, &m, &err));
    equals(m.digest.at, "7f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599"
                        "847ff250dbffcd07e1ba639771d6f05d");
    assert_memory_equal(family[1], m.digest.at, LAUNCH_DIGEST_LEN);
    assert_memory_not_equal(family[0], m.digest.at, LAUNCH_DIGEST_LEN);
    assert_int_equal(m.digest.n_pages[LAUNCH_ZERO], 9 + 3 + 1 + 15);
    assert_int_equal(m.digest.n_pages[LAUNCH_VMSA], 2);
    assert_int_equal(m.n_regions, 8);
}

/* virtee/sev-snp-measure-go, guest_test.go */
static void equals_the_published_digest_of_an_ec2_guest(void **state)
{
    struct snp_launch_options o = { .n_vcpus = 2, .cpu_signature = 0, .guest_features = 1, .machine = VMSA_EC2 };
    struct sev_metadata       sections = {
        .section = { { 0x800000, 0x9000, SEV_SECTION_MEMORY }, { 0x80a000, 0x3000, SEV_SECTION_MEMORY },
                     { 0x80d000, 0x1000, SEV_SECTION_SECRETS }, { 0x80e000, 0x1000, SEV_SECTION_CPUID },
                     { 0x80f000, 0x11000, SEV_SECTION_MEMORY } },
        .n_sections = 5, .reset_eip = 0x80b004 };
    struct snp_measurement m = { .n_regions = 0 };
    struct err             err;

    (void) state;
    assert_true(hex_read_exact("a58211791a556a630a4319dc9e2ea96cc0e9784dd9f20a4fadf81b26c98d163fcdcb6703884bbbb8"
                               "0d7b1de45b3d84d0", m.digest.at, LAUNCH_DIGEST_LEN, &err));
    assert_true(snp_launch_continue(&o, &sections, NULL, NULL, &m, &err));
    equals(m.digest.at, "4c6e33087d08fa770259484dddbef367086a15c3e2cf10038dc97229d39c9426"
                        "71c2e22b300178f8de594a3f2fa59303");
}

static void refuses_a_kernel_that_the_firmware_would_not_check(void **state)
{
    struct snp_launch_options o        = { .n_vcpus = 1, .guest_features = 1 };
    struct sev_metadata       sections = dstack_sections;
    struct snp_measurement    m;
    struct kernel_hashes      hashes;
    struct err                err;

    (void) state;
    dstack_start(&m, &hashes);
    sections.n_sections = 6;
    assert_false(snp_launch_continue(&o, &sections, &hashes, NULL, &m, &err));
    assert_int_equal(err.kind, ERR_CONFIG);

    sections = dstack_sections;
    sections.hashes_gpa += 0x1000;
    dstack_start(&m, &hashes);
    assert_false(snp_launch_continue(&o, &sections, &hashes, NULL, &m, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);

    sections = dstack_sections;
    sections.hashes_gpa += 0x3ff;
    dstack_start(&m, &hashes);
    assert_false(snp_launch_continue(&o, &sections, &hashes, NULL, &m, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static void refuses_no_and_too_many_vcpus(void **state)
{
    static const uint32_t bad[] = { 0, SNP_VCPUS_MAX + 1 };

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        struct snp_launch_options o = { .n_vcpus = bad[i], .guest_features = 1 };
        struct snp_measurement    m;
        struct kernel_hashes      hashes;
        struct err                err;

        dstack_start(&m, &hashes);
        assert_false(snp_launch_continue(&o, &dstack_sections, &hashes, NULL, &m, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_what_hardware_reported),
        cmocka_unit_test(equals_the_published_digest_of_an_ec2_guest),
        cmocka_unit_test(refuses_a_kernel_that_the_firmware_would_not_check),
        cmocka_unit_test(refuses_no_and_too_many_vcpus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
