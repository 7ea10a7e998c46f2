#include "runtime/vmm/host.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"

FALLIBLE host_choose_accelerator(const char *asked, const char *cpuinfo, bool kvm_opens, enum accelerator *out,
                                 const char **why, struct err *err)
{
    bool has_extension = strstr(cpuinfo, " svm") || strstr(cpuinfo, " vmx");

    if (strcmp(asked, "kvm") == 0 && !kvm_opens)
        return fail_with(err, ERR_CONFIG, "--accel kvm: /dev/kvm does not open; load kvm_amd or kvm_intel, or use --accel tcg");
    if (strcmp(asked, "kvm") == 0 || (strcmp(asked, "auto") == 0 && kvm_opens && has_extension)) {
        *out = ACCEL_KVM;
        *why = strcmp(asked, "kvm") == 0 ? "asked for" : "/dev/kvm opens and the CPU offers hardware virtualisation";
        return true;
    }
    if (strcmp(asked, "tcg") != 0 && strcmp(asked, "auto") != 0)
        return fail_with(err, ERR_CONFIG, "--accel %s: auto, kvm or tcg is wanted", asked);
    *out = ACCEL_TCG;
    *why = strcmp(asked, "tcg") == 0 ? "asked for"
           : kvm_opens               ? "/dev/kvm opens, but the CPU offers neither svm nor vmx"
                                     : "/dev/kvm does not open";
    return true;
}

FALLIBLE host_choose_tee(const char *asked, bool has_snp, bool has_tdx, enum tee *out, const char **why,
                         struct err *err)
{
    static const enum tee all[] = { TEE_SNP, TEE_TDX, TEE_TPM, TEE_SIM };

    if (strcmp(asked, "auto") == 0) {
        *out = has_snp ? TEE_SNP : has_tdx ? TEE_TDX : TEE_SIM;
        *why = has_snp   ? "kvm_amd runs with sev_snp=Y"
               : has_tdx ? "kvm_intel runs with tdx=Y"
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

bool host_kvm_opens(void)
{
    AUTO(fd) int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    return fd >= 0;
}

static bool says_yes(const char *path)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    return file_read(path, 16, &text, &err) && (buffer_text(&text)[0] == 'Y' || buffer_text(&text)[0] == '1');
}

bool host_has_snp(void) { return says_yes("/sys/module/kvm_amd/parameters/sev_snp"); }
bool host_has_tdx(void) { return says_yes("/sys/module/kvm_intel/parameters/tdx"); }
