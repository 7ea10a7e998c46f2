#include "firmware/measure/tpm_boot.h"
#include "tests/harness/test.h"

#include "base/file.h"
#include "base/text.h"

/* Computed by another program, with Python's hashlib, from the two texts and this command line; 0 is left to a real TPM. */
#define KERNEL_PCR  "416f10ebcbbf071c70c941e796fe8912b8c15f42be455e9aa0efc124fbfb2367"
#define INITRD_PCR  "4dddbcca40a3e7145547bee60d70e1efc91bd57b50938bf39b8918bf50401bab"
#define CMDLINE_PCR "aec5bc95d2b808ce1fd298e1932f58dbf8ec798658d8457c5535c46cf6764d4a"

static void stage0(struct buffer *out)
{
    AUTO(text) char *path = NULL;
    struct err       err;

    assert_true(asprintf(&path, "%s/firmware/targets/stage0.bin", getenv("CLOISTER_BUILD")) > 0);
    if (!file_read(path, 1 << 20, out, &err))
        fail_msg("%s", err.text);
}

static void is(const struct tpm_boot *boot, size_t i, unsigned pcr, const char *hex)
{
    AUTO(buffer) struct buffer text = { 0 };

    assert_int_equal(boot->at[i].pcr, pcr);
    hex_append(&text, BYTES_OF(boot->at[i].value));
    assert_string_equal(buffer_text(&text), hex);
}

static void registers_have_the_values_of_another_program(void **state)
{
    AUTO(buffer) struct buffer firmware = { 0 };
    struct tpm_boot            boot;
    struct err                 err;

    (void) state;
    stage0(&firmware);
    if (!tpm_boot_measure(buffer_bytes(&firmware), bytes_of_text("kernel"), bytes_of_text("initrd"), "quiet", &boot, &err))
        fail_msg("%s", err.text);
    is(&boot, 1, 4, KERNEL_PCR);
    is(&boot, 2, 9, INITRD_PCR);
    is(&boot, 3, 12, CMDLINE_PCR);
}

static void the_firmware_is_measured_with_its_hashes(void **state)
{
    AUTO(buffer) struct buffer firmware = { 0 };
    struct tpm_boot            boot, other;
    struct err                 err;

    (void) state;
    stage0(&firmware);
    assert_true(tpm_boot_measure(buffer_bytes(&firmware), bytes_of_text("kernel"), bytes_of_text("initrd"), "quiet", &boot, &err));
    assert_true(tpm_boot_measure(buffer_bytes(&firmware), bytes_of_text("kernel"), bytes_of_text("initrd"), "quiet ", &other, &err));
    assert_memory_not_equal(boot.at[0].value, other.at[0].value, SHA256_LEN);
    assert_memory_equal(boot.at[1].value, other.at[1].value, SHA256_LEN);
}

static void other_firmware_is_refused(void **state)
{
    uint8_t         zeros[4096] = { 0 };
    struct tpm_boot boot;
    struct err      err;

    (void) state;
    assert_false(tpm_boot_measure(BYTES_OF(zeros), bytes_of_text("k"), bytes_of_text("i"), "", &boot, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_have_the_values_of_another_program),
        cmocka_unit_test(the_firmware_is_measured_with_its_hashes),
        cmocka_unit_test(other_firmware_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
