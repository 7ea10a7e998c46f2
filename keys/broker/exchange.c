#include "keys/broker/exchange.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/limits.h"
#include "keys/broker/peer_certificate.h"

enum { CHUNKED_FIRST = 4 << 10 };

struct exchange {
    struct exchange       *next; /* in traffic->waiting */
    const char            *method; /* as long as it is not answered, libmicrohttpd keeps it */
    const struct door     *door;
    struct MHD_Connection *connection;
    char                  *path;
    uint8_t               *body;
    size_t                 len, capacity;
    bool                   is_answered;
    bool                   too_large;
    bool                   is_chunked; /* its length is known at its end only */
    bool                   is_ambiguous; /* a proxy may see its end elsewhere, and another client's request in the rest */
    enum activity          activity;
    struct answer          answer;
    int64_t                began_us;
    struct outside_job    *brought; /* from outside: it is asked once more, with this */
};

int64_t monotonic_us(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void phase_enter(struct MHD_Connection *connection, enum phase phase)
{
    const union MHD_ConnectionInfo *of = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (of && of->socket_context)
        peer_enter(of->socket_context, phase, monotonic_us() / 1000);
}

static int64_t now_s(void) { return (int64_t) time(NULL); }

/* A body may hold a secret that an administrator puts in. */
static void body_drop(struct exchange *x)
{
    if (x->body)
        OPENSSL_cleanse(x->body, x->capacity);
    free(x->body);
    x->body     = NULL;
    x->capacity = x->len = 0;
}

static void exchange_free(struct exchange *x)
{
    body_drop(x);
    broker_answer_free(&x->answer);
    outside_job_free(x->brought);
    free(x->path);
    free(x);
}

/* ---- answering ---- */

static void answer_tell(const struct exchange *x)
{
    int64_t us = monotonic_us() - x->began_us;

    if (x->answer.reason[0])
        log_info("refused", "method=%s path=%s status=%u us=%lld why=\"%s\"", x->method, LOG_PEER(bytes_of_text(x->path)),
                 x->answer.status, (long long) us, LOG_PEER(bytes_of_text(x->answer.reason)));
    else
        log_info("answered", "method=%s path=%s status=%u us=%lld", x->method, LOG_PEER(bytes_of_text(x->path)),
                 x->answer.status, (long long) us);
}

static bool header(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool cookie_set(struct MHD_Response *response, const struct answer *answer)
{
    char      cookie[160];
    char      date[64];
    time_t    expires = (time_t) answer->session_expires;
    struct tm tm;

    if (!answer->session[0])
        return true;
    if (!gmtime_r(&expires, &tm) || strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
        return false;
    (void) snprintf(cookie, sizeof cookie, KBS_COOKIE "=%s; Expires=%s", answer->session, date); /* fits */
    return header(response, "Set-Cookie", cookie);
}

static enum MHD_Result answer_send(struct exchange *x)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(x->answer.body.len, x->answer.body.at, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result sent = MHD_NO;

    if (!response)
        return MHD_NO;
    metrics_answered(&x->door->traffic->metrics, x->activity, x->answer.status, (uint64_t) (monotonic_us() - x->began_us));
    phase_enter(x->connection, PHASE_ANSWER);
    if ((x->answer.status != MHD_HTTP_SERVICE_UNAVAILABLE || header(response, "Retry-After", "1")) &&
        (!x->answer.content_type || header(response, "Content-Type", x->answer.content_type)) &&
        (!x->is_ambiguous || header(response, "Connection", "close")) && header(response, "Cache-Control", "no-store") && cookie_set(response, &x->answer))
        sent = MHD_queue_response(x->connection, x->answer.status, response);
    MHD_destroy_response(response);
    return sent;
}

static const char *session_cookie(struct MHD_Connection *connection)
{
    return MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, KBS_COOKIE);
}

/* The query as policies read it; of a name that stands there twice, the last value. What is not UTF-8 is left out. */
static enum MHD_Result query_add(void *owner, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct json_object **query = owner;

    (void) kind; /* only arguments are asked for */
    if (!is_utf8(bytes_of_text(name)) || !is_utf8(bytes_of_text(value)))
        return MHD_YES;
    if (!*query)
        *query = json_object_new_object();
    json_add_text(*query, name, value ? value : "");
    return MHD_YES;
}

static void query_read(struct MHD_Connection *connection, struct buffer *out)
{
    AUTO(json) struct json_object *query = NULL;

    (void) MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, query_add, &query); /* how many is of no matter */
    if (query)
        json_write(query, out);
}

/* Only a new challenge is put off: whoever has one may finish. */
static bool is_shed(const struct exchange *x)
{
    return activity_of(x->method, x->path) == ACTIVITY_CHALLENGE && !admission_lets_in(&x->door->traffic->admission, x->began_us);
}

/* Whether there is an answer: it may still depend on what is pending, and its secret be sealed. */
static bool exchange_answer(struct exchange *x)
{
    AUTO(buffer) struct buffer query = { 0 };
    uint8_t        fingerprint[SHA256_LEN];
    bool           is_known = (x->door->faces & FACE_ADMINISTRATORS) && peer_certificate_digest(x->connection, fingerprint);
    struct request request  = {
        .method        = x->method,
        .path          = x->path,
        .session       = session_cookie(x->connection),
        .authorization = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION),
        .certificate   = is_known ? fingerprint : NULL,
        .claims        = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, ADMIN_CLAIMS_HEADER),
        .faces         = x->door->faces,
        .body          = { x->body, x->len },
        .now           = now_s(),
        .brought       = x->brought,
    };

    query_read(x->connection, &query);
    if (query.len > 0)
        request.query = buffer_text(&query);
    if (x->is_ambiguous)
        answer_refuse(&x->answer, MHD_HTTP_BAD_REQUEST, "where the body ends is not clear: one Content-Length, or Transfer-Encoding: chunked");
    else if (x->too_large)
        answer_refuse(&x->answer, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than this broker takes");
    else if (is_shed(x))
        answer_refuse(&x->answer, MHD_HTTP_SERVICE_UNAVAILABLE, "this broker is busy: ask again in a second");
    else
        broker_answer(x->door->traffic->broker, &request, &x->answer);
    return !x->answer.wanted;
}

/* What was decided is told, and not decided again. */
static void exchange_settle(struct exchange *x)
{
    x->door->traffic->metrics.shed += x->answer.status == MHD_HTTP_SERVICE_UNAVAILABLE;
    x->is_answered = true;
    x->activity    = activity_of(x->method, x->path);
    if (x->activity == ACTIVITY_ATTESTATION && x->answer.status == MHD_HTTP_OK)
        admission_attested(&x->door->traffic->admission);
    answer_tell(x);
}

static enum outside_outcome outcome_of(bool is_had, const struct err *err)
{
    return is_had ? OUTCOME_ANSWERED : err->kind == ERR_NOT_FOUND ? OUTCOME_ABSENT : OUTCOME_FAILED;
}

/* What came of a job, for a monitor: whom it asked, never what for. */
static void outside_count(struct metrics *m, const struct outside_job *job)
{
    const char *kds = job->sources ? collateral_sources_kds(job->sources) : "";

    if (job->is_asked)
        metrics_asked(m, external_is_vault(job->external, job->path) ? OUTSIDE_VAULT : OUTSIDE_PKCS11, outcome_of(job->is_had, &job->err), job->us);
    for (size_t i = 0; i < job->n_documents; i++) {
        const struct collateral_document *d      = &job->documents[i];
        bool                              is_amd = strncmp((const char *) d->url.at, kds, strlen(kds)) == 0; /* ends with a zero: it was sent */

        if (d->is_asked || d->is_had)
            metrics_asked(m, is_amd ? OUTSIDE_AMD : OUTSIDE_INTEL,
                          !d->is_asked ? OUTCOME_KEPT : d->is_stale ? OUTCOME_FAILED : outcome_of(d->is_had, &d->err), d->us);
    }
}

/* What was wanted is there, or is known not to come: libmicrohttpd asks again. */
static void brought(struct outside_job *job_take)
{
    struct exchange *x = job_take->owner;

    x->brought = job_take;
    outside_count(&x->door->traffic->metrics, job_take);
    MHD_resume_connection(x->connection);
}

/* Answers, or hands a question to the outside. Whether there is an answer. */
static bool exchange_ask(struct exchange *x)
{
    struct outside_job *job;
    struct err          err;

    if (exchange_answer(x))
        return true;
    job = TAKE(x->answer.wanted);
    broker_answer_free(&x->answer);
    job->done  = brought;
    job->owner = x;
    if (outside_ask(x->door->traffic->outside, job, &err))
        return false;
    outside_job_fail(job, &err);
    x->brought = job;
    return exchange_answer(x); /* nothing is wanted by who was brought something */
}

static void wait_for_turn(struct exchange *x)
{
    struct traffic *traffic = x->door->traffic;

    x->next                = NULL;
    *traffic->waiting_last = x;
    traffic->waiting_last  = &x->next;
}

/* Whether it is answered at once; else its turn is at the end of this one, or after what it wants from outside has come. */
static bool exchange_begin(struct exchange *x)
{
    if (!x->too_large && !x->is_ambiguous && !broker_answers_early(x->method, x->path)) {
        wait_for_turn(x);
        return false;
    }
    if (!exchange_ask(x))
        return false;
    if (x->answer.pending) {
        wait_for_turn(x);
        return false;
    }
    exchange_settle(x);
    return true;
}

/* ---- libmicrohttpd's callbacks ---- */

size_t exchange_path_untouched(void *owner, struct MHD_Connection *connection, char *text)
{
    (void) owner;
    (void) connection;
    return strlen(text);
}

struct framing {
    unsigned n_lengths, n_encodings;
    bool     is_other; /* an encoding that is not "chunked" alone */
};

static enum MHD_Result framing_add(void *owner, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct framing *f = owner;

    (void) kind; /* only headers are asked for */
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        f->n_lengths++;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        f->n_encodings++;
        f->is_other = f->is_other || !value || strcasecmp(value, "chunked") != 0;
    }
    return MHD_YES;
}

/* Whether two who read this head could disagree on where its body ends. [RFC 9112 6.3, 11.2] */
static bool is_ambiguous(struct MHD_Connection *connection)
{
    struct framing f = { 0 };

    (void) MHD_get_connection_values(connection, MHD_HEADER_KIND, framing_add, &f); /* how many is of no matter */
    return f.n_lengths + f.n_encodings > 1 || f.is_other;
}

/* The length that a request announces decides about it before a byte of its body is read. */
static void length_judge(struct exchange *x)
{
    const char        *text = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    char              *end  = NULL;
    unsigned long long len;

    if (!text) {
        x->is_chunked = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
        return;
    }
    errno = 0;
    len   = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0 || len > KBS_BODY_MAX) {
        x->too_large = true;
        return;
    }
    x->capacity = (size_t) len;
    x->body     = len ? malloc(x->capacity) : NULL;
    if (len && !x->body)
        abort();
}

/* Room for more of a body whose length nobody said: what it moves from is wiped, as it may be a secret. */
static void body_widen(struct exchange *x, size_t more)
{
    size_t   capacity = x->capacity ? x->capacity : CHUNKED_FIRST;
    size_t   len      = x->len;
    uint8_t *wider;

    while (capacity - len < more)
        capacity *= 2;
    if (capacity == x->capacity)
        return;
    wider = malloc(capacity);
    if (!wider)
        abort();
    if (len > 0)
        memcpy(wider, x->body, len);
    body_drop(x);
    x->body     = wider;
    x->capacity = capacity;
    x->len      = len;
}

/* Whether what came is of the body that was announced. */
static bool body_add(struct exchange *x, const char *upload, size_t len)
{
    if (x->too_large)
        return true; /* read, and forgotten */
    if (x->is_chunked && len > KBS_BODY_MAX - x->len) {
        body_drop(x);
        x->too_large = true;
        return true;
    }
    if (x->is_chunked)
        body_widen(x, len);
    if (len > x->capacity - x->len)
        return false;
    memcpy(x->body + x->len, upload, len);
    x->len += len;
    return true;
}

/* At once: what follows the head is not read, and the connection ends with the answer. */
static enum MHD_Result ambiguous_refuse(struct exchange *x, const char *method)
{
    x->is_ambiguous = true;
    x->method       = method;
    phase_enter(x->connection, PHASE_DECIDING);
    (void) exchange_begin(x); /* what is refused waits for nothing */
    return answer_send(x);
}

static enum MHD_Result request_began(const struct door *door, struct MHD_Connection *connection, const char *path, const char *method,
                                     void **owned)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (!x || !(x->path = strdup(path)))
        abort();
    x->began_us   = monotonic_us();
    x->connection = connection;
    x->door       = door;
    *owned        = x;
    door->traffic->n_exchanges++;
    if (is_ambiguous(connection))
        return ambiguous_refuse(x, method);
    length_judge(x);
    return MHD_YES;
}

enum MHD_Result exchange_serve(void *owner, struct MHD_Connection *connection, const char *path, const char *method,
                               const char *version, const char *upload, size_t *upload_len, void **owned)
{
    const struct door *door = owner;
    struct exchange   *x    = *owned;

    (void) version;
    if (!x)
        return request_began(door, connection, path, method, owned);
    if (*upload_len > 0) {
        if (!body_add(x, upload, *upload_len))
            return MHD_NO; /* closed */
        *upload_len = 0;
        return MHD_YES;
    }
    if (!x->is_answered) {
        x->method = method;
        phase_enter(connection, PHASE_DECIDING);
        if (!exchange_begin(x)) {
            MHD_suspend_connection(connection);
            return MHD_YES;
        }
    }
    return answer_send(x);
}

void exchange_ended(void *owner, struct MHD_Connection *connection, void **owned, enum MHD_RequestTerminationCode code)
{
    const struct door *door = owner;

    (void) code;
    phase_enter(connection, PHASE_IDLE);
    if (!*owned)
        return;
    exchange_free(*owned); /* never one that waits: a suspended connection does not end */
    *owned = NULL;
    door->traffic->n_exchanges--;
}

void *exchange_line(void *owner, const char *uri, struct MHD_Connection *connection)
{
    (void) owner;
    (void) uri;
    phase_enter(connection, PHASE_REQUEST);
    return NULL; /* the exchange is made when the head is whole */
}

void exchange_connection(void *owner, struct MHD_Connection *connection, void **peer, enum MHD_ConnectionNotificationCode code)
{
    const struct door *door = owner;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

        *peer = peers_add(&door->traffic->peers, fd, monotonic_us() / 1000);
    } else if (*peer) {
        peers_remove(&door->traffic->peers, *peer);
        *peer = NULL;
    }
}

static void waiting_clear(struct traffic *traffic)
{
    traffic->waiting      = NULL;
    traffic->waiting_last = &traffic->waiting;
}

void traffic_open(struct traffic *traffic)
{
    traffic->sealers = sealers_new(sealers_threads());
    waiting_clear(traffic);
}

void traffic_close(struct traffic *traffic) { sealers_free(TAKE(traffic->sealers)); }

/* Has it answered, if it was not yet; whether it is. */
static bool exchange_decide(struct exchange *x)
{
    struct traffic *traffic    = x->door->traffic;
    bool            is_decided = x->answer.pending || exchange_ask(x);

    if (!is_decided)
        return false;
    if (x->answer.pending)
        broker_write(traffic->broker, &x->answer);
    if (x->answer.sealing)
        sealers_ask(traffic->sealers, x->answer.sealing);
    exchange_settle(x);
    return true;
}

void exchanges_decide(struct traffic *traffic)
{
    struct exchange *waiting = traffic->waiting;

    waiting_clear(traffic);
    while (waiting) {
        struct exchange *x = waiting;

        waiting = x->next;
        if (exchange_decide(x))
            wait_for_turn(x); /* what comes from outside brings back the others */
    }
}

static void exchange_deliver(struct exchange *x)
{
    struct request request = { .path = x->path, .now = now_s() };

    broker_deliver(x->door->traffic->broker, &request, &x->answer);
    if (x->answer.reason[0])
        answer_tell(x); /* the line that it was answered was too early */
}

void exchanges_release(struct traffic *traffic, bool durable, const struct err *why)
{
    struct exchange *waiting = traffic->waiting;

    waiting_clear(traffic);
    sealers_finish(traffic->sealers);
    while (waiting) {
        struct exchange *x = waiting;

        waiting = x->next;
        if (!durable)
            answer_not_durable(&x->answer, why);
        else if (x->answer.sealing)
            exchange_deliver(x);
        MHD_resume_connection(x->connection);
    }
}
