#include "runtime/sandbox/guest_bundle.h"
#include "tests/harness/test.h"

#include "base/file.h"

static char *root;

static void put_file(const char *path, const char *content)
{
    AUTO(text) char *whole = NULL, *folder = NULL;
    struct err       err;

    assert_true(asprintf(&whole, "%s%s", root, path) > 0 && (folder = strdup(whole)));
    *strrchr(folder, '/') = 0;
    if (!directory_make(folder, &err) || !file_write(whole, bytes_of_text(content), 0644, &err))
        fail_msg("%s", err.text);
}

static struct guest_bundle_options options_for(enum tee tee, const char *firmware)
{
    static char directory[256];

    (void) snprintf(directory, sizeof directory, "%s/guest", root); /* a short name */
    return (struct guest_bundle_options){ .directory = directory, .firmware = firmware, .root = root, .tee = tee };
}

static void firmware_is(enum tee tee, const char *firmware, const char *wanted)
{
    const struct guest_bundle_options      o     = options_for(tee, firmware);
    AUTO(guest_bundle) struct guest_bundle found = { 0 };
    struct err                             err;

    if (!guest_bundle_find(&o, &found, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(found.firmware, root, strlen(root));
    assert_string_equal(found.firmware + strlen(root), wanted);
}

static void the_command_line_begins_with_the_tee(void **state)
{
    const struct guest_bundle_options      o     = options_for(TEE_TPM, NULL);
    AUTO(guest_bundle) struct guest_bundle found = { 0 };
    struct err                             err;

    (void) state;
    assert_true(guest_bundle_find(&o, &found, &err));
    assert_string_equal(found.append, "cloister.tee=tpm console=ttyS0");
}

static void without_an_ovmf_stage0_boots(void **state)
{
    const struct guest_bundle_options      o     = options_for(TEE_SNP, "ovmf");
    AUTO(guest_bundle) struct guest_bundle found = { 0 };
    struct err                             err;

    (void) state;
    firmware_is(TEE_SIM, NULL, "/guest/firmware");
    firmware_is(TEE_TPM, NULL, "/guest/firmware");
    firmware_is(TEE_SNP, NULL, "/guest/firmware");
    assert_false(guest_bundle_find(&o, &found, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "--firmware ovmf: none for --tee snp is installed (Debian: ovmf-amdsev); name a file, or use stage0");
}

static void an_installed_ovmf_is_the_default_on_snp_and_tdx_only(void **state)
{
    (void) state;
    put_file("/usr/share/edk2/ovmf/OVMF.amdsev.fd", "f");
    put_file("/usr/share/ovmf/OVMF.inteltdx.ms.fd", "f");
    put_file("/usr/share/ovmf/OVMF.fd", "f");
    firmware_is(TEE_SNP, NULL, "/usr/share/edk2/ovmf/OVMF.amdsev.fd");
    firmware_is(TEE_TDX, NULL, "/usr/share/ovmf/OVMF.inteltdx.ms.fd");
    firmware_is(TEE_TPM, NULL, "/guest/firmware");
    firmware_is(TEE_TPM, "ovmf", "/usr/share/ovmf/OVMF.fd");
    firmware_is(TEE_SNP, "stage0", "/guest/firmware");
}

/* One line with the way out, before anything is started. */
static void a_file_that_is_not_there_is_named(void **state)
{
    struct guest_bundle_options            o     = options_for(TEE_SIM, NULL);
    AUTO(guest_bundle) struct guest_bundle found = { 0 };
    struct err                             err;
    char                                   wanted[512];

    (void) state;
    o.is_debug = true; /* no initrd-debug was put there */
    assert_false(guest_bundle_find(&o, &found, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    (void) snprintf(wanted, sizeof wanted, "guest image %s: initrd-debug: No such file or directory; build it (./demo does), or name another with "
                    "--guest DIR", o.directory);
    assert_string_equal(err.text, wanted);
    o.is_debug  = false;
    o.directory = "/nonexistent";
    assert_false(guest_bundle_find(&o, &found, &err));
    assert_string_equal(err.text, "guest image /nonexistent: firmware: No such file or directory; build it (./demo does), or name another with --guest DIR");
    o        = options_for(TEE_SIM, NULL);
    o.kernel = "/nonexistent/vmlinuz";
    assert_false(guest_bundle_find(&o, &found, &err));
    assert_string_equal(err.text, "kernel /nonexistent/vmlinuz: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(the_command_line_begins_with_the_tee),
        cmocka_unit_test(without_an_ovmf_stage0_boots),
        cmocka_unit_test(an_installed_ovmf_is_the_default_on_snp_and_tdx_only),
    };
    struct err err;

    if (!directory_make_temporary("bundle-", &root, &err))
        return 1;
    put_file("/guest/initrd", "i");
    put_file("/guest/firmware", "f");
    put_file("/guest/kernel", "k");
    put_file("/guest/cmdline", "console=ttyS0\n");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!directory_remove(root, &err))
        fprintf(stderr, "%s\n", err.text);
    free(root);
    return failed;
}
