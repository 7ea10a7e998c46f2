#include "guest/registry/fetch.h"

#include <string.h>
#include <sys/epoll.h>

#include "base/text.h"

enum { ANSWER_KEPT = TOKEN_ANSWER_MAX + 1, COMPACT_AT = 1 << 20, RETRY_AFTER_S_MAX = 30, AUTH_ROUNDS_MAX = 2 };

static const char manifest_types[] =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

struct fetch {
    struct fetch_options options;
    struct buffer        object;

    struct transfer   *transfer;
    bool               is_asking_for_token; /* what `transfer` is for */
    struct buffer      answer;              /* what came with another status than 200 or 206, or from a token service */
    uint64_t           skip;                /* bytes at the front of this answer that we have already */
    bool               has_begun, is_held;
    struct err         stopped; /* why a piece was refused */

    struct buffer      window;
    size_t             head;   /* of the window: what was taken */
    uint64_t           offset; /* of the byte at `head` */
    uint64_t           total;  /* UINT64_MAX: not known */
    bool               is_over;
    struct err         failure;

    unsigned           tries, all_tries, auth_rounds;
    struct loop_source timer; /* of the pause before the next try */
};

void origin_free(struct origin *origin)
{
    buffer_free(&origin->credential);
    buffer_free(&origin->token);
}

struct bytes fetch_waiting(const struct fetch *fetch)
{
    if (!fetch->window.at)
        return (struct bytes){ 0 };
    return (struct bytes){ fetch->window.at + fetch->head, fetch->window.len - fetch->head };
}

uint64_t fetch_offset(const struct fetch *fetch)
{
    return fetch->offset;
}

bool fetch_is_over(const struct fetch *fetch)
{
    return fetch->is_over;
}

const struct err *fetch_failure(const struct fetch *fetch)
{
    return fetch->failure.kind != ERR_NONE ? &fetch->failure : NULL;
}

bool fetch_total(const struct fetch *fetch, uint64_t *total)
{
    *total = fetch->total;
    return fetch->total != UINT64_MAX;
}

static void tell(struct fetch *f)
{
    f->options.ready(f->options.owner, f);
}

static void fail_for_good(struct fetch *f, const struct err *why)
{
    f->failure = *why;
    (void) contextf(&f->failure, "registry %.80s", f->options.origin->place.registry); /* false is what it returns */
    f->is_over = true;
    tell(f);
}

static void begin(struct fetch *f);

static void timer_is_over(struct loop_source *source, uint32_t events)
{
    (void) events;
    loop_remove(source);
    auto_fd(&source->fd);
    source->fd = NO_FD;
    begin(source->owner);
}

/* After a pause that doubles with every failure in a row; the server may ask for a longer one, within reason. */
static void try_again(struct fetch *f, uint64_t wanted_ms, const struct err *why)
{
    uint64_t   pause = (uint64_t) f->options.origin->backoff_ms << (f->tries < 16 ? f->tries : 16);
    struct err err;

    if (f->is_asking_for_token)
        f->auth_rounds--; /* this one did not end, and is no answer to who we are */
    if (++f->tries >= FETCH_TRIES_MAX || ++f->all_tries >= FETCH_TRIES_ALL_MAX) {
        err = *why;
        (void) contextf(&err, "after %u tries", f->tries); /* false is what it returns */
        fail_for_good(f, &err);
        return;
    }
    pause = pause < FETCH_BACKOFF_MS_MAX ? pause : FETCH_BACKOFF_MS_MAX;
    pause = pause > wanted_ms ? pause : wanted_ms;
    if (!loop_timer_fd(pause, 0, &f->timer.fd, &err) || !loop_add(f->options.origin->loop, &f->timer, EPOLLIN, &err))
        fail_for_good(f, &err);
}

/* ---- the body ---- */

static FALLIBLE body_begins(struct fetch *f, const struct transfer *t, struct err *err)
{
    uint64_t first, total, next = f->offset + (f->window.len - f->head);

    if (!transfer_first(t, &first) || first > next)
        return fail_with(err, ERR_MALFORMED, "the answer begins elsewhere than asked for");
    if (transfer_total(t, &total)) {
        if (f->total != UINT64_MAX && f->total != total)
            return fail_with(err, ERR_MALFORMED, "the size changed from %llu to %llu", (unsigned long long) f->total,
                             (unsigned long long) total);
        f->total = total;
    }
    if (f->total != UINT64_MAX && f->total > f->options.most)
        return fail_with(err, ERR_LIMIT, "%llu bytes; at most %llu are taken", (unsigned long long) f->total,
                         (unsigned long long) f->options.most);
    f->skip      = next - first;
    f->has_begun = true;
    return true;
}

static void compact(struct fetch *f)
{
    if (f->head < COMPACT_AT && f->head < f->window.len)
        return;
    memmove(f->window.at, f->window.at + f->head, f->window.len - f->head);
    f->window.len -= f->head;
    f->head = 0;
}

static bool is_content(const struct fetch *f, const struct transfer *t)
{
    long status = transfer_status(t);

    return !f->is_asking_for_token && (status == 200 || status == 206);
}

static enum piece_outcome on_piece(void *owner, struct transfer *t, struct bytes piece)
{
    struct fetch *f = owner;

    if (!is_content(f, t)) {
        size_t room = ANSWER_KEPT - f->answer.len;

        buffer_append(&f->answer, (struct bytes){ piece.at, piece.len < room ? piece.len : room });
        return PIECE_TAKEN;
    }
    if (!f->has_begun && !body_begins(f, t, &f->stopped))
        return PIECE_STOP;
    if (fetch_waiting(f).len + piece.len > FETCH_WINDOW && fetch_waiting(f).len > 0) {
        f->is_held = true;
        return PIECE_LATER;
    }
    size_t skip = f->skip < piece.len ? (size_t) f->skip : piece.len;

    f->skip -= skip;
    piece = (struct bytes){ piece.at + skip, piece.len - skip };
    if (piece.len == 0)
        return PIECE_TAKEN;
    if (f->offset + fetch_waiting(f).len + piece.len > f->options.most) {
        (void) fail_with(&f->stopped, ERR_LIMIT, "more than %llu bytes",
                         (unsigned long long) f->options.most); /* false by contract */
        return PIECE_STOP;
    }
    if (f->window.len > 0)
        compact(f);
    buffer_append(&f->window, piece);
    f->tries = f->auth_rounds = 0;
    tell(f);
    return PIECE_TAKEN;
}

void fetch_take(struct fetch *fetch, size_t n)
{
    fetch->head += n;
    fetch->offset += n;
    if (fetch->is_held && fetch->transfer && fetch_waiting(fetch).len <= FETCH_WINDOW / 2) {
        fetch->is_held = false;
        transfer_resume(fetch->transfer);
    }
}

/* ---- being let in ---- */

static void url_append_escaped(struct buffer *url, const char *text)
{
    for (; *text; text++)
        if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9') ||
            strchr("-._~:/", *text))
            buffer_printf(url, "%c", *text);
        else
            buffer_printf(url, "%%%02X", (unsigned) (uint8_t) *text);
}

static void on_done(void *owner, struct transfer *transfer, const struct err *why);

static FALLIBLE start_transfer(struct fetch *f, const char *url, const char *accept, const char *bearer,
                               const char *basic, uint64_t offset, struct err *err)
{
    struct transfer_request request = { .url = url, .allows_http = f->options.origin->place.is_insecure,
                                        .accept = accept, .bearer = bearer, .basic = basic, .is_secret = f->is_asking_for_token,
                                        .offset = offset,
                                        .piece = on_piece, .done = on_done, .owner = f };

    f->answer.len = 0;
    f->has_begun = f->is_held = false;
    f->stopped = (struct err){ 0 };
    return transfer_start(f->options.origin->all, &request, &f->transfer, err);
}

/* The scope is ours: this repository, to read. */
static FALLIBLE ask_for_token(struct fetch *f, const struct challenge *c, struct err *err)
{
    struct origin             *o   = f->options.origin;
    AUTO(buffer) struct buffer url = { 0 };

    buffer_printf(&url, "%s%cscope=repository%%3A", c->realm, strchr(c->realm, '?') ? '&' : '?');
    url_append_escaped(&url, o->place.repository);
    buffer_append_text(&url, "%3Apull");
    if (c->service[0]) {
        buffer_append_text(&url, "&service=");
        url_append_escaped(&url, c->service);
    }
    f->is_asking_for_token = true;
    return start_transfer(f, buffer_text(&url), NULL, NULL, o->credential.len > 0 ? buffer_text(&o->credential) : NULL,
                          0, err);
}

/* Every header is read: registries send one for each scheme, or all in one. */
static FALLIBLE challenge_of(const struct transfer *t, struct challenge *out, struct err *err)
{
    struct challenge best = { 0 };
    const char      *header;

    for (size_t i = 0; (header = transfer_header(t, "WWW-Authenticate", i)); i++) {
        struct challenge c = { 0 };

        if (challenge_read(bytes_of_text(header), &c, err)) {
            if (c.scheme > best.scheme)
                best = c;
        } else if (err->kind != ERR_UNSUPPORTED) {
            return false;
        }
    }
    *out = best;
    return best.scheme != CHALLENGE_NONE || fail_with(err, ERR_UNSUPPORTED, "asks for a login of a kind that we do not know");
}

static FALLIBLE log_in(struct fetch *f, const struct transfer *t, struct err *err)
{
    struct origin   *o = f->options.origin;
    struct challenge c;

    if (++f->auth_rounds > AUTH_ROUNDS_MAX)
        return fail_with(err, ERR_DENIED, "refuses %s", o->credential.len > 0 ? "our credentials" : "those without credentials");
    if (!challenge_of(t, &c, err))
        return false;
    if (c.scheme == CHALLENGE_BEARER)
        return ask_for_token(f, &c, err);
    if (o->place.is_insecure)
        return fail_with(err, ERR_DENIED, "wants a name and a password, which are not sent over plain HTTP (insecure)");
    if (o->credential.len == 0)
        return fail_with(err, ERR_DENIED, "wants a name and a password; the credentials have none for it");
    o->uses_basic = true;
    begin(f);
    return true;
}

static FALLIBLE take_token(struct fetch *f, struct err *err)
{
    struct origin *o = f->options.origin;

    buffer_free(&o->token);
    if (!token_answer_read(buffer_bytes(&f->answer), &o->token, err))
        return false;
    buffer_free(&f->answer);
    begin(f);
    return true;
}

/* ---- one try ---- */

static void url_of(const struct fetch *f, struct buffer *url)
{
    static const char *const kinds[] = { [FETCH_MANIFEST] = "manifests", [FETCH_BLOB] = "blobs",
                                         [FETCH_REFERRERS] = "referrers" };
    const struct attempt    *place   = &f->options.origin->place;

    buffer_printf(url, "%s://%s/v2/%s/%s/%s", place->is_insecure ? "http" : "https",
                  strcmp(place->registry, "docker.io") == 0 ? "registry-1.docker.io" : place->registry,
                  place->repository, kinds[f->options.kind], f->options.object);
}

static void begin(struct fetch *f)
{
    struct origin             *o      = f->options.origin;
    AUTO(buffer) struct buffer url    = { 0 };
    const char                *accept = f->options.kind == FETCH_MANIFEST ? manifest_types : NULL;
    uint64_t                   next   = f->offset + fetch_waiting(f).len;
    struct err                 err;

    url_of(f, &url);
    f->is_asking_for_token = false;
    if (!start_transfer(f, buffer_text(&url), accept, !o->uses_basic && o->token.len > 0 ? buffer_text(&o->token) : NULL,
                        o->uses_basic ? buffer_text(&o->credential) : NULL, next, &err))
        fail_for_good(f, &err);
}

static uint64_t retry_after_ms(const struct transfer *t)
{
    const char *text = transfer_header(t, "Retry-After", 0);
    unsigned    s    = 0;

    if (!text || strspn(text, "0123456789") != strlen(text) || sscanf(text, "%4u", &s) != 1)
        return 0;
    return 1000ULL * (s < RETRY_AFTER_S_MAX ? s : RETRY_AFTER_S_MAX);
}

static void refuse_status(struct fetch *f, long status, struct err *err)
{
    const char *who = f->is_asking_for_token ? "its token service" : "it";

    if (status == 401 || status == 403)
        (void) fail_with(err, ERR_DENIED, "%s refuses, status %ld", who, status); /* false by contract, like the next */
    else if (status == 404)
        (void) fail_with(err, ERR_NOT_FOUND, "no %.120s in %.120s", f->options.object, f->options.origin->place.repository);
    else
        (void) fail_with(err, ERR_OS, "%s answers with status %ld", who, status);
}

static void on_answer(struct fetch *f, const struct transfer *t)
{
    long       status = transfer_status(t);
    uint64_t   wait   = retry_after_ms(t);
    struct err err    = { 0 };

    if (status == 200 && f->is_asking_for_token) {
        if (!take_token(f, &err))
            fail_for_good(f, &err);
    } else if (is_content(f, t)) {
        if (!f->has_begun && !body_begins(f, t, &err)) { /* a body of no bytes */
            fail_for_good(f, &err);
            return;
        }
        f->is_over = true;
        tell(f);
    } else if (status == 401 && !f->is_asking_for_token) {
        if (!log_in(f, t, &err))
            fail_for_good(f, &err);
    } else {
        refuse_status(f, status, &err);
        if (status == 429 || status >= 500)
            try_again(f, wait, &err);
        else
            fail_for_good(f, &err);
    }
}

static void on_done(void *owner, struct transfer *transfer, const struct err *why)
{
    struct fetch              *f   = owner;
    AUTO(transfer) struct transfer *done = transfer;

    f->transfer = NULL;
    if (!why)
        on_answer(f, done);
    else if (f->stopped.kind != ERR_NONE)
        fail_for_good(f, &f->stopped);
    else if (why->kind == ERR_UNTRUSTED || why->kind == ERR_CONFIG || why->kind == ERR_LIMIT ||
             why->kind == ERR_UNSUPPORTED)
        fail_for_good(f, why);
    else
        try_again(f, 0, why);
}

struct fetch *fetch_new(const struct fetch_options *options)
{
    struct fetch *f = calloc(1, sizeof *f);

    if (!f)
        abort();
    f->options = *options;
    f->answer  = (struct buffer) WIPED_BUFFER; /* it may be a token */
    buffer_append_text(&f->object, options->object);
    f->options.object = buffer_text(&f->object);
    f->offset = options->offset;
    f->total  = UINT64_MAX;
    /* the first try starts from the loop, so that no failure is told before the caller has what we return */
    f->timer = (struct loop_source){ .fd = NO_FD, .ready = timer_is_over, .owner = f };
    if (!loop_timer_fd(0, 0, &f->timer.fd, &f->failure) ||
        !loop_add(options->origin->loop, &f->timer, EPOLLIN, &f->failure))
        f->is_over = true;
    return f;
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    transfer_free(fetch->transfer);
    loop_remove(&fetch->timer);
    auto_fd(&fetch->timer.fd);
    buffer_free(&fetch->answer);
    buffer_free(&fetch->window);
    buffer_free(&fetch->object);
    free(fetch);
}
