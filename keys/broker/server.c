#include "keys/broker/server.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/log.h"
#include "keys/broker/exchange.h"
#include "keys/broker/listener.h"
#include "keys/broker/observer.h"
#include "keys/broker/tls_identity.h"

enum {
    CONNECTION_MEMORY = 128 << 10, /* of a request's head; a Bearer token alone may have KBS_TOKEN_MAX */
    TICK_MS           = 1000,
    TICKS_OF_KEEPING  = 60, /* between two looks for what expired */
    RUNS_OF_TURN      = 8,  /* what comes in while a turn works is still of it, so often */
    RETIRED_MAX       = 8
};

/*
 * Forward secrecy and AEAD only. The order is ours: a client's key share is nearly always of X25519, and to ask for
 * another costs it a round trip and both a key; SHA-256 has instructions of its own, SHA-384 has none.
 */
#define TLS_OFFERED                                                                                                     \
    "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-MAC-ALL:+AEAD:"                     \
    "-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"                                                         \
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1:%SERVER_PRECEDENCE"

/* One address where we listen, and whom it is for. */
struct entrance {
    struct door        door;
    struct MHD_Daemon *daemon;
    struct loop_source web; /* libmicrohttpd's own epoll descriptor */
    bool               is_plain; /* no TLS */
    char               url[LISTENER_ADDRESS_MAX + 8];
};

enum { GUESTS, ADMINISTRATORS, ENTRANCES };

/* A daemon with the keys of before a reload: it serves the connections that it has, and takes no new one. */
struct retired {
    struct MHD_Daemon *daemon;
    struct loop_source web;
};

struct server {
    struct server_options options;
    struct traffic        traffic;
    struct entrance       entrances[ENTRANCES]; /* the second one may be unused: its daemon is NULL */
    struct retired        retired[RETIRED_MAX];
    struct observer      *observer;
    struct loop_source    again; /* when there is more to do without an event */
    struct loop_source    tick;
    struct loop_source    grace;
    int64_t               started_us;
    unsigned              ticks;
    bool                  is_draining;
};

/* ---- turns ---- */

static FALLIBLE writes_commit(struct server *s, struct err *err)
{
    int64_t began   = monotonic_us();
    bool    durable = store_commit(s->options.broker->store, err);

    metrics_committed(&s->traffic.metrics, (uint64_t) (monotonic_us() - began), durable);
    if (!durable)
        log_error("commit failed", "why=\"%s\"", err->text);
    return durable;
}

/* Decides what writes, makes it durable, then lets its answers go. */
static void turn_commit(struct server *s)
{
    struct err err = { 0 };
    bool       durable;

    exchanges_decide(&s->traffic);
    durable = !store_is_dirty(s->options.broker->store) || writes_commit(s, &err);
    exchanges_release(&s->traffic, durable, &err);
    if (store_is_dirty(s->options.broker->store)) /* of secrets that came to nothing */
        (void) !writes_commit(s, &err);
}

/* Every daemon once; whether one of them has more to do at once. */
static bool daemons_run(struct server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;
    bool                   has_more = false;

    for (int i = 0; i < ENTRANCES + RETIRED_MAX; i++) {
        struct MHD_Daemon *daemon = i < ENTRANCES ? s->entrances[i].daemon : s->retired[i - ENTRANCES].daemon;

        if (!daemon)
            continue;
        (void) MHD_run(daemon); /* fails only for a daemon with its own threads */
        has_more = has_more || (MHD_get_timeout(daemon, &ms) == MHD_YES && ms == 0);
    }
    return has_more;
}

static void run_again_soon(struct server *s)
{
    const struct itimerspec at_once = { .it_value.tv_nsec = 1 };

    (void) timerfd_settime(s->again.fd, 0, &at_once, NULL); /* a valid time on a valid timer */
}

/* All that came in, one transaction and its commit, all answers. libmicrohttpd is silent about connections that were resumed: it runs again. */
static void turn(struct server *s)
{
    int64_t began    = monotonic_us();
    bool    has_more = true;

    admission_turn_begins(&s->traffic.admission, began);
    for (int i = 0; i < RUNS_OF_TURN && has_more; i++) {
        has_more = daemons_run(s);
        admission_turn_judge(&s->traffic.admission, began, monotonic_us(), (int64_t) s->options.config->shed_ms * 1000);
        if (s->traffic.waiting || store_is_dirty(s->options.broker->store)) {
            turn_commit(s);
            has_more = true;
        }
    }
    if (has_more)
        run_again_soon(s);
    if (s->is_draining && peers_busy(&s->traffic.peers) == 0)
        loop_stop(s->options.loop);
}

static void timer_drain(struct loop_source *source)
{
    uint64_t n;

    (void) !read(source->fd, &n, sizeof n); /* a timer that did not fire has nothing to read */
}

static void web_ready(struct loop_source *source, uint32_t events)
{
    (void) events;
    turn(source->owner);
}

/* What came from outside has woken connections. */
static void outside_came(void *owner) { turn(owner); }

static void again_ready(struct loop_source *source, uint32_t events)
{
    (void) events;
    timer_drain(source);
    turn(source->owner);
}

static void retired_end(struct retired *r)
{
    loop_remove(&r->web); /* its descriptor is the daemon's */
    MHD_stop_daemon(r->daemon);
    *r = (struct retired){ 0 };
}

static void retired_tidy(struct server *s)
{
    for (int i = 0; i < RETIRED_MAX; i++) {
        if (s->retired[i].daemon &&
            MHD_get_daemon_info(s->retired[i].daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections == 0)
            retired_end(&s->retired[i]);
    }
}

/* Handshakes with an older identity can only be under way on a daemon of before a reload. */
static void identities_tidy(struct server *s)
{
    for (int i = 0; i < RETIRED_MAX; i++) {
        if (s->retired[i].daemon)
            return;
    }
    tls_identity_forget_older();
}

static void expired_forget(struct server *s)
{
    struct err err;

    if (!store_sessions_expire(s->options.broker->store, (int64_t) time(NULL), &err) ||
        !store_commit(s->options.broker->store, &err))
        log_error("housekeeping failed", "why=\"%s\"", err.text);
}

static void tick_ready(struct loop_source *source, uint32_t events)
{
    struct server *s = source->owner;

    (void) events;
    timer_drain(source);
    s->traffic.metrics.timed_out += peers_expire(&s->traffic.peers, monotonic_us() / 1000);
    turn(s);
    retired_tidy(s);
    identities_tidy(s);
    if (s->observer)
        observer_tick(s->observer);
    if (++s->ticks % TICKS_OF_KEEPING == 0)
        expired_forget(s);
}

static void grace_ended(struct loop_source *source, uint32_t events)
{
    struct server *s = source->owner;

    (void) events;
    loop_stop(s->options.loop);
}

/* ---- what a monitor sees ---- */

/* Whom the configuration lets us ask outside: bits of enum outside_peer. */
static unsigned outsides_of(const struct server *s)
{
    const struct config             *c       = s->options.config;
    const struct collateral_sources *sources = s->options.broker->sources;
    unsigned                         bits    = 0;

    bits |= (unsigned) (c->vault != NULL) << OUTSIDE_VAULT | (unsigned) (c->pkcs11 != NULL) << OUTSIDE_PKCS11;
    if (sources)
        bits |= (unsigned) collateral_sources_has(sources, collateral_sources_kds(sources)) << OUTSIDE_AMD |
                (unsigned) collateral_sources_has(sources, collateral_sources_pcs(sources)) << OUTSIDE_INTEL;
    return bits;
}

/* A store outside that is down makes no broker unready: what is kept elsewhere is served, and another broker has no other store. */
static FALLIBLE is_ready(void *owner, struct buffer *more, struct err *err)
{
    struct server *s = owner;

    for (int p = 0; p < N_OUTSIDES; p++) {
        if ((outsides_of(s) >> p & 1) && s->traffic.metrics.outside[p].is_down)
            buffer_printf(more, "%s does not answer: the last question to it failed; the log says why\n", outside_peer_name((enum outside_peer) p));
    }
    if (s->is_draining)
        return fail_with(err, ERR_DENIED, "the broker is being shut down");
    if (store_audit_refresh(s->options.broker->store, err))
        return true;
    log_error("not ready", "why=\"%s\"", err->text);
    return false;
}

static void metrics_tell(void *owner, struct buffer *out)
{
    struct server *s = owner;
    AUTO(buffer) struct buffer untold = { 0 };
    struct err                 ignored; /* the gauges tell it */
    struct gauges              g = { .connections = s->traffic.peers.n,
                         .requests    = s->traffic.n_exchanges,
                         .uptime_s    = (uint64_t) ((monotonic_us() - s->started_us) / 1000000),
                         .is_ready    = is_ready(s, &untold, &ignored),
                         .outsides    = outsides_of(s) };

    g.audit_entries = store_audit_tree(s->options.broker->store)->size;
    metrics_write(&s->traffic.metrics, &g, out);
}

struct metrics *server_metrics(struct server *server) { return &server->traffic.metrics; }

/* ---- starting and stopping ---- */

/* The certificate and the key of now, for all entrances. */
static FALLIBLE identity_show(const struct credentials *keys, struct err *err)
{
    struct tls_identity *identity;

    if (keys->tls_key.len == 0)
        return true; /* nobody is spoken to in TLS */
    if (!tls_identity_new(buffer_bytes(&keys->tls_certificate), &keys->tls_key, &identity, err))
        return false;
    tls_identity_show(identity);
    return true;
}

enum { TLS_ITEMS = 5 };

/* What TLS wants of libmicrohttpd; none in plain HTTP. */
struct tls_items {
    struct MHD_OptionItem at[TLS_ITEMS];
    size_t                n;
    struct buffer         chain, ca;
};

static void auto_tls_items(struct tls_items *items)
{
    buffer_free(&items->chain);
    buffer_free(&items->ca);
}

/* Texts are only read. */
static void item_add(struct tls_items *items, enum MHD_OPTION option, const void *value)
{
    items->at[items->n++] = (struct MHD_OptionItem){ option, 0, (void *) (uintptr_t) value };
}

static void tls_items_fill(struct tls_items *items, const struct credentials *keys, unsigned faces)
{
    item_add(items, MHD_OPTION_HTTPS_PRIORITIES, TLS_OFFERED);
    if (tls_identity_is_shown()) {
        item_add(items, MHD_OPTION_HTTPS_CERT_CALLBACK2, (const void *) (uintptr_t) tls_identity_retrieve);
    } else {
        buffer_append(&items->chain, buffer_bytes(&keys->tls_certificate));
        item_add(items, MHD_OPTION_HTTPS_MEM_KEY, secret_expose(&keys->tls_key).at);
        item_add(items, MHD_OPTION_HTTPS_MEM_CERT, buffer_text(&items->chain));
    }
    if ((faces & FACE_ADMINISTRATORS) && keys->admin_client_ca.len > 0) { /* certificates are asked for, and may be withheld */
        buffer_append(&items->ca, buffer_bytes(&keys->admin_client_ca));
        item_add(items, MHD_OPTION_HTTPS_MEM_TRUST, buffer_text(&items->ca));
    }
}

/* Takes the listener, also on failure. */
static FALLIBLE daemon_start(struct server *s, struct entrance *e, int listener, struct err *err)
{
    const struct config             *c   = s->options.config;
    AUTO(tls_items) struct tls_items tls = { 0 };

    if (!e->is_plain)
        tls_items_fill(&tls, s->options.credentials, e->door.faces);
    item_add(&tls, MHD_OPTION_END, NULL);
    e->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | (e->is_plain ? 0U : (unsigned) MHD_USE_TLS) | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, exchange_serve, &e->door,
        MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_ARRAY, tls.at,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned) c->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned) c->connections_per_peer,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, exchange_path_untouched, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, exchange_ended, &e->door,
        MHD_OPTION_NOTIFY_CONNECTION, exchange_connection, &e->door, MHD_OPTION_URI_LOG_CALLBACK, exchange_line, &e->door,
        MHD_OPTION_END);
    if (!e->daemon) {
        (void) close(listener); /* never used */
        return fail_with(err, ERR_CONFIG, "%s", e->is_plain ? "start HTTP: libmicrohttpd refuses its options"
                                                            : "start HTTPS: the certificate or its key is not usable");
    }
    e->web = (struct loop_source){ .fd = MHD_get_daemon_info(e->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                                   .ready = web_ready, .owner = s };
    return loop_add(s->options.loop, &e->web, EPOLLIN, err);
}

FALLIBLE server_may_be_plain(const struct config *config, const char *address, struct err *err)
{
    if (listener_is_loopback(address))
        return true;
    if (strcmp(config->admin_listen, CONFIG_ADMIN_SAME) == 0)
        return fail_with(err, ERR_CONFIG, "insecure_http: administration in plain HTTP is served on loopback addresses only, not on %s: give admin_listen "
                         "an address of its own", address);
    return config->insecure_http_anywhere ||
           fail_with(err, ERR_CONFIG, "insecure_http: %s is no loopback address; where a proxy or mesh encrypts all that comes there, set "
                     "insecure_http_anywhere = true", address);
}

static FALLIBLE entrance_open(struct server *s, int which, const char *where, unsigned faces, struct err *err)
{
    static const char *const NAMES[] = { [GUESTS] = "guests", [ADMINISTRATORS] = "administrators" }; /* systemd's */
    struct entrance         *e       = &s->entrances[which];
    char                     address[LISTENER_ADDRESS_MAX];
    int                      listener = NO_FD;

    *e = (struct entrance){ .door = { &s->traffic, faces }, .web = { .fd = NO_FD }, .is_plain = which == GUESTS && s->options.config->insecure_http };
    if (!listener_open(where, NAMES[which], &listener, address, err))
        return false;
    if (e->is_plain && !server_may_be_plain(s->options.config, address, err)) { /* also of a socket that systemd passed */
        (void) close(listener); /* never used */
        return false;
    }
    if (!daemon_start(s, e, listener, err))
        return false;
    (void) snprintf(e->url, sizeof e->url, "%s://%s", e->is_plain ? "http" : "https", address); /* fits */
    return true;
}

/* One entrance for all, or one of its own for administrators. */
static FALLIBLE entrances_open(struct server *s, struct err *err)
{
    const struct config *c       = s->options.config;
    bool                 is_same = strcmp(c->admin_listen, CONFIG_ADMIN_SAME) == 0;

    return entrance_open(s, GUESTS, c->listen, is_same ? FACE_GUESTS | FACE_ADMINISTRATORS : FACE_GUESTS, err) &&
           (is_same || entrance_open(s, ADMINISTRATORS, c->admin_listen, FACE_ADMINISTRATORS, err) ||
            context(err, "administration"));
}

static FALLIBLE observer_open(struct server *s, struct err *err)
{
    struct observer_options options = { .listen = s->options.config->metrics_listen, .loop = s->options.loop,
                                        .metrics = metrics_tell, .ready = is_ready, .owner = s };

    return !options.listen || observer_start(&options, &s->observer, err);
}

static FALLIBLE timers_add(struct server *s, struct err *err)
{
    struct loop *loop = s->options.loop;

    s->again = (struct loop_source){ .fd = NO_FD, .ready = again_ready, .owner = s };
    s->tick  = (struct loop_source){ .fd = NO_FD, .ready = tick_ready, .owner = s };
    return loop_timer_fd(1, 0, &s->again.fd, err) && loop_timer_fd(TICK_MS, TICK_MS, &s->tick.fd, err) &&
           loop_add(loop, &s->again, EPOLLIN, err) && loop_add(loop, &s->tick, EPOLLIN, err);
}

static void limits_set(struct server *s)
{
    const struct config *c = s->options.config;

    s->traffic.peers.limits_s[PHASE_HELLO]   = c->handshake_seconds;
    s->traffic.peers.limits_s[PHASE_REQUEST] = c->request_seconds;
    s->traffic.peers.limits_s[PHASE_ANSWER]  = c->request_seconds;
    s->traffic.peers.limits_s[PHASE_IDLE]    = c->idle_seconds;
}

FALLIBLE server_start(const struct server_options *options, struct server **out, struct err *err)
{
    AUTO(server) struct server *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    s->options        = *options;
    s->traffic.broker = options->broker;
    traffic_open(&s->traffic);
    s->started_us     = monotonic_us();
    s->again.fd = s->tick.fd = s->grace.fd = NO_FD;
    limits_set(s);
    if (!timers_add(s, err) || !outside_new(options->loop, outside_came, s, &s->traffic.outside, err) ||
        !identity_show(options->credentials, err) || !entrances_open(s, err) || !observer_open(s, err))
        return false;
    *out = TAKE(s);
    return true;
}

const char *server_url(const struct server *server) { return server->entrances[GUESTS].url; }

const char *server_admin_url(const struct server *server)
{
    return server->entrances[server->entrances[ADMINISTRATORS].daemon ? ADMINISTRATORS : GUESTS].url;
}

const char *server_metrics_url(const struct server *server) { return server->observer ? observer_url(server->observer) : NULL; }

/* ---- reloading ---- */

static struct retired *retired_slot(struct server *s)
{
    retired_tidy(s);
    for (int i = 0; i < RETIRED_MAX; i++) {
        if (!s->retired[i].daemon)
            return &s->retired[i];
    }
    outside_finish(s->traffic.outside); /* a suspended connection must not outlive its daemon */
    retired_end(&s->retired[0]); /* whoever is still on it connects again */
    return &s->retired[0];
}

/* The same listener under a new daemon, with the keys of now. */
static FALLIBLE entrance_renew(struct server *s, struct entrance *e, struct err *err)
{
    struct retired *r        = retired_slot(s);
    MHD_socket      listener = MHD_quiesce_daemon(e->daemon);

    loop_remove(&e->web);
    *r = (struct retired){ .daemon = e->daemon, .web = { .fd = e->web.fd, .ready = web_ready, .owner = s } };
    if (!daemon_start(s, e, listener, err))
        return false;
    return loop_add(s->options.loop, &r->web, EPOLLIN, err);
}

FALLIBLE server_reload(struct server *server, const struct config *config, const struct credentials *credentials, struct err *err)
{
    turn_commit(server); /* no answer waits for a daemon that retires */
    server->options.config      = config;
    server->options.credentials = credentials;
    limits_set(server);
    if (!identity_show(credentials, err))
        return false;
    for (int i = 0; i < ENTRANCES; i++) {
        if (server->entrances[i].daemon && !entrance_renew(server, &server->entrances[i], err))
            return false;
    }
    return true;
}

/* ---- the end ---- */

void server_drain(struct server *server, uint32_t grace_ms)
{
    struct err err;

    for (int i = 0; i < ENTRANCES; i++) {
        MHD_socket listener = server->entrances[i].daemon ? MHD_quiesce_daemon(server->entrances[i].daemon) : MHD_INVALID_SOCKET;

        if (listener != MHD_INVALID_SOCKET)
            (void) close(listener); /* it only ever accepted */
    }
    server->is_draining = true;
    server->grace       = (struct loop_source){ .fd = NO_FD, .ready = grace_ended, .owner = server };
    if (peers_busy(&server->traffic.peers) == 0 || !loop_timer_fd(grace_ms, 0, &server->grace.fd, &err) ||
        !loop_add(server->options.loop, &server->grace, EPOLLIN, &err))
        loop_stop(server->options.loop);
}

static void source_close(struct loop_source *source)
{
    loop_remove(source);
    if (source->fd >= 0)
        (void) close(source->fd); /* a timer */
}

void server_free(struct server *server)
{
    if (!server)
        return;
    outside_free(server->traffic.outside);
    turn_commit(server); /* a suspended connection must not outlive its daemon */
    for (int i = 0; i < RETIRED_MAX; i++) {
        if (server->retired[i].daemon)
            retired_end(&server->retired[i]);
    }
    for (int i = 0; i < ENTRANCES; i++) {
        if (!server->entrances[i].daemon)
            continue;
        loop_remove(&server->entrances[i].web); /* its descriptor is the daemon's */
        MHD_stop_daemon(server->entrances[i].daemon);
    }
    tls_identity_show(NULL);
    tls_identity_forget_older();
    traffic_close(&server->traffic);
    observer_free(server->observer);
    source_close(&server->again);
    source_close(&server->tick);
    source_close(&server->grace);
    free(server);
}
