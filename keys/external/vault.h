/*
 * Secrets of one HashiCorp Vault, engine KV version 2: read over HTTPS, one at a time, and never kept here. Several threads
 * may ask at once.
 */
#pragma once

#include "base/auto.h"
#include "base/secret.h"

struct vault;

/* All copied. */
struct vault_options {
    const char          *url;        /* "https://HOST[:PORT]" */
    struct bytes         ca_pem;     /* the only roots that count */
    const char          *mount;      /* of the engine: "secret" */
    const char          *folder;     /* in it, before the resource's path; NULL: none */
    const char          *space;      /* namespace; NULL: none */
    const struct secret *token;      /* given; or, by AppRole, … */
    const char          *role_id;    /* … NULL with a token */
    const struct secret *secret_id;
    uint32_t             timeout_ms; /* of one request */
};

enum { VAULT_NAME_MAX = 256 }; /* characters of mount, folder, namespace */

/* Asks nothing yet. Fails CONFIG: no https, a mount or folder that is no path, neither token nor role. */
FALLIBLE vault_new(const struct vault_options *options, struct vault **out, struct err *err);
void     vault_free(struct vault *vault);
DEFINE_AUTO(vault, struct vault *, vault_free)

/*
 * The secret at MOUNT/data/FOLDER/PATH: its member "value" as it is, or "base64" decoded.
 *
 *   path    rcar_path_is_valid
 *   out     yours, AUTO(secret); written only on success
 *
 * Fails NOT_FOUND for 404; DENIED for 403, also after logging in anew; LIMIT for 429 and what is too large; TIMEOUT;
 * UNTRUSTED for another server's certificate; MALFORMED; OS when Vault is sealed or does not answer.
 */
FALLIBLE vault_get(struct vault *vault, const char *path, struct secret *out, struct err *err);
