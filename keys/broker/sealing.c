#include "keys/broker/sealing.h"

#include <pthread.h>

enum { THREADS_MAX = 4, STACK_LEN = 1 << 20 };

struct sealers {
    pthread_t        threads[THREADS_MAX];
    size_t           n_threads, threads_max;

    pthread_mutex_t  mutex; /* over all below */
    pthread_cond_t   has_work, has_finished;
    struct sealing  *first, **last; /* that nobody has taken yet, in order */
    size_t           n_running, n_idle;
    bool             is_closing;
};

/* ---- jobs ---- */

struct sealing *sealing_new(const struct jwk *to, struct secret *value_take)
{
    struct sealing *job = calloc(1, sizeof *job);

    if (!job || EVP_PKEY_up_ref(to->key) != 1)
        abort();
    job->to           = *to;
    job->to.canonical = (struct buffer){ 0 };
    job->value        = TAKE(*value_take);
    return job;
}

void sealing_free(struct sealing *sealing)
{
    if (!sealing)
        return;
    jwk_free(&sealing->to);
    secret_free(&sealing->value);
    buffer_free(&sealing->sealed);
    free(sealing);
}

static void seal(struct sealing *job)
{
    job->is_sealed = jwe_seal(&job->to, &job->value, &job->sealed, &job->err);
    secret_free(&job->value);
}

/* ---- threads; locking fails only for a mutex that is none, waiting and waking for what is no condition ---- */

static struct sealing *job_take(struct sealers *s)
{
    struct sealing *job = s->first;

    if (!job)
        return NULL;
    s->first = job->next;
    if (!s->first)
        s->last = &s->first;
    return job;
}

/* The next job, when there is one; NULL: it is over. */
static struct sealing *job_wait(struct sealers *s)
{
    s->n_idle++;
    while (!s->first && !s->is_closing)
        (void) pthread_cond_wait(&s->has_work, &s->mutex);
    s->n_idle--;
    return job_take(s);
}

static void *work(void *owner)
{
    struct sealers *s = owner;
    struct sealing *job;

    (void) pthread_mutex_lock(&s->mutex);
    while ((job = job_wait(s))) {
        s->n_running++;
        (void) pthread_mutex_unlock(&s->mutex);
        seal(job);
        (void) pthread_mutex_lock(&s->mutex);
        if (--s->n_running == 0)
            (void) pthread_cond_signal(&s->has_finished);
    }
    (void) pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* Where there is no thread to be had, whoever waits does the work. */
static void threads_make(struct sealers *s)
{
    pthread_attr_t attributes;

    if (s->n_threads == s->threads_max || pthread_attr_init(&attributes) != 0)
        return;
    while (pthread_attr_setstacksize(&attributes, STACK_LEN) == 0 && s->n_threads < s->threads_max &&
           pthread_create(&s->threads[s->n_threads], &attributes, work, s) == 0)
        s->n_threads++;
    (void) pthread_attr_destroy(&attributes); /* frees nothing */
}

void sealers_ask(struct sealers *sealers, struct sealing *job)
{
    job->next = NULL;
    (void) pthread_mutex_lock(&sealers->mutex);
    threads_make(sealers);
    *sealers->last = job;
    sealers->last  = &job->next;
    if (sealers->n_idle > 0)
        (void) pthread_cond_signal(&sealers->has_work);
    (void) pthread_mutex_unlock(&sealers->mutex);
}

void sealers_finish(struct sealers *sealers)
{
    struct sealing *job;

    (void) pthread_mutex_lock(&sealers->mutex);
    while ((job = job_take(sealers))) {
        (void) pthread_mutex_unlock(&sealers->mutex);
        seal(job);
        (void) pthread_mutex_lock(&sealers->mutex);
    }
    while (sealers->n_running > 0)
        (void) pthread_cond_wait(&sealers->has_finished, &sealers->mutex);
    (void) pthread_mutex_unlock(&sealers->mutex);
}

/* ---- beginning and end ---- */

size_t sealers_threads(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors < 2 ? 0 : processors - 1 < THREADS_MAX ? (size_t) processors - 1 : THREADS_MAX;
}

struct sealers *sealers_new(size_t threads_max)
{
    struct sealers *s = calloc(1, sizeof *s);

    if (!s || pthread_mutex_init(&s->mutex, NULL) != 0 || pthread_cond_init(&s->has_work, NULL) != 0 ||
        pthread_cond_init(&s->has_finished, NULL) != 0)
        abort();
    s->last        = &s->first;
    s->threads_max = threads_max < THREADS_MAX ? threads_max : THREADS_MAX;
    return s;
}

void sealers_free(struct sealers *sealers)
{
    if (!sealers)
        return;
    (void) pthread_mutex_lock(&sealers->mutex);
    sealers->is_closing = true;
    (void) pthread_cond_broadcast(&sealers->has_work);
    (void) pthread_mutex_unlock(&sealers->mutex);
    for (size_t i = 0; i < sealers->n_threads; i++)
        (void) pthread_join(sealers->threads[i], NULL); /* fails only for a thread that is none */
    (void) pthread_cond_destroy(&sealers->has_work); /* nobody waits */
    (void) pthread_cond_destroy(&sealers->has_finished);
    (void) pthread_mutex_destroy(&sealers->mutex);
    free(sealers);
}
