/* From --tee and its options to what the hypervisor is told: chosen, and checked against what this host can. */
#pragma once

#include "base/options.h"
#include "runtime/vmm/host.h"

#define DEFAULT_SNP_POLICY 0x30000 /* SMT allowed; no debugging, no migration [SNP-ABI table 9] */

struct platform_options {
    const char *tee, *accel, *channel; /* as typed; "auto" */
    const char *cpu_model;             /* snp */
    uint64_t    snp_policy;
    const char *id_block, *id_auth;    /* snp: files; NULL: none */
    const char *quote_socket;          /* tdx: path; NULL: vsock */
};

struct platform {
    enum tee          tee;
    enum accelerator  accel;
    enum channel      channel;
    struct vm_binding binding;  /* borrows from the buffers below and from the options */
    struct buffer     id_block, id_auth;
};

void platform_free(struct platform *platform);
static inline void auto_platform(struct platform *platform) { platform_free(platform); }

/*
 * Chooses, warns on standard error about a platform that hides nothing, and says why this host cannot launch what was
 * asked for. Reads the files. QEMU is asked for its version when that decides.
 *
 * Fails CONFIG, UNSUPPORTED with what is missing and how to mend it; MALFORMED for a broken ID block.
 */
FALLIBLE platform_choose(const struct platform_options *options, struct host *host, struct platform *out,
                         struct err *err);
