/* Secrets at rest: AES-256-GCM under the store's key, bound to the name that they are stored under. */
#pragma once

#include "base/secret.h"

enum { SEAL_KEY_LEN = 32, SEAL_EXTRA = 12 + 16 }; /* nonce in front, tag behind */

/* Appends nonce, ciphertext and tag. */
FALLIBLE seal(const struct secret *key, const char *name, const struct secret *plain, struct buffer *out,
              struct err *err);

/* Fails UNTRUSTED when the key, the name or a byte is not the one it was sealed with. */
FALLIBLE unseal(const struct secret *key, const char *name, struct bytes sealed, struct secret *out, struct err *err);
