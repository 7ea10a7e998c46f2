#include "tests/harness/test.h"

#include "guest/init/cmdline.h"

static void refuses_bytes(struct bytes text, enum err_kind kind, const char *why)
{
    AUTO(heap) uint8_t *exact = exact_copy(text.at, text.len);
    struct cmdline      out   = { 0 };
    struct err          err;

    assert_false(cmdline_read((struct bytes){ exact, text.len }, &out, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, why);
    assert_int_equal(out.tee, CMDLINE_TEE_NONE);
}

static void refuses(const char *text, enum err_kind kind, const char *why)
{
    refuses_bytes(bytes_of_text(text), kind, why);
}

static enum cmdline_tee accepts(const char *text)
{
    struct cmdline out = { 0 };
    struct err     err = { 0 };

    if (!cmdline_read(bytes_of_text(text), &out, &err))
        fail_msg("%s: %s", text, err.text);
    return out.tee;
}

static void reads_what_the_launcher_writes(void **state)
{
    (void) state;
    assert_int_equal(accepts("cloister.tee=snp initrd=initrd\n"), CMDLINE_TEE_SNP); /* as OVMF ends it */
    assert_int_equal(accepts("console=hvc0 quiet panic=-1 ia32_emulation=off cloister.tee=sim\n"), CMDLINE_TEE_SIM);
    assert_int_equal(accepts("cloister.tee=snp"), CMDLINE_TEE_SNP);
    assert_int_equal(accepts("  cloister.tee=tdx   quiet "), CMDLINE_TEE_TDX);
    assert_string_equal(cmdline_tee_name(accepts("cloister.tee=tpm")), "tpm");
}

static void refuses_ways_to_another_program_or_policy(void **state)
{
    static const char *const hostile[] = {
        "init=/bin/sh", "rdinit=/bin/crun", "root=/dev/vda", "agent.debug_console", "agent.policy_file=/x", "lsm=",
        "single", "1", "S", "-s", "debug", "ro", "module.sig_enforce=0", "modprobe.blacklist=x", "efi=debug",
        "mitigations=off", "nosmep", "nokaslr", "ip=dhcp", "systemd.unit=rescue.target", "--", "BOOT_IMAGE=/x",
        "cloister.tee", "earlyprintk=ttyS0", "initrd=/x", "acpi_rsdp=0x1000", "iomem=relaxed", "nosmap",
        "init_on_alloc=0", "ia32_emulation=on", "quiet=1", "console=tty0", "CONSOLE=hvc0", "console=hvc0,", "=", "\"",
    };

    (void) state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        AUTO(buffer) struct buffer text = { 0 };
        struct cmdline             out;
        struct err                 err;

        buffer_printf(&text, "cloister.tee=snp %s", hostile[i]);
        assert_false(cmdline_read(buffer_bytes(&text), &out, &err));
        assert_int_equal(err.kind, ERR_DENIED);
    }
}

static void names_the_word_that_it_refuses(void **state)
{
    (void) state;
    refuses("cloister.tee=sim init=/x", ERR_DENIED, "kernel command line: init=/x: not allowed");
    refuses("cloister.tee=snp initrd=other", ERR_DENIED, "kernel command line: initrd=other: this value is not allowed");
    refuses("cloister.tee=sgx", ERR_DENIED, "kernel command line: cloister.tee=sgx: this value is not allowed");
    refuses("cloister.tee=", ERR_DENIED, "kernel command line: cloister.tee=: this value is not allowed");
    refuses("quiet cloister.tee=sim quiet", ERR_DENIED, "kernel command line: quiet: given twice");
    refuses("cloister.tee=sim cloister.tee=snp", ERR_DENIED,
            "kernel command line: cloister.tee=snp: given twice");
}

static void wants_the_platform(void **state)
{
    (void) state;
    refuses("", ERR_CONFIG, "kernel command line: cloister.tee is missing");
    refuses("quiet\n", ERR_CONFIG, "kernel command line: cloister.tee is missing");
}

static void bounds_and_plain_text_only(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };

    (void) state;
    memset(buffer_grow(&text, CMDLINE_LEN_MAX + 1), ' ', CMDLINE_LEN_MAX + 1);
    refuses_bytes(buffer_bytes(&text), ERR_LIMIT, "kernel command line: over 2048 bytes");
    refuses("cloister.tee=sim\tquiet", ERR_MALFORMED, "kernel command line: byte 0x9 at 16");
    refuses("cloister.tee=sim\nquiet", ERR_MALFORMED, "kernel command line: byte 0xa at 16");
    refuses_bytes((struct bytes){ (const uint8_t *) "quiet\0", 6 }, ERR_MALFORMED, "kernel command line: byte 0 at 5");
}

static void every_truncation_is_refused(void **state)
{
    static const char text[] = "quiet console=hvc0 cloister.tee=sim";
    struct cmdline    out;
    struct err        err;

    (void) state;
    for (size_t len = 0; len + 1 < sizeof text; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(text, len);

        assert_false(cmdline_read((struct bytes){ exact, len }, &out, &err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_launcher_writes),
        cmocka_unit_test(refuses_ways_to_another_program_or_policy),
        cmocka_unit_test(names_the_word_that_it_refuses),
        cmocka_unit_test(wants_the_platform),
        cmocka_unit_test(bounds_and_plain_text_only),
        cmocka_unit_test(every_truncation_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
