#include "keys/broker/setup.h"

#include <limits.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "keys/api/development_root.h"
#include "keys/broker/peer_setup.h"
#include "keys/broker/routes.h"

enum { CONFIG_LEN_MAX = 64 << 10, CRLS_MAX = 16, CRL_LEN_MAX = 1 << 20, COLLATERAL_LEN_MAX = 64 << 20 };

void setup_free(struct setup *setup)
{
    appraiser_free(setup->appraiser);
    administrators_free(setup->administrators);
    external_free(setup->external);
    collateral_sources_free(setup->sources);
    token_memory_free(setup->memory);
    ear_memory_free(setup->ears);
    credentials_free(&setup->credentials);
    config_free(&setup->config);
    *setup = (struct setup){ 0 };
}

/* Trusts what this user's simulated platform signs: `folder` becomes a link to its root, made when there is none. */
static FALLIBLE adopt_root(const char *folder, int64_t now, struct err *err)
{
    AUTO(text) char *root = NULL, *whole = NULL;

    development_root_folder(&root);
    if (!development_root_exists(root)) {
        log_info("making a development root", "folder=%s: RSA keys, this takes some seconds", root);
        if (!development_root_make(root, now, err))
            return false;
    }
    whole = realpath(root, NULL);
    if (!whole)
        return err_os(err, "development root %s", root);
    return symlink(whole, folder) == 0 || development_root_exists(folder) || err_os(err, "link %s", folder);
}

static FALLIBLE development_prepare(const struct setup_source *a, struct config *config, struct err *err)
{
    AUTO(buffer) struct buffer tee = { 0 };
    int64_t                    now = (int64_t) time(NULL);

    buffer_printf(&tee, "%s/" DEVELOPMENT_FOLDER, a->dev);
    if (!a->again && (!directory_make(a->dev, err) || !credentials_make(a->dev, now, err)))
        return false;
    if (!a->again && !development_root_exists(buffer_text(&tee)) && !adopt_root(buffer_text(&tee), now, err))
        return false;
    return config_development(a->dev, a->listen ? a->listen : "127.0.0.1:8443", config, err);
}

static FALLIBLE configured(const struct setup_source *a, struct config *config, struct err *err)
{
    AUTO(buffer) struct buffer toml = { 0 };

    if (a->dev)
        return development_prepare(a, config, err);
    if (!file_read(a->config, CONFIG_LEN_MAX, &toml, err))
        return false;
    if (!config_read(buffer_bytes(&toml), config, err))
        return context(err, a->config);
    if (a->listen) {
        free(config->listen);
        config->listen = strdup(a->listen);
    }
    return true;
}

FALLIBLE setup_config(const struct setup_source *a, struct config *config, struct err *err)
{
    if (!configured(a, config, err))
        return false;
    config->insecure_http = config->insecure_http || a->insecure_http;
    return true;
}

struct files {
    struct buffer at[CRLS_MAX];
    struct bytes  views[CRLS_MAX];
    size_t        n;
};

static void auto_files(struct files *f)
{
    for (size_t i = 0; i < f->n; i++)
        buffer_free(&f->at[i]);
}

/* Those of a folder whose name ends in one of two ways. `key` is its key in the configuration. */
static FALLIBLE files_read(const char *folder, const char *key, const char *const endings[static 2], struct files *out, struct err *err)
{
    AUTO(dir) DIR *dir = opendir(folder);

    if (!dir)
        return err_os(err, "%s: open %s", key, folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        AUTO(buffer) struct buffer path = { 0 };
        const char                *dot  = strrchr(entry->d_name, '.');

        if (!dot || (strcmp(dot, endings[0]) != 0 && strcmp(dot, endings[1]) != 0))
            continue;
        if (out->n == CRLS_MAX)
            return fail_with(err, ERR_LIMIT, "%s: more than %d files in %s", key, CRLS_MAX, folder);
        buffer_printf(&path, "%s/%s", folder, entry->d_name);
        if (!file_read(buffer_text(&path), CRL_LEN_MAX, &out->at[out->n++], err))
            return false;
        out->views[out->n - 1] = buffer_bytes(&out->at[out->n - 1]);
    }
    return true;
}

/* Files that the configuration may name: what is not named stays empty. */
enum { TDX_ROOT, TDX_DEVELOPMENT_ROOT, COLLATERAL, SNP_POLICY, TDX_POLICY, TPM_POLICY, N_TRUST_FILES };

struct trust_files {
    struct buffer at[N_TRUST_FILES];
};

static void auto_trust_files(struct trust_files *f)
{
    for (int i = 0; i < N_TRUST_FILES; i++)
        buffer_free(&f->at[i]);
}

static FALLIBLE trust_files_read(const struct config *c, struct trust_files *out, struct err *err)
{
    const struct { const char *path; size_t most; } files[N_TRUST_FILES] = {
        [TDX_ROOT]   = { c->tdx_root, CONFIG_LEN_MAX },   [COLLATERAL] = { c->collateral, COLLATERAL_LEN_MAX },
        [TDX_DEVELOPMENT_ROOT] = { c->tdx_development_root, CONFIG_LEN_MAX },
        [SNP_POLICY] = { c->snp_policy, CONFIG_LEN_MAX }, [TDX_POLICY] = { c->tdx_policy, CONFIG_LEN_MAX },
        [TPM_POLICY] = { c->tpm_policy, CONFIG_LEN_MAX },
    };

    for (int i = 0; i < N_TRUST_FILES; i++) {
        if (files[i].path && !file_read(files[i].path, files[i].most, &out->at[i], err))
            return false;
    }
    return true;
}

static FALLIBLE appraiser_open(const struct config *c, struct collateral_sources *sources, struct appraiser **out, struct err *err)
{
    static const char *const             LISTS[2] = { ".crl", ".crl" }, *const CERTIFICATES[2] = { ".der", ".pem" };
    AUTO(files) struct files             lists = { 0 }, vleks = { 0 };
    AUTO(trust_files) struct trust_files files = { 0 };

    if ((c->snp_crls && !files_read(c->snp_crls, "snp_crls", LISTS, &lists, err)) ||
        (c->snp_vleks && !files_read(c->snp_vleks, "snp_vleks", CERTIFICATES, &vleks, err)) || !trust_files_read(c, &files, err))
        return false;

    struct appraiser_options options = { .amd                = c->snp,
                                         .development_folder = c->development_root,
                                         .crls               = lists.views,
                                         .n_crls             = lists.n,
                                         .vleks              = vleks.views,
                                         .n_vleks            = vleks.n,
                                         .crl_required       = c->snp_crl_required,
                                         .snp_policy         = buffer_bytes(&files.at[SNP_POLICY]),
                                         .tdx_root           = buffer_bytes(&files.at[TDX_ROOT]),
                                         .tdx_development_root = buffer_bytes(&files.at[TDX_DEVELOPMENT_ROOT]),
                                         .tdx_policy         = buffer_bytes(&files.at[TDX_POLICY]),
                                         .bundle             = buffer_bytes(&files.at[COLLATERAL]),
                                         .tpm                = c->tpm,
                                         .tpm_policy         = buffer_bytes(&files.at[TPM_POLICY]),
                                         .tpm_any_key        = c->tpm_any_key,
                                         .sample             = c->sample,
                                         .sources            = sources };
    return appraiser_new(&options, out, err);
}

/* The file's, or the one of `admin_key`. */
static FALLIBLE administrators_open(const struct config *c, EVP_PKEY *admin_key, struct administrators **out, struct err *err)
{
    AUTO(buffer) struct buffer toml  = { 0 };
    const char                *slash = c->administrators ? strrchr(c->administrators, '/') : NULL;
    char                       folder[PATH_MAX];

    if (!c->administrators == !admin_key)
        return fail_with(err, ERR_CONFIG, "give either administrators, a file, or admin_key");
    if (admin_key)
        return administrators_one(admin_key, out, err);
    if ((size_t) snprintf(folder, sizeof folder, "%.*s", slash ? (int) (slash - c->administrators) : 1,
                          slash ? c->administrators : ".") >= sizeof folder)
        return fail_with(err, ERR_CONFIG, "administrators: the path is too long");
    return (file_read(c->administrators, CONFIG_LEN_MAX, &toml, err) &&
            administrators_read(buffer_bytes(&toml), folder, out, err)) ||
           context(err, c->administrators);
}

static FALLIBLE log_form_check(const struct config *c, struct err *err)
{
    return strcmp(c->log, "text") == 0 || strcmp(c->log, "json") == 0 ||
           fail_with(err, ERR_CONFIG, "log is neither text nor json");
}

/* libmicrohttpd would tell so only when the listener is its already. */
static FALLIBLE tls_pair_check(const struct setup *s, struct err *err)
{
    const struct credentials *c           = &s->credentials;

    if (!config_has_tls(&s->config))
        return true;

    AUTO(bio) BIO            *cert_bio    = BIO_new_mem_buf(c->tls_certificate.at, (int) c->tls_certificate.len);
    AUTO(bio) BIO            *key_bio     = BIO_new_mem_buf(secret_expose(&c->tls_key).at, (int) c->tls_key.len);
    AUTO(x509) X509          *certificate = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
    AUTO(pkey) EVP_PKEY      *key         = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);

    if (!certificate)
        return err_openssl(err, ERR_CONFIG, s->config.tls_certificate);
    if (!key)
        return err_openssl(err, ERR_CONFIG, s->config.tls_key);
    if (X509_check_private_key(certificate, key) != 1)
        return fail_with(err, ERR_CONFIG, "%s is not the certificate of %s", s->config.tls_certificate, s->config.tls_key);
    return true;
}

FALLIBLE setup_read(const struct setup_source *from, struct setup *out, struct err *err)
{
    AUTO(setup) struct setup read = { 0 };

    if (!setup_config(from, &read.config, err) || !log_form_check(&read.config, err))
        return false;

    const struct config          *c     = &read.config;
    const struct credential_paths paths = { .tls_certificate   = c->tls_certificate,
                                            .tls_key           = c->tls_key,
                                            .token_certificate = c->token_certificate,
                                            .token_key         = c->token_key,
                                            .admin_key         = c->admin_key,
                                            .admin_client_ca   = c->admin_client_ca,
                                            .store_key         = c->store_key };

    if (!credentials_load(&paths, &read.credentials, err) || !tls_pair_check(&read, err) || !peers_open(c, &read.external, &read.sources, err) ||
        !appraiser_open(c, read.sources, &read.appraiser, err) ||
        !administrators_open(c, read.credentials.admin_key, &read.administrators, err))
        return false;
    read.memory = token_memory_new();
    read.ears   = ear_memory_new();
    *out        = TAKE(read);
    return true;
}

void setup_use(const struct setup *setup, struct broker *broker)
{
    broker->appraiser      = setup->appraiser;
    broker->administrators = setup->administrators;
    broker->external       = setup->external;
    broker->sources        = setup->sources;
    broker->session_s      = (uint32_t) setup->config.session_seconds;
    broker->denies_with_403 = setup->config.deny_with_403;
    broker->issuer         = (struct ear_issuer){ .key         = setup->credentials.token_key,
                                                  .certificate = buffer_bytes(&setup->credentials.token_certificate),
                                                  .name        = setup->config.token_issuer,
                                                  .memory      = setup->memory,
                                                  .ears        = setup->ears };
}
