#include "keys/broker/fetched.h"

#include <string.h>

enum { MINUTE_S = 60 };

struct fetched {
    struct collateral_sources *sources;
    struct fetched_document    at[FETCHED_MAX];
    uint64_t                   clock;     /* counts uses */
    int64_t                    minute;    /* the one that is counted */
    unsigned                   n_in_minute;
};

struct fetched *fetched_new(struct collateral_sources *sources)
{
    struct fetched *f = calloc(1, sizeof *f);

    if (!f)
        abort();
    f->sources = sources;
    return f;
}

static void document_free(struct fetched_document *d)
{
    free(d->url);
    buffer_free(&d->body);
    buffer_free(&d->issuer_chain);
    *d = (struct fetched_document){ 0 };
}

void fetched_free(struct fetched *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < FETCHED_MAX; i++)
        document_free(&f->at[i]);
    free(f);
}

const struct collateral_sources *fetched_sources(const struct fetched *fetched) { return fetched->sources; }

static struct fetched_document *document_of(struct fetched *f, const char *url)
{
    for (size_t i = 0; i < FETCHED_MAX; i++) {
        if (f->at[i].url && strcmp(f->at[i].url, url) == 0)
            return &f->at[i];
    }
    return NULL;
}

/* A free place, or that of what was not used for longest. */
static struct fetched_document *document_add(struct fetched *f, const char *url)
{
    struct fetched_document *oldest = &f->at[0];

    for (size_t i = 1; i < FETCHED_MAX; i++) {
        if (f->at[i].used < oldest->used)
            oldest = &f->at[i];
    }
    document_free(oldest);
    oldest->url = strdup(url);
    if (!oldest->url)
        abort();
    return oldest;
}

static bool may_ask(struct fetched *f, int64_t now)
{
    if (f->minute != now / MINUTE_S) {
        f->minute      = now / MINUTE_S;
        f->n_in_minute = 0;
    }
    return f->n_in_minute++ < FETCHES_PER_MINUTE;
}

const struct fetched_document *fetched_find(struct fetched *f, const char *url, int64_t lifetime_s, int64_t now,
                                            struct outside_job *wanted, struct buffer *why)
{
    struct fetched_document *d = document_of(f, url);

    if (d)
        d->used = ++f->clock;
    if (d && now < d->expires_at)
        return d;
    if (wanted && f->sources && (!d || now >= d->pause_until)) {
        if (may_ask(f, now))
            outside_want(wanted, url, lifetime_s);
        else if (why)
            buffer_printf(why, "%d documents were asked for in this minute already", FETCHES_PER_MINUTE);
    } else if (why && d && d->why[0]) {
        buffer_append_text(why, d->why);
    }
    return d && d->body.len > 0 ? d : NULL;
}

void fetched_bring(struct fetched *f, struct outside_job *job, int64_t now)
{
    for (size_t i = 0; i < job->n_documents; i++) {
        struct collateral_document *from = &job->documents[i];
        struct fetched_document    *to   = document_of(f, buffer_text(&from->url));

        if (!to)
            to = document_add(f, buffer_text(&from->url));
        to->used   = ++f->clock;
        to->why[0] = 0;
        if (from->is_had) {
            buffer_free(&to->body);
            buffer_free(&to->issuer_chain);
            to->body         = TAKE(from->body);
            to->issuer_chain = TAKE(from->issuer_chain);
            to->expires_at   = from->expires_at;
        } else {
            (void) snprintf(to->why, sizeof to->why, "%s", from->err.text); /* cut by design */
        }
        if (now >= to->expires_at) /* nothing, or what is past its time */
            to->pause_until = now + FETCH_PAUSE_S;
    }
}
