/*
 * Load on a real broker from the same machine: SNP attestations over new TLS connections, resources on kept ones, live
 * sessions, overload. CPU time stands against a floor program that does the same handshakes, socket calls and signature
 * operations, and nothing else.
 *
 *   load_bench [SECONDS [PART...]]     parts: attest resource decision overload sessions; all when none is named
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/jose/jwe.h"
#include "tests/harness/broker.h"

#define URI  "kbs:///default/key/1"
#define PATH "/kbs/v0/resource/default/key/1"

enum { CLIENTS = 8, OVERLOAD = 10, LATENCIES_MAX = 1 << 16, ANSWER_MAX = 64 << 10, HEAD_MAX = 1024, SESSIONS = 10000,
       OPENED_OF = 64 /* each client opens the first of so many secrets that it gets */, FLOOR_TOKEN = 2600, FLOOR_JWE = 700, FLOOR_NONCE = 80 };

static struct test_broker broker;
static SSL_CTX           *client_ctx;
static struct secret      stored; /* what the broker has to give */

static double now_s(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void must(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "load_bench: %s failed: %s\n", what, strerror(errno));
        exit(1);
    }
}

/* ---- one client ---- */

struct connection {
    SSL *ssl;
    int  fd;
};

static void connection_close(struct connection *c)
{
    if (c->ssl) {
        (void) SSL_shutdown(c->ssl); /* says goodbye; nobody waits for the answer */
        SSL_free(c->ssl);
    }
    if (c->fd >= 0)
        (void) close(c->fd); /* the load only cares for what came back */
    *c = (struct connection){ .fd = -1 };
}

/* Nobody's answer waits for the other's acknowledgement. */
static bool goes_at_once(int fd)
{
    int on = 1;

    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

static bool connection_open(struct connection *c, int port)
{
    struct sockaddr_in to  = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    *c = (struct connection){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *) &to, sizeof to) < 0 ||
        !goes_at_once(c->fd))
        return false;
    c->ssl = SSL_new(client_ctx);
    return c->ssl && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_connect(c->ssl) == 1;
}

struct reply {
    int           status;
    char          cookie[96]; /* "name=value" */
    struct buffer body;
};

static void auto_reply(struct reply *r) { buffer_free(&r->body); }

/* Reads one answer with a Content-Length. */
static bool reply_read(struct connection *c, struct reply *r)
{
    static _Thread_local char head[ANSWER_MAX]; /* cleared at each answer it would cost more than the answer */
    size_t                    n = 0, body_at = 0, len = 0;

    for (;;) {
        int got = SSL_read(c->ssl, head + n, (int) (sizeof head - 1 - n));

        if (got <= 0)
            return false;
        n += (size_t) got;
        head[n] = 0;
        if (body_at == 0) {
            const char *end = strstr(head, "\r\n\r\n"), *length, *cookie;

            if (!end)
                continue;
            body_at = (size_t) (end - head) + 4;
            length  = strcasestr(head, "\r\nContent-Length:");
            cookie  = strcasestr(head, "\r\nSet-Cookie: ");
            len     = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
            if (cookie && cookie < end)
                (void) snprintf(r->cookie, sizeof r->cookie, "%.*s", (int) strcspn(cookie + 14, ";\r"), cookie + 14); /* fits */
        }
        if (n >= body_at + len)
            break;
        if (n == sizeof head - 1)
            return false;
    }
    r->status   = atoi(head + 9);
    r->body.len = 0;
    buffer_append(&r->body, (struct bytes){ (uint8_t *) head + body_at, len });
    return true;
}

static bool ask(struct connection *c, const char *method, const char *path, const char *cookie, struct bytes body,
                struct reply *r)
{
    AUTO(buffer) struct buffer message = { 0 };

    buffer_printf(&message, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, path);
    if (cookie)
        buffer_printf(&message, "Cookie: %s\r\n", cookie);
    if (body.len > 0)
        buffer_printf(&message, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.len);
    buffer_append_text(&message, "\r\n");
    buffer_append(&message, body);
    return SSL_write(c->ssl, message.at, (int) message.len) == (int) message.len && reply_read(c, r);
}

struct load {
    int              port;
    double           until;
    bool             keeps_connection; /* one attestation, then resources on the same connection */
    const char      *path;             /* of those resources */
    int              status;           /* that they are answered with */
    bool             is_floor;         /* answers only look like those of a broker */
    int              attestations;     /* each client stops after so many; 0: at `until` */
    _Atomic uint64_t done, shed, failed;
};

/* ---- what one guest does ---- */

struct guest_job {
    struct test_guest guest;
    struct jwk        jwk;
    EVP_PKEY         *key;
    struct buffer     chain; /* the certificates as evidence has them: written once, as they are always the same */
};

static const char CHAIN[] = "\"cert_chain\":";

/* The member of evidence that holds the certificates: all from its name on. */
static const char *chain_of(struct buffer *evidence)
{
    const char *at = strstr(buffer_text(evidence), CHAIN);

    must(at != NULL, "find the certificates");
    return at;
}

static void job_open(struct guest_job *job)
{
    AUTO(buffer) struct buffer evidence                         = { 0 };
    const uint8_t              report_data[KBS_REPORT_DATA_LEN] = { 0 };
    struct err                 err;

    job->guest = test_guest_good(&broker);
    must(jwk_generate_p256(&job->key, &err) && jwk_of_key(job->key, "ECDH-ES+A256KW", &job->jwk, &err), "make a TEE key");
    must(test_evidence(&job->guest, report_data, &evidence, &err), "write evidence");
    buffer_append_text(&job->chain, chain_of(&evidence));
}

static void job_close(struct guest_job *job)
{
    jwk_free(&job->jwk);
    EVP_PKEY_free(job->key);
    buffer_free(&job->chain);
}

/* What test_evidence writes, of a report signed now. */
static bool evidence_write(struct guest_job *job, const uint8_t *report_data, struct buffer *out, struct err *err)
{
    const struct bytes none = { 0 };
    uint8_t            report[SNP_EVIDENCE_REPORT_LEN];

    test_report_make(&job->guest, report_data, report);
    if (!snp_evidence_write(BYTES_OF(report), false, none, none, none, out, err))
        return false;
    out->len = (size_t) (chain_of(out) - buffer_text(out));
    buffer_append(out, buffer_bytes(&job->chain));
    return true;
}

static bool attestation_write(struct guest_job *job, const char *nonce, struct buffer *out)
{
    AUTO(buffer) struct buffer evidence = { 0 };
    uint8_t                    report_data[KBS_REPORT_DATA_LEN];
    struct err                 err;

    if (!rcar_report_data("", nonce, &job->jwk, report_data, &err) || !evidence_write(job, report_data, &evidence, &err))
        return false;
    rcar_attestation_write((struct bytes){ 0 }, nonce, &job->jwk, buffer_bytes(&evidence), out);
    return true;
}

/* Challenge and evidence; leaves the session's cookie in `r`. `status` is that of the answer that was not 200. */
static bool attest(struct connection *c, struct guest_job *job, struct reply *r)
{
    AUTO(buffer) struct buffer hello = { 0 }, body = { 0 };
    char                       nonce[64];
    const char                *at;

    rcar_request_write("snp", &hello);
    if (!ask(c, "POST", "/kbs/v0/auth", NULL, buffer_bytes(&hello), r) || r->status != 200)
        return false;
    at = strstr(buffer_text(&r->body), "\"nonce\":\"");
    if (!at)
        return false;
    (void) snprintf(nonce, sizeof nonce, "%.*s", (int) strcspn(at + 9, "\""), at + 9); /* 44 characters */
    return attestation_write(job, nonce, &body) && ask(c, "POST", "/kbs/v0/attest", r->cookie, buffer_bytes(&body), r) &&
           r->status == 200;
}

/* Whether the secret in the answer is the one that was put, for this guest's key; of OPENED_OF in a row one is looked at. */
static bool opens(const struct guest_job *job, const struct reply *r, int n)
{
    AUTO(secret) struct secret opened = { 0 };
    struct err                 err;

    return n % OPENED_OF != 0 ||
           (jwe_open(buffer_bytes(&r->body), ANSWER_MAX, job->key, &opened, &err) && secret_equal(&opened, &stored));
}

/* The floor's answers are no secrets. */
static bool attest_whole(struct guest_job *job, const struct load *load, int n, struct reply *r)
{
    struct connection c;
    bool              fine = connection_open(&c, load->port) && attest(&c, job, r) &&
                ask(&c, "GET", PATH, r->cookie, (struct bytes){ 0 }, r) && r->status == 200 && (load->is_floor || opens(job, r, n));

    connection_close(&c);
    return fine;
}

/* ---- many at once ---- */

struct worker {
    pthread_t    thread;
    struct load *load;
    float       *latencies; /* in ms */
    size_t       n;
};

static void latency_add(struct worker *w, double began)
{
    if (w->n < LATENCIES_MAX)
        w->latencies[w->n++] = (float) ((now_s() - began) * 1000);
}

static bool under_way(const struct load *l, int n) { return l->attestations ? n < l->attestations : now_s() < l->until; }

static void work_on_new_connections(struct worker *w, struct guest_job *job)
{
    for (int n = 0; under_way(w->load, n); n++) {
        AUTO(reply) struct reply r     = { 0 };
        double                   began = now_s();

        if (attest_whole(job, w->load, n, &r)) {
            w->load->done++;
            latency_add(w, began);
        } else if (r.status == 503) {
            struct timespec pause = { .tv_sec = 1 }; /* as long as Retry-After asks for */

            w->load->shed++;
            (void) nanosleep(&pause, NULL); /* a short one does no harm */
        } else {
            w->load->failed++;
        }
    }
}

static void work_on_one_connection(struct worker *w, struct guest_job *job)
{
    AUTO(reply) struct reply r = { 0 };
    struct connection        c;
    char                     cookie[96];

    if (!connection_open(&c, w->load->port) || !attest(&c, job, &r)) {
        w->load->failed++;
        connection_close(&c);
        return;
    }
    memcpy(cookie, r.cookie, sizeof cookie);
    for (int n = 0; now_s() < w->load->until; n++) {
        double began = now_s();

        if (!ask(&c, "GET", w->load->path, cookie, (struct bytes){ 0 }, &r) || r.status != w->load->status ||
            (r.status == 200 && !opens(job, &r, n))) {
            w->load->failed++;
            break;
        }
        w->load->done++;
        latency_add(w, began);
    }
    connection_close(&c);
}

static void *work(void *owner)
{
    struct worker   *w   = owner;
    struct guest_job job = { 0 };

    job_open(&job);
    if (w->load->keeps_connection)
        work_on_one_connection(w, &job);
    else
        work_on_new_connections(w, &job);
    job_close(&job);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *) a, y = *(const float *) b;

    return (x > y) - (x < y);
}

struct outcome {
    double   seconds, per_second, p50, p99;
    uint64_t done, shed, failed;
};

static struct outcome load_run(struct load *load, size_t n_clients, double seconds)
{
    struct worker *workers   = calloc(n_clients, sizeof *workers);
    float         *latencies = malloc(n_clients * LATENCIES_MAX * sizeof *latencies);
    double         began     = now_s();
    size_t         n         = 0;
    struct outcome o         = { 0 };

    must(workers && latencies, "memory");
    load->until = began + seconds;
    for (size_t i = 0; i < n_clients; i++) {
        workers[i] = (struct worker){ .load = load, .latencies = latencies + i * LATENCIES_MAX };
        must(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "start a client");
    }
    for (size_t i = 0; i < n_clients; i++) {
        must(pthread_join(workers[i].thread, NULL) == 0, "end a client");
        memmove(latencies + n, workers[i].latencies, workers[i].n * sizeof *latencies);
        n += workers[i].n;
    }
    o = (struct outcome){ .seconds = now_s() - began, .done = load->done, .shed = load->shed, .failed = load->failed };
    o.per_second = (double) o.done / o.seconds;
    qsort(latencies, n, sizeof *latencies, by_value);
    if (n > 0) {
        o.p50 = (double) latencies[n / 2];
        o.p99 = (double) latencies[n - 1 - n / 100];
    }
    free(latencies);
    free(workers);
    return o;
}

/* ---- what it costs ---- */

/* CPU seconds of a process and its threads; [proc(5), stat, fields 14 and 15]. */
static double cpu_s(pid_t pid)
{
    AUTO(buffer) struct buffer stat = { 0 };
    unsigned long              user = 0, system = 0;
    char                       path[64];
    const char                *at;
    struct err                 err;

    (void) snprintf(path, sizeof path, "/proc/%d/stat", (int) pid); /* fits */
    must(file_read(path, 4096, &stat, &err), path);
    at = strrchr(buffer_text(&stat), ')');
    must(at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2, path);
    return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}

static double rss_mib(pid_t pid)
{
    AUTO(buffer) struct buffer status = { 0 };
    char                       path[64];
    const char                *at;
    struct err                 err;

    (void) snprintf(path, sizeof path, "/proc/%d/status", (int) pid); /* fits */
    must(file_read(path, 16 << 10, &status, &err), path);
    at = strstr(buffer_text(&status), "VmRSS:");
    return at ? strtod(at + 6, NULL) / 1024 : 0;
}

/* ---- the floor ---- */

struct floor_keys {
    SSL_CTX  *tls;
    EVP_PKEY *report, *issuer, *token, *peer; /* P-384, RSA-4096, P-256, P-256 */
    uint8_t   report_signature[256], issuer_signature[512];
    size_t    report_signature_len, issuer_signature_len;
};

static const uint8_t FLOOR_MESSAGE[672] = { 1 };

static void sign(EVP_PKEY *key, const EVP_MD *md, uint8_t *signature, size_t *len)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    must(EVP_DigestSignInit(ctx, NULL, md, NULL, key) == 1 &&
             EVP_DigestSign(ctx, signature, len, FLOOR_MESSAGE, sizeof FLOOR_MESSAGE) == 1, "sign");
}

static void verify(EVP_PKEY *key, const EVP_MD *md, const uint8_t *signature, size_t len)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    must(EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
             EVP_DigestVerify(ctx, signature, len, FLOOR_MESSAGE, sizeof FLOOR_MESSAGE) == 1, "verify");
}

static void agree(EVP_PKEY *peer)
{
    AUTO(pkey) EVP_PKEY         *ephemeral = EVP_EC_gen("P-256");
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx       = EVP_PKEY_CTX_new(ephemeral, NULL);
    uint8_t                      shared[32];
    size_t                       len = sizeof shared;

    must(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 && EVP_PKEY_derive(ctx, shared, &len) == 1,
         "agree on a key");
}

static void floor_open(struct floor_keys *k)
{
    char certificate[PATH_MAX], key[PATH_MAX];

    test_broker_path(&broker, "server.pem", certificate);
    test_broker_path(&broker, "server.key", key);
    k->tls = SSL_CTX_new(TLS_server_method());
    must(k->tls && SSL_CTX_use_certificate_chain_file(k->tls, certificate) == 1 &&
             SSL_CTX_use_PrivateKey_file(k->tls, key, SSL_FILETYPE_PEM) == 1, "the floor's certificate");
    k->report = EVP_EC_gen("P-384");
    k->issuer = EVP_RSA_gen(4096);
    k->token  = EVP_EC_gen("P-256");
    k->peer   = EVP_EC_gen("P-256");
    k->report_signature_len = sizeof k->report_signature;
    k->issuer_signature_len = sizeof k->issuer_signature;
    sign(k->report, EVP_sha384(), k->report_signature, &k->report_signature_len);
    sign(k->issuer, EVP_sha384(), k->issuer_signature, &k->issuer_signature_len);
}

struct floor_connection {
    const struct floor_keys *keys;
    int                      fd;
};

static bool request_swallow(SSL *ssl)
{
    static _Thread_local char request[ANSWER_MAX];
    size_t                    n = 0, wanted = 0;

    while (wanted == 0 || n < wanted) {
        int got = SSL_read(ssl, request + n, (int) (sizeof request - 1 - n));

        if (got <= 0)
            return false;
        n += (size_t) got;
        request[n] = 0;
        if (wanted == 0) {
            const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\nContent-Length:");

            wanted = end ? (size_t) (end - request) + 4 + (length ? strtoul(length + 17, NULL, 10) : 0) : 0;
        }
    }
    return true;
}

static bool answer_fill(SSL *ssl, const char *front, size_t len)
{
    AUTO(buffer) struct buffer message = { 0 };

    buffer_printf(&message, "HTTP/1.1 200 OK\r\nSet-Cookie: kbs-session-id=0;\r\nContent-Length: %zu\r\n\r\n%s", len, front);
    memset(buffer_grow(&message, len - strlen(front)), 'x', len - strlen(front));
    return SSL_write(ssl, message.at, (int) message.len) == (int) message.len;
}

static void *floor_serve(void *owner)
{
    struct floor_connection *c     = owner;
    const struct floor_keys *k     = c->keys;
    SSL                     *ssl   = SSL_new(k->tls);
    uint8_t                  signature[128];
    size_t                   len = sizeof signature;

    if (ssl && SSL_set_fd(ssl, c->fd) == 1 && SSL_accept(ssl) == 1 && request_swallow(ssl) &&
        answer_fill(ssl, "{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}", FLOOR_NONCE) && request_swallow(ssl)) {
        verify(k->issuer, EVP_sha384(), k->issuer_signature, k->issuer_signature_len);
        verify(k->report, EVP_sha384(), k->report_signature, k->report_signature_len);
        sign(k->token, EVP_sha256(), signature, &len);
        if (answer_fill(ssl, "{", FLOOR_TOKEN) && request_swallow(ssl)) {
            verify(k->token, EVP_sha256(), signature, len);
            agree(k->peer);
            (void) answer_fill(ssl, "{", FLOOR_JWE); /* the client counts what came back */
        }
    }
    SSL_free(ssl);
    (void) close(c->fd); /* as above */
    free(c);
    return NULL;
}

static _Noreturn void floor_run(int listener)
{
    struct floor_keys k = { 0 };

    floor_open(&k);
    for (;;) {
        struct floor_connection *c = malloc(sizeof *c);
        pthread_t                thread;

        must(c != NULL, "memory");
        *c = (struct floor_connection){ &k, accept4(listener, NULL, NULL, SOCK_CLOEXEC) };
        must(c->fd >= 0 && goes_at_once(c->fd) && pthread_create(&thread, NULL, floor_serve, c) == 0 && pthread_detach(thread) == 0, "serve");
    }
}

static int listen_anywhere(int *port)
{
    struct sockaddr_in at  = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          len = sizeof at;
    int                fd  = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0 && bind(fd, (struct sockaddr *) &at, sizeof at) == 0 && listen(fd, 1024) == 0 &&
             getsockname(fd, (struct sockaddr *) &at, &len) == 0, "listen");
    *port = ntohs(at.sin_port);
    return fd;
}

/* CPU milliseconds for each attestation. */
static double floor_measure(double seconds)
{
    struct load    load = { 0 };
    int            listener = listen_anywhere(&load.port), status;
    pid_t          pid      = fork();
    struct outcome o;
    double         before, cpu;

    must(pid >= 0, "fork");
    if (pid == 0)
        floor_run(listener);
    (void) close(listener); /* the child's now */
    load.is_floor     = true;
    load.attestations = 1;
    (void) load_run(&load, 1, 60); /* it has made its keys when it answers */
    load = (struct load){ .port = load.port, .is_floor = true };
    before = cpu_s(pid);
    o      = load_run(&load, CLIENTS, seconds);
    cpu    = cpu_s(pid) - before;
    (void) kill(pid, SIGKILL); /* our own child */
    must(waitpid(pid, &status, 0) == pid, "end the floor");
    printf("floor:    %.0f/s, %.2f ms CPU each\n", o.per_second, cpu * 1000 / (double) (o.done ? o.done : 1));
    return cpu * 1000 / (double) (o.done ? o.done : 1);
}

/* ---- the parts ---- */

static int broker_port(void) { return atoi(strrchr(broker.url, ':') + 1); }

static void part_attest(double seconds)
{
    struct load    load   = { .port = broker_port() };
    double         floor  = floor_measure(seconds / 3), before = cpu_s(broker.process.pid), ours = cpu_s(getpid()), cpu;
    struct outcome o      = load_run(&load, CLIENTS, seconds);
    double         each   = 1000 / (double) (o.done ? o.done : 1);

    cpu = (cpu_s(broker.process.pid) - before) * each;
    printf("attest:   %.0f/s over %.0f s on new connections, %llu errors, p50 %.1f ms, p99 %.1f ms (goal: 300/s, 0, 50 ms)\n",
           o.per_second, o.seconds, (unsigned long long) (o.failed + o.shed), o.p50, o.p99);
    printf("attest:   %.2f ms CPU each, %.2f times the floor (goal: 1.30); the clients take %.2f ms each\n", cpu, cpu / floor,
           (cpu_s(getpid()) - ours) * each);
}

/* On kept connections: secrets, each sealed for its guest, or refusals, which cost their decision and its durable entry. */
static void part_kept(double seconds, const char *what, const char *path, int status, const char *goal)
{
    struct load    load   = { .port = broker_port(), .keeps_connection = true, .path = path, .status = status };
    double         before = cpu_s(broker.process.pid), ours = cpu_s(getpid()), cpu;
    struct outcome o      = load_run(&load, 4 * CLIENTS, seconds);
    double         each   = 1e6 / (double) (o.done ? o.done : 1);

    cpu  = (cpu_s(broker.process.pid) - before) * each;
    ours = (cpu_s(getpid()) - ours) * each;
    printf("%s %.0f/s on kept connections, each with a durable audit entry, %llu errors, p50 %.2f ms, p99 %.2f ms, %.0f us CPU"
           " each (goal: %s); the clients take %.0f us each\n", what, o.per_second, (unsigned long long) o.failed, o.p50, o.p99, cpu, goal,
           ours);
}

static void part_sessions(void)
{
    double         before = rss_mib(broker.process.pid);
    struct load    load   = { .port = broker_port(), .attestations = SESSIONS / CLIENTS };
    struct outcome o      = load_run(&load, CLIENTS, 0);

    printf("sessions: %llu live ones, %llu errors, %.1f MiB more memory (goal: 32 MiB)\n", (unsigned long long) o.done,
           (unsigned long long) o.failed, rss_mib(broker.process.pid) - before);
}

static void part_overload(double seconds)
{
    struct load    peak = { .port = broker_port() }, load = { .port = broker_port() };
    struct outcome p    = load_run(&peak, CLIENTS, seconds), o = load_run(&load, OVERLOAD * CLIENTS, seconds);

    printf("overload: %.0f/s with %d clients, %.0f/s with %d (%.0f %%; goal: 80 %%), %llu shed, %llu errors, p99 %.0f ms\n",
           p.per_second, CLIENTS, o.per_second, OVERLOAD * CLIENTS, 100 * o.per_second / p.per_second,
           (unsigned long long) o.shed, (unsigned long long) o.failed, o.p99);
}

static void value_register(struct admin_client *admin, const char *kind, const uint8_t *value, size_t len)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint64_t                   id;
    struct err                 err;

    hex_append(&hex, (struct bytes){ value, len });
    struct admin_reference reference = { .kind = kind, .tee = "snp", .value = buffer_text(&hex) };
    must(admin_reference_add(admin, &reference, &id, &err), "register a reference value");
}

/* From here on it sheds load as it does in production, which --dev does not. */
static void broker_sheds(void)
{
    AUTO(buffer) struct buffer more = { 0 };
    char                       path[PATH_MAX];

    test_broker_path(&broker, "store.db", path);
    buffer_append_text(&more, "store = ");
    toml_append_text(&more, path);
    buffer_append_text(&more, "\nshed_ms = 1000\n");
    must(test_broker_stop(&broker, SIGTERM) == 0, "stop the broker");
    broker.config = "sheds.toml";
    test_broker_configure(&broker, broker.config, buffer_text(&more));
    test_broker_start(&broker);
}

static void world_open(void)
{
    AUTO(admin_client) struct admin_client *admin = NULL;
    int                                     nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), console = dup(2);
    struct test_guest                       good;
    char                                    ca[PATH_MAX];
    struct err                              err;

    must(nowhere >= 0 && console >= 0 && dup2(nowhere, 2) == 2, "put the broker's log away");
    test_broker_make(&broker);
    broker_sheds();
    must(dup2(console, 2) == 2, "get the console back");
    admin = test_admin(&broker);
    good  = test_guest_good(&broker);
    must(secret_random(32, &stored, &err) && admin_resource_put(admin, URI, &stored, &err), "put a key");
    value_register(admin, "measurement", good.measurement, sizeof good.measurement);
    value_register(admin, "initdata", good.host_data, sizeof good.host_data);
    test_broker_path(&broker, "ca.pem", ca);
    client_ctx = SSL_CTX_new(TLS_client_method());
    must(client_ctx && SSL_CTX_load_verify_locations(client_ctx, ca, NULL) == 1, "trust the broker's CA");
    SSL_CTX_set_verify(client_ctx, SSL_VERIFY_PEER, NULL);
    (void) SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_OFF); /* returns the mode before */
}

static bool is_wanted(int argc, char **argv, const char *part)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], part) == 0)
            return true;
    }
    return argc < 3;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;

    (void) signal(SIGPIPE, SIG_IGN); /* SIGPIPE is a signal that can be ignored */
    (void) setvbuf(stdout, NULL, _IOLBF, 0); /* only how soon a line is seen */
    world_open();
    if (is_wanted(argc, argv, "attest"))
        part_attest(seconds);
    if (is_wanted(argc, argv, "resource"))
        part_kept(seconds, "resource:", PATH, 200, "10000/s");
    if (is_wanted(argc, argv, "decision"))
        part_kept(seconds, "decision:", PATH "-that-is-not-there", 404, "5000/s");
    if (is_wanted(argc, argv, "overload"))
        part_overload(seconds);
    if (is_wanted(argc, argv, "sessions"))
        part_sessions();
    SSL_CTX_free(client_ctx);
    secret_free(&stored);
    (void) test_broker_stop(&broker, SIGTERM); /* an orderly end: profilers write then */
    test_broker_free(&broker);
    return 0;
}
