/* A TPM 2.0 behind TIS or CRB, as far as a measured boot needs one: start it, extend PCRs, keep the log. [TPM2 3, PTP] */
#pragma once

#include "firmware/stage0/machine.h"

/*
 * Looks for a TPM and starts it. Success with `m->tpm == TPM_NONE` when there is none. The log goes to `log`, the
 * memory of BOOT_LOG_LEN bytes that the ACPI tables name, or nowhere when it is NULL.
 */
FALLIBLE tpm_open(struct machine *m, uint8_t *log, struct err *err);

/* Extends all banks of a PCR by the hash of `digest`: the SHA-256 of what is measured. Does nothing without a TPM. */
FALLIBLE tpm_measure(struct machine *m, enum boot_pcr pcr, const uint8_t digest[static SHA256_DIGEST_LEN],
                     struct err *err);

/* A separator for each of PCR 0 to 7. */
FALLIBLE tpm_separate(struct machine *m, struct err *err);
