#include "keys/broker/outside.h"

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

enum { WORKERS_MAX = 8, QUEUE_MAX = 512, STACK_LEN = 1 << 20 };

struct outside {
    struct loop_source  event; /* an eventfd: something is finished */
    void              (*after)(void *owner);
    void               *owner;
    pthread_t           workers[WORKERS_MAX];
    size_t              n_workers;

    pthread_mutex_t     mutex; /* over all below */
    pthread_cond_t      has_work, has_finished;
    struct outside_job *first, **last; /* that no thread has taken yet, in order */
    struct outside_job *finished;
    size_t              n_queued, n_running, n_idle;
    bool                is_closing;
};

/* ---- jobs ---- */

static struct outside_job *job_new(void)
{
    struct outside_job *job = calloc(1, sizeof *job);

    if (!job)
        abort();
    return job;
}

struct outside_job *outside_resource(struct external *external, const char *path)
{
    struct outside_job *job = job_new();

    job->external = external_keep(external);
    (void) snprintf(job->path, sizeof job->path, "%s", path); /* a valid path: fits */
    return job;
}

struct outside_job *outside_collateral(struct collateral_sources *sources, int64_t now)
{
    struct outside_job *job = job_new();

    job->sources = collateral_sources_keep(sources);
    job->now     = now;
    return job;
}

void outside_want(struct outside_job *job, const char *url, int64_t lifetime_s)
{
    for (size_t i = 0; i < job->n_documents; i++) {
        if (strcmp(buffer_text(&job->documents[i].url), url) == 0)
            return;
    }
    if (job->n_documents == OUTSIDE_URLS_MAX)
        return;
    job->documents[job->n_documents].lifetime_s = lifetime_s;
    buffer_append_text(&job->documents[job->n_documents++].url, url);
}

void outside_job_free(struct outside_job *job)
{
    if (!job)
        return;
    for (size_t i = 0; i < job->n_documents; i++)
        collateral_document_free(&job->documents[i]);
    secret_free(&job->value);
    external_free(job->external);
    collateral_sources_free(job->sources);
    free(job);
}

static uint64_t now_us(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

/* On a thread of its own: waits. */
static void job_run(struct outside_job *job)
{
    uint64_t began = now_us();

    if (job->external) {
        job->is_had   = external_get(job->external, job->path, &job->value, &job->err);
        job->us       = now_us() - began;
        job->is_asked = true;
    }
    for (size_t i = 0; i < job->n_documents; i++) {
        began = now_us();
        collateral_sources_get(job->sources, job->now, &job->documents[i]);
        job->documents[i].us = now_us() - began;
    }
}

void outside_job_fail(struct outside_job *job, const struct err *why)
{
    job->err = *why;
    for (size_t i = 0; i < job->n_documents; i++)
        job->documents[i].err = *why;
}

/* ---- threads ---- */

static void finished_add(struct outside *o, struct outside_job *job)
{
    const uint64_t one = 1;

    job->next   = o->finished;
    o->finished = job;
    (void) !write(o->event.fd, &one, sizeof one); /* full only when the loop has 2^64 to look at */
    (void) pthread_cond_broadcast(&o->has_finished); /* fails only for what is no condition */
}

static struct outside_job *job_next(struct outside *o)
{
    struct outside_job *job;

    o->n_idle++;
    while (!o->first && !o->is_closing)
        (void) pthread_cond_wait(&o->has_work, &o->mutex); /* as above */
    o->n_idle--;
    job = o->first;
    if (!job || o->is_closing)
        return NULL;
    o->first = job->next;
    if (!o->first)
        o->last = &o->first;
    o->n_queued--;
    o->n_running++;
    return job;
}

static void *work(void *owner)
{
    struct outside     *o = owner;
    struct outside_job *job;

    (void) pthread_mutex_lock(&o->mutex); /* fails only for a mutex that is none */
    while ((job = job_next(o))) {
        (void) pthread_mutex_unlock(&o->mutex);
        job_run(job);
        (void) pthread_mutex_lock(&o->mutex);
        o->n_running--;
        finished_add(o, job);
    }
    (void) pthread_mutex_unlock(&o->mutex);
    return NULL;
}

/* Another thread, when all are busy. Whether there is one at all. */
static bool worker_add(struct outside *o)
{
    pthread_attr_t attributes;

    if (o->n_idle > o->n_queued || o->n_workers == WORKERS_MAX)
        return true;
    if (pthread_attr_init(&attributes) != 0)
        return o->n_workers > 0;
    if (pthread_attr_setstacksize(&attributes, STACK_LEN) == 0 && pthread_create(&o->workers[o->n_workers], &attributes, work, o) == 0)
        o->n_workers++;
    (void) pthread_attr_destroy(&attributes); /* frees nothing */
    return o->n_workers > 0;
}

FALLIBLE outside_ask(struct outside *o, struct outside_job *job, struct err *err)
{
    bool is_taken = false;

    (void) pthread_mutex_lock(&o->mutex);
    if (o->n_queued == QUEUE_MAX) {
        (void) fail_with(err, ERR_LIMIT, "%d questions to other machines wait already", QUEUE_MAX);
    } else if (!worker_add(o)) {
        (void) fail_with(err, ERR_OS, "there is no thread to ask other machines with");
    } else {
        job->next = NULL;
        *o->last  = job;
        o->last   = &job->next;
        o->n_queued++;
        is_taken = true;
        (void) pthread_cond_signal(&o->has_work); /* fails only for what is no condition */
    }
    (void) pthread_mutex_unlock(&o->mutex);
    return is_taken;
}

/* ---- on the loop's thread ---- */

static bool hand_over(struct outside *o)
{
    struct outside_job *job;
    bool                had_any;

    (void) pthread_mutex_lock(&o->mutex);
    job         = o->finished;
    o->finished = NULL;
    (void) pthread_mutex_unlock(&o->mutex);
    had_any = job != NULL;
    while (job) {
        struct outside_job *next = job->next;

        job->done(job);
        job = next;
    }
    return had_any;
}

static void event_ready(struct loop_source *source, uint32_t events)
{
    struct outside *o = source->owner;
    uint64_t        n;

    (void) events;
    (void) !read(source->fd, &n, sizeof n); /* what is finished is counted in the list */
    if (hand_over(o))
        o->after(o->owner);
}

void outside_finish(struct outside *o)
{
    (void) pthread_mutex_lock(&o->mutex);
    while (o->n_queued + o->n_running > 0)
        (void) pthread_cond_wait(&o->has_finished, &o->mutex); /* fails only for what is no condition */
    (void) pthread_mutex_unlock(&o->mutex);
    (void) hand_over(o);
}

FALLIBLE outside_new(struct loop *loop, void (*after)(void *owner), void *owner, struct outside **out, struct err *err)
{
    AUTO(outside) struct outside *o = calloc(1, sizeof *o);

    if (!o || pthread_mutex_init(&o->mutex, NULL) != 0 || pthread_cond_init(&o->has_work, NULL) != 0 ||
        pthread_cond_init(&o->has_finished, NULL) != 0)
        abort();
    o->last  = &o->first;
    o->after = after;
    o->owner = owner;
    o->event = (struct loop_source){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = event_ready, .owner = o };
    if (o->event.fd < 0)
        return err_os(err, "eventfd");
    if (!loop_add(loop, &o->event, EPOLLIN, err))
        return false;
    *out = TAKE(o);
    return true;
}

void outside_free(struct outside *o)
{
    if (!o)
        return;
    (void) pthread_mutex_lock(&o->mutex);
    o->is_closing = true;
    (void) pthread_cond_broadcast(&o->has_work);
    (void) pthread_mutex_unlock(&o->mutex);
    for (size_t i = 0; i < o->n_workers; i++)
        (void) pthread_join(o->workers[i], NULL); /* fails only for a thread that is none */
    for (struct outside_job *job = o->first; job;) {
        struct outside_job *next = job->next;
        struct err          why;

        (void) fail_with(&why, ERR_TIMEOUT, "the broker is being shut down");
        outside_job_fail(job, &why);
        job->done(job);
        job = next;
    }
    (void) hand_over(o);
    loop_remove(&o->event);
    if (o->event.fd >= 0)
        (void) close(o->event.fd); /* nothing is to be read from it any more */
    (void) pthread_cond_destroy(&o->has_work); /* nobody waits */
    (void) pthread_cond_destroy(&o->has_finished);
    (void) pthread_mutex_destroy(&o->mutex);
    free(o);
}
