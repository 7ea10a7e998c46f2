/* OpenSSL at one arm's length: releases for AUTO, and its error queue drained into our record. */
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/auto.h"
#include "base/bytes.h"

DEFINE_AUTO(x509, X509 *, X509_free)
DEFINE_AUTO(x509_crl, X509_CRL *, X509_CRL_free)
DEFINE_AUTO(pkey, EVP_PKEY *, EVP_PKEY_free)
DEFINE_AUTO(pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_AUTO(md_ctx, EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_AUTO(mac, EVP_MAC *, EVP_MAC_free)
DEFINE_AUTO(mac_ctx, EVP_MAC_CTX *, EVP_MAC_CTX_free)
DEFINE_AUTO(cipher_ctx, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
DEFINE_AUTO(bio, BIO *, BIO_free_all)
DEFINE_AUTO(bn, BIGNUM *, BN_free)
DEFINE_AUTO(ecdsa_sig, ECDSA_SIG *, ECDSA_SIG_free)

/* Fails with `kind` and "what: <OpenSSL's last reason>"; empties OpenSSL's queue. Returns false. */
bool err_openssl(struct err *err, enum err_kind kind, const char *what);

enum { SHA256_LEN = 32, SHA384_LEN = 48, SHA512_LEN = 64 };

/*
 * Algorithms that are used for every request: looked up once for the process, because OpenSSL's own look-up at each use
 * costs more than a short use. They abort if OpenSSL has none.
 */
const EVP_CIPHER *cipher_aes256_gcm(void);
const EVP_CIPHER *cipher_aes256_wrap(void);
const EVP_MD     *digest_sha256(void);

/* One-shot digests. They abort if OpenSSL cannot hash at all: nothing sensible can follow. */
void sha256_of(struct bytes b, uint8_t out[static SHA256_LEN]);
void sha384_of(struct bytes b, uint8_t out[static SHA384_LEN]);
void sha512_of(struct bytes b, uint8_t out[static SHA512_LEN]);

/*
 * SHA-256 in parts. It cannot fail, holds nothing, can be copied, and, as sha256_of, brings up nothing else of OpenSSL: what
 * EVP does for a first digest stays with a process, some 200 KiB that one which only hashes need not have.
 */
struct sha256_run { SHA256_CTX state; };

void sha256_begin(struct sha256_run *run);
void sha256_update(struct sha256_run *run, struct bytes b);
void sha256_end(struct sha256_run *run, uint8_t out[static SHA256_LEN]);

/* Fills `out` from OpenSSL's DRBG. */
FALLIBLE random_bytes(uint8_t *out, size_t len, struct err *err);
