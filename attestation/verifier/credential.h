/*
 * The verifier's half of credential activation: a secret that only the TPM with this endorsement key, holding this
 * attestation key, can give back. TPM2_MakeCredential without a TPM. [TPM-P1 24; tpm.md 5]
 */
#pragma once

#include "attestation/evidence/tpm_public.h"
#include "base/secret.h"

/*
 * Wraps `secret` for the endorsement key `ek` and the object named `ak_name`.
 *
 *   ak_name             computed by the verifier from a public area that it has checked, never a claimed one
 *   secret              at most as long as the EK's name hash
 *   id_object           appended: TPM2B_ID_OBJECT
 *   encrypted_secret    appended: TPM2B_ENCRYPTED_SECRET
 *
 * Fails UNSUPPORTED for a key that is not a storage key with AES-CFB, LIMIT for a secret that is too long.
 */
FALLIBLE credential_make(const struct tpm_public *ek, struct bytes ak_name, const struct secret *secret,
                         struct buffer *id_object, struct buffer *encrypted_secret, struct err *err);

/* Its deterministic part, for a seed that has been agreed on. `hash` and `aes_bits` are the EK's. */
FALLIBLE credential_seal(const struct tpm_hash *hash, unsigned aes_bits, const struct secret *seed, struct bytes ak_name,
                         const struct secret *secret, struct buffer *id_object, struct err *err);
