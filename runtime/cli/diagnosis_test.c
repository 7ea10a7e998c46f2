#include "runtime/cli/diagnosis.h"
#include "tests/harness/test.h"

#include <sys/stat.h>

#include "base/file.h"

/* A directory double of a host: /proc, /sys and /dev below it; and of QEMU and swtpm, found through PATH. */
static char *root;

static void put_file(const char *path, const char *content, mode_t mode)
{
    AUTO(text) char *whole = NULL, *folder = NULL;
    struct err       err;

    assert_true(asprintf(&whole, "%s%s", root, path) > 0 && (folder = strdup(whole)));
    *strrchr(folder, '/') = 0;
    if (!directory_make(folder, &err) || !file_write(whole, bytes_of_text(content), mode, &err))
        fail_msg("%s", err.text);
}

static void put_qemu(const char *version, const char *objects)
{
    AUTO(buffer) struct buffer script = { 0 };

    buffer_printf(&script, "#!/bin/sh\ncase \"$1\" in --version) echo 'QEMU emulator version %s';; *) echo '%s';; esac\n", version, objects);
    put_file("/bin/qemu-system-x86_64", buffer_text(&script), 0755);
}

static void put_guest(void)
{
    put_file("/guest/initrd", "i", 0644);
    put_file("/guest/kernel", "k", 0644);
    put_file("/guest/firmware", "f", 0644);
    put_file("/guest/cmdline", "quiet\n", 0644);
}

/* A new, bare host. */
static int begin(void **state)
{
    AUTO(text) char *path = NULL;
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("doctor-", &root, &err));
    assert_true(asprintf(&path, "%s/bin", root) > 0);
    (void) setenv("PATH", path, 1);
    put_file("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\nmodel name\t: Some CPU\nflags\t\t: fpu\n", 0644);
    return 0;
}

static int end(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_remove(root, &err));
    free(root);
    return 0;
}

static void diagnose(struct diagnosis *d)
{
    char                           guest[256];
    const struct diagnosis_options o = { root, guest };
    struct err                     err;

    (void) snprintf(guest, sizeof guest, "%s/guest", root); /* a short name */
    if (!diagnosis_make(&o, d, &err))
        fail_msg("%s", err.text);
}

static const struct finding *row_of(const struct diagnosis *d, const char *what)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->findings[i].what, what) == 0)
            return &d->findings[i];
    fail_msg("no row %s", what);
    return NULL;
}

static void is(const struct diagnosis *d, const char *what, enum finding_level level, const char *found)
{
    const struct finding *f = row_of(d, what);

    if (f->level != level || !strstr(f->found, found))
        fail_msg("%s: %s %s", what, finding_level_name(f->level), f->found);
    if (level == FINDING_GOOD)
        assert_null(f->mend);
}

static void a_bare_host_lacks_qemu_and_a_guest(void **state)
{
    AUTO(diagnosis) struct diagnosis d = { 0 };

    (void) state;
    diagnose(&d);
    assert_true(diagnosis_has_missing(&d));
    is(&d, "QEMU", FINDING_MISSING, "is not installed");
    assert_string_equal(row_of(&d, "QEMU")->mend, "apt-get install qemu-system-x86");
    is(&d, "guest image", FINDING_MISSING, "not found");
    is(&d, "CPU", FINDING_GOOD, "Some CPU");
    is(&d, "/dev/kvm", FINDING_NOTE, "is not there");
    is(&d, "swtpm", FINDING_NOTE, "is not installed");
    is(&d, "platform tpm", FINDING_NOTE, "no swtpm");
    is(&d, "cgroups", FINDING_NOTE, "none");
    is(&d, "--tee auto chooses", FINDING_NOTE, "sim: no TEE was found on this host");
    is(&d, "--accel auto chooses", FINDING_GOOD, "tcg: /dev/kvm does not open");
}

static void an_ordinary_host_can_simulate(void **state)
{
    AUTO(diagnosis) struct diagnosis d = { 0 };

    (void) state;
    put_guest();
    put_qemu("7.2.1", "memory-backend-memfd");
    put_file("/bin/swtpm", "#!/bin/sh\necho 'TPM emulator version 0.7.1, Copyright'\n", 0755);
    put_file("/sys/fs/cgroup/cgroup.controllers", "cpu\n", 0644);
    put_file("/proc/sys/kernel/osrelease", "6.1.0-x\n", 0644);
    diagnose(&d);
    assert_false(diagnosis_has_missing(&d));
    is(&d, "QEMU", FINDING_GOOD, "7.2");
    is(&d, "QEMU for SNP", FINDING_NOTE, "has no sev-snp-guest");
    is(&d, "host kernel", FINDING_NOTE, "6.1.0-x");
    assert_string_equal(row_of(&d, "host kernel")->mend, "--tee snp needs Linux 6.11, --tee tdx 6.16");
    is(&d, "swtpm", FINDING_GOOD, "TPM emulator version 0.7.1");
    is(&d, "cgroups", FINDING_GOOD, "v2");
    is(&d, "platform tpm", FINDING_GOOD, "can be launched");
}

static void an_snp_host_can_launch_snp(void **state)
{
    AUTO(diagnosis) struct diagnosis d = { 0 };

    (void) state;
    put_guest();
    put_qemu("9.1.0", "sev-snp-guest");
    put_file("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9654\nflags\t\t: fpu svm sev_snp\n", 0644);
    put_file("/proc/sys/kernel/osrelease", "6.12.9\n", 0644);
    put_file("/proc/cmdline", "quiet iommu=pt\n", 0644);
    put_file("/sys/module/kvm_amd/parameters/sev_snp", "Y\n", 0644);
    put_file("/dev/kvm", "", 0666);
    put_file("/dev/sev", "", 0666);
    put_file("/usr/share/ovmf/OVMF.amdsev.fd", "o", 0644);
    diagnose(&d);
    assert_false(diagnosis_has_missing(&d));
    is(&d, "module kvm_amd", FINDING_GOOD, "loaded");
    is(&d, "kvm_amd sev_snp", FINDING_GOOD, "Y");
    is(&d, "/dev/sev", FINDING_GOOD, "opens");
    is(&d, "SNP platform", FINDING_NOTE, "does not answer"); /* the double is a plain file */
    is(&d, "host kernel command line", FINDING_NOTE, "iommu=pt");
    is(&d, "OVMF for SNP", FINDING_GOOD, "OVMF.amdsev.fd");
    is(&d, "platform snp", FINDING_GOOD, "can be launched");
    is(&d, "--tee auto chooses", FINDING_GOOD, "snp: kvm_amd runs with sev_snp=Y");
    is(&d, "--accel auto chooses", FINDING_GOOD, "kvm: ");
    put_qemu("9.0.0", "x");
    diagnosis_free(&d);
    d = (struct diagnosis){ 0 };
    diagnose(&d); /* now what is chosen cannot run */
    assert_true(diagnosis_has_missing(&d));
    is(&d, "what is chosen", FINDING_MISSING, "--tee snp needs QEMU 9.1; this is 9.0");
}

static void a_tdx_host_tells_its_module_and_quoting_service(void **state)
{
    AUTO(diagnosis) struct diagnosis d = { 0 };

    (void) state;
    put_guest();
    put_qemu("10.1.0", "tdx-guest");
    put_file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\nmodel name\t: Xeon\nflags\t\t: fpu vmx tdx_host_platform\n", 0644);
    put_file("/proc/sys/kernel/osrelease", "6.16.0\n", 0644);
    put_file("/sys/module/kvm_intel/parameters/tdx", "Y\n", 0644);
    put_file("/dev/kvm", "", 0666);
    put_file("/dmesg", "[ 1.0] virt/tdx: BIOS enabled: private KeyID range [64, 128)\n[ 2.0] virt/tdx: TDX-Module initialized\x1b\n", 0644);
    diagnose(&d);
    assert_false(diagnosis_has_missing(&d));
    is(&d, "module kvm_intel", FINDING_GOOD, "loaded");
    is(&d, "kvm_intel tdx", FINDING_GOOD, "Y");
    is(&d, "TDX module", FINDING_GOOD, "the kernel says: TDX-Module initialized?");
    is(&d, "quote generation service", FINDING_NOTE, "not at /var/run/tdx-qgs/qgs.socket");
    is(&d, "platform tdx", FINDING_GOOD, "can be launched");
    is(&d, "host kernel", FINDING_GOOD, "6.16.0");
    is(&d, "--tee auto chooses", FINDING_GOOD, "tdx: ");
}

static void a_device_that_may_not_be_opened_is_told_apart(void **state)
{
    AUTO(diagnosis) struct diagnosis d = { 0 };

    (void) state;
    if (geteuid() == 0) /* whom no mode keeps out */
        skip();
    put_file("/dev/kvm", "", 0000);
    diagnose(&d);
    is(&d, "/dev/kvm", FINDING_NOTE, "this user may not open it");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bare_host_lacks_qemu_and_a_guest),
        TEST(an_ordinary_host_can_simulate),
        TEST(an_snp_host_can_launch_snp),
        TEST(a_tdx_host_tells_its_module_and_quoting_service),
        TEST(a_device_that_may_not_be_opened_is_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
