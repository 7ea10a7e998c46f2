/* The attestation result: an EAR token, written for the guest and read back when it asks for something. [KBS 11] */
#pragma once

#include "keys/broker/appraise.h"
#include "keys/broker/ear_memory.h"
#include "keys/broker/release.h"
#include "keys/broker/token_memory.h"

struct ear_issuer {
    EVP_PKEY    *key;         /* P-256 */
    struct bytes certificate; /* DER, of that key; goes into x5c */
    const char  *name;        /* iss */
    struct token_memory *memory; /* of tokens that `key` signed; NULL: each is verified */
    struct ear_memory   *ears;   /* of those read last; NULL: each is read */
};

enum { EVIDENCE_DIGEST_LEN = 32 }; /* SHA-256 of the attestation as it was sent: names it in the audit log */

/*
 * The evidence as attestation policies and the token have it: claims under the TEE's name, report_data, init_data,
 * init_data_claims, runtime_data_claims. Yours, AUTO(json).
 */
FALLIBLE ear_evidence(const struct facts *facts, const struct rcar_attestation *attestation, struct json_object **out,
                      struct err *err);

struct ear_content {
    const struct facts            *facts;
    struct json_object            *annotated; /* of ear_evidence; borrowed */
    const struct jwk              *tee_key;   /* the one in `annotated` */
    const struct appraisal_result *result;
    const char                    *reason; /* why nothing would be released to this guest; NULL when something may be */
    uint8_t                        evidence[EVIDENCE_DIGEST_LEN];
    int64_t                        now, expires;
};

/* Appends the signed token; it is in the issuer's memories then, as the guest will show it at once. */
FALLIBLE ear_write(const struct ear_issuer *issuer, const struct ear_content *content, struct buffer *token,
                   struct err *err);

/* The guest that a token of ours speaks of. */
struct ear {
    struct release_subject subject; /* views into the members below */
    struct json_object    *claims;  /* the whole payload; owned */
    char                   tee[REFERENCE_TEE_MAX];
    uint8_t                measurement[FACTS_MEASUREMENT_MAX], initdata[FACTS_FIELD_MAX];
    uint8_t                evidence[EVIDENCE_DIGEST_LEN];
    struct jwk             tee_key; /* owned */
};

void ear_free(struct ear *ear);
static inline void auto_ear(struct ear *ear) { ear_free(ear); }

/* Another that says the same; claims and key are shared, so nobody may change them. */
void ear_copy(const struct ear *from, struct ear *out);

/* The same evidence as another policy appraises it; the token that it came from, and other copies, stay as they are. */
void ear_reappraise(struct ear *ear, const struct appraisal_result *result, const char *policy_id);

/*
 * Verifies the signature and the times, then reads.
 *
 *   out    yours, AUTO(ear); its views are into itself, so do not copy it
 */
FALLIBLE ear_read(const struct ear_issuer *issuer, struct bytes token, int64_t now, struct ear *out, struct err *err);

/* Appends the JWK set that /.well-known/jwks.json serves. */
FALLIBLE ear_write_jwks(const struct ear_issuer *issuer, struct buffer *out, struct err *err);
