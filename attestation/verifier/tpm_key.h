/* Attestation keys in the forms they travel in, and TPM signatures under them. [tpm.md 2, 3] */
#pragma once

#include "attestation/evidence/tpm_public.h"

struct tpm_key {
    EVP_PKEY         *key;
    bool              has_public; /* a bare SubjectPublicKeyInfo does not say what the TPM lets the key sign */
    bool              is_vouched; /* TEE evidence names the key: who made that evidence answers for its attributes */
    struct tpm_public public;     /* borrows from the bytes that were read */
};

void tpm_key_free(struct tpm_key *k);
static inline void auto_tpm_key(struct tpm_key *k) { tpm_key_free(k); }

/* Reads TPM2B_PUBLIC, TPMT_PUBLIC, or a SubjectPublicKeyInfo in DER or PEM. `out` is zeroed before. */
FALLIBLE tpm_key_read(struct bytes from, struct tpm_key *out, struct err *err);

/* The key of a public area. Fails MALFORMED for a point that is not on its curve. */
FALLIBLE tpm_key_of(const struct tpm_public *p, EVP_PKEY **out, struct err *err);

/* An RSA key of its modulus, exponent 65537. */
FALLIBLE tpm_rsa_key_of(struct bytes modulus, uint32_t exponent, EVP_PKEY **out, struct err *err);

bool tpm_signed(EVP_PKEY *key, const struct tpm_signature *s, struct bytes message);
