/* What this host can run: accelerator and TEE, found by looking, overridden by the user. */
#pragma once

#include "runtime/vmm/vm.h"

/* The first QEMU that can launch it. */
enum { QEMU_SNP_MAJOR = 9, QEMU_SNP_MINOR = 1, QEMU_TDX_MAJOR = 10, QEMU_TDX_MINOR = 1 };

/* What decides. */
struct host {
    struct buffer cpuinfo; /* text of /proc/cpuinfo */
    bool          kvm_opens;
    bool          has_snp; /* kvm_amd runs with sev_snp=Y */
    bool          has_tdx; /* kvm_intel runs with tdx=Y */
    unsigned      c_bit, reduced_phys_bits; /* of SEV-SNP, from CPUID; 0 without it */
    bool          has_qemu;                 /* this and the next by host_ask_qemu */
    unsigned      qemu_major, qemu_minor;
};

void host_free(struct host *host);
static inline void auto_host(struct host *host) { host_free(host); }

/*
 * Looks.
 *
 *   root    in front of /proc, /sys and /dev; "" for this machine. CPUID is this machine's in any case.
 *   out     yours, AUTO(host)
 *
 * Fails NOT_FOUND, OS without a readable /proc/cpuinfo.
 */
FALLIBLE host_look(const char *root, struct host *out, struct err *err);

/* Fills in QEMU's version: starts it, so only where it matters. */
void host_ask_qemu(struct host *host);

bool host_cpu_has(const struct host *host, const char *flag);
/* Whether QEMU is there and at least as new. */
bool host_has_qemu(const struct host *host, unsigned major, unsigned minor);

/*
 * KVM where it can run a stock kernel, else TCG. /dev/kvm may open, and even create a VM, on a machine whose CPU
 * offers neither SVM nor VMX to us: the CPU's flags are asked as well.
 *
 *   asked    "auto", "kvm" or "tcg"
 *   why      a sentence for people; static text
 *
 * Fails CONFIG for another word, or when "kvm" is asked and /dev/kvm does not open.
 */
FALLIBLE host_choose_accelerator(const char *asked, const struct host *host, enum accelerator *out, const char **why,
                                 struct err *err);

/* asked: "auto", "snp", "tdx", "tpm" or "sim". Fails CONFIG for another word. */
FALLIBLE host_choose_tee(const char *asked, const struct host *host, enum tee *out, const char **why, struct err *err);

/* Fails UNSUPPORTED with the first thing that `tee` needs and `host` lacks, and how to mend it. */
FALLIBLE host_check_tee(const struct host *host, enum tee tee, struct err *err);
