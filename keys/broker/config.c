#include "keys/broker/config.h"

#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "attestation/collateral/kds.h"
#include "attestation/collateral/pcs.h"
#include "base/toml.h"

enum config_kind { CONFIG_TEXT, CONFIG_NUMBER, CONFIG_FLAG };

#define AT(member) offsetof(struct config, member)

/* `fallback` NULL: the key is required; "" : it may be left out. */
static const struct config_row {
    const char      *key;
    enum config_kind kind;
    size_t           at;
    const char      *fallback;
    uint64_t         least, most;
    const char      *help;
} ROWS[] = {
    { "listen", CONFIG_TEXT, AT(listen), "127.0.0.1:8443", 0, 0, "address and port; port 0 takes any" },
    { "insecure_http", CONFIG_FLAG, AT(insecure_http), "false", 0, 0,
      "serve `listen` in plain HTTP, behind a proxy or mesh that encrypts: on a loopback address only" },
    { "insecure_http_anywhere", CONFIG_FLAG, AT(insecure_http_anywhere), "false", 0, 0,
      "let insecure_http be on any address; administrators then need an address of their own, which has TLS" },
    { "store", CONFIG_TEXT, AT(store), NULL, 0, 0, "the database: a file, or postgresql://... for several brokers" },
    { "store_key", CONFIG_TEXT, AT(store_key), NULL, 0, 0, "seals secrets at rest: a file of 32 random bytes, tpm:FILE, or pkcs11:URI" },
    { "tls_certificate", CONFIG_TEXT, AT(tls_certificate), "", 0, 0, "PEM, the server's certificate and its chain; wanted wherever TLS is spoken" },
    { "tls_key", CONFIG_TEXT, AT(tls_key), "", 0, 0, "PEM, mode 0600" },
    { "token_certificate", CONFIG_TEXT, AT(token_certificate), NULL, 0, 0, "PEM, of token_key" },
    { "token_key", CONFIG_TEXT, AT(token_key), NULL, 0, 0, "PEM, P-256, mode 0600: signs attestation tokens" },
    { "token_issuer", CONFIG_TEXT, AT(token_issuer), "CoCo-Attestation-Service", 0, 0, "claim iss of tokens" },
    { "admin_listen", CONFIG_TEXT, AT(admin_listen), "127.0.0.1:8444", 0, 0, "address and port for administrators; \"same\" is `listen`" },
    { "admin_key", CONFIG_TEXT, AT(admin_key), "", 0, 0, "PEM, public key of one administrator who may do everything: Ed25519 or P-256" },
    { "admin_client_ca", CONFIG_TEXT, AT(admin_client_ca), "", 0, 0, "PEM, CA of administrators' client certificates" },
    { "administrators", CONFIG_TEXT, AT(administrators), "", 0, 0, "TOML file of administrators, their roles and tenants" },
    { "development_root", CONFIG_TEXT, AT(development_root), "", 0, 0, "folder of a development root to trust; it protects nothing" },
    { "snp", CONFIG_FLAG, AT(snp), "true", 0, 0, "trust AMD's roots" },
    { "snp_crl_required", CONFIG_FLAG, AT(snp_crl_required), "true", 0, 0, "refuse SNP evidence without a fresh revocation list" },
    { "snp_crls", CONFIG_TEXT, AT(snp_crls), "", 0, 0, "folder of AMD's revocation lists, *.crl in DER" },
    { "snp_vleks", CONFIG_TEXT, AT(snp_vleks), "", 0, 0, "folder of VLEK certificates, *.der or *.pem, for guests whose host gives them none" },
    { "snp_policy", CONFIG_TEXT, AT(snp_policy), "", 0, 0, "JSON, what SNP evidence must say: see docs/attestation.md (strict)" },
    { "tdx_root", CONFIG_TEXT, AT(tdx_root), "", 0, 0, "Intel's root CA, DER or PEM, and no other: without it no evidence of TDX is taken" },
    { "tdx_development_root", CONFIG_TEXT, AT(tdx_development_root), "", 0, 0, "root CA of TDX evidence made for tests, DER or PEM; it protects nothing" },
    { "tdx_policy", CONFIG_TEXT, AT(tdx_policy), "", 0, 0, "JSON, what TDX evidence must say (strict)" },
    { "collateral", CONFIG_TEXT, AT(collateral), "", 0, 0, "bundle of Intel's collateral and AMD's VCEKs, for guests that bring none" },
    { "tpm", CONFIG_FLAG, AT(tpm), "false", 0, 0, "take evidence of a TPM alone, under keys registered as trusted_aks" },
    { "tpm_policy", CONFIG_TEXT, AT(tpm_policy), "", 0, 0, "JSON, what a TPM's evidence must say (strict)" },
    { "tpm_any_key", CONFIG_FLAG, AT(tpm_any_key), "false", 0, 0, "take evidence of a TPM under any key, which proves nothing: for tests" },
    { "sample", CONFIG_FLAG, AT(sample), "false", 0, 0, "take evidence of TEE sample, which proves nothing: for tests" },
    { "deny_with_403", CONFIG_FLAG, AT(deny_with_403), "false", 0, 0, "answer 403 to guests that policy denies, as Trustee does after 0.21: they do not attest again for it" },
    { "session_seconds", CONFIG_NUMBER, AT(session_seconds), "300", 10, 86400, "life of a challenge, session and token" },
    { "handshake_seconds", CONFIG_NUMBER, AT(handshake_seconds), "10", 1, 600, "from a connection to its first request line" },
    { "request_seconds", CONFIG_NUMBER, AT(request_seconds), "30", 1, 600, "from a request line to the end of its body; and to take an answer" },
    { "idle_seconds", CONFIG_NUMBER, AT(idle_seconds), "60", 1, 3600, "between two requests on one connection" },
    { "connections", CONFIG_NUMBER, AT(connections), "10240", 1, 100000, "open connections at once" },
    { "connections_per_peer", CONFIG_NUMBER, AT(connections_per_peer), "10240", 1, 100000, "of them from one address" },
    { "shed_ms", CONFIG_NUMBER, AT(shed_ms), "1000", 1, 60000, "behind by so much, new challenges are answered 503" },
    { "metrics_listen", CONFIG_TEXT, AT(metrics_listen), "", 0, 0, "address and port of /metrics, /healthz and /readyz, in plain HTTP" },
    { "vault", CONFIG_TEXT, AT(vault), "", 0, 0, "URL of a HashiCorp Vault, https://..., that keeps the secrets of vault_resources" },
    { "vault_resources", CONFIG_TEXT, AT(vault_resources), "", 0, 0, "start of their paths: REPO, REPO/TYPE or REPO/TYPE/TAG" },
    { "vault_ca", CONFIG_TEXT, AT(vault_ca), "", 0, 0, "PEM, the only CA that counts for it" },
    { "vault_mount", CONFIG_TEXT, AT(vault_mount), "secret", 0, 0, "where its KV version 2 engine is mounted" },
    { "vault_folder", CONFIG_TEXT, AT(vault_folder), "", 0, 0, "folder in it, before REPO/TYPE/TAG" },
    { "vault_namespace", CONFIG_TEXT, AT(vault_namespace), "", 0, 0, "namespace, of Vault Enterprise" },
    { "vault_token", CONFIG_TEXT, AT(vault_token), "", 0, 0, "file with a token, mode 0600; or by AppRole:" },
    { "vault_role_id", CONFIG_TEXT, AT(vault_role_id), "", 0, 0, "role id" },
    { "vault_secret_id", CONFIG_TEXT, AT(vault_secret_id), "", 0, 0, "file with its secret id, mode 0600" },
    { "vault_seconds", CONFIG_NUMBER, AT(vault_seconds), "5", 1, 60, "how long one request to it may take" },
    { "pkcs11", CONFIG_TEXT, AT(pkcs11), "", 0, 0, "URI of a PKCS#11 token whose objects, by label, are the secrets of pkcs11_resources" },
    { "pkcs11_resources", CONFIG_TEXT, AT(pkcs11_resources), "", 0, 0, "start of their paths" },
    { "collateral_hosts", CONFIG_TEXT, AT(collateral_hosts), "", 0, 0, "hosts to fetch collateral from, with blanks between; without any the broker asks nobody" },
    { "amd_kds", CONFIG_TEXT, AT(amd_kds), KDS_BASE_URL, 0, 0, "AMD's key distribution service, or a mirror" },
    { "intel_pcs", CONFIG_TEXT, AT(intel_pcs), PCS_BASE_URL, 0, 0, "Intel's provisioning certification service, or a PCCS" },
    { "collateral_cache", CONFIG_TEXT, AT(collateral_cache), "", 0, 0, "folder that keeps what was fetched" },
    { "collateral_ca", CONFIG_TEXT, AT(collateral_ca), "", 0, 0, "PEM, the CA of mirrors; else the system's roots count" },
    { "collateral_seconds", CONFIG_NUMBER, AT(collateral_seconds), "10", 1, 60, "how long one request to them may take" },
    { "log", CONFIG_TEXT, AT(log), "text", 0, 0, "form of the log's lines on standard error: text or json" },
};

enum { N_ROWS = sizeof ROWS / sizeof *ROWS };

void config_free(struct config *config)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (ROWS[i].kind == CONFIG_TEXT)
            free(*(char **) ((char *) config + ROWS[i].at));
    }
    *config = (struct config){ 0 };
}

static FALLIBLE number_set(const struct config_row *row, uint64_t v, struct config *out, struct err *err)
{
    if (v < row->least || v > row->most)
        return fail_with(err, ERR_CONFIG, "%s = %" PRIu64 " is not between %" PRIu64 " and %" PRIu64, row->key, v, row->least,
                         row->most);
    *(uint64_t *) ((char *) out + row->at) = v;
    return true;
}

static FALLIBLE fallback_set(const struct config_row *row, struct config *out, struct err *err)
{
    if (!row->fallback)
        return fail_with(err, ERR_CONFIG, "%s is missing: %s", row->key, row->help);
    switch (row->kind) {
    case CONFIG_TEXT:
        *(char **) ((char *) out + row->at) = row->fallback[0] ? strdup(row->fallback) : NULL;
        return true;
    case CONFIG_FLAG:
        *(bool *) ((char *) out + row->at) = strcmp(row->fallback, "true") == 0;
        return true;
    case CONFIG_NUMBER:
        return number_set(row, strtoull(row->fallback, NULL, 10), out, err);
    }
    return fail_with(err, ERR_BUG, "%s has no kind", row->key);
}

static FALLIBLE row_read(const struct config_row *row, struct json_object *value, struct config *out, struct err *err)
{
    switch (row->kind) {
    case CONFIG_TEXT:
        if (!json_object_is_type(value, json_type_string) || json_object_get_string_len(value) == 0)
            return fail_with(err, ERR_CONFIG, "%s is not a text: %s", row->key, row->help);
        *(char **) ((char *) out + row->at) = strdup(json_object_get_string(value));
        return true;
    case CONFIG_FLAG:
        if (!json_object_is_type(value, json_type_boolean))
            return fail_with(err, ERR_CONFIG, "%s is neither true nor false: %s", row->key, row->help);
        *(bool *) ((char *) out + row->at) = json_object_get_boolean(value);
        return true;
    case CONFIG_NUMBER:
        if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
            return fail_with(err, ERR_CONFIG, "%s is not a number: %s", row->key, row->help);
        return number_set(row, json_object_get_uint64(value), out, err);
    }
    return fail_with(err, ERR_BUG, "%s has no kind", row->key);
}

static FALLIBLE keys_known(struct json_object *document, struct err *err)
{
    json_object_object_foreach(document, key, ignored)
    {
        bool known = false;

        (void) ignored;
        for (size_t i = 0; i < N_ROWS; i++)
            known = known || strcmp(ROWS[i].key, key) == 0;
        if (!known)
            return fail_with(err, ERR_CONFIG, "there is no key \"%.40s\"; cloister-broker --print-config lists them", key);
    }
    return true;
}

bool config_has_tls(const struct config *c) { return !c->insecure_http || strcmp(c->admin_listen, CONFIG_ADMIN_SAME) != 0; }

static FALLIBLE together_check(const struct config *c, struct err *err)
{
    if (config_has_tls(c) && !c->tls_certificate)
        return fail_with(err, ERR_CONFIG, "tls_certificate is missing: PEM, the server's certificate and its chain");
    if (config_has_tls(c) && !c->tls_key)
        return fail_with(err, ERR_CONFIG, "tls_key is missing: PEM, mode 0600");
    return !c->insecure_http_anywhere || c->insecure_http ||
           fail_with(err, ERR_CONFIG, "insecure_http_anywhere = true says where insecure_http = true may be, which is not set");
}

FALLIBLE config_read(struct bytes toml, struct config *out, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    AUTO(config) struct config     read     = { 0 };

    if (!toml_read(toml, &document, err) || !keys_known(document, err))
        return false;
    for (size_t i = 0; i < N_ROWS; i++) {
        struct json_object *value = NULL;

        if (json_object_object_get_ex(document, ROWS[i].key, &value) ? !row_read(&ROWS[i], value, &read, err)
                                                                      : !fallback_set(&ROWS[i], &read, err))
            return false;
    }
    if (!together_check(&read, err))
        return false;
    *out = TAKE(read);
    return true;
}

FALLIBLE config_development(const char *folder, const char *listen, struct config *out, struct err *err)
{
    static const char *const FILES[][2] = {
        { "store", "store.db" },           { "store_key", "store.key" }, { "tls_certificate", "server.pem" },
        { "tls_key", "server.key" },       { "token_certificate", "token.pem" }, { "token_key", "token.key" },
        { "admin_key", "admin.pub" },      { "development_root", "dev-tee" },
    };
    AUTO(buffer) struct buffer toml = { 0 };

    if (strlen(folder) > PATH_MAX / 2)
        return fail_with(err, ERR_CONFIG, "the folder's name is too long");
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        AUTO(buffer) struct buffer path = { 0 };

        buffer_printf(&path, "%s/%s", folder, FILES[i][1]);
        buffer_printf(&toml, "%s = ", FILES[i][0]);
        toml_append_text(&toml, buffer_text(&path));
        buffer_append_text(&toml, "\n");
    }
    buffer_append_text(&toml, "sample = true\nsnp_crl_required = false\nadmin_listen = \"same\"\ntpm_any_key = true\n"
                              "shed_ms = 60000\nlisten = "); /* --dev fetches no lists, and says so; where it runs, builds do too */
    toml_append_text(&toml, listen);
    buffer_append_text(&toml, "\n");
    return config_read(buffer_bytes(&toml), out, err);
}

static const char *example_of(const struct config_row *row)
{
    static const char *const EXAMPLES[][2] = {
        { "store", "/var/lib/cloister/store.db" },         { "store_key", "/etc/cloister/store.key" },
        { "tls_certificate", "/etc/cloister/server.pem" }, { "tls_key", "/etc/cloister/server.key" },
        { "token_certificate", "/etc/cloister/token.pem" }, { "token_key", "/etc/cloister/token.key" },
    };

    for (size_t i = 0; i < sizeof EXAMPLES / sizeof *EXAMPLES; i++) {
        if (strcmp(EXAMPLES[i][0], row->key) == 0)
            return EXAMPLES[i][1];
    }
    return "";
}

void config_print(FILE *to)
{
    fputs("# Configuration of cloister-broker. Keys in comments have the value that is shown, unless it is empty: then none.\n", to);
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct config_row *row   = &ROWS[i];
        const char              *example = example_of(row);
        const char              *quote   = row->kind == CONFIG_TEXT ? "\"" : "";

        fprintf(to, "\n# %s\n%s%s = %s%s%s\n", row->help, example[0] ? "" : "#", row->key, quote, example[0] ? example : row->fallback,
                quote);
    }
}
