/* Resources that other key stores keep: which paths, and how they are had. Immutable; several threads may ask at once. */
#pragma once

#include "keys/external/token_objects.h"
#include "keys/external/vault.h"

struct external;

/* Takes both stores, also on failure; either may be NULL. `*_resources`: the start of paths, whole parts: REPO, REPO/TYPE, ... */
struct external_options {
    struct vault         *vault_take;
    const char           *vault_resources;
    struct token_objects *token_take;
    const char           *token_resources;
};

enum { EXTERNAL_PREFIX_MAX = 400 };

/* Fails CONFIG: a store without paths or paths without a store, paths of one among those of the other. */
FALLIBLE external_new(const struct external_options *options, struct external **out, struct err *err);
/* Counted: each external_keep wants an external_free, from any thread. */
struct external *external_keep(struct external *external);
void             external_free(struct external *external);
DEFINE_AUTO(external, struct external *, external_free)

/* Who keeps the resource: "Vault", "the PKCS#11 token"; NULL: nobody but the broker. `external` may be NULL. */
const char *external_keeper(const struct external *external, const char *path);
bool        external_is_vault(const struct external *external, const char *path);

/* Waits for the keeper. Fails as vault_get and token_objects_get. */
FALLIBLE external_get(struct external *external, const char *path, struct secret *out, struct err *err);
