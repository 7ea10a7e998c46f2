/* A store key derived inside a PKCS#11 token: HMAC-SHA-256 of a fixed label, under a secret key that never leaves it. */
#pragma once

#include "base/secret.h"

/*
 * `uri` as store_key.h has it. Fails CONFIG for a URI that does not name one key, its module and the file of its PIN;
 * NOT_FOUND when no token or key fits it; OS when the token refuses.
 */
FALLIBLE token_key_derive(const char *uri, struct secret *out, struct err *err);
/* Makes the secret key that the URI names. CONFIG when there is one. */
FALLIBLE token_key_make(const char *uri, struct err *err);
