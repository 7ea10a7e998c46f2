#include "keys/broker/load_clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/jose/jwe.h"

enum { LATENCIES_MAX = 1 << 16, HEAD_MAX = 1024, OPENED_OF = 64 /* each client opens the first of so many secrets that it gets */ };

static double now_s(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

void load_must(bool fine, const char *what)
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
bool load_goes_at_once(int fd)
{
    int on = 1;

    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

static bool connection_open(struct connection *c, const struct load *load)
{
    struct sockaddr_in to  = { .sin_family = AF_INET, .sin_port = htons((uint16_t) load->port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    *c = (struct connection){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *) &to, sizeof to) < 0 ||
        !load_goes_at_once(c->fd))
        return false;
    c->ssl = SSL_new(load->world->client_ctx);
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
    static _Thread_local char head[LOAD_ANSWER_MAX]; /* cleared at each answer it would cost more than the answer */
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

    load_must(at != NULL, "find the certificates");
    return at;
}

static void job_open(struct guest_job *job, const struct load_world *world)
{
    AUTO(buffer) struct buffer evidence                         = { 0 };
    const uint8_t              report_data[KBS_REPORT_DATA_LEN] = { 0 };
    struct err                 err;

    job->guest = test_guest_good(&world->broker);
    load_must(jwk_generate_p256(&job->key, &err) && jwk_of_key(job->key, "ECDH-ES+A256KW", &job->jwk, &err), "make a TEE key");
    load_must(test_evidence(&job->guest, report_data, &evidence, &err), "write evidence");
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
static bool opens(const struct guest_job *job, const struct load *load, const struct reply *r, int n)
{
    AUTO(secret) struct secret opened = { 0 };
    struct err                 err;

    return n % OPENED_OF != 0 ||
           (jwe_open(buffer_bytes(&r->body), LOAD_ANSWER_MAX, job->key, &opened, &err) && secret_equal(&opened, &load->world->stored));
}

/* The floor's answers are no secrets. */
static bool attest_whole(struct guest_job *job, const struct load *load, int n, struct reply *r)
{
    struct connection c;
    bool              fine = connection_open(&c, load) && attest(&c, job, r) &&
                ask(&c, "GET", LOAD_PATH, r->cookie, (struct bytes){ 0 }, r) && r->status == 200 && (load->is_floor || opens(job, load, r, n));

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

    if (!connection_open(&c, w->load) || !attest(&c, job, &r)) {
        w->load->failed++;
        connection_close(&c);
        return;
    }
    memcpy(cookie, r.cookie, sizeof cookie);
    for (int n = 0; now_s() < w->load->until; n++) {
        double began = now_s();

        if (!ask(&c, "GET", w->load->path, cookie, (struct bytes){ 0 }, &r) || r.status != w->load->status ||
            (r.status == 200 && !opens(job, w->load, &r, n))) {
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

    job_open(&job, w->load->world);
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

struct outcome load_run(struct load *load, size_t n_clients, double seconds)
{
    struct worker *workers   = calloc(n_clients, sizeof *workers);
    float         *latencies = malloc(n_clients * LATENCIES_MAX * sizeof *latencies);
    double         began     = now_s();
    size_t         n         = 0;
    struct outcome o         = { 0 };

    load_must(workers && latencies, "memory");
    load->until = began + seconds;
    for (size_t i = 0; i < n_clients; i++) {
        workers[i] = (struct worker){ .load = load, .latencies = latencies + i * LATENCIES_MAX };
        load_must(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "start a client");
    }
    for (size_t i = 0; i < n_clients; i++) {
        load_must(pthread_join(workers[i].thread, NULL) == 0, "end a client");
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
double load_cpu_s(pid_t pid)
{
    AUTO(buffer) struct buffer stat = { 0 };
    unsigned long              user = 0, system = 0;
    char                       path[64];
    const char                *at;
    struct err                 err;

    (void) snprintf(path, sizeof path, "/proc/%d/stat", (int) pid); /* fits */
    load_must(file_read(path, 4096, &stat, &err), path);
    at = strrchr(buffer_text(&stat), ')');
    load_must(at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2, path);
    return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}
