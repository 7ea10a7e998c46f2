#include "runtime/shim/task.h"

#include <string.h>

#include "base/ossl.h"
#include "base/text.h"
#include "runtime/shim/patience.h"
#include "runtime/shim/watch.h"

/* What a state answers to a verb: done, refused as an error of the caller, or "no such process", which engines ignore. */
enum answer { YES, NO, GONE };

static const enum answer answers[TASK_STATES][TASK_VERBS] = {
    /*                    start kill  exec resize update stats delete */
    [TASK_CREATING] = { NO,   NO,   NO,  NO,    NO,    NO,   NO },
    [TASK_CREATED]  = { YES,  YES,  NO,  YES,   YES,   YES,  YES },
    [TASK_STARTING] = { NO,   NO,   NO,  YES,   YES,   YES,  NO },
    [TASK_RUNNING]  = { NO,   YES,  YES, YES,   YES,   YES,  NO },
    [TASK_STOPPING] = { NO,   GONE, NO,  NO,    NO,    NO,   NO },
    [TASK_STOPPED]  = { NO,   GONE, NO,  NO,    NO,    NO,   YES },
    [TASK_DELETING] = { NO,   GONE, NO,  NO,    NO,    NO,   NO },
};

static const char *const state_names[TASK_STATES] = {
    [TASK_CREATING] = "being created", [TASK_CREATED] = "created",  [TASK_STARTING] = "being started",
    [TASK_RUNNING] = "running",        [TASK_STOPPING] = "stopping", [TASK_STOPPED] = "stopped",
    [TASK_DELETING] = "being deleted",
};

FALLIBLE task_may(enum task_state state, enum task_verb verb, struct err *err)
{
    static const char *const verbs[TASK_VERBS] = { "start", "kill", "exec", "resize", "update", "stats", "delete" };

    switch (answers[state][verb]) {
    case YES:
        return true;
    case GONE:
        return fail_with(err, ERR_NOT_FOUND, "process already finished");
    case NO:
        break;
    }
    return fail_with(err, ERR_CONFIG, "%s: the process is %s", verbs[verb], state_names[state]);
}

bool task_is_alive(enum task_state state)
{
    return state != TASK_STOPPING && state != TASK_STOPPED && state != TASK_DELETING;
}

int32_t task_status(enum task_state state)
{
    static const int32_t numbers[TASK_STATES] = { [TASK_CREATING] = 1, [TASK_CREATED] = 1,  [TASK_STARTING] = 1,
                                                  [TASK_RUNNING] = 2,  [TASK_STOPPING] = 2, [TASK_STOPPED] = 3,
                                                  [TASK_DELETING] = 3 };

    return numbers[state];
}

void guest_id_of(const char *id, char out[static GUEST_ID_MAX + 1])
{
    static const char          letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    AUTO(buffer) struct buffer hex       = { 0 };
    uint8_t                    digest[SHA256_LEN];
    size_t                     len = strlen(id);

    if (len == 0 || (len <= GUEST_ID_MAX && id[0] != '-' && strspn(id, letters) == len)) {
        memcpy(out, id, len + 1);
        return;
    }
    sha256_of(bytes_of_text(id), digest);
    hex_append(&hex, BYTES_OF(digest));
    memcpy(out, buffer_text(&hex), GUEST_ID_MAX + 1);
}

struct task *task_new(struct pod *pod, const char *id, const char *exec)
{
    struct task *task = calloc(1, sizeof *task);

    if (!task)
        abort();
    task->pod  = pod;
    task->id   = strdup(id);
    task->exec = strdup(exec);
    if (!task->id || !task->exec)
        abort();
    guest_id_of(id, task->guest_id);
    guest_id_of(exec, task->guest_exec);
    for (size_t i = 0; i < TASK_OUTLETS; i++)
        task->outlets[i] = NO_OUTLET;
    task->inlet    = NO_INLET;
    task->drain.fd = task->layer_wait.fd = task->signal_patience.fd = task->end_patience.fd = NO_FD;
    return task;
}

void task_free(struct task *task)
{
    for (size_t i = 0; i < TASK_OUTLETS; i++)
        outlet_close(&task->outlets[i]);
    inlet_close(&task->inlet);
    watch_free(task->watch);
    patience_over(task);
    loop_remove(&task->drain);
    auto_fd(&task->drain.fd);
    loop_remove(&task->layer_wait);
    auto_fd(&task->layer_wait.fd);
    process_spec_free(&task->command);
    json_object_put(task->process);
    container_spec_free(&task->spec);
    for (size_t i = 0; i < 3; i++)
        free(task->paths[i]);
    free(task->digest);
    free(task->bundle);
    free(task->exec);
    free(task->id);
    free(task);
}

bool task_add_waiter(struct task *task, struct ttrpc_pending pending)
{
    if (task->n_waiters == SHIM_WAITERS_MAX)
        return false;
    task->waiters[task->n_waiters++] = pending;
    return true;
}

void task_forget(struct task *task, const struct ttrpc_connection *connection)
{
    size_t n = 0;

    if (task->pending.connection == connection)
        task->pending = (struct ttrpc_pending){ 0 };
    for (size_t i = 0; i < task->n_waiters; i++)
        if (task->waiters[i].connection != connection)
            task->waiters[n++] = task->waiters[i];
    task->n_waiters = n;
}
