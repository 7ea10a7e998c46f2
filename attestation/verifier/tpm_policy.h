/* What a relying party accepts of a true TPM quote. */
#pragma once

#include "attestation/evidence/tpm_quote.h"
#include "attestation/evidence/tpm_public.h"
#include "base/json.h"

enum { TPM_POLICY_LEN_MAX = 1 << 20, TPM_POLICY_VALUES_MAX = 1024 };

struct tpm_pcr_value {
    uint16_t hash;
    uint8_t  pcr;
    uint8_t  value[TPM_HASH_LEN_MAX];
};

struct tpm_policy {
    bool                 allow_sha1;            /* signatures over SHA-1 */
    bool                 allow_unsafe_clock;    /* without a warning */
    bool                 allow_event_separators; /* other than one good separator in each of PCR 0 to 7 */
    bool                 allow_event_data;      /* whose digest says otherwise */
    uint32_t             unlogged_pcrs;         /* bit n: PCR n may have a value that the log does not explain */
    bool                 has_selection;         /* exactly these PCRs must be quoted */
    struct tpm_selection selection[TPM_SELECTIONS_MAX];
    size_t               n_selections;
    struct buffer        values;                /* of struct tpm_pcr_value: one of those given for a PCR must be its */
    bool                 has_ak_names;
    struct buffer        ak_names;              /* u8 length, Name, one behind the other */
};

void tpm_policy_free(struct tpm_policy *p);
static inline void auto_tpm_policy(struct tpm_policy *p) { tpm_policy_free(p); }

/* Reads a policy document over the zero state, which is the strict default. Fails MALFORMED, CONFIG. */
FALLIBLE tpm_policy_read(struct bytes text, struct tpm_policy *out, struct err *err);

bool   tpm_policy_allows_name(const struct tpm_policy *p, struct bytes name);
size_t tpm_policy_n_values(const struct tpm_policy *p);
struct tpm_pcr_value tpm_policy_value(const struct tpm_policy *p, size_t i);
