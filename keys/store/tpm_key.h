/* A store key that this machine's TPM sealed: two TPM2B structures, public and private part, in one file. */
#pragma once

#include "base/secret.h"

enum { TPM_SEALED_MAX = 1024 };

/*
 * Seals `key` below a storage key that the TPM derives from its owner seed; appends what opens it there.
 *
 *   tcti    as tpm2-tss names it: "device:/dev/tpmrm0"
 *
 * The session is salted and encrypts the key on the bus. Fails OS.
 */
FALLIBLE tpm_key_seal(const char *tcti, const struct secret *key, struct buffer *sealed, struct err *err);
/* Fails MALFORMED for other bytes, UNTRUSTED when this TPM did not seal them, OS. */
FALLIBLE tpm_key_unseal(const char *tcti, struct bytes sealed, struct secret *out, struct err *err);
