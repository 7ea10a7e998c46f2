#include "keys/broker/peer_setup.h"

#include <string.h>

#include "base/file.h"
#include "keys/broker/credentials.h"

enum { CA_LEN_MAX = 1 << 20, MS = 1000 };

/* A token or secret id of a private file; a line end behind it is not part of it. */
static FALLIBLE given_read(const char *path, const char *key, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret whole = { 0 };
    struct bytes               text;

    if (!credentials_secret_read(path, &whole, err))
        return context(err, key);
    text = secret_expose(&whole);
    while (text.len > 0 && (text.at[text.len - 1] == 0 || text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
        text.len--;
    return text.len > 0 ? secret_copy(text, out, err) : fail_with(err, ERR_CONFIG, "%s: the file is empty", key);
}

static FALLIBLE vault_open(const struct config *c, struct vault **out, struct err *err)
{
    AUTO(buffer) struct buffer ca    = { 0 };
    AUTO(secret) struct secret token = { 0 }, secret_id = { 0 };

    if (!c->vault)
        return !c->vault_resources || fail_with(err, ERR_CONFIG, "vault_resources names paths, but vault is not given");
    if (!c->vault_ca)
        return fail_with(err, ERR_CONFIG, "vault_ca is missing: the CA of that server");
    if (!file_read(c->vault_ca, CA_LEN_MAX, &ca, err))
        return context(err, "vault_ca");
    if ((c->vault_token && !given_read(c->vault_token, "vault_token", &token, err)) ||
        (c->vault_secret_id && !given_read(c->vault_secret_id, "vault_secret_id", &secret_id, err)))
        return false;

    struct vault_options options = { .url        = c->vault,
                                     .ca_pem     = buffer_bytes(&ca),
                                     .mount      = c->vault_mount,
                                     .folder     = c->vault_folder,
                                     .space      = c->vault_namespace,
                                     .token      = c->vault_token ? &token : NULL,
                                     .role_id    = c->vault_role_id,
                                     .secret_id  = c->vault_secret_id ? &secret_id : NULL,
                                     .timeout_ms = (uint32_t) c->vault_seconds * MS };
    return vault_new(&options, out, err);
}

static FALLIBLE external_open(const struct config *c, struct external **out, struct err *err)
{
    AUTO(vault) struct vault                 *vault = NULL;
    AUTO(token_objects) struct token_objects *token = NULL;

    if (!vault_open(c, &vault, err) || (c->pkcs11 && !token_objects_new(c->pkcs11, &token, err)))
        return false;
    if (!vault && !token && !c->pkcs11_resources)
        return true;

    struct external_options options = { .vault_take = TAKE(vault), .vault_resources = c->vault_resources, .token_take = TAKE(token),
                                        .token_resources = c->pkcs11_resources };
    return external_new(&options, out, err);
}

static FALLIBLE sources_open(const struct config *c, struct collateral_sources **out, struct err *err)
{
    struct collateral_sources_options options = { .hosts   = c->collateral_hosts,
                                                  .cache   = c->collateral_cache,
                                                  .ca_file = c->collateral_ca,
                                                  .kds     = c->amd_kds,
                                                  .pcs     = c->intel_pcs,
                                                  .timeout_ms = (uint32_t) c->collateral_seconds * MS };

    return !c->collateral_hosts || collateral_sources_new(&options, out, err);
}

FALLIBLE peers_open(const struct config *config, struct external **external, struct collateral_sources **sources, struct err *err)
{
    return external_open(config, external, err) && sources_open(config, sources, err);
}
