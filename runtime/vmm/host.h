/* What this host can run: accelerator and TEE, found by looking, overridden by the user. */
#pragma once

#include "runtime/vmm/vm.h"

/*
 * KVM where it can run a stock kernel, else TCG. /dev/kvm may open, and even create a VM, on a machine whose CPU
 * offers neither SVM nor VMX to us: the CPU's flags are asked as well.
 *
 *   asked     "auto", "kvm" or "tcg"
 *   cpuinfo   text of /proc/cpuinfo, so that the decision can be tested
 *   why       a sentence for people; static text
 *
 * Fails CONFIG for another word, or when "kvm" is asked and /dev/kvm does not open.
 */
FALLIBLE host_choose_accelerator(const char *asked, const char *cpuinfo, bool kvm_opens, enum accelerator *out,
                                 const char **why, struct err *err);

/*
 *   asked         "auto", "snp", "tdx", "tpm" or "sim"
 *   has_snp, has_tdx   what host_has_snp and host_has_tdx found
 */
FALLIBLE host_choose_tee(const char *asked, bool has_snp, bool has_tdx, enum tee *out, const char **why,
                         struct err *err);

bool host_kvm_opens(void);
bool host_has_snp(void); /* kvm_amd loaded with sev_snp=Y */
bool host_has_tdx(void); /* kvm_intel loaded with tdx=Y */
