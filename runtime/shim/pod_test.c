#include "tests/harness/test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "runtime/shim/service.h"
#include "tests/harness/null_machine.h"

/* An engine's conversation with a pod over a real connection, as containerd and CRI-O hold it, with a VM that only answers. */
#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define ENGINE_ID "c824330cfa73590160f18c24e2f302584be1f98b58cb520fb4231d4a18f1707b"

static const char single[] = "{\"ociVersion\":\"1.0.2-dev\",\"process\":{\"args\":[\"/bin/sh\"],\"env\":[\"A=1\"]},"
                             "\"annotations\":{\"io.kubernetes.cri.image-name\":\"x/y@" DIGEST "\"}}";
static const char host_network[] = "{\"ociVersion\":\"1.2.1\",\"process\":{\"args\":[\"/pause\"]},\"annotations\":{"
                              "\"io.kubernetes.cri-o.ContainerType\":\"sandbox\",\"io.kubernetes.cri-o.SandboxID\":\"" ENGINE_ID "\"}}";
static const char sandbox_text[] = "{\"ociVersion\":\"1.2.1\",\"hostname\":\"pod\",\"process\":{\"args\":[\"/pause\"]},\"annotations\":{"
                              "\"io.kubernetes.cri-o.ContainerType\":\"sandbox\",\"io.kubernetes.cri-o.SandboxID\":\"" ENGINE_ID "\"},"
                              "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/run/netns/a\"}]}}";
static const char member_text[] = "{\"ociVersion\":\"1.2.1\",\"process\":{\"args\":[\"/bin/sh\",\"-c\",\"x\"],\"env\":[\"A=1\"]},\"annotations\":{"
                             "\"io.kubernetes.cri-o.ContainerType\":\"container\",\"io.kubernetes.cri-o.SandboxID\":\"" ENGINE_ID "\","
                             "\"io.kubernetes.cri-o.ImageRepoDigests\":\"x/y@" DIGEST ",x/z@" DIGEST "\"}}";

struct rig {
    struct loop             *loop;
    struct pod              *pod;
    struct ttrpc_connection *shim, *engine;
    char                    *folder;
    bool                     finished, has_answer, engine_is_here;
    enum err_kind            kind;
    char                     text[256];
    ProtobufCMessage        *answer;
    ProtobufCMessage        *waited; /* of the Wait that goes on */
};

static bool is_here(void *owner)
{
    return ((struct rig *) owner)->engine_is_here;
}

static void on_finished(void *owner)
{
    ((struct rig *) owner)->finished = true;
}

static void on_closed(void *owner, const struct err *why)
{
    (void) owner;
    fail_msg("a connection closed: %s", why->text);
}

static void open_engine(struct rig *rig)
{
    struct ttrpc_connection_options serving = { .loop = rig->loop, .service = &task_v2_service, .rows = service_rows,
                                                .n_rows = n_service_rows, .closed = on_closed, .owner = rig->pod,
                                                .more = service_others, .n_more = n_service_others };
    struct ttrpc_connection_options calling = { .loop = rig->loop, .closed = on_closed, .owner = rig };
    int                             fds[2];
    struct err                      err;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_true(ttrpc_connection_new(&serving, fds[0], &rig->shim, &err));
    assert_true(ttrpc_connection_new(&calling, fds[1], &rig->engine, &err));
}

static void make_bundle(struct rig *rig, const char *name, const char *config)
{
    char       path[512];
    struct err err;

    (void) snprintf(path, sizeof path, "%s/%s", rig->folder, name);
    assert_true(directory_make(path, &err));
    (void) snprintf(path, sizeof path, "%s/%s/config.json", rig->folder, name);
    assert_true(file_write(path, bytes_of_text(config), 0600, &err));
}

static int open_rig(void **state)
{
    struct rig     *rig = calloc(1, sizeof *rig);
    struct settings settings;
    struct err      err;
    char            path[512], text[1024];

    assert_non_null(rig);
    null_machines = (__typeof__(null_machines)){ 0 };
    rig->engine_is_here = true;
    assert_true(loop_new(&rig->loop, &err));
    assert_true(directory_make_temporary("pod", &rig->folder, &err));
    (void) snprintf(path, sizeof path, "%s/initdata", rig->folder);
    assert_true(file_write(path, bytes_of_text("x"), 0600, &err));
    (void) snprintf(text, sizeof text, "development = true\ninitdata = \"%s\"\nblobs = \"/blobs\"\n", path);
    assert_true(settings_read(bytes_of_text(text), &settings, &err));
    struct pod_options options = { .loop = rig->loop, .driver = &null_machine, .namespace = "k8s.io", .ttrpc_address = "",
                                   .engine_is_here = is_here, .finished = on_finished, .owner = rig };
    assert_true(pod_new(&options, &settings, &rig->pod, &err));
    make_bundle(rig, "single", single);
    make_bundle(rig, "sandbox", sandbox_text);
    make_bundle(rig, "member", member_text);
    make_bundle(rig, "host-network", host_network);
    open_engine(rig);
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    struct err  err;

    ttrpc_connection_free(rig->engine);
    pod_forget(rig->pod, rig->shim);
    ttrpc_connection_free(rig->shim);
    pod_free(rig->pod);
    assert_null(null_machines.last);
    buffer_free(&null_machines.input);
    loop_free(rig->loop);
    assert_true(directory_remove(rig->folder, &err));
    message_free(rig->answer);
    message_free(rig->waited);
    free(rig->folder);
    free(rig);
    return 0;
}

static ProtobufCMessage *copy_of(const ProtobufCMessage *message)
{
    return message ? null_copy(message) : NULL;
}

static void on_reply(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct rig *rig = owner;

    message_free(TAKE(rig->answer));
    rig->answer = copy_of(response);
    rig->kind   = response ? ERR_NONE : why->kind;
    (void) snprintf(rig->text, sizeof rig->text, "%s", response ? "" : why->text);
    loop_stop(rig->loop);
}

static void on_waited(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct rig *rig = owner;

    (void) why;
    rig->waited = copy_of(response);
    loop_stop(rig->loop);
}

static void run(struct rig *rig)
{
    struct err err;

    assert_true(loop_run(rig->loop, &err));
}

static enum err_kind ask(struct rig *rig, const char *name, const ProtobufCMessage *request)
{
    struct ttrpc_method method = { &task_v2_service, name };
    struct err          err    = { 0 };

    if (strstr(name, "Sandbox") || strcmp(name, "Platform") == 0)
        method.service = service_others[1];
    assert_true(ttrpc_connection_call(rig->engine, &method, request, on_reply, rig, &err));
    rig->kind = ERR_BUG;
    while (rig->kind == ERR_BUG) /* something else may stop the loop first */
        run(rig);
    return rig->kind;
}

static enum err_kind create(struct rig *rig, const char *id, const char *bundle)
{
    Engine__CreateRequest request = ENGINE__CREATE_REQUEST__INIT;
    char                  path[512];

    (void) snprintf(path, sizeof path, "%s/%s", rig->folder, bundle);
    request.id     = (char *) (uintptr_t) id;
    request.bundle = path;
    return ask(rig, "Create", &request.base);
}

static enum err_kind on_process(struct rig *rig, const char *method, const char *id, const char *exec)
{
    Engine__ProcessRequest request = ENGINE__PROCESS_REQUEST__INIT;

    request.id      = (char *) (uintptr_t) id;
    request.exec_id = (char *) (uintptr_t) exec;
    return ask(rig, method, &request.base);
}

static enum err_kind kill_with(struct rig *rig, const char *id, const char *exec, uint32_t signal)
{
    Engine__KillRequest request = ENGINE__KILL_REQUEST__INIT;

    request.id      = (char *) (uintptr_t) id;
    request.exec_id = (char *) (uintptr_t) exec;
    request.signal  = signal;
    return ask(rig, "Kill", &request.base);
}

static void begin_wait(struct rig *rig, const char *id, const char *exec)
{
    Engine__ProcessRequest request = ENGINE__PROCESS_REQUEST__INIT;
    struct ttrpc_method    method  = { &task_v2_service, "Wait" };
    struct err             err;

    request.id      = (char *) (uintptr_t) id;
    request.exec_id = (char *) (uintptr_t) exec;
    message_free(TAKE(rig->waited));
    assert_true(ttrpc_connection_call(rig->engine, &method, &request.base, on_waited, rig, &err));
}

static uint32_t end_wait(struct rig *rig)
{
    while (!rig->waited)
        run(rig);
    return ((const Engine__WaitResponse *) rig->waited)->exit_status;
}

static int32_t status_of(struct rig *rig, const char *id, const char *exec)
{
    assert_int_equal(on_process(rig, "State", id, exec), ERR_NONE);
    return ((const Engine__StateResponse *) rig->answer)->status;
}

static enum err_kind add_exec(struct rig *rig, const char *id, const char *exec, const char *process)
{
    Engine__ExecRequest request = ENGINE__EXEC_REQUEST__INIT;
    Engine__Any         spec    = ENGINE__ANY__INIT;

    spec.value      = (ProtobufCBinaryData){ strlen(process), (uint8_t *) (uintptr_t) process };
    request.id      = (char *) (uintptr_t) id;
    request.exec_id = (char *) (uintptr_t) exec;
    request.spec    = &spec;
    return ask(rig, "Exec", &request.base);
}

static void one_container_is_one_vm_from_create_to_shutdown(void **state)
{
    struct rig            *rig      = *state;
    Engine__ShutdownRequest shutdown = ENGINE__SHUTDOWN_REQUEST__INIT;

    assert_int_equal(create(rig, "t1", "single"), ERR_NONE);
    assert_int_equal(((const Engine__CreateResponse *) rig->answer)->pid, getpid());
    assert_int_equal(create(rig, "t1", "single"), ERR_CONFIG);
    assert_int_equal(status_of(rig, "t1", ""), 1);
    begin_wait(rig, "t1", "");
    assert_int_equal(on_process(rig, "Start", "t1", ""), ERR_NONE);
    assert_int_equal(status_of(rig, "t1", ""), 2);
    assert_int_equal(on_process(rig, "Delete", "t1", ""), ERR_CONFIG);
    assert_int_equal(kill_with(rig, "t1", "", 15), ERR_NONE);
    assert_int_equal(end_wait(rig), 143);
    assert_int_equal(status_of(rig, "t1", ""), 3);
    assert_int_equal(kill_with(rig, "t1", "", 9), ERR_NOT_FOUND);
    assert_string_equal(rig->text, "process already finished");
    assert_int_equal(on_process(rig, "Delete", "t1", ""), ERR_NONE);
    assert_int_equal(((const Engine__DeleteResponse *) rig->answer)->exit_status, 143);
    assert_int_equal(on_process(rig, "State", "t1", ""), ERR_NOT_FOUND);
    assert_int_equal(ask(rig, "Shutdown", &shutdown.base), ERR_NONE);
    assert_true(rig->finished);
    assert_int_equal(null_machines.started, 1);
}

/* As CRI-O does: no events, no mounts, a newer spec version, its own annotations. */
static void a_pod_of_two_has_one_vm_and_ends_with_its_sandbox(void **state)
{
    struct rig             *rig      = *state;
    Engine__ShutdownRequest shutdown = ENGINE__SHUTDOWN_REQUEST__INIT;

    assert_int_equal(create(rig, "early", "member"), ERR_CONFIG);
    assert_string_equal(rig->text, "start: the pod has no VM");
    assert_int_equal(create(rig, ENGINE_ID, "sandbox"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", ENGINE_ID, ""), ERR_NONE);
    assert_int_equal(create(rig, "one", "member"), ERR_NONE);
    assert_int_equal(create(rig, "two", "member"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "one", ""), ERR_NONE);
    assert_int_equal(null_machines.started, 1);
    assert_int_equal(ask(rig, "Shutdown", &shutdown.base), ERR_NONE);
    assert_false(rig->finished);
    begin_wait(rig, "one", "");
    assert_int_equal(kill_with(rig, ENGINE_ID, "", 9), ERR_NONE);
    assert_int_equal(end_wait(rig), 137);
    assert_int_equal(null_machines.freed, 1);
    assert_int_equal(status_of(rig, ENGINE_ID, ""), 3);
    assert_int_equal(status_of(rig, "two", ""), 3);
    assert_int_equal(create(rig, "late", "member"), ERR_CONFIG);
    assert_int_equal(on_process(rig, "Delete", "one", ""), ERR_NONE);
    assert_int_equal(on_process(rig, "Delete", "two", ""), ERR_NONE);
    assert_int_equal(on_process(rig, "Delete", ENGINE_ID, ""), ERR_NONE);
    assert_int_equal(rig->pod->n_tasks, 0);
}

static void a_process_is_run_in_a_container(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(create(rig, "t1", "single"), ERR_NONE);
    assert_int_equal(add_exec(rig, "t1", "e1", "{\"args\":[\"x\"]}"), ERR_CONFIG); /* it does not run yet */
    assert_int_equal(on_process(rig, "Start", "t1", ""), ERR_NONE);
    assert_int_equal(add_exec(rig, "t1", "bad", "{\"args\":[]}"), ERR_MALFORMED);
    assert_int_equal(add_exec(rig, "t1", "e1", "{\"args\":[\"x\"]}"), ERR_NONE);
    assert_int_equal(add_exec(rig, "t1", "e1", "{\"args\":[\"x\"]}"), ERR_CONFIG);
    assert_int_equal(add_exec(rig, "nowhere", "e1", "{\"args\":[\"x\"]}"), ERR_NOT_FOUND);
    assert_int_equal(on_process(rig, "Start", "t1", "e1"), ERR_NONE);
    begin_wait(rig, "t1", "e1");
    assert_int_equal(kill_with(rig, "t1", "e1", 2), ERR_NONE);
    assert_int_equal(end_wait(rig), 130);
    assert_int_equal(on_process(rig, "Delete", "t1", "e1"), ERR_NONE);
    assert_int_equal(on_process(rig, "State", "t1", "e1"), ERR_NOT_FOUND);
    assert_int_equal(add_exec(rig, "t1", "e2", "{\"args\":[\"x\"]}"), ERR_NONE);
    assert_int_equal(kill_with(rig, "t1", "e2", 9), ERR_NONE); /* before it ran */
    assert_int_equal(on_process(rig, "Delete", "t1", "e2"), ERR_NONE);
    assert_int_equal(on_process(rig, "Stats", "t1", ""), ERR_NONE);
    assert_int_equal(on_process(rig, "Pids", "t1", ""), ERR_NONE);
    assert_int_equal(((const Engine__PidsResponse *) rig->answer)->n_processes, 1);
}

/* CRI-O, for a probe whose time ran out: killed, waited for, never deleted. */
static void ended_processes_that_nobody_deletes_make_room(void **state)
{
    struct rig *rig = *state;
    char        exec[16];

    assert_int_equal(create(rig, "t1", "single"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "t1", ""), ERR_NONE);
    for (int i = 0; i < 3 * SHIM_TASKS_MAX; i++) { /* the null machine has room for 64 */
        (void) snprintf(exec, sizeof exec, "e%d", i);
        assert_int_equal(add_exec(rig, "t1", exec, "{\"args\":[\"x\"]}"), ERR_NONE);
        assert_int_equal(on_process(rig, "Start", "t1", exec), ERR_NONE);
        begin_wait(rig, "t1", exec);
        assert_int_equal(kill_with(rig, "t1", exec, 9), ERR_NONE);
        assert_int_equal(end_wait(rig), 137);
    }
    assert_int_equal(rig->pod->n_tasks, 1 + SHIM_ENDED_MAX);
    assert_int_equal(status_of(rig, "t1", exec), 3); /* the newest stay */
    assert_int_equal(on_process(rig, "State", "t1", "e0"), ERR_NOT_FOUND);
    assert_int_equal(status_of(rig, "t1", ""), 2);
}

static void signal_0_asks_and_ends_nothing(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(create(rig, ENGINE_ID, "sandbox"), ERR_NONE);
    assert_int_equal(kill_with(rig, ENGINE_ID, "", 0), ERR_NONE);
    assert_int_equal(create(rig, "one", "member"), ERR_NONE);
    assert_int_equal(kill_with(rig, "one", "", 0), ERR_NONE);
    assert_int_equal(kill_with(rig, "nowhere", "", 0), ERR_NOT_FOUND);
    assert_int_equal(on_process(rig, "Start", "one", ""), ERR_NONE);
    assert_int_equal(kill_with(rig, "one", "", 0), ERR_NONE);
    assert_null(strstr(null_machines.asked, "SignalContainer"));
    assert_int_equal(null_machines.freed, 0);
    begin_wait(rig, "one", "");
    assert_int_equal(kill_with(rig, "one", "", 9), ERR_NONE);
    assert_int_equal(end_wait(rig), 137);
    assert_int_equal(kill_with(rig, "one", "", 0), ERR_NOT_FOUND);
    assert_string_equal(rig->text, "process already finished");
    assert_int_equal(kill_with(rig, ENGINE_ID, "", 0), ERR_NONE);
}

/* As CRI-O, which takes no events, looks for it; and as containerd, which does. */
static void an_engine_without_events_finds_a_file_when_memory_ran_out(void **state)
{
    struct rig *rig = *state;
    char        path[512];

    (void) snprintf(path, sizeof path, "%s/single/oom", rig->folder);
    for (int takes_events = 1; takes_events >= 0; takes_events--) {
        rig->pod->options.ttrpc_address = takes_events ? "/nowhere" : "";
        assert_int_equal(create(rig, "t1", "single"), ERR_NONE);
        assert_int_equal(on_process(rig, "Start", "t1", ""), ERR_NONE);
        null_machines.runs_out_of_memory = true;
        begin_wait(rig, "t1", "");
        assert_int_equal(kill_with(rig, "t1", "", 9), ERR_NONE);
        assert_int_equal(end_wait(rig), 137);
        assert_int_equal(access(path, F_OK), takes_events ? -1 : 0);
        if (takes_events) { /* the next is another pod */
            assert_int_equal(close_rig(state) + open_rig(state), 0);
            rig = *state;
            (void) snprintf(path, sizeof path, "%s/single/oom", rig->folder);
        }
    }
}

static enum err_kind update(struct rig *rig, const char *id, const char *resources)
{
    Engine__UpdateRequest request = ENGINE__UPDATE_REQUEST__INIT;
    Engine__Any           any     = ENGINE__ANY__INIT;

    any.value         = (ProtobufCBinaryData){ strlen(resources), (uint8_t *) (uintptr_t) resources };
    request.id        = (char *) (uintptr_t) id;
    request.resources = &any;
    return ask(rig, "Update", &request.base);
}

/* As containerd 1.6 to 2.x annotate what the kubelet says of the pod; the handler's own 512 MiB are for the guest. */
static void a_vm_is_as_large_as_its_pod_and_stays_so(void **state)
{
    static const char sized[] = "{\"ociVersion\":\"1.1.0\",\"hostname\":\"pod\",\"process\":{\"args\":[\"/pause\"]},\"annotations\":{"
                                "\"io.kubernetes.cri.container-type\":\"sandbox\",\"io.kubernetes.cri.sandbox-id\":\"" ENGINE_ID "\","
                                "\"io.kubernetes.cri.sandbox-cpu-period\":\"100000\",\"io.kubernetes.cri.sandbox-cpu-quota\":\"150000\","
                                "\"io.kubernetes.cri.sandbox-cpu-shares\":\"512\",\"io.kubernetes.cri.sandbox-memory\":\"268435457\"},"
                                "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/run/netns/a\"}]}}";
    struct rig *rig = *state;

    make_bundle(rig, "sandbox", sized);
    assert_int_equal(create(rig, ENGINE_ID, "sandbox"), ERR_NONE);
    assert_int_equal(null_machines.last->options.cpus, 2);
    assert_int_equal(null_machines.last->options.memory_mib, 512 + 257); /* no part of a MiB is lost */
    assert_int_equal(create(rig, "one", "member"), ERR_NONE);
    assert_int_equal(update(rig, "one", "{\"memory\":{\"limit\":806354944},\"cpu\":{\"quota\":200000,\"period\":100000}}"), ERR_NONE);
    assert_int_equal(update(rig, "one", "{\"memory\":{\"limit\":-1},\"cpu\":{\"quota\":-1,\"period\":100000}}"), ERR_NONE);
    assert_int_equal(update(rig, "one", "{\"memory\":{\"limit\":807403520}}"), ERR_LIMIT);
    assert_string_equal(rig->text, "update: 770 MiB are more than the VM has, 769 MiB: it keeps the size with which it was started");
    assert_int_equal(update(rig, "one", "{\"cpu\":{\"quota\":200001,\"period\":100000}}"), ERR_LIMIT);
    assert_string_equal(rig->text, "update: 200001 of 100000 us of CPU time are more than the VM has, 2 CPUs: it keeps the size with which it was started");
    assert_int_equal(update(rig, ENGINE_ID, "{}"), ERR_UNSUPPORTED);
}

/* It has stopped, or does not want to: its engine hears of an end all the same. */
static void a_guest_that_hangs_is_ended_with_all_its_processes(void **state)
{
    static const char *const held[] = { "SignalContainer", "DeleteContainer" };

    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        struct rig *rig = *state;

        rig->pod->settings.kill_timeout_s = 1;
        assert_int_equal(create(rig, ENGINE_ID, "sandbox"), ERR_NONE);
        assert_int_equal(create(rig, "one", "member"), ERR_NONE);
        assert_int_equal(create(rig, "two", "member"), ERR_NONE);
        assert_int_equal(on_process(rig, "Start", "one", ""), ERR_NONE);
        assert_int_equal(on_process(rig, "Start", "two", ""), ERR_NONE);
        begin_wait(rig, "two", "");
        null_machines.holds = held[i];
        if (i == 0) {
            assert_int_equal(kill_with(rig, "one", "", 15), ERR_NONE); /* as sent, after a moment */
            assert_int_equal(status_of(rig, "one", ""), 2);
            assert_int_equal(rig->pod->state, POD_READY);
            assert_int_equal(kill_with(rig, "one", "", 9), ERR_OS);
            assert_string_equal(rig->text, "start: the guest did not end a process within 1 s: its VM was ended");
        } else {
            assert_int_equal(kill_with(rig, "one", "", 9), ERR_NONE);
            assert_int_equal(on_process(rig, "Delete", "one", ""), ERR_NONE); /* what it asked for has happened */
        }
        assert_int_equal(end_wait(rig), 137);
        assert_int_equal(null_machines.freed, 1);
        if (i == 0)
            assert_int_equal(on_process(rig, "Delete", "one", ""), ERR_NONE);
        assert_int_equal(on_process(rig, "Delete", "two", ""), ERR_NONE);
        assert_int_equal(on_process(rig, "Delete", ENGINE_ID, ""), ERR_NONE);
        assert_int_equal(rig->pod->n_tasks, 0);
        if (i == 0) {
            assert_int_equal(close_rig(state), 0);
            assert_int_equal(open_rig(state), 0);
        }
    }
}

/* One that was only added, one that runs, one that has ended: their engine was killed, and another deletes the container. */
static void processes_whose_engine_is_gone_go_with_their_container(void **state)
{
    struct rig             *rig      = *state;
    Engine__ShutdownRequest shutdown = ENGINE__SHUTDOWN_REQUEST__INIT;

    assert_int_equal(create(rig, "t1", "single"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "t1", ""), ERR_NONE);
    assert_int_equal(add_exec(rig, "t1", "added", "{\"args\":[\"x\"]}"), ERR_NONE);
    assert_int_equal(add_exec(rig, "t1", "runs", "{\"args\":[\"x\"]}"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "t1", "runs"), ERR_NONE);
    assert_int_equal(add_exec(rig, "t1", "ended", "{\"args\":[\"x\"]}"), ERR_NONE);
    assert_int_equal(kill_with(rig, "t1", "ended", 9), ERR_NONE);
    begin_wait(rig, "t1", "");
    assert_int_equal(kill_with(rig, "t1", "", 9), ERR_NONE);
    assert_int_equal(end_wait(rig), 137);
    begin_wait(rig, "t1", "runs");
    assert_int_equal(on_process(rig, "Delete", "t1", ""), ERR_NONE);
    assert_int_equal(end_wait(rig), 137);
    assert_int_equal(rig->pod->n_tasks, 0);
    assert_int_equal(on_process(rig, "State", "t1", "added"), ERR_NOT_FOUND);
    assert_int_equal(ask(rig, "Shutdown", &shutdown.base), ERR_NONE);
    assert_true(rig->finished);
}

static void what_the_guest_denies_comes_through_and_leaves_nothing(void **state)
{
    struct rig *rig = *state;

    null_machines.refuses = "CreateContainer";
    assert_int_equal(create(rig, "t1", "single"), ERR_DENIED);
    assert_string_equal(rig->text, "start: policy says no");
    assert_int_equal(on_process(rig, "State", "t1", ""), ERR_NOT_FOUND);
    assert_int_equal(rig->pod->n_tasks, 0);
}

static void an_exec_that_is_denied_can_be_deleted(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(create(rig, "t1", "single"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "t1", ""), ERR_NONE);
    null_machines.refuses = "ExecProcess";
    assert_int_equal(add_exec(rig, "t1", "e1", "{\"args\":[\"x\"]}"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "t1", "e1"), ERR_DENIED);
    assert_int_equal(status_of(rig, "t1", "e1"), 3);
    assert_int_equal(on_process(rig, "Delete", "t1", "e1"), ERR_NONE);
}

static void a_vm_that_dies_ends_all_and_says_why(void **state)
{
    struct rig *rig  = *state;
    struct err  died = { .kind = ERR_OS, .text = "start: the VM ended" };

    assert_int_equal(create(rig, "t1", "single"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "t1", ""), ERR_NONE);
    begin_wait(rig, "t1", "");
    assert_int_equal(status_of(rig, "t1", ""), 2);
    null_machines.last->is_lost = true;
    null_machines.last->options.ended(null_machines.last->options.owner, &died);
    assert_int_equal(end_wait(rig), 255);
    assert_int_equal(add_exec(rig, "t1", "e1", "{\"args\":[\"x\"]}"), ERR_CONFIG);
    assert_int_equal(on_process(rig, "Delete", "t1", ""), ERR_NONE);
}

static void a_create_that_waits_for_a_vm_that_dies_is_refused(void **state)
{
    struct rig            *rig     = *state;
    Engine__CreateRequest  request = ENGINE__CREATE_REQUEST__INIT;
    struct ttrpc_method    method  = { &task_v2_service, "Create" };
    char                   path[512], id[] = "t1";
    struct err             died = { .kind = ERR_OS, .text = "attest: the broker says no" }, err;
    Engine__ProcessRequest other = ENGINE__PROCESS_REQUEST__INIT;

    null_machines.never_ready = true;
    (void) snprintf(path, sizeof path, "%s/single", rig->folder);
    request.id     = id;
    request.bundle = path;
    assert_true(ttrpc_connection_call(rig->engine, &method, &request.base, on_reply, rig, &err));
    while (!null_machines.last)
        assert_int_equal(ask(rig, "State", &other.base), ERR_NOT_FOUND);
    null_machines.last->options.ended(null_machines.last->options.owner, &died);
    rig->kind = ERR_BUG;
    while (rig->kind == ERR_BUG)
        run(rig);
    assert_int_equal(rig->kind, ERR_OS);
    assert_string_equal(rig->text, "attest: the broker says no");
    assert_int_equal(rig->pod->n_tasks, 0);
}

/* The engine that asked is gone; another finds a container that is being created, for a VM that never comes up. */
static void a_start_that_hangs_can_be_killed_and_deleted(void **state)
{
    struct rig            *rig     = *state;
    Engine__CreateRequest  request = ENGINE__CREATE_REQUEST__INIT;
    struct ttrpc_method    method  = { &task_v2_service, "Create" };
    Engine__ProcessRequest other   = ENGINE__PROCESS_REQUEST__INIT;
    char                   path[512], id[] = "t1";
    struct err             err;

    null_machines.never_ready = true;
    (void) snprintf(path, sizeof path, "%s/single", rig->folder);
    request.id     = id;
    request.bundle = path;
    assert_true(ttrpc_connection_call(rig->engine, &method, &request.base, on_reply, rig, &err));
    while (!null_machines.last)
        assert_int_equal(ask(rig, "State", &other.base), ERR_NOT_FOUND);
    ttrpc_connection_free(rig->engine);
    pod_forget(rig->pod, rig->shim);
    ttrpc_connection_free(rig->shim);
    open_engine(rig);
    assert_int_equal(status_of(rig, "t1", ""), 1);
    begin_wait(rig, "t1", "");
    assert_int_equal(kill_with(rig, "t1", "", 9), ERR_NONE);
    assert_int_equal(end_wait(rig), 137);
    assert_int_equal(null_machines.freed, 1);
    assert_int_equal(on_process(rig, "Delete", "t1", ""), ERR_NONE);
    assert_int_equal(rig->pod->n_tasks, 0);
}

static void on_refused(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    (void) owner;
    assert_null(response);
    assert_string_equal(why->text, "the pod was ended");
}

/* Its output has no reader any more; once the guest has it, and once before. */
static void a_container_that_is_being_created_can_be_killed_and_deleted(void **state)
{
    struct rig           *rig     = *state;
    Engine__CreateRequest request = ENGINE__CREATE_REQUEST__INIT;
    struct ttrpc_method   method  = { &task_v2_service, "Create" };
    char                  path[512], out[512], id[] = "one";
    struct err            err;

    (void) snprintf(path, sizeof path, "%s/member", rig->folder);
    (void) snprintf(out, sizeof out, "%s/out", rig->folder);
    assert_int_equal(mkfifo(out, 0600), 0);
    assert_int_equal(create(rig, ENGINE_ID, "sandbox"), ERR_NONE);
    for (int is_early = 0; is_early < 2; is_early++) {
        request.id     = id;
        request.bundle = path;
        request.stdout = out;
        assert_true(ttrpc_connection_call(rig->engine, &method, &request.base, on_refused, rig, &err));
        while (!is_early && (!pod_find(rig->pod, id, "") || !pod_find(rig->pod, id, "")->is_in_guest))
            assert_int_equal(status_of(rig, ENGINE_ID, ""), 1);
        begin_wait(rig, id, "");
        assert_int_equal(kill_with(rig, id, "", 9), ERR_NONE);
        assert_int_equal(end_wait(rig), 137);
        assert_int_equal(status_of(rig, id, ""), 3);
        assert_int_equal(on_process(rig, "Delete", id, ""), ERR_NONE);
        assert_int_equal(rig->pod->n_tasks, 1);
    }
    assert_null(strstr(null_machines.asked, "StartContainer"));
}

static void an_engine_that_hangs_up_is_forgotten_and_another_goes_on(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(create(rig, "t1", "single"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "t1", ""), ERR_NONE);
    begin_wait(rig, "t1", "");
    assert_int_equal(status_of(rig, "t1", ""), 2);
    ttrpc_connection_free(rig->engine);
    pod_forget(rig->pod, rig->shim);
    ttrpc_connection_free(rig->shim);
    open_engine(rig);
    begin_wait(rig, "t1", "");
    assert_int_equal(kill_with(rig, "t1", "", 9), ERR_NONE);
    assert_int_equal(end_wait(rig), 137);
}

static void streams_go_through_fifos(void **state)
{
    struct rig            *rig     = *state;
    Engine__CreateRequest  request = ENGINE__CREATE_REQUEST__INIT;
    char                   bundle[512], out[512], in[512], id[] = "t1", text[16] = { 0 };
    AUTO(fd) int           reader = NO_FD, writer = NO_FD;

    (void) snprintf(bundle, sizeof bundle, "%s/single", rig->folder);
    (void) snprintf(out, sizeof out, "%s/out", rig->folder);
    (void) snprintf(in, sizeof in, "%s/in", rig->folder);
    assert_int_equal(mkfifo(out, 0600) + mkfifo(in, 0600), 0);
    reader = open(out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    request.id     = id;
    request.bundle = bundle;
    request.stdout = out;
    request.stdin  = in;
    assert_int_equal(ask(rig, "Create", &request.base), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "t1", ""), ERR_NONE);
    writer = open(in, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(writer >= 0);
    assert_int_equal(write(writer, "typed", 5), 5);
    while (null_machines.input.len < 5)
        assert_int_equal(status_of(rig, "t1", ""), 2);
    assert_memory_equal(null_machines.input.at, "typed", 5);
    begin_wait(rig, "t1", "");
    assert_int_equal(kill_with(rig, "t1", "", 9), ERR_NONE);
    assert_int_equal(end_wait(rig), 137);
    assert_int_equal(read(reader, text, sizeof text - 1), 4); /* all of it, before the end was told */
    assert_string_equal(text, "out\n");
    assert_int_equal(read(reader, text, sizeof text), 0);
}

static void what_a_vm_cannot_do_is_refused_with_the_reason(void **state)
{
    static const char *const methods[] = { "Pause", "Resume", "Checkpoint" };
    struct rig              *rig       = *state;

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(on_process(rig, methods[i], "t1", ""), ERR_UNSUPPORTED);
        assert_true(strlen(rig->text) > 20);
    }
}

static void without_initdata_and_development_nothing_starts(void **state)
{
    struct rig *rig = *state;

    rig->pod->settings.development = false;
    assert_int_equal(create(rig, "t1", "single"), ERR_CONFIG);
    assert_string_equal(rig->text, "initdata: the pod has no annotation io.cloister.initdata (cloister policy gen makes it), and "
                                   "this handler is not for development");
    assert_int_equal(null_machines.started, 0);
}

static void a_pod_that_wants_the_nodes_network_is_refused(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(create(rig, ENGINE_ID, "host-network"), ERR_UNSUPPORTED);
    assert_string_equal(rig->text, "config: the pod wants the node's network (hostNetwork): a VM has only what is moved into it");
    assert_int_equal(null_machines.started, 0);
}

static void a_pod_larger_than_the_handler_allows_is_refused(void **state)
{
    struct rig     *rig    = *state;
    struct pod_boot boot   = { .hostname = "", .limits = { .memory_bytes = UINT64_MAX / 2 } };
    struct pod_boot cpus   = { .hostname = "", .limits = { .cpu_quota_us = 6500000, .cpu_period_us = 100000 } };
    struct err      err;

    assert_false(pod_start_vm(rig->pod, &boot, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(pod_start_vm(rig->pod, &cpus, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "config: the pod wants 65 CPUs, at most 64 are possible");
    boot.limits = (struct spec_limits){ .memory_bytes = 100000001, .cpu_quota_us = 150000, .cpu_period_us = 100000 };
    assert_true(pod_start_vm(rig->pod, &boot, &err));
    assert_int_equal(null_machines.last->options.memory_mib, 512 + 96);
    assert_int_equal(null_machines.last->options.cpus, 2);
}

static void a_sandbox_without_a_pause_container(void **state)
{
    struct rig                  *rig    = *state;
    char                         network[] = "/run/netns/a";
    Engine__CreateSandboxRequest make   = ENGINE__CREATE_SANDBOX_REQUEST__INIT;
    Engine__SandboxRequest       which  = ENGINE__SANDBOX_REQUEST__INIT;
    Engine__StopSandboxRequest   stop   = ENGINE__STOP_SANDBOX_REQUEST__INIT;
    Engine__SandboxStatusRequest status = ENGINE__SANDBOX_STATUS_REQUEST__INIT;

    assert_int_equal(ask(rig, "StartSandbox", &which.base), ERR_CONFIG);
    assert_int_equal(ask(rig, "CreateSandbox", &make.base), ERR_UNSUPPORTED);
    assert_non_null(strstr(rig->text, "hostNetwork"));
    make.netns_path = network;
    assert_int_equal(ask(rig, "CreateSandbox", &make.base), ERR_NONE);
    assert_int_equal(ask(rig, "CreateSandbox", &make.base), ERR_CONFIG);
    assert_int_equal(ask(rig, "StartSandbox", &which.base), ERR_NONE);
    assert_int_equal(create(rig, "one", "member"), ERR_NONE);
    assert_int_equal(on_process(rig, "Start", "one", ""), ERR_NONE);
    assert_int_equal(ask(rig, "SandboxStatus", &status.base), ERR_NONE);
    assert_string_equal(((const Engine__SandboxStatusResponse *) rig->answer)->state, "SANDBOX_READY");
    assert_int_equal(ask(rig, "Platform", &which.base), ERR_NONE);
    assert_int_equal(ask(rig, "PingSandbox", &which.base), ERR_NONE);
    assert_int_equal(ask(rig, "SandboxMetrics", &which.base), ERR_UNSUPPORTED);
    assert_int_equal(ask(rig, "StopSandbox", &stop.base), ERR_NONE);
    assert_int_equal(null_machines.freed, 1);
    assert_int_equal(ask(rig, "WaitSandbox", &which.base), ERR_NONE);
    assert_int_equal(on_process(rig, "Delete", "one", ""), ERR_NONE);
    assert_int_equal(ask(rig, "ShutdownSandbox", &which.base), ERR_NONE);
    assert_true(rig->finished);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_container_is_one_vm_from_create_to_shutdown, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_pod_of_two_has_one_vm_and_ends_with_its_sandbox, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_process_is_run_in_a_container, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(ended_processes_that_nobody_deletes_make_room, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(signal_0_asks_and_ends_nothing, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_engine_without_events_finds_a_file_when_memory_ran_out, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_vm_is_as_large_as_its_pod_and_stays_so, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_guest_that_hangs_is_ended_with_all_its_processes, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(processes_whose_engine_is_gone_go_with_their_container, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(what_the_guest_denies_comes_through_and_leaves_nothing, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_exec_that_is_denied_can_be_deleted, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_vm_that_dies_ends_all_and_says_why, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_create_that_waits_for_a_vm_that_dies_is_refused, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_start_that_hangs_can_be_killed_and_deleted, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_container_that_is_being_created_can_be_killed_and_deleted, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_engine_that_hangs_up_is_forgotten_and_another_goes_on, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(streams_go_through_fifos, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(what_a_vm_cannot_do_is_refused_with_the_reason, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(without_initdata_and_development_nothing_starts, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_pod_that_wants_the_nodes_network_is_refused, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_pod_larger_than_the_handler_allows_is_refused, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_sandbox_without_a_pause_container, open_rig, close_rig),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
