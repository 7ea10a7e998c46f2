/*
 * One pod: its VM and its processes, by what engines ask of them. Everything runs on the loop; what the guest has to do
 * is answered later, with the token of the request. Guests are hostile: a reply may come late, twice or never.
 */
#pragma once

#include "runtime/shim/image_blobs.h"
#include "runtime/shim/image_note.h"
#include "runtime/shim/machine.h"
#include "runtime/shim/pod_disks.h"
#include "runtime/shim/pod_files.h"
#include "runtime/shim/publisher.h"
#include "runtime/shim/record.h"
#include "runtime/shim/task.h"

enum pod_state {
    POD_NEW,
    POD_BOOTING,
    POD_READY,
    POD_ENDED /* its VM is gone, and no other will be made */
};

struct pod_options {
    struct loop                 *loop;
    const struct machine_driver *driver;
    const char                  *namespace, *ttrpc_address;
    const char                  *record_path;     /* state file; NULL: none is kept */
    bool                       (*engine_is_here)(void *owner);
    void                       (*finished)(void *owner); /* Shutdown was asked for and nothing is left */
    void                        *owner;
};

struct call;

struct pod {
    struct pod_options    options;
    struct settings       settings;
    enum pod_state        state;
    uint32_t              pid;       /* of this process: engines ask for it all the time */
    struct machine       *machine;   /* NULL before and after its life */
    struct loop_source    farewell;  /* frees a machine outside of its own callbacks */
    struct publisher     *publisher;
    struct task          *tasks;
    size_t                n_tasks;
    struct call          *calls;     /* of ours to the guest */
    unsigned              cpus, memory_mib; /* of its VM */
    char                 *hostname;
    char                 *network;   /* path of the namespace that its VM is joined to; NULL: none */
    struct pod_cgroup     cgroup;    /* of its VM */
    char                 *store;     /* containerd's folder of blobs; NULL: not known */
    struct image_blobs    blobs;     /* that the guest may read */
    struct pod_disks      disks;     /* that it is lent */
    struct loop_source    closing;   /* armed while the guest closes its volumes */
    uint32_t              closing_status;
    struct err            end;       /* why the VM ended */
    uint32_t              end_status; /* of what ran then */
    struct timespec       started_at, ended_at;
    struct kept_sysctls   sysctls;    /* that its containers are to have */
    struct pod_files      files;      /* of a pod that was made by the sandbox interface */
    bool                  is_sandbox; /* made by the sandbox interface: it lives without a container */
    struct ttrpc_pending  starter, stopper, waiters[SHIM_WAITERS_MAX]; /* requests of that interface */
    size_t                n_waiters;
    void                (*on_ready)(struct pod *pod, const struct err *why); /* of the sandbox interface; NULL: none waits */
    void                (*on_ended)(struct pod *pod);
};

/* `settings` is taken. */
FALLIBLE pod_new(const struct pod_options *options, struct settings *settings_take, struct pod **out, struct err *err);
void     pod_free(struct pod *pod);
DEFINE_AUTO(pod, struct pod *, pod_free)

struct task *pod_find(struct pod *pod, const char *id, const char *exec);
void         pod_forget(struct pod *pod, const struct ttrpc_connection *connection);

/* What a VM is made from. All borrowed for the call. */
struct pod_boot {
    const char        *initdata; /* base64 of gzip of TOML; NULL: the pod has none */
    const char        *hostname, *network, *blobs;
    const char        *cgroup;   /* of pod_cgroup_path; NULL or "": none */
    struct spec_limits limits;
};

/*
 * Starts the VM. Fails CONFIG when there is no initdata and the handler is none for development, LIMIT, OS, …; else the
 * outcome is told to whoever waits.
 */
FALLIBLE pod_start_vm(struct pod *pod, const struct pod_boot *boot, struct err *err);

/* Fails UNSUPPORTED: for a pod whose engine gave it no network namespace of its own. */
FALLIBLE pod_refuse_host_network(struct err *err);

/* Ends the VM, soon; every process that runs ends with `status` then. */
void pod_end_vm(struct pod *pod, uint32_t status, const struct err *why);

/* The same, once the guest has closed its volumes and powered off, if it has any. */
void pod_close_vm(struct pod *pod, uint32_t status);

void pod_write_record(const struct pod *pod); /* says in the log when it cannot */

/* Each answers or refuses `pending`, at once or later. Borrowed for the call. */
void pod_create(struct pod *pod, struct ttrpc_pending pending, const Engine__CreateRequest *asked);
void pod_exec(struct pod *pod, struct ttrpc_pending pending, const Engine__ExecRequest *asked);
void pod_start(struct pod *pod, struct ttrpc_pending pending, const Engine__ProcessRequest *asked);
void pod_kill(struct pod *pod, struct ttrpc_pending pending, const Engine__KillRequest *asked);
void pod_delete(struct pod *pod, struct ttrpc_pending pending, const Engine__ProcessRequest *asked);
void pod_resize(struct pod *pod, struct ttrpc_pending pending, const Engine__ResizePtyRequest *asked);
void pod_update(struct pod *pod, struct ttrpc_pending pending, const Engine__UpdateRequest *asked);
void pod_stats(struct pod *pod, struct ttrpc_pending pending, const Engine__ProcessRequest *asked);

/* ---- between the files of the pod ---- */

/* What came back of a call. */
struct reply {
    size_t                  which;    /* as given */
    struct ttrpc_pending    pending;  /* as given */
    const ProtobufCMessage *response; /* NULL: it failed */
    const struct err       *why;
};

/* Told once, unless the VM ends before: then the token is refused and all tasks end. */
typedef void call_done_fn(struct task *task, const struct reply *reply);

struct call_request {
    const char             *method;
    const ProtobufCMessage *request;
    call_done_fn           *done;
    size_t                  which;
    struct ttrpc_pending    pending; /* an engine's request that waits for it; none where the task keeps it */
};

/* A call to the guest on behalf of a task. */
FALLIBLE pod_call(struct task *task, const struct call_request *request, struct err *err);
/* Engines whose signals the guest has not confirmed are told that they were sent. Returns whether there were any. */
bool     pod_answer_signals(struct task *task);
void     pod_on_signalled(struct task *task, const struct reply *reply); /* the outcome of such a call */
void     pod_add_task(struct pod *pod, struct task *task);
void     pod_remove_task(struct task *task); /* frees it, now or when its calls are back */

/* Streams and end of a process that runs from now on. */
void relay_start(struct task *task);
void relay_exited(struct task *task, uint32_t status); /* its end is told now, whatever its output does */
void relay_finish(struct task *task); /* tells its end, unless something is still wanted of it */
void relay_give_time(struct task *task, uint32_t ms); /* until what is held open, not read or not given no longer counts */
bool relay_ask_receipt(struct task *task); /* false: there will be none */
void relay_answer_wait(const struct task *task, struct ttrpc_pending pending);

/* The first of a task that has its streams and its place in the guest; continues what was asked. */
void task_vm_is_ready(struct task *task);
void task_lend_layers(struct task *task); /* of its image, as far as they are there now */
FALLIBLE task_kill_created(struct task *task, uint32_t signal_number, struct err *err); /* told as its end when it is done */
void task_vm_failed(struct task *task, const struct err *why);
