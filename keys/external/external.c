#include "keys/external/external.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "keys/api/rcar.h"

struct external {
    atomic_uint           n_holders;
    struct vault         *vault;
    struct token_objects *token;
    char                  vault_resources[EXTERNAL_PREFIX_MAX], token_resources[EXTERNAL_PREFIX_MAX]; /* "": none */
};

struct external *external_keep(struct external *external)
{
    if (external)
        atomic_fetch_add(&external->n_holders, 1);
    return external;
}

void external_free(struct external *e)
{
    if (!e || atomic_fetch_sub(&e->n_holders, 1) > 1)
        return;
    vault_free(e->vault);
    token_objects_free(e->token);
    free(e);
}

/* A path, or the start of one that ends where a part ends. */
static bool is_prefix(const char *text)
{
    char   path[EXTERNAL_PREFIX_MAX + 8];
    size_t n_slashes = 0;

    for (const char *at = text; *at; at++)
        n_slashes += *at == '/';
    if (n_slashes > 2 || strlen(text) >= EXTERNAL_PREFIX_MAX)
        return false;
    (void) snprintf(path, sizeof path, "%s%s", text, n_slashes == 0 ? "/x/x" : n_slashes == 1 ? "/x" : ""); /* fits */
    return rcar_path_is_valid(bytes_of_text(path));
}

static bool covers(const char *prefix, const char *path)
{
    size_t len = strlen(prefix);

    return len > 0 && strncmp(prefix, path, len) == 0 && (path[len] == 0 || path[len] == '/');
}

static FALLIBLE prefix_set(bool has_store, const char *resources, const char *key, char out[static EXTERNAL_PREFIX_MAX], struct err *err)
{
    if (!has_store && !resources)
        return true;
    if (!has_store || !resources)
        return fail_with(err, ERR_CONFIG, has_store ? "%s is missing: the start of the paths that are kept there" :
                                                      "%s names paths, but there is no store for them", key);
    if (!is_prefix(resources))
        return fail_with(err, ERR_CONFIG, "%s is not REPOSITORY, REPOSITORY/TYPE or REPOSITORY/TYPE/TAG", key);
    (void) snprintf(out, EXTERNAL_PREFIX_MAX, "%s", resources); /* fits: asked above */
    return true;
}

FALLIBLE external_new(const struct external_options *options, struct external **out, struct err *err)
{
    AUTO(external) struct external *e = calloc(1, sizeof *e);

    if (!e)
        abort();
    atomic_init(&e->n_holders, 1);
    e->vault = options->vault_take;
    e->token = options->token_take;
    if (!prefix_set(e->vault, options->vault_resources, "vault_resources", e->vault_resources, err) ||
        !prefix_set(e->token, options->token_resources, "pkcs11_resources", e->token_resources, err))
        return false;
    if (covers(e->vault_resources, e->token_resources) || covers(e->token_resources, e->vault_resources))
        return fail_with(err, ERR_CONFIG, "vault_resources and pkcs11_resources name the same paths");
    *out = TAKE(e);
    return true;
}

const char *external_keeper(const struct external *e, const char *path)
{
    return !e                                 ? NULL
           : covers(e->vault_resources, path) ? "Vault"
           : covers(e->token_resources, path) ? "the PKCS#11 token"
                                              : NULL;
}

bool external_is_vault(const struct external *e, const char *path) { return covers(e->vault_resources, path); }

FALLIBLE external_get(struct external *e, const char *path, struct secret *out, struct err *err)
{
    if (covers(e->vault_resources, path))
        return vault_get(e->vault, path, out, err);
    if (covers(e->token_resources, path))
        return token_objects_get(e->token, path, out, err);
    return fail_with(err, ERR_BUG, "%.120s is kept by nobody else", path);
}
