/*
 * Secrets that a PKCS#11 token keeps: data objects, and secret keys that may be taken out, labelled with the resource's path.
 * Several threads may ask at once; the token is asked by one at a time.
 */
#pragma once

#include "base/auto.h"
#include "base/secret.h"

enum { TOKEN_VALUE_MAX = 64 << 10 }; /* bytes of one secret */

struct token_objects;

/* Opens the token that `uri` names (RFC 7512, with module-path and pin-source), and logs in. Fails as token_open. */
FALLIBLE token_objects_new(const char *uri, struct token_objects **out, struct err *err);
void     token_objects_free(struct token_objects *objects);
DEFINE_AUTO(token_objects, struct token_objects *, token_objects_free)

/*
 * The value of the one object with that label.
 *
 *   out    yours, AUTO(secret); written only on success
 *
 * Fails NOT_FOUND; DENIED for a key that may not leave the token; CONFIG for several; LIMIT; OS when the token fails, also
 * after it was opened anew.
 */
FALLIBLE token_objects_get(struct token_objects *objects, const char *label, struct secret *out, struct err *err);
