#include "runtime/shim/service.h"

#include <sys/socket.h>

#include "tests/harness/null_machine.h"

/*
 * An engine that says anything: the input is what it writes to the pod's socket. Whatever it was, another engine is
 * answered afterwards, and the pod ends without a trace.
 */
static bool is_here(void *owner)
{
    (void) owner;
    return true;
}

static void on_finished(void *owner)
{
    (void) owner;
}

static void on_closed(void *owner, const struct err *why)
{
    (void) why;
    *(bool *) owner = true;
}

static void on_tick(struct loop_source *source, uint32_t events)
{
    (void) events;
    loop_stop(source->owner);
}

static void run_until(struct loop *loop, uint64_t ms)
{
    struct loop_source tick = { .fd = NO_FD, .ready = on_tick, .owner = loop };
    struct err         err;

    if (!loop_timer_fd(ms, 0, &tick.fd, &err) || !loop_add(loop, &tick, EPOLLIN, &err) || !loop_run(loop, &err))
        abort();
    loop_remove(&tick);
    (void) close(tick.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct loop             *loop = NULL;
    struct pod              *pod  = NULL;
    struct ttrpc_connection *shim = NULL;
    struct settings          settings;
    struct pod_options       options = { .driver = &null_machine, .namespace = "n", .ttrpc_address = "",
                                         .engine_is_here = is_here, .finished = on_finished };
    bool                     closed = false;
    int                      ends[2];
    struct err               err;

    null_machines = (__typeof__(null_machines)){ 0 };
    settings_default(&settings);
    if (size > (32 << 10) || !loop_new(&loop, &err) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return 0;
    options.loop = loop;
    if (!pod_new(&options, &settings, &pod, &err))
        abort();
    struct ttrpc_connection_options serving = { .loop = loop, .service = &task_v2_service, .rows = service_rows,
                                                .n_rows = n_service_rows, .closed = on_closed, .owner = &closed,
                                                .more = service_others, .n_more = n_service_others, .rows_owner = pod };
    if (!ttrpc_connection_new(&serving, ends[0], &shim, &err) || write(ends[1], data, size) != (ssize_t) size)
        abort();
    run_until(loop, 2);
    pod_forget(pod, shim);
    ttrpc_connection_free(shim);
    (void) close(ends[1]);
    if (pod->n_tasks > SHIM_TASKS_MAX)
        __builtin_trap();
    pod_free(pod);
    if (null_machines.last)
        __builtin_trap(); /* a VM stayed behind */
    buffer_free(&null_machines.input);
    loop_free(loop);
    return 0;
}
