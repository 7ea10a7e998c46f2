/* cloister-broker: verifies evidence, applies policy, releases keys. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "keys/api/development_root.h"
#include "keys/broker/server.h"

enum { CONFIG_LEN_MAX = 64 << 10, GRACE_MS = 5000, CRLS_MAX = 16, CRL_LEN_MAX = 1 << 20, COLLATERAL_LEN_MAX = 64 << 20 };

struct arguments {
    const char *dev, *config, *listen;
};

/* All that lives from start to end. */
struct resources {
    struct config      config;
    struct credentials credentials;
    struct broker      broker;
    struct loop       *loop;
    struct server     *server;
    struct loop_source signals;
};

static void resources_close(struct resources *r)
{
    server_free(r->server);
    loop_remove(&r->signals);
    if (r->signals.fd >= 0)
        (void) close(r->signals.fd); /* only read from */
    loop_free(r->loop);
    store_close(r->broker.store);
    appraiser_free(r->broker.appraiser);
    policy_engine_free(r->broker.engine);
    token_memory_free(r->broker.issuer.memory);
    administrators_free(r->broker.administrators);
    secret_free(&r->broker.challenge_key);
    credentials_free(&r->credentials);
    config_free(&r->config);
}

static void auto_resources(struct resources *r) { resources_close(r); }

/* Trusts what this user's simulated platform signs: `folder` becomes a link to its root, made when there is none. */
static FALLIBLE adopt_root(const char *folder, int64_t now, struct err *err)
{
    AUTO(text) char *root = NULL, *whole = NULL;

    development_root_folder(&root);
    if (!development_root_exists(root) && !development_root_make(root, now, err))
        return false;
    whole = realpath(root, NULL);
    if (!whole)
        return err_os(err, "development root %s", root);
    return symlink(whole, folder) == 0 || development_root_exists(folder) || err_os(err, "link %s", folder);
}

static FALLIBLE development_prepare(const struct arguments *a, struct config *config, struct err *err)
{
    AUTO(buffer) struct buffer tee = { 0 };
    int64_t                    now = (int64_t) time(NULL);

    buffer_printf(&tee, "%s/" DEVELOPMENT_FOLDER, a->dev);
    if (!directory_make(a->dev, err) || !credentials_make(a->dev, now, err))
        return false;
    if (!development_root_exists(buffer_text(&tee)) && !adopt_root(buffer_text(&tee), now, err))
        return false;
    return config_development(a->dev, a->listen ? a->listen : "127.0.0.1:8443", config, err);
}

static FALLIBLE config_load(const struct arguments *a, struct config *config, struct err *err)
{
    AUTO(buffer) struct buffer toml = { 0 };

    if (a->dev)
        return development_prepare(a, config, err);
    if (!file_read(a->config, CONFIG_LEN_MAX, &toml, err) || !config_read(buffer_bytes(&toml), config, err))
        return context(err, a->config);
    if (a->listen) {
        free(config->listen);
        config->listen = strdup(a->listen);
    }
    return true;
}

struct lists {
    struct buffer at[CRLS_MAX];
    size_t        n;
};

static void auto_lists(struct lists *l)
{
    for (size_t i = 0; i < l->n; i++)
        buffer_free(&l->at[i]);
}

/* The files *.crl of a folder. */
static FALLIBLE lists_read(const char *folder, struct lists *out, struct err *err)
{
    AUTO(dir) DIR *dir = opendir(folder);

    if (!dir)
        return err_os(err, "snp_crls: open %s", folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        AUTO(buffer) struct buffer path = { 0 };
        const char                *dot  = strrchr(entry->d_name, '.');

        if (!dot || strcmp(dot, ".crl") != 0)
            continue;
        if (out->n == CRLS_MAX)
            return fail_with(err, ERR_LIMIT, "snp_crls: more than %d lists in %s", CRLS_MAX, folder);
        buffer_printf(&path, "%s/%s", folder, entry->d_name);
        if (!file_read(buffer_text(&path), CRL_LEN_MAX, &out->at[out->n++], err))
            return false;
    }
    return true;
}

/* Files that the configuration may name: what is not named stays empty. */
enum { TDX_ROOT, COLLATERAL, SNP_POLICY, TDX_POLICY, TPM_POLICY, N_TRUST_FILES };

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
        [SNP_POLICY] = { c->snp_policy, CONFIG_LEN_MAX }, [TDX_POLICY] = { c->tdx_policy, CONFIG_LEN_MAX },
        [TPM_POLICY] = { c->tpm_policy, CONFIG_LEN_MAX },
    };

    for (int i = 0; i < N_TRUST_FILES; i++) {
        if (files[i].path && !file_read(files[i].path, files[i].most, &out->at[i], err))
            return false;
    }
    return true;
}

static FALLIBLE appraiser_open(const struct config *c, struct appraiser **out, struct err *err)
{
    AUTO(lists) struct lists             lists = { 0 };
    AUTO(trust_files) struct trust_files files = { 0 };
    struct bytes                         crls[CRLS_MAX];

    if ((c->snp_crls && !lists_read(c->snp_crls, &lists, err)) || !trust_files_read(c, &files, err))
        return false;
    for (size_t i = 0; i < lists.n; i++)
        crls[i] = buffer_bytes(&lists.at[i]);

    struct appraiser_options options = { .amd                = c->snp,
                                         .development_folder = c->development_root,
                                         .crls               = crls,
                                         .n_crls             = lists.n,
                                         .crl_required       = c->snp_crl_required,
                                         .snp_policy         = buffer_bytes(&files.at[SNP_POLICY]),
                                         .tdx_root           = buffer_bytes(&files.at[TDX_ROOT]),
                                         .tdx_policy         = buffer_bytes(&files.at[TDX_POLICY]),
                                         .bundle             = buffer_bytes(&files.at[COLLATERAL]),
                                         .tpm                = c->tpm,
                                         .tpm_policy         = buffer_bytes(&files.at[TPM_POLICY]),
                                         .tpm_any_key        = c->tpm_any_key,
                                         .sample             = c->sample };
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

static FALLIBLE broker_open(struct resources *r, struct err *err)
{
    AUTO(secret) struct secret     epoch = { 0 };
    const struct config           *c     = &r->config;
    const struct credential_paths  paths = { .tls_certificate   = c->tls_certificate,
                                             .tls_key           = c->tls_key,
                                             .token_certificate = c->token_certificate,
                                             .token_key         = c->token_key,
                                             .admin_key         = c->admin_key,
                                             .admin_client_ca   = c->admin_client_ca,
                                             .store_key         = c->store_key };

    if (!credentials_load(&paths, &r->credentials, err) || !appraiser_open(c, &r->broker.appraiser, err) ||
        !policy_engine_new(&r->broker.engine, err) ||
        !administrators_open(c, r->credentials.admin_key, &r->broker.administrators, err) ||
        !store_open(c->store, &r->credentials.store_key, &r->broker.store, err) ||
        !store_epoch(r->broker.store, &epoch, err) || !challenge_key(&epoch, &r->broker.challenge_key, err))
        return false;
    r->broker.issuer    = (struct ear_issuer){ .key         = r->credentials.token_key,
                                               .certificate = buffer_bytes(&r->credentials.token_certificate),
                                               .name        = c->token_issuer,
                                               .memory      = token_memory_new() };
    r->broker.session_s = (uint32_t) c->session_seconds;
    return true;
}

static void signal_came(struct loop_source *source, uint32_t events)
{
    struct resources        *r = source->owner;
    struct signalfd_siginfo info;

    (void) events;
    if (read(source->fd, &info, sizeof info) != sizeof info)
        return;
    log_info("stopping", "signal=%u", info.ssi_signo);
    server_drain(r->server, GRACE_MS);
}

static FALLIBLE resources_open(struct resources *r, struct err *err)
{
    static const int SIGNALS[] = { SIGTERM, SIGINT };

    r->signals = (struct loop_source){ .fd = NO_FD, .ready = signal_came, .owner = r };
    if (!broker_open(r, err) || !loop_new(&r->loop, err) || !loop_signal_fd(SIGNALS, 2, &r->signals.fd, err) ||
        !loop_add(r->loop, &r->signals, EPOLLIN, err))
        return false;

    struct server_options options = { &r->config, &r->credentials, &r->broker, r->loop };
    return server_start(&options, &r->server, err);
}

static FALLIBLE serve(const struct arguments *a, struct err *err)
{
    AUTO(resources) struct resources r = { .signals = { .fd = NO_FD } };

    if (!config_load(a, &r.config, err) || !resources_open(&r, err))
        return false;
    if (r.config.development_root)
        log_error("development root trusted", "folder=%s: guests under it are simulated, and nothing protects their secrets",
                  r.config.development_root);
    printf("listening on %s\n", server_url(r.server));
    if (server_admin_url(r.server) != server_url(r.server))
        printf("administration on %s\n", server_admin_url(r.server));
    if (fflush(stdout) != 0)
        return err_os(err, "say that it listens");
    return loop_run(r.loop, err);
}

int main(int argc, char **argv)
{
    struct arguments    a      = { 0 };
    const struct option_row rows[] = {
        { "config", OPTION_TEXT, &a.config, "FILE", "serve as this TOML file says", 0, 0 },
        { "dev", OPTION_TEXT, &a.dev, "DIR", "for development: make keys, certificates and a development root in DIR", 0, 0 },
        { "listen", OPTION_TEXT, &a.listen, "ADDR:PORT", "listen here (127.0.0.1:8443); port 0 takes any", 0, 0 },
    };
    const struct option_table table = {
        .command = "cloister-broker", .synopsis = "--config FILE | --dev DIR [--listen ADDR:PORT]",
        .about = "Verifies the evidence of confidential guests and releases keys to those that policy names.",
        .rows = rows, .n_rows = sizeof rows / sizeof *rows,
    };
    enum options_outcome outcome;
    char               **operands;
    size_t               n_operands;
    struct err           err;

    log_open("cloister-broker", LOG_LEVEL_INFO);
    (void) signal(SIGPIPE, SIG_IGN); /* SIGPIPE is a signal that can be ignored */
    if (!options_parse(&table, argc, argv, &outcome, &operands, &n_operands, &err)) {
        fprintf(stderr, "cloister-broker: %s\n", err.text);
        return 2;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED) {
        printf("\nKeys of the configuration file:\n");
        config_describe(stdout);
        return 0;
    }
    if (!a.dev == !a.config || n_operands > 0) {
        fprintf(stderr, "cloister-broker: give either --dev DIR or --config FILE; see --help\n");
        return 2;
    }
    if (!secret_heap_open(&err) || !serve(&a, &err)) {
        fprintf(stderr, "cloister-broker: %s\n", err.text);
        return 1;
    }
    return 0;
}
