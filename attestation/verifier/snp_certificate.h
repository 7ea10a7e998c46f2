/*
 * X.509 certificates in the exact profile of AMD's SEV PKI: version 3, RSA-PSS with SHA-384, strict DER, keys
 * RSA-4096 or P-384, AMD's extensions. [RFC 5280 4.1; KDS 57230 3; snp.md 2.1, 2.2]
 */
#pragma once

#include "attestation/evidence/snp_report.h"
#include "attestation/verifier/verdict.h"
#include "base/ossl.h"

enum { SNP_CERTIFICATE_LEN_MAX = 8 * 1024, SNP_CSP_ID_LEN_MAX = 128 };

enum snp_key_kind { SNP_KEY_RSA_4096, SNP_KEY_P384 };
enum snp_key_use { SNP_USE_SIGN_CERTIFICATES = 0x04, SNP_USE_SIGN_LISTS = 0x02 }; /* bits of KeyUsage */

/* AMD's extensions of a VCEK or VLEK. [KDS 57230 3.1, 3.2] */
struct snp_vek_fields {
    uint32_t       found; /* bit N: extension N of the table in snp_certificate.c */
    struct snp_tcb tcb;   /* the SPLs */
    struct bytes   product;
    struct bytes   hwid;  /* 64 bytes, Turin's 8; empty in a VLEK */
    struct bytes   csp_id; /* text, printable ASCII; empty in a VCEK */
};

/* Views into the bytes that it was read from. */
struct snp_certificate {
    struct bytes whole, tbs, signature; /* the signature covers tbs */
    struct bytes serial;                /* as the INTEGER's content */
    struct bytes issuer, subject;       /* whole Names, to be compared byte for byte */
    struct bytes common_name;           /* of the subject */
    int64_t      not_before, not_after;
    enum snp_key_kind key_kind;
    struct bytes key_info;              /* SubjectPublicKeyInfo, whole */
    struct bytes modulus, exponent;     /* RSA, big-endian */
    struct bytes point;                 /* P-384, uncompressed: 97 bytes */
    bool         is_ca, has_path_len, has_key_use;
    uint64_t     path_len;
    uint8_t      key_use;
    struct snp_vek_fields vek;
};

/* The DER of one certificate or list, given as DER or as PEM with `label`; copied to `out`, which was empty. */
FALLIBLE snp_der_of(struct bytes given, const char *label, size_t len_max, struct buffer *out, struct err *err);

/* Reads one certificate that fills `der`. `role` names it in texts: "VEK". `out` is written only on success. */
FALLIBLE snp_certificate_read(struct bytes der, const char *role, struct snp_certificate *out, struct appraisal *a);

/* Its public key; `out` is yours, release with AUTO(pkey). */
FALLIBLE snp_certificate_key(const struct snp_certificate *c, const char *role, EVP_PKEY **out, struct appraisal *a);

/* Each role's form: CA flag, path length, key usage, kind of key, and for a VEK AMD's extensions of `product`. */
FALLIBLE snp_certificate_is_root(const struct snp_certificate *c, struct appraisal *a);
FALLIBLE snp_certificate_is_intermediate(const struct snp_certificate *c, bool of_vlek, enum snp_product product,
                                         struct appraisal *a);
FALLIBLE snp_certificate_is_vek(const struct snp_certificate *c, bool of_vlek, enum snp_product product,
                                struct appraisal *a);

/* The product after `prefix` in a common name: ("SEV-", "SEV-Milan") is Milan. */
enum snp_product snp_product_of_name(struct bytes common_name, const char *prefix);
bool snp_common_name(struct bytes name, struct bytes *out); /* of a whole Name that has exactly one */

/* RSA-PSS, SHA-384, MGF1 with SHA-384, salt 48, trailer 1: whether these AlgorithmIdentifiers say so. */
bool snp_algorithm_is_pss(struct bytes algorithm);
bool snp_pss_signed(EVP_PKEY *key, struct bytes message, struct bytes signature);
