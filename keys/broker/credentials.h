/* The broker's own keys: made once in a folder for development, or named by the configuration. */
#pragma once

#include "base/ossl.h"
#include "base/secret.h"

/* Paths of PEM files; `store_key` is a source as store_key.h has it. */
struct credential_paths {
    const char *tls_certificate, *tls_key;     /* NULL: none */
    const char *token_certificate, *token_key; /* P-256: signs attestation tokens */
    const char *admin_key;                     /* public key of the administrator: Ed25519 or P-256; NULL: none */
    const char *admin_client_ca;               /* PEM; NULL: none */
    const char *store_key;
};

struct credentials {
    struct buffer tls_certificate; /* PEM */
    struct secret tls_key;         /* PEM, with its zero; empty: none */
    EVP_PKEY     *token_key;
    struct buffer token_certificate; /* DER */
    EVP_PKEY     *admin_key;
    struct buffer admin_client_ca; /* PEM; empty: none */
    struct secret store_key;
};

void credentials_free(struct credentials *credentials);
static inline void auto_credentials(struct credentials *c) { credentials_free(c); }

/*
 * Reads all of them.
 *
 *   out    yours, AUTO(credentials); written only on success
 *
 * Fails CONFIG with the file's path: missing, another kind of key, a private key that others may read.
 */
FALLIBLE credentials_load(const struct credential_paths *paths, struct credentials *out, struct err *err);

/* A file that only its owner may read, with a zero behind. Fails CONFIG, as file_read. */
FALLIBLE credentials_secret_read(const char *path, struct secret *out, struct err *err);

/*
 * Makes in `folder` what is not there: ca.pem and ca.key; server.pem and server.key for 127.0.0.1, ::1, localhost;
 * token.pem and token.key; admin.key (for the administrator) and admin.pub; store.key. Private files are 0600.
 */
FALLIBLE credentials_make(const char *folder, int64_t now, struct err *err);
