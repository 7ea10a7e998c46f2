/* Public areas and signatures of TPM objects: TPMT_PUBLIC, TPMT_SIGNATURE. [TPM-P2 12.2.4, 11.3.4] */
#pragma once

#include "attestation/evidence/tpm_hash.h"

enum tpm_key_type { TPM_RSA = 0x0001, TPM_ECC = 0x0023 };
enum { TPM_ALG_NULL = 0x0010, TPM_RSASSA = 0x0014, TPM_RSAPSS = 0x0016, TPM_ECDSA = 0x0018, TPM_AES = 0x0006,
       TPM_CFB = 0x0043 };
enum tpm_curve { TPM_P256 = 0x0003, TPM_P384 = 0x0004 };

#define TPM_ATTRIBUTES(X)                                                                      \
    X(FIXED_TPM, 0x2) X(FIXED_PARENT, 0x10) X(SENSITIVE_DATA_ORIGIN, 0x20) X(USER_WITH_AUTH, 0x40) \
    X(ADMIN_WITH_POLICY, 0x80) X(RESTRICTED, 0x10000) X(DECRYPT, 0x20000) X(SIGN, 0x40000)
#define TPM_ATTRIBUTE_ENUM(name, bit) TPM_##name = bit,
enum tpm_attribute { TPM_ATTRIBUTES(TPM_ATTRIBUTE_ENUM) };
#undef TPM_ATTRIBUTE_ENUM

enum { TPM_PUBLIC_LEN_MAX = 1024, TPM_NAME_LEN_MAX = 2 + TPM_HASH_LEN_MAX };

struct tpm_public {
    struct bytes      whole; /* the TPMT_PUBLIC, without a size in front */
    enum tpm_key_type type;
    uint16_t          name_hash;
    uint32_t          attributes;
    struct bytes      policy;
    uint16_t          symmetric, symmetric_bits, symmetric_mode; /* of a storage key; TPM_ALG_NULL else */
    uint16_t          scheme, scheme_hash;                       /* TPM_ALG_NULL: the signature chooses */
    uint16_t          rsa_bits;
    uint32_t          exponent; /* never 0 */
    struct bytes      modulus;
    enum tpm_curve    curve;
    struct bytes      x, y; /* may be shorter than the field */
};

/* Reads a TPMT_PUBLIC or a TPM2B_PUBLIC that fills `whole`. Fails MALFORMED, UNSUPPORTED, LIMIT. */
FALLIBLE tpm_public_parse(struct bytes whole, struct tpm_public *out, struct err *err);

/* Name = nameAlg, H(TPMT_PUBLIC). Writes `*len` bytes. [TPM-P1 16] */
void tpm_name_of(const struct tpm_public *p, uint8_t out[static TPM_NAME_LEN_MAX], size_t *len);

/*
 * Appends the SubjectPublicKeyInfo, DER, of a P-256 key: how evidence and registered values name attestation keys.
 * [RFC 5480]
 *
 *   area    as tpm_public_parse takes it
 *
 * Fails as that does; UNSUPPORTED for a key of another kind.
 */
FALLIBLE tpm_key_info_write(struct bytes area, struct buffer *der, struct err *err);

struct tpm_signature {
    uint16_t     scheme, hash;
    struct bytes rsa;  /* RSASSA, RSAPSS */
    struct bytes r, s; /* ECDSA; may be shorter than the field */
};

/* Reads a TPMT_SIGNATURE that fills `whole`. */
FALLIBLE tpm_signature_parse(struct bytes whole, struct tpm_signature *out, struct err *err);
