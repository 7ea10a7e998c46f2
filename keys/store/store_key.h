/*
 * Where the store's key comes from: it seals every secret at rest, so it is kept apart from the store.
 *
 *   FILE, file:FILE      32 random bytes, mode 0600
 *   tpm:FILE[?TCTI]      sealed by this machine's TPM in FILE; opens there only. TCTI: device:/dev/tpmrm0
 *   pkcs11:...           derived by a secret key that never leaves its token [RFC 7512]; module-path and pin-source
 *                        must be named: pkcs11:token=T;object=O?module-path=/usr/lib/m.so&pin-source=/etc/pin
 */
#pragma once

#include "base/secret.h"

enum { STORE_KEY_LEN = 32 };

/* Fails CONFIG for a source that is not one of these or a file that others may read, NOT_FOUND, UNTRUSTED, OS. */
FALLIBLE store_key_read(const char *source, struct secret *out, struct err *err);

/* Makes a new key there; what is there already is kept, and CONFIG. */
FALLIBLE store_key_make(const char *source, struct err *err);
