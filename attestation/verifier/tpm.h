/*
 * Appraises TPM 2.0 quotes. Pure: quote, signature, key, PCR values, event log, nonce and policy come in, a verdict
 * goes out. That the key is one TPM's, and whose, is decided elsewhere: by an EK certificate and credential
 * activation (ek_certificate.h, credential.h), or by TEE evidence that names the key (hcl.h). [tpm.md 3, 4, 9]
 */
#pragma once

#include "attestation/evidence/event_log.h"
#include "attestation/verifier/tpm_key.h"
#include "attestation/verifier/tpm_policy.h"
#include "attestation/verifier/verdict.h"

enum { TPM_BANKS_MAX = 5 };

struct tpm_pcrs {
    struct {
        const struct tpm_hash *hash;
        uint32_t               known; /* bit n: value[n] is set */
        uint8_t                value[TPM_PCRS][TPM_HASH_LEN_MAX];
    } bank[TPM_BANKS_MAX];
    size_t n_banks;
};

/* Adds or replaces one value; false for an unknown bank, a wrong length or too many banks. */
bool tpm_pcrs_set(struct tpm_pcrs *p, uint16_t hash, unsigned pcr, struct bytes value);
/* The value, or an empty view. */
struct bytes tpm_pcrs_get(const struct tpm_pcrs *p, uint16_t hash, unsigned pcr);

struct tpm_evidence {
    struct bytes           quote;     /* TPMS_ATTEST */
    struct bytes           signature; /* TPMT_SIGNATURE, or the bare bytes of an RSASSA signature over SHA-256 */
    struct bytes           event_log; /* with has_event_log */
    bool                   has_event_log;
    const struct tpm_pcrs *pcrs; /* values that the guest presents, or NULL */
};

struct tpm_question {
    const struct tpm_policy       *policy;
    bool                           has_nonce;
    struct bytes                   nonce; /* must equal the whole qualifying data */
    const struct verdict_listener *listener;
};

struct tpm_result {
    struct verdict     verdict;
    bool               is_genuine; /* signed by the key, fresh as far as it was asked */
    struct tpm_quote   quote;      /* borrows from the evidence */
    bool               has_pcrs;   /* values that the quote's digest confirms */
    struct tpm_pcrs    pcrs;
    bool               has_log;    /* a log that explains them */
    struct event_log   log;
    uint8_t            ak_name[TPM_NAME_LEN_MAX];
    size_t             ak_name_len; /* 0 for a key without public area */
};

/* Appraises `evidence` under `ak`. Returns whether it was accepted; `out` is always written. */
bool tpm_verify(const struct tpm_evidence *evidence, const struct tpm_key *ak, const struct tpm_question *q,
                struct tpm_result *out);
/* The same as part of a larger appraisal. */
void tpm_appraise(const struct tpm_evidence *evidence, const struct tpm_key *ak, const struct tpm_question *q,
                  struct tpm_result *out, struct appraisal *a);

/* pcrDigest: H_scheme over the selected values, banks in the selection's order, PCRs ascending. False when one lacks. */
bool tpm_pcr_digest(const struct tpm_quote *quote, const struct tpm_pcrs *pcrs, const struct tpm_hash *scheme_hash,
                    uint8_t out[static TPM_HASH_LEN_MAX]);
