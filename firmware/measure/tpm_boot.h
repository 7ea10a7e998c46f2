/* The PCRs that a boot by stage0 beside a TPM leads to: firmware/stage0/tpm.h in advance. docs/boot.md says what is in them. */
#pragma once

#include "base/ossl.h"

/* X(register, what it holds) */
#define TPM_BOOT_PCRS(X) X(0, "firmware, as it was started") X(4, "kernel") X(9, "initrd") X(12, "command line")

enum { TPM_BOOT_N_PCRS = 4 };

struct tpm_boot {
    struct { unsigned pcr; uint8_t value[SHA256_LEN]; } at[TPM_BOOT_N_PCRS]; /* of the SHA-256 bank */
};

/*
 *   firmware    as the file has it; the hashes that the launcher writes into it are written into a copy here
 *   append      the whole command line
 *
 * Fails NOT_FOUND for firmware that is not stage0: other firmware extends other registers.
 */
FALLIBLE tpm_boot_measure(struct bytes firmware, struct bytes kernel, struct bytes initrd, const char *append,
                          struct tpm_boot *out, struct err *err);
