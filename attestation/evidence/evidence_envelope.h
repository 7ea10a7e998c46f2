/*
 * Evidence as CoCo's attesters send it: one JSON object per TEE, in every version that has been in use, and back.
 * Format only: the parts are judged by attestation/verifier/envelope.h. [evidence-formats.md 2 to 5]
 */
#pragma once

#include "attestation/evidence/snp_evidence.h"
#include "attestation/evidence/tpm_quote.h"

/* The TEEs whose evidence is read here, as the key protocol names them: X(NAME, "name"). */
#define ENVELOPE_KINDS(X)              \
    X(SNP,         "snp")              \
    X(TDX,         "tdx")              \
    X(AZ_SNP_VTPM, "az-snp-vtpm")      \
    X(AZ_TDX_VTPM, "az-tdx-vtpm")      \
    X(TPM,         "tpm")

#define ENVELOPE_ENUM(name, text) ENVELOPE_##name,
enum envelope_kind { ENVELOPE_KINDS(ENVELOPE_ENUM) N_ENVELOPE_KINDS };
#undef ENVELOPE_ENUM

enum {
    ENVELOPE_LEN_MAX      = 8 << 20, /* of the JSON text */
    ENVELOPE_VERSION_MOST = 2,       /* of the two Azure forms */
    ENVELOPE_PCR_LEN      = 32,      /* SHA-256: the one bank that travels */
    ENVELOPE_USER_DATA_FROM = 2      /* from this version on, Azure's claims repeat the report data */
};

/* A TPM quote and the 24 values that it is said to be over, by position. */
struct tpm_envelope {
    struct buffer message;   /* TPMS_ATTEST */
    struct buffer signature; /* TPMT_SIGNATURE; from Azure the bare RSASSA value */
    uint8_t       pcr[TPM_PCRS][ENVELOPE_PCR_LEN];
};

/* Members that a kind does not have are empty. */
struct evidence_envelope {
    enum envelope_kind  kind;
    unsigned            version;       /* az-*: 0, 1 or 2 */
    struct snp_evidence snp;           /* snp; az-snp-vtpm: its `vek` only, DER or PEM */
    struct buffer       td_quote;      /* tdx, az-tdx-vtpm */
    bool                has_event_log; /* tdx */
    struct buffer       event_log;     /* CCEL, with what the guest appended */
    struct buffer       hcl_report;    /* az-* */
    struct tpm_envelope tpm;           /* az-*, tpm */
    struct buffer       ak_public;     /* tpm: SubjectPublicKeyInfo, DER */
};

void evidence_envelope_free(struct evidence_envelope *envelope);
static inline void auto_evidence_envelope(struct evidence_envelope *envelope) { evidence_envelope_free(envelope); }

const char *envelope_kind_name(enum envelope_kind kind);
bool        envelope_kind_by_name(const char *name, enum envelope_kind *out);

/*
 * Reads one object that json_read has accepted. Members that no version knows are passed over, as CoCo does.
 *
 *   out    yours, AUTO(evidence_envelope); written only on success
 *
 * Fails MALFORMED with the member's name, UNSUPPORTED for a version, LIMIT.
 */
FALLIBLE evidence_envelope_read(enum envelope_kind kind, struct json_object *from, struct evidence_envelope *out,
                                struct err *err);

/*
 * Appends the JSON text of the newest version; `envelope->version` says which one for Azure.
 *
 * Fails as snp_evidence_write does.
 */
FALLIBLE evidence_envelope_write(const struct evidence_envelope *envelope, struct buffer *json, struct err *err);
