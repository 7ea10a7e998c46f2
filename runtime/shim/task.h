/*
 * One process as an engine knows it: a container's first, or one that was run in it later. Its state, its streams, and
 * who waits for what. All of it is memory; what is asked of the guest is asked by `pod`.
 */
#pragma once

#include <time.h>

#include "guest/api/connection.h"
#include "runtime/shim/container_spec.h"
#include "runtime/shim/inlet.h"
#include "runtime/shim/limits.h"
#include "runtime/shim/outlet.h"

enum task_state {
    TASK_CREATING, /* the guest works, or its streams have no reader yet */
    TASK_CREATED,
    TASK_STARTING,
    TASK_RUNNING,
    TASK_STOPPING, /* it has ended; its output has not */
    TASK_STOPPED,
    TASK_DELETING,
    TASK_STATES
};

enum task_verb { TASK_START, TASK_KILL, TASK_EXEC, TASK_RESIZE, TASK_UPDATE, TASK_STATS, TASK_DELETE, TASK_VERBS };

/* Fails CONFIG, or NOT_FOUND where engines expect that, for what a state does not allow. */
FALLIBLE task_may(enum task_state state, enum task_verb verb, struct err *err);

bool task_is_alive(enum task_state state); /* it has not ended */

/* As StateResponse numbers them: 1 created, 2 running, 3 stopped. */
int32_t task_status(enum task_state state);

enum receipt_step { RECEIPT_DONE /* or not wanted */, RECEIPT_WANTED, RECEIPT_ASKED };

enum { GUEST_ID_MAX = 64, TASK_OUTLETS = 2, KILLED_STATUS = 137 };

struct pod;
struct volume_watch;

struct task {
    struct task          *next;
    struct pod           *pod;
    char                 *id, *exec;  /* the engine's; exec is "" for a container */
    char                  guest_id[GUEST_ID_MAX + 1], guest_exec[GUEST_ID_MAX + 1];
    char                 *bundle, *paths[3];
    bool                  terminal;
    enum task_state       state;
    struct container_spec spec;       /* of a container */
    struct json_object   *process;    /* owns what `command` borrows: of an exec */
    struct process_spec   command;
    char                 *digest;     /* of the image's manifest */
    bool                  is_in_guest; /* the guest knows it */
    bool                  is_killed;   /* while it was created: it ends as stopped, to be deleted */
    bool                  is_removed;  /* lives on until its calls are back */
    unsigned              n_calls;     /* to the guest, on its behalf */
    unsigned              n_unopened; /* outlets */
    unsigned              n_streaming; /* outlets whose guest stream has not ended */
    struct outlet         outlets[TASK_OUTLETS];
    struct inlet          inlet;
    struct volume_watch  *watch;      /* of a container's volumes; NULL: none */
    struct loop_source    layer_wait; /* armed while a layer of its image is on its way to the node */
    uint64_t              n_layer_waits;
    struct loop_source    drain;      /* gives output time after the end */
    struct loop_source    signal_patience, end_patience; /* patience.h */
    enum receipt_step     receipt;    /* of a container: before its end is told */
    uint32_t              exit_status;
    bool                  ran_out_of_memory;
    struct timespec       exited_at;
    struct ttrpc_pending  pending;    /* Create, Start or Delete, while the guest works on it */
    struct ttrpc_pending  waiters[SHIM_WAITERS_MAX];
    size_t                n_waiters;
};

/* The guest's name for an engine's id: the id itself where it is one, else its SHA-256. */
void guest_id_of(const char *id, char out[static GUEST_ID_MAX + 1]);

struct task *task_new(struct pod *pod, const char *id, const char *exec);
void         task_free(struct task *task); /* tells no one */
bool         task_add_waiter(struct task *task, struct ttrpc_pending pending); /* false: too many */
/* Tokens of a connection that is about to be freed are void. */
void         task_forget(struct task *task, const struct ttrpc_connection *connection);
