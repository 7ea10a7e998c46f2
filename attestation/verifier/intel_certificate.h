/*
 * X.509 certificates and revocation lists in the profile of Intel's SGX PKI: version 3 (lists: 2), P-256,
 * ecdsa-with-SHA256, strict DER. [RFC 5280 4.1, 5.1; tdx.md 2.2]
 */
#pragma once

#include "attestation/verifier/p256.h"

enum { CERTIFICATE_LEN_MAX = 8 * 1024, CRL_LEN_MAX = 4 << 20 };

enum intel_key_use { USE_SIGN = 0x80, USE_SIGN_CERTIFICATES = 0x04, USE_SIGN_LISTS = 0x02 }; /* bits of KeyUsage */

/* Views into the bytes it was read from. */
struct intel_certificate {
    struct bytes whole, tbs, signature; /* the signature covers tbs */
    struct bytes serial;                /* as the INTEGER's content */
    struct bytes issuer, subject;       /* whole Names, to be compared byte for byte */
    struct bytes common_name;           /* of the subject */
    struct bytes point;                 /* the public key: x, y */
    struct bytes sgx_extension;         /* 1.2.840.113741.1.13.1; empty without */
    int64_t      not_before, not_after;
    bool         is_ca;
    uint8_t      use; /* KeyUsage */
};

/* Reads one certificate that fills `whole`. `out` is written only on success. Fails MALFORMED, UNSUPPORTED, LIMIT. */
FALLIBLE intel_certificate_read(struct bytes whole, struct intel_certificate *out, struct err *err);

struct intel_crl {
    struct bytes whole, tbs, signature, issuer;
    struct bytes entries; /* the revokedCertificates, already walked once */
    int64_t      this_update, next_update;
    struct bytes number; /* cRLNumber, the INTEGER's content */
};

FALLIBLE intel_crl_read(struct bytes whole, struct intel_crl *out, struct err *err);

bool intel_crl_lists(const struct intel_crl *list, struct bytes serial);
