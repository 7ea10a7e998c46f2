/* Evidence of a TPM: a quote over the SHA-256 bank, with values, key and firmware's log. [tpm.md 3; evidence-formats.md 5] */
#pragma once

#include "attestation/attester/attester.h"

enum { TPM_NONCE_OF_COCO = 32, TPM_PCR_BOUND = 8, /* what `bind` extends, as CoCo's guests do for initdata */
       TPM_PCR_RUNTIME = 15 /* what events of the running guest extend: no guest can reset it, as it could 16 or 23, and
                               17, CoCo's own, takes nothing from an operating system */ };

struct tpm_attester_options {
    const char *tcti;      /* NULL: device:/dev/tpmrm0 */
    uint32_t    ak_handle; /* persistent attestation key; 0 makes one of the owner hierarchy */
    size_t      nonce_len; /* how much of the report data becomes the nonce; 0: the first 32 bytes, as CoCo has it */
    const char *event_log; /* NULL: /sys/kernel/security/tpm0/binary_bios_measurements; a missing file gives none */
};

/*
 * Connects and finds or makes the key. `options` may be NULL.
 *
 * Each request quotes all 24 registers; when one changed between reading and quoting, it is done again.
 */
FALLIBLE tpm_attester_open(const struct tpm_attester_options *options, struct attester **out, struct err *err);
