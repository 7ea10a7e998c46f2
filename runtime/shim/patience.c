#include "runtime/shim/patience.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "runtime/shim/pod.h"

static void stop(struct loop_source *timer)
{
    loop_remove(timer);
    auto_fd(&timer->fd);
    timer->fd = NO_FD;
}

static void begin(struct task *task, struct loop_source *timer, uint64_t ms, void (*ready)(struct loop_source *, uint32_t))
{
    struct err err;

    stop(timer);
    *timer = (struct loop_source){ .fd = NO_FD, .ready = ready, .owner = task };
    if (!loop_timer_fd((uint32_t) ms, 0, &timer->fd, &err) || !loop_add(task->pod->options.loop, timer, EPOLLIN, &err))
        log_error("no patience", "id=%s why=\"%s\"", task->id, err.text);
}

static void on_signal_overdue(struct loop_source *source, uint32_t events)
{
    struct task *task = source->owner;

    (void) events;
    stop(source);
    if (pod_answer_signals(task))
        log_error("the guest does not say that it had a signal", "id=%s exec=%s", task->id, task->exec);
}

static void on_end_overdue(struct loop_source *source, uint32_t events)
{
    struct task *task = source->owner;
    struct err   why;

    (void) events;
    stop(source);
    (void) fail_with(&why, ERR_TIMEOUT, "start: the guest did not end a process within %llu s: its VM was ended",
                     (unsigned long long) task->pod->settings.kill_timeout_s); /* only fills the record */
    log_error("the guest hangs", "id=%s exec=%s why=\"%s\"", task->id, task->exec, why.text);
    pod_end_vm(task->pod, KILLED_STATUS, &why);
}

void patience_for_signal(struct task *task)
{
    begin(task, &task->signal_patience, SHIM_SIGNAL_MS, on_signal_overdue);
}

void patience_for_end(struct task *task)
{
    if (task->end_patience.fd < 0) /* the first counts: who asks again does not get more of it */
        begin(task, &task->end_patience, task->pod->settings.kill_timeout_s * 1000, on_end_overdue);
}

void patience_over(struct task *task)
{
    stop(&task->signal_patience);
    stop(&task->end_patience);
}
