/* cloister-broker: verifies evidence, applies policy, releases keys. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "base/log.h"
#include "base/options.h"
#include "keys/broker/confine.h"
#include "keys/broker/maintenance.h"
#include "keys/broker/risks.h"
#include "keys/broker/server.h"
#include "keys/broker/setup.h"
#include "keys/broker/tls_memory.h"

enum { GRACE_MS = 30000, OTHER_FDS = 64, MEMORY_KEPT = 16 << 20, MEMORY_STEP = 1 << 20 };

struct arguments {
    struct setup_source source;
    bool                prints_config;
};

/* All that lives from start to end. */
struct resources {
    struct setup_source source;
    struct setup        setup;
    struct broker       broker;
    struct loop        *loop;
    struct server      *server;
    struct loop_source  signals;
    bool                is_deaf; /* a reload lost a listener */
};

static void resources_close(struct resources *r)
{
    server_free(r->server);
    loop_remove(&r->signals);
    if (r->signals.fd >= 0)
        (void) close(r->signals.fd); /* only read from */
    loop_free(r->loop);
    store_close(r->broker.store);
    policy_engine_free(r->broker.engine);
    secret_free(&r->broker.challenge_key);
    setup_free(&r->setup);
}

static void auto_resources(struct resources *r) { resources_close(r); }

static FALLIBLE broker_open(struct resources *r, struct err *err)
{
    AUTO(secret) struct secret epoch = { 0 };

    if (!setup_read(&r->source, &r->setup, err) || !policy_engine_new(&r->broker.engine, err) ||
        !store_open(r->setup.config.store, &r->setup.credentials.store_key, &r->broker.store, err) ||
        !store_epoch(r->broker.store, &epoch, err) || !challenge_key(&epoch, &r->broker.challenge_key, err))
        return false;
    setup_use(&r->setup, &r->broker);
    return true;
}

/* ---- signals ---- */

static bool differ(const char *a, const char *b) { return strcmp(a ? a : "", b ? b : "") != 0; }

/* What is open already stays: another store or address wants another process. */
static FALLIBLE same_process(const struct config *now, const struct config *then, struct err *err)
{
    if (differ(now->store, then->store) || differ(now->store_key, then->store_key) || differ(now->listen, then->listen) ||
        differ(now->admin_listen, then->admin_listen) || differ(now->metrics_listen, then->metrics_listen) ||
        differ(now->log, then->log) || now->insecure_http != then->insecure_http)
        return fail_with(err, ERR_CONFIG,
                         "store, store_key, listen, admin_listen, metrics_listen, insecure_http and log change by a restart only");
    return true;
}

/* All of the new configuration or all of the old one. */
static void reload(struct resources *r)
{
    AUTO(setup) struct setup fresh = { 0 }, old = { 0 };
    struct metrics          *m     = server_metrics(r->server);
    struct err               err;

    r->source.again = true;
    if (!setup_read(&r->source, &fresh, &err) || !same_process(&r->setup.config, &fresh.config, &err)) {
        m->reloads_failed++;
        log_error("reload refused", "why=\"%s\"", err.text);
        return;
    }
    old      = TAKE(r->setup);
    r->setup = TAKE(fresh);
    setup_use(&r->setup, &r->broker);
    if (!server_reload(r->server, &r->setup.config, &r->setup.credentials, &err)) {
        log_error("reload failed", "why=\"%s\"", err.text);
        r->is_deaf = true; /* better another process than a deaf one */
        loop_stop(r->loop);
        return;
    }
    m->reloads++;
    log_info("reloaded", "%s", "");
}

static void signal_came(struct loop_source *source, uint32_t events)
{
    struct resources        *r = source->owner;
    struct signalfd_siginfo info;

    (void) events;
    if (read(source->fd, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        reload(r);
        return;
    }
    log_info("stopping", "signal=%u", info.ssi_signo);
    server_drain(r->server, GRACE_MS);
}

/* ---- serving ---- */

static FALLIBLE resources_open(struct resources *r, struct err *err)
{
    static const int SIGNALS[] = { SIGTERM, SIGINT, SIGHUP };

    r->signals = (struct loop_source){ .fd = NO_FD, .ready = signal_came, .owner = r };
    if (!broker_open(r, err) || !loop_new(&r->loop, err) || !loop_signal_fd(SIGNALS, 3, &r->signals.fd, err) ||
        !loop_add(r->loop, &r->signals, EPOLLIN, err))
        return false;

    struct server_options options = { &r->setup.config, &r->setup.credentials, &r->broker, r->loop };
    return server_start(&options, &r->server, err);
}

/* As many descriptors as the system lets us have: one for each connection. */
static void descriptors_raise(uint64_t connections)
{
    struct rlimit limit = { 0 };

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return; /* told below: what it left is 0 */
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < connections + OTHER_FDS)
        log_error("few descriptors", "limit=%llu connections=%llu: raise LimitNOFILE, or lower connections",
                  (unsigned long long) limit.rlim_cur, (unsigned long long) connections);
}

static void risk_log(void *owner, const char *what, const char *where, const char *why)
{
    (void) owner;
    log_error(what, "where=\"%s\": %s", where, why);
}

static FALLIBLE announce(const struct resources *r, struct err *err)
{
    risks_each(&r->setup.config, risk_log, NULL);
    printf("listening on %s\n", server_url(r->server));
    if (server_admin_url(r->server) != server_url(r->server))
        printf("administration on %s\n", server_admin_url(r->server));
    if (server_metrics_url(r->server))
        printf("metrics on %s\n", server_metrics_url(r->server));
    return fflush(stdout) == 0 || err_os(err, "say that it listens");
}

static FALLIBLE serve(const struct setup_source *source, struct err *err)
{
    AUTO(resources) struct resources r = { .source = *source, .signals = { .fd = NO_FD } };

    if (!resources_open(&r, err))
        return false;
    if (strcmp(r.setup.config.log, "json") == 0)
        log_as_json();
    descriptors_raise(r.setup.config.connections);
    return confine(err) && announce(&r, err) && loop_run(r.loop, err) &&
           (!r.is_deaf || fail_with(err, ERR_OS, "a reload lost a listener"));
}

static int run(int argc, char **argv)
{
    struct arguments        a      = { 0 };
    const struct option_row rows[] = {
        { "config", OPTION_TEXT, &a.source.config, "FILE", "serve as this TOML file says; SIGHUP reads it again", 0, 0 },
        { "dev", OPTION_TEXT, &a.source.dev, "DIR", "for development: make keys, certificates and a development root in DIR", 0, 0 },
        { "listen", OPTION_TEXT, &a.source.listen, "ADDR:PORT", "listen here (127.0.0.1:8443); port 0 takes any", 0, 0 },
        { "insecure-http", OPTION_FLAG, &a.source.insecure_http, NULL, "speak plain HTTP there, on a loopback address", 0, 0 },
        { "print-config", OPTION_FLAG, &a.prints_config, NULL, "print a configuration file with every key and its default", 0, 0 },
    };
    const struct option_table table = {
        .command = "cloister-broker",
        .synopsis = "--config FILE | --dev DIR [--listen ADDR:PORT] [--insecure-http] | check|migrate|backup|restore|verify|bundle|make-key ...",
        .about = "Verifies the evidence of confidential guests and releases keys to those that policy names.",
        .rows = rows, .n_rows = sizeof rows / sizeof *rows,
        .notes = "`cloister-broker COMMAND --help` tells more. Keys of the configuration file: see --print-config.",
    };
    enum options_outcome outcome;
    char               **operands;
    size_t               n_operands;
    struct err           err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n_operands, &err)) {
        fprintf(stderr, "cloister-broker: %s\n", err.text);
        return 2;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (a.prints_config) {
        config_print(stdout);
        return 0;
    }
    if (n_operands > 0) {
        fprintf(stderr, "cloister-broker: no command \"%.40s\"; see cloister-broker --help\n", operands[0]);
        return 2;
    }
    if (!a.source.dev == !a.source.config) {
        fprintf(stderr, "cloister-broker: give either --dev DIR or --config FILE; see --help\n");
        return 2;
    }
    if (!serve(&a.source, &err)) {
        fprintf(stderr, "cloister-broker: %s\n", err.text);
        return 1;
    }
    return 0;
}

/* Evidence is thousands of small values, freed at once: memory is kept for the next, not given back and faulted in anew. */
static void memory_keep(void)
{
    (void) mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT); /* at worst it is slower */
    (void) mallopt(M_TOP_PAD, MEMORY_STEP);        /* as above */
}

int main(int argc, char **argv)
{
    static char help[] = "--help";
    struct err  err;

    memory_keep();
    tls_memory_wipe();
    log_open("cloister-broker", LOG_LEVEL_INFO);
    (void) signal(SIGPIPE, SIG_IGN);         /* SIGPIPE is a signal that can be ignored */
    (void) setenv("TSS2_LOG", "all+none", 0); /* our own errors say it; without room, tpm2-tss says it twice */
    if (!secret_heap_open(&err)) {
        fprintf(stderr, "cloister-broker: %s\n", err.text);
        return 1;
    }
    if (argc == 2 && strcmp(argv[1], "help") == 0)
        argv[1] = help;
    return argc > 1 && maintenance_is(argv[1]) ? maintenance_run(argc - 1, argv + 1) : run(argc, argv);
}
