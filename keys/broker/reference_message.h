/*
 * Reference values as they are delivered: the message of Trustee's RVPS, {"version":"0.1.0","type":T,"payload":base64}.
 *
 *   sample    JSON {name: value}, unsigned
 *   jws       a compact JWS, EdDSA or ES256, over {"reference-values":{name: value},"exp"?,"nbf"?}
 *   corim     CBOR: a CoRIM, or a COSE_Sign1 over one
 *
 * [evidence-formats 8]
 */
#pragma once

#include "keys/broker/administrators.h"

struct reference_set {
    struct json_object *values;  /* name to value, at least one; owned */
    int64_t             expires; /* seconds since 1970; 0: never */
    char                signer[ADMINISTRATOR_NAME_MAX + 1]; /* "" when it is not signed */
};

void reference_set_free(struct reference_set *set);
static inline void auto_reference_set(struct reference_set *s) { reference_set_free(s); }

/*
 * Reads and, where it is signed, verifies.
 *
 *   out    yours, AUTO(reference_set); written only on success
 *
 * Fails MALFORMED, UNSUPPORTED, LIMIT; UNTRUSTED when no signer of `administrators` has signed it, when it has expired,
 * or when it is not signed and has to be.
 */
FALLIBLE reference_message_read(struct bytes body, const struct administrators *administrators, int64_t now,
                                struct reference_set *out, struct err *err);
