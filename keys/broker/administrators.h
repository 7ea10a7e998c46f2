/*
 * Who may administer what: people and programs known by the key that signs their tokens or by their client certificate,
 * with roles and tenants; and whose signature under reference values counts. Nobody is known by default, and what no role
 * allows is denied. A tenant is a repository: the first part of a resource's path.
 */
#pragma once

#include "base/json.h"
#include "base/ossl.h"

enum { ADMINISTRATORS_MAX = 64, SIGNERS_MAX = 32, ADMINISTRATOR_NAME_MAX = 64 };

/* What one call needs. */
enum permission {
    MAY_LIST,      /* names of resources, reference values, policies; never a secret */
    MAY_PUT,       /* put and remove resources and their bindings */
    MAY_READ,      /* read a secret back */
    MAY_POLICY,    /* set and remove policies */
    MAY_REFERENCE, /* add and remove reference values */
    MAY_AUDIT,     /* read the audit log */
    N_PERMISSIONS
};

struct administrators;

void administrators_free(struct administrators *administrators);
DEFINE_AUTO(administrators, struct administrators *, administrators_free)

/*
 * Reads the TOML of docs/broker.md; `key` paths are relative to `folder`.
 *
 * Fails CONFIG with the administrator's name: an unknown role or member, no key and no certificate, a name twice; MALFORMED.
 */
FALLIBLE administrators_read(struct bytes toml, const char *folder, struct administrators **out, struct err *err);

/* One administrator, "admin", who may do everything; `key` stays the caller's. */
FALLIBLE administrators_one(EVP_PKEY *key, struct administrators **out, struct err *err);

/* Who calls, after authentication. */
struct administrator;
struct caller {
    const struct administrator *who; /* NULL: nobody */
    struct json_object         *claims; /* of the token; NULL when a certificate was shown; owned */
    unsigned                    may;    /* bits of enum permission: the roles', narrowed by the token's */
};

static inline void auto_caller(struct caller *c) { json_object_put(c->claims); }

/*
 * Judges a token.
 *
 *   token    of the Authorization header: EdDSA or ES256, claims exp (wanted), iat, nbf, sub and role (may be left out)
 *
 * Fails UNTRUSTED, DENIED, MALFORMED, LIMIT.
 */
FALLIBLE administrators_by_token(const struct administrators *administrators, struct bytes token, int64_t now,
                                 struct caller *out, struct err *err);
/* Judges the SHA-256 of a client certificate that TLS has verified. Fails DENIED. */
FALLIBLE administrators_by_certificate(const struct administrators *administrators,
                                       const uint8_t fingerprint[static SHA256_LEN], struct caller *out, struct err *err);

const char *caller_name(const struct caller *caller);

/*
 * Whether the caller may do that.
 *
 *   path    of a resource or a start of one; NULL: what concerns all tenants; "": whatever its own tenants have
 *
 * Fails DENIED.
 */
FALLIBLE caller_may(const struct caller *caller, enum permission permission, const char *path, struct err *err);
/* The same as a question, for lists. */
bool caller_sees(const struct caller *caller, const char *path);

/* Keys under whose signature reference values count. */
size_t    administrators_n_signers(const struct administrators *administrators);
EVP_PKEY *administrators_signer(const struct administrators *administrators, size_t i, const char **name);
/* Whether reference values count only when they are signed. */
bool      administrators_want_signatures(const struct administrators *administrators);
