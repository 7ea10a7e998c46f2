/*
 * The words of the key protocol's handshake, on both sides: request, challenge, attestation, response. [KBS 2-10]
 */
#pragma once

#include "keys/jose/jwk.h"

#define KBS_VERSION          "0.4.0"
#define KBS_PREFIX           "/kbs/v0"
#define KBS_COOKIE           "kbs-session-id"
#define KBS_ERROR_TYPE       "https://github.com/confidential-containers/kbs/errors/"
#define KBS_VERSION_MISMATCH "KBS Client Protocol Version Mismatch"

enum { KBS_SESSION_ID_LEN = 32, RCAR_DIGEST_LEN = SHA384_LEN };

/*
 * The digest that evidence must carry as its report data: SHA-384 over the canonical runtime data. [KBS 6.1]
 *
 *   additional    the text of the additional evidence, "" when there is none
 */
FALLIBLE rcar_report_data(const char *additional, const char *nonce, const struct jwk *tee_key,
                          uint8_t out[static RCAR_DIGEST_LEN], struct err *err);

/* The body of POST auth. */
void rcar_request_write(const char *tee, struct buffer *out);

/*
 * The body of POST attest.
 *
 *   initdata    TOML text; empty: null
 *   evidence    JSON text of the primary evidence
 */
void rcar_attestation_write(struct bytes initdata, const char *nonce, const struct jwk *tee_key, struct bytes evidence,
                            struct buffer *out);

/* What a broker reads of POST attest; views borrow from `whole`. */
struct rcar_attestation {
    struct json_object *whole;      /* owned */
    const char         *initdata;   /* NULL when null or missing */
    const char         *nonce;
    struct jwk          tee_key;    /* owned */
    struct json_object *evidence;   /* the primary one; its arrays of bytes are packed [base/json_packed.h] */
    const char         *additional; /* "" when there is none */
};

void rcar_attestation_free(struct rcar_attestation *attestation);
static inline void auto_rcar_attestation(struct rcar_attestation *a) { rcar_attestation_free(a); }

/* Fails MALFORMED, LIMIT, UNSUPPORTED (a key or an initdata format that we do not take). */
FALLIBLE rcar_attestation_read(struct bytes body, struct rcar_attestation *out, struct err *err);

/* One path "REPOSITORY/TYPE/TAG", each part [A-Za-z0-9_-][A-Za-z0-9_.-]*. */
bool rcar_path_is_valid(struct bytes path);

/* The path of "kbs:///REPOSITORY/TYPE/TAG", as a view into `uri`; a host in it is ignored. Fails MALFORMED. */
FALLIBLE rcar_path_of_uri(const char *uri, const char **path, struct err *err);
