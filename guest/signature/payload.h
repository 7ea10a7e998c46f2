/* What an image's signature is over: the simple signing document. [containers-signature(5); cosign SIGNATURE_SPEC] */
#pragma once

#include "base/json.h"
#include "guest/signature/limits.h"
#include "keys/ocicrypt/reference.h"

struct signature_payload {
    struct json_object    *document; /* owns what the rest borrows */
    struct digest          manifest;
    struct image_reference identity; /* the name that the signer gave the image */
    struct json_object    *optional; /* claims of the signer, an object; NULL: none */
};

void signature_payload_free(struct signature_payload *payload);
static inline void auto_signature_payload(struct signature_payload *payload) { signature_payload_free(payload); }

/*
 * Reads a cosign payload. Only after its signature held.
 *
 *   out    yours, AUTO(signature_payload); written only on success
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for another type of signature.
 */
FALLIBLE signature_payload_read(struct bytes json, struct signature_payload *out, struct err *err);

/* Checks the form of a requirement's "signedIdentity"; NULL is the default, matchRepoDigestOrExact. Fails MALFORMED. */
FALLIBLE signed_identity_check(struct json_object *rule, struct err *err);

/*
 * Whether the signer's name for the image is one under which it may be used as `requested`.
 * [containers-policy.json(5), signedIdentity] Fails DENIED, with both names.
 */
FALLIBLE signed_identity_match(struct json_object *rule, const struct image_reference *requested,
                               const struct image_reference *signed_as, struct err *err);
