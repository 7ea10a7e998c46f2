#include "guest/agent/workers.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/bytes.h"

struct queue {
    struct work *first, **end;
};

struct worker {
    struct workers *all;
    void           *own;
    pthread_t       thread;
};

struct workers {
    struct loop       *loop;
    struct loop_source bell; /* rung when work is done */
    pthread_mutex_t    lock; /* of the rest */
    pthread_cond_t     is_wanted;
    struct queue       wanted, done;
    size_t             n_busy, n;
    bool               is_ending;
    struct worker      at[WORKERS_MAX];
};

static void push(struct queue *queue, struct work *work)
{
    work->next = NULL;
    if (!queue->first)
        queue->end = &queue->first;
    *queue->end = work;
    queue->end  = &work->next;
}

static struct work *pop(struct queue *queue)
{
    struct work *first = queue->first;

    if (first)
        queue->first = first->next;
    return first;
}

static void lock(struct workers *w)
{
    if (pthread_mutex_lock(&w->lock) != 0)
        abort();
}

static void unlock(struct workers *w)
{
    if (pthread_mutex_unlock(&w->lock) != 0)
        abort();
}

static void ring(struct workers *w)
{
    if (eventfd_write(w->bell.fd, 1) != 0)
        abort(); /* it counts to 2^64 - 2 */
}

static void *worker_run(void *of)
{
    struct worker  *self = of;
    struct workers *w    = self->all;

    lock(w);
    while (!w->is_ending) {
        struct work *work = pop(&w->wanted);

        if (!work) {
            if (pthread_cond_wait(&w->is_wanted, &w->lock) != 0)
                abort();
            continue;
        }
        w->n_busy++;
        unlock(w);
        work->run(work, self->own);
        lock(w);
        w->n_busy--;
        push(&w->done, work);
        ring(w);
    }
    unlock(w);
    return NULL;
}

static void on_bell(struct loop_source *source, uint32_t events)
{
    struct workers *w = source->owner;
    eventfd_t       ignored;
    struct work    *work;

    (void) events;
    (void) !eventfd_read(source->fd, &ignored); /* rung at least once */
    lock(w);
    struct queue done = w->done;
    w->done           = (struct queue){ 0 };
    unlock(w);
    while ((work = pop(&done)))
        work->done(work);
}

static FALLIBLE start(struct workers *w, void *const *own, size_t n, struct err *err)
{
    pthread_attr_t attributes;
    int            code = pthread_attr_init(&attributes);

    if (code == 0)
        code = pthread_attr_setstacksize(&attributes, WORKER_STACK_LEN);
    for (size_t i = 0; i < n && code == 0; i++) {
        w->at[i] = (struct worker){ .all = w, .own = own[i] };
        code     = pthread_create(&w->at[i].thread, &attributes, worker_run, &w->at[i]);
        w->n += code == 0;
    }
    (void) pthread_attr_destroy(&attributes); /* holds nothing */
    return code == 0 || fail_with(err, ERR_OS, "start a worker: error %d", code);
}

FALLIBLE workers_new(struct loop *loop, void *const *own, size_t n, struct workers **out, struct err *err)
{
    struct workers *w = NULL;

    if (n > WORKERS_MAX)
        return fail_with(err, ERR_LIMIT, "%zu workers; at most %d", n, WORKERS_MAX);
    w       = zeroed(1, sizeof *w);
    w->loop = loop;
    w->bell = (struct loop_source){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = on_bell, .owner = w };
    if (pthread_mutex_init(&w->lock, NULL) != 0 || pthread_cond_init(&w->is_wanted, NULL) != 0)
        abort();
    if (w->bell.fd < 0 ? err_os(err, "workers") : loop_add(loop, &w->bell, EPOLLIN, err) && start(w, own, n, err)) {
        *out = w;
        return true;
    }
    (void) workers_free(w); /* nobody works yet */
    return false;
}

void workers_give(struct workers *workers, struct work *work)
{
    lock(workers);
    push(&workers->wanted, work);
    if (pthread_cond_signal(&workers->is_wanted) != 0)
        abort();
    unlock(workers);
}

bool workers_free(struct workers *w)
{
    if (!w)
        return true;
    lock(w);
    bool is_busy = w->n_busy > 0 || w->wanted.first;
    w->is_ending = w->is_ending || !is_busy;
    (void) pthread_cond_broadcast(&w->is_wanted); /* fails for what is no condition only */
    unlock(w);
    if (is_busy)
        return false;
    for (size_t i = 0; i < w->n; i++)
        (void) pthread_join(w->at[i].thread, NULL); /* it ends, as it is idle */
    loop_remove(&w->bell);
    auto_fd(&w->bell.fd);
    for (struct work *work; (work = pop(&w->done));)
        work->done(work);
    (void) pthread_cond_destroy(&w->is_wanted); /* nobody waits */
    (void) pthread_mutex_destroy(&w->lock);     /* nobody has it */
    free(w);
    return true;
}
