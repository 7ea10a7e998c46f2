#include "runtime/vmm/host.h"

#include <cpuid.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"

enum { CPUINFO_LEN_MAX = 16 << 20, VERSION_LEN_MAX = 64 << 10, VERSION_TIMEOUT_MS = 30000 };

void host_free(struct host *host)
{
    buffer_free(&host->cpuinfo);
    *host = (struct host){ 0 };
}

static void path_below(const char *root, const char *path, char **out)
{
    if (asprintf(out, "%s%s", root, path) < 0)
        abort();
}

static bool opens(const char *root, const char *path)
{
    AUTO(text) char *whole = NULL;

    path_below(root, path, &whole);
    AUTO(fd) int fd = open(whole, O_RDWR | O_CLOEXEC);
    return fd >= 0;
}

static bool says_yes(const char *root, const char *path)
{
    AUTO(buffer) struct buffer text  = { 0 };
    AUTO(text) char           *whole = NULL;
    struct err                 err;

    path_below(root, path, &whole);
    return file_read(whole, 16, &text, &err) && (buffer_text(&text)[0] == 'Y' || buffer_text(&text)[0] == '1');
}

/* CPUID 0x8000001F: SEV-SNP in EAX bit 4, the C-bit in EBX 5:0, what it costs in EBX 11:6. */
static void ask_cpu(struct host *host)
{
    static const unsigned leaf = 0x8000001f;
    enum { HAS_SNP = 1 << 4, BITS = 63 };
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

    if (!__get_cpuid(leaf, &eax, &ebx, &ecx, &edx) || !(eax & HAS_SNP))
        return;
    host->c_bit             = ebx & BITS;
    host->reduced_phys_bits = ebx >> 6 & BITS;
}

void host_ask_qemu(struct host *host)
{
    static const char *const   argv[] = { "qemu-system-x86_64", "--version", NULL };
    AUTO(buffer) struct buffer out    = { 0 };
    int                        code   = 0;
    struct err                 err;

    if (!process_run(argv, (struct bytes){ 0 }, VERSION_LEN_MAX, VERSION_TIMEOUT_MS, &out, &code, &err) || code != 0)
        return;
    const char *version = strstr(buffer_text(&out), "version ");
    host->has_qemu = version && sscanf(version, "version %u.%u", &host->qemu_major, &host->qemu_minor) == 2;
}

FALLIBLE host_look(const char *root, struct host *out, struct err *err)
{
    AUTO(host) struct host found = { 0 };
    AUTO(text) char       *path  = NULL;

    path_below(root, "/proc/cpuinfo", &path);
    if (!file_read(path, CPUINFO_LEN_MAX, &found.cpuinfo, err))
        return false;
    (void) buffer_text(&found.cpuinfo); /* it is read as text from now on */
    found.kvm_opens = opens(root, "/dev/kvm");
    found.has_snp   = says_yes(root, "/sys/module/kvm_amd/parameters/sev_snp");
    found.has_tdx   = says_yes(root, "/sys/module/kvm_intel/parameters/tdx");
    ask_cpu(&found);
    *out = TAKE(found);
    return true;
}

bool host_cpu_has(const struct host *host, const char *flag)
{
    const char *text  = host->cpuinfo.at ? (const char *) host->cpuinfo.at : "";
    const char *flags = strncmp(text, "flags", 5) == 0 ? text : strstr(text, "\nflags");
    size_t      len   = strlen(flag);
    const char *end   = flags ? flags + 1 + strcspn(flags + 1, "\n") : NULL;

    for (const char *at = flags ? strstr(flags, flag) : NULL; at && at < end; at = strstr(at + len, flag))
        if (at[-1] == ' ' && (at[len] == ' ' || at[len] == '\n' || at[len] == 0))
            return true;
    return false;
}

bool host_has_qemu(const struct host *host, unsigned major, unsigned minor)
{
    return host->has_qemu && (host->qemu_major > major || (host->qemu_major == major && host->qemu_minor >= minor));
}

FALLIBLE host_choose_accelerator(const char *asked, const struct host *host, enum accelerator *out, const char **why,
                                 struct err *err)
{
    bool has_extension = host_cpu_has(host, "svm") || host_cpu_has(host, "vmx");

    if (strcmp(asked, "kvm") == 0 && !host->kvm_opens)
        return fail_with(err, ERR_CONFIG, "--accel kvm: /dev/kvm does not open; load kvm_amd or kvm_intel, or use --accel tcg");
    if (strcmp(asked, "kvm") == 0 || (strcmp(asked, "auto") == 0 && host->kvm_opens && has_extension)) {
        *out = ACCEL_KVM;
        *why = strcmp(asked, "kvm") == 0 ? "asked for" : "/dev/kvm opens and the CPU offers hardware virtualisation";
        return true;
    }
    if (strcmp(asked, "tcg") != 0 && strcmp(asked, "auto") != 0)
        return fail_with(err, ERR_CONFIG, "--accel %s: auto, kvm or tcg is wanted", asked);
    *out = ACCEL_TCG;
    *why = strcmp(asked, "tcg") == 0 ? "asked for"
           : host->kvm_opens         ? "/dev/kvm opens, but the CPU offers neither svm nor vmx"
                                     : "/dev/kvm does not open";
    return true;
}

FALLIBLE host_choose_tee(const char *asked, const struct host *host, enum tee *out, const char **why, struct err *err)
{
    static const enum tee all[] = { TEE_SNP, TEE_TDX, TEE_TPM, TEE_SIM };

    if (strcmp(asked, "auto") == 0) {
        *out = host->has_snp ? TEE_SNP : host->has_tdx ? TEE_TDX : TEE_SIM;
        *why = host->has_snp   ? "kvm_amd runs with sev_snp=Y"
               : host->has_tdx ? "kvm_intel runs with tdx=Y"
                               : "no TEE was found on this host";
        return true;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(asked, tee_name(all[i])) == 0) {
            *out = all[i];
            *why = "asked for";
            return true;
        }
    return fail_with(err, ERR_CONFIG, "--tee %s: auto, snp, tdx, tpm or sim is wanted", asked);
}

/* What a TEE needs, in the order in which it is mended. */
static FALLIBLE check_confidential(const struct host *host, const char *tee, bool has_tee, const char *mend,
                                   unsigned major, unsigned minor, struct err *err)
{
    if (!host->kvm_opens)
        return fail_with(err, ERR_UNSUPPORTED, "--tee %s needs KVM, and /dev/kvm does not open", tee);
    if (!has_tee)
        return fail_with(err, ERR_UNSUPPORTED, "--tee %s: not on this host: %s", tee, mend);
    if (!host_has_qemu(host, major, minor))
        return fail_with(err, ERR_UNSUPPORTED, "--tee %s needs QEMU %u.%u; %s %u.%u", tee, major, minor,
                         host->has_qemu ? "this is" : "there is none, not even", host->qemu_major, host->qemu_minor);
    return true;
}

FALLIBLE host_check_tee(const struct host *host, enum tee tee, struct err *err)
{
    switch (tee) {
    case TEE_SNP:
        return check_confidential(host, "snp", host->has_snp,
                                  "kvm_amd does not run with sev_snp=Y (CPU, firmware setup, Linux 6.11)",
                                  QEMU_SNP_MAJOR, QEMU_SNP_MINOR, err);
    case TEE_TDX:
        return check_confidential(host, "tdx", host->has_tdx,
                                  "kvm_intel does not run with tdx=Y (CPU, firmware setup, Linux 6.16)",
                                  QEMU_TDX_MAJOR, QEMU_TDX_MINOR, err);
    case TEE_TPM:
    case TEE_SIM:
        return true;
    }
    return fail_with(err, ERR_BUG, "TEE %d", (int) tee);
}
