/* TPM 2.0 quotes: TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE, big endian. [TPM-P2 10.12.8] */
#pragma once

#include "base/bytes.h"

enum { TPM_PCRS = 24, TPM_SELECTIONS_MAX = 8, TPM_ATTEST_LEN_MAX = 2304, TPM_NONCE_LEN_MAX = 64 };

struct tpm_selection {
    uint16_t hash; /* bank */
    uint32_t pcrs; /* bit n: PCR n */
};

struct tpm_quote {
    struct bytes         whole;            /* what the signature covers */
    struct bytes         qualified_signer; /* a Name */
    struct bytes         extra_data;       /* the verifier's nonce */
    uint64_t             clock;
    uint32_t             reset_count, restart_count;
    bool                 is_clock_safe;
    uint64_t             firmware_version;
    struct tpm_selection selection[TPM_SELECTIONS_MAX];
    size_t               n_selections;
    struct bytes         pcr_digest;
};

/*
 * Reads one TPMS_ATTEST that fills `whole`, which must outlive `out`.
 *
 * Fails UNTRUSTED when TPM_GENERATED_VALUE is missing, UNSUPPORTED for another type than a quote, LIMIT for size and
 * number of selections, MALFORMED otherwise.
 */
FALLIBLE tpm_quote_parse(struct bytes whole, struct tpm_quote *out, struct err *err);

/* A TPML_PCR_SELECTION; a bank may appear once. */
FALLIBLE tpm_selections_read(struct reader *r, struct tpm_selection out[static TPM_SELECTIONS_MAX], size_t *n,
                             struct err *err);
