#include "runtime/vmm/host.h"
#include "tests/harness/test.h"

#include <sys/stat.h>

#include "base/file.h"

static struct host with_flags(const char *flags, bool kvm_opens)
{
    struct host host = { .kvm_opens = kvm_opens };

    buffer_append_text(&host.cpuinfo, flags);
    (void) buffer_text(&host.cpuinfo); /* ends it */
    return host;
}

static void kvm_needs_the_device_and_the_cpu_flag(void **state)
{
    static const struct { const char *asked, *flags; bool opens; enum accelerator wanted; const char *why; } cases[] = {
        { "auto", "flags : fpu svm", true, ACCEL_KVM, "/dev/kvm opens and the CPU offers hardware virtualisation" },
        { "auto", "flags : fpu vmx", true, ACCEL_KVM, "/dev/kvm opens and the CPU offers hardware virtualisation" },
        { "auto", "flags : fpu", true, ACCEL_TCG, "/dev/kvm opens, but the CPU offers neither svm nor vmx" },
        { "auto", "flags : fpu svm", false, ACCEL_TCG, "/dev/kvm does not open" },
        { "tcg", "flags : fpu svm", true, ACCEL_TCG, "asked for" },
        { "kvm", "flags : fpu", true, ACCEL_KVM, "asked for" },
    };
    enum accelerator found;
    const char      *why;
    struct err       err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(host) struct host host = with_flags(cases[i].flags, cases[i].opens);

        assert_true(host_choose_accelerator(cases[i].asked, &host, &found, &why, &err));
        assert_int_equal(found, cases[i].wanted);
        assert_string_equal(why, cases[i].why);
    }
    AUTO(host) struct host closed = with_flags("flags : svm", false), open = with_flags("flags : svm", true);
    assert_false(host_choose_accelerator("kvm", &closed, &found, &why, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_false(host_choose_accelerator("xen", &open, &found, &why, &err));
    assert_string_equal(err.text, "--accel xen: auto, kvm or tcg is wanted");
}

static void a_tee_is_chosen_before_the_simulation(void **state)
{
    const struct host both = { .has_snp = true, .has_tdx = true }, tdx = { .has_tdx = true }, none = { 0 };
    enum tee    tee;
    const char *why;
    struct err  err;

    (void) state;
    assert_true(host_choose_tee("auto", &both, &tee, &why, &err) && tee == TEE_SNP);
    assert_true(host_choose_tee("auto", &tdx, &tee, &why, &err) && tee == TEE_TDX);
    assert_true(host_choose_tee("auto", &none, &tee, &why, &err) && tee == TEE_SIM);
    assert_true(host_choose_tee("tpm", &both, &tee, &why, &err) && tee == TEE_TPM);
    assert_false(host_choose_tee("sgx", &both, &tee, &why, &err));
    assert_string_equal(err.text, "--tee sgx: auto, snp, tdx, tpm or sim is wanted");
}

static void what_a_tee_needs_is_said_one_by_one(void **state)
{
    struct host host = { .qemu_major = 7, .qemu_minor = 2 };
    struct err  err;

    (void) state;
    assert_true(host_check_tee(&host, TEE_SIM, &err) && host_check_tee(&host, TEE_TPM, &err));
    assert_false(host_check_tee(&host, TEE_SNP, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "--tee snp needs KVM, and /dev/kvm does not open");
    host.kvm_opens = true;
    assert_false(host_check_tee(&host, TEE_TDX, &err));
    assert_string_equal(err.text, "--tee tdx: not on this host: kvm_intel does not run with tdx=Y (CPU, firmware setup, "
                                  "Linux 6.16)");
    host.has_snp = host.has_tdx = host.has_qemu = true;
    assert_false(host_check_tee(&host, TEE_SNP, &err));
    assert_string_equal(err.text, "--tee snp needs QEMU 9.1; this is 7.2");
    host.qemu_major = 10;
    host.qemu_minor = 0;
    assert_true(host_check_tee(&host, TEE_SNP, &err));
    assert_false(host_check_tee(&host, TEE_TDX, &err));
    assert_string_equal(err.text, "--tee tdx needs QEMU 10.1; this is 10.0");
    host.qemu_minor = 1;
    assert_true(host_check_tee(&host, TEE_TDX, &err));
}

static void put_file(const char *root, const char *path, const char *content)
{
    AUTO(text) char *whole = NULL, *folder = NULL;
    struct err       err;

    assert_true(asprintf(&whole, "%s%s", root, path) > 0 && (folder = strdup(whole)));
    *strrchr(folder, '/') = 0;
    if (!directory_make(folder, &err) || !file_write(whole, bytes_of_text(content), 0644, &err))
        fail_msg("%s", err.text);
}

static void looking_finds_what_is_there(void **state)
{
    AUTO(host) struct host bare = { 0 }, full = { 0 };
    AUTO(text) char       *root = NULL;
    struct err             err;

    (void) state;
    assert_true(directory_make_temporary("host-", &root, &err));
    assert_false(host_look(root, &bare, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    put_file(root, "/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu svm sev_snp\nbugs\t\t: vmx\n");
    assert_true(host_look(root, &bare, &err));
    assert_false(bare.kvm_opens || bare.has_snp || bare.has_tdx);
    assert_true(host_cpu_has(&bare, "svm") && host_cpu_has(&bare, "sev_snp"));
    assert_false(host_cpu_has(&bare, "vmx") || host_cpu_has(&bare, "sev") || host_cpu_has(&bare, "sv"));
    put_file(root, "/dev/kvm", "");
    put_file(root, "/sys/module/kvm_amd/parameters/sev_snp", "Y\n");
    put_file(root, "/sys/module/kvm_intel/parameters/tdx", "N\n");
    assert_true(host_look(root, &full, &err));
    assert_true(full.kvm_opens && full.has_snp && !full.has_tdx);
    assert_true(directory_remove(root, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kvm_needs_the_device_and_the_cpu_flag),
        cmocka_unit_test(a_tee_is_chosen_before_the_simulation),
        cmocka_unit_test(what_a_tee_needs_is_said_one_by_one),
        cmocka_unit_test(looking_finds_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
