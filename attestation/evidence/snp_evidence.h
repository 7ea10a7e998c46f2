/*
 * The evidence of TEE "snp" as the key protocol carries it: the attestation report taken apart into a JSON object,
 * and certificates. Both directions, over raw reports, so that a signature still holds on the other side.
 * [evidence-formats 2.1]
 */
#pragma once

#include "base/json.h"

enum { SNP_EVIDENCE_REPORT_LEN = 1184, SNP_EVIDENCE_CERTIFICATE_MAX = 8192, SNP_EVIDENCE_CERTIFICATES_MAX = 8 };

/* Certificates and the host's revocation list, DER; empty when the evidence has none of that kind. */
struct snp_evidence {
    uint8_t       report[SNP_EVIDENCE_REPORT_LEN];
    bool          is_vlek; /* `vek` is a VLEK, and `ask` the ASVK */
    struct buffer vek, ask, ark, crl;
};

void snp_evidence_free(struct snp_evidence *evidence);
static inline void auto_snp_evidence(struct snp_evidence *evidence) { snp_evidence_free(evidence); }

/*
 * Appends the JSON text.
 *
 *   certificates    DER or PEM; an empty `vek` writes a null chain, and the verifier must know it from elsewhere
 *
 * Fails UNSUPPORTED for a report with reserved bits set, which this form cannot carry; MALFORMED.
 */
FALLIBLE snp_evidence_write(struct bytes report, bool is_vlek, struct bytes vek, struct bytes ask, struct bytes ark,
                            struct buffer *json, struct err *err);

/*
 * Rebuilds the report byte for byte and copies the certificates; judges neither.
 *
 *   out    yours, AUTO(snp_evidence); written only on success
 *
 * Fails MALFORMED with the member's name, LIMIT.
 */
FALLIBLE snp_evidence_read(struct json_object *from, struct snp_evidence *out, struct err *err);
