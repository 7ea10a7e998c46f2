#include "guest/init/reaper.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

struct watch {
    pid_t            pid; /* 0: free slot */
    reaper_ended_fn *ended;
    void            *owner;
};

struct unclaimed {
    pid_t pid;
    int   status;
};

struct reaper {
    struct loop_source source;
    struct watch       watches[REAPER_WATCHES_MAX];
    struct unclaimed   unclaimed[REAPER_UNCLAIMED_MAX]; /* a ring */
    size_t             next_unclaimed;
};

static void ended(struct reaper *reaper, pid_t pid, int status)
{
    for (size_t i = 0; i < REAPER_WATCHES_MAX; i++) {
        if (reaper->watches[i].pid != pid)
            continue;
        struct watch watch = TAKE(reaper->watches[i]);
        watch.ended(watch.owner, pid, status);
        return;
    }
    reaper->unclaimed[reaper->next_unclaimed] = (struct unclaimed){ pid, status };
    reaper->next_unclaimed = (reaper->next_unclaimed + 1) % REAPER_UNCLAIMED_MAX;
}

static void on_signal(struct loop_source *source, uint32_t events)
{
    struct reaper          *reaper = source->owner;
    struct signalfd_siginfo signals[8];
    pid_t                   pid;
    int                     status;

    (void) events;
    while (read(source->fd, signals, sizeof signals) > 0) /* one signal may stand for many children */
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        ended(reaper, pid, status);
}

FALLIBLE reaper_new(struct loop *loop, struct reaper **out, struct err *err)
{
    static const int signals[] = { SIGCHLD };
    struct reaper   *reaper    = calloc(1, sizeof *reaper);

    if (!reaper)
        abort();
    reaper->source = (struct loop_source){ .fd = NO_FD, .ready = on_signal, .owner = reaper };
    if (!loop_signal_fd(signals, 1, &reaper->source.fd, err) || !loop_add(loop, &reaper->source, EPOLLIN, err)) {
        reaper_free(reaper);
        return context(err, "reaper");
    }
    *out = reaper;
    return true;
}

void reaper_free(struct reaper *reaper)
{
    if (!reaper)
        return;
    loop_remove(&reaper->source);
    auto_fd(&reaper->source.fd);
    free(reaper);
}

FALLIBLE reaper_watch(struct reaper *reaper, pid_t pid, reaper_ended_fn *ended_fn, void *owner, struct err *err)
{
    for (size_t i = 0; i < REAPER_UNCLAIMED_MAX; i++) {
        if (reaper->unclaimed[i].pid != pid)
            continue;
        struct unclaimed known = TAKE(reaper->unclaimed[i]);
        if (kill(pid, 0) == 0)
            continue; /* the number is another's now: that one has not been reaped */
        ended_fn(owner, pid, known.status);
        return true;
    }
    for (size_t i = 0; i < REAPER_WATCHES_MAX; i++) {
        if (reaper->watches[i].pid != 0)
            continue;
        reaper->watches[i] = (struct watch){ pid, ended_fn, owner };
        return true;
    }
    return fail_with(err, ERR_LIMIT, "over %d processes are watched", REAPER_WATCHES_MAX);
}
