/* A TPM 2.0 behind TIS or CRB, as far as a measured boot needs one: start it, extend PCRs, keep the log. [TPM2 3, PTP] */
#pragma once

#include "firmware/stage0/machine.h"

enum { TPM_LOG_LEN = 65536 };

/*
 * PCRs that stage0 uses; 0 to 7 also get a separator before the kernel is entered. 8 stays as it is: the agent extends
 * it by the digest of its initdata, and a broker reads that and nothing else there. [evidence-formats 4.2]
 */
enum tpm_pcr { TPM_PCR_FIRMWARE = 0, TPM_PCR_TABLES = 1, TPM_PCR_KERNEL = 4, TPM_PCR_INITRD = 9, TPM_PCR_CMDLINE = 12 };

/*
 * Looks for a TPM and starts it. Success with `m->tpm == TPM_NONE` when there is none. The log goes to `log`, the
 * memory of TPM_LOG_LEN bytes that the ACPI tables name, or nowhere when it is NULL.
 */
FALLIBLE tpm_open(struct machine *m, uint8_t *log, struct err *err);

/* Extends all banks of a PCR by the hash of `digest`: the SHA-256 of what is measured. Does nothing without a TPM. */
FALLIBLE tpm_measure(struct machine *m, enum tpm_pcr pcr, const uint8_t digest[static SHA256_DIGEST_LEN],
                     struct err *err);
FALLIBLE tpm_separate(struct machine *m, struct err *err);
