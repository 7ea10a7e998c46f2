/*
 * The containers of one guest and their life: created, running, stopped, deleted; ids are good once. crun does the
 * work; what it is told is composed in `oci`. Everything here runs on the loop of PID 1.
 */
#pragma once

#include "guest/api/connection.h"
#include "guest/container/cgroup.h"
#include "guest/container/late_signals.h"
#include "guest/container/policy.h"
#include "guest/container/streams.h"
#include "guest/init/reaper.h"
#include "keys/ocicrypt/image_config.h"

enum container_state {
    CONTAINER_NEW,      /* its root directory is being filled */
    CONTAINER_CREATING, /* crun works */
    CONTAINER_CREATED,
    CONTAINER_STARTING, /* crun works */
    CONTAINER_RUNNING,
    CONTAINER_STOPPED,
    CONTAINER_DELETING  /* crun works */
};

const char *container_state_name(enum container_state state);

struct container;
struct containers;

/* The outcome of what was asked with `pending`; `why` is NULL when it was done. Told once. */
typedef void container_done_fn(void *owner, struct container *container, struct ttrpc_pending pending,
                               const struct err *why);

/* The first process of a container, or one that was run in it later. */
struct container_process {
    struct container     *container;
    char                  id[CONTAINER_ID_MAX + 1]; /* "" for the first */
    unsigned              slot;      /* names its files */
    pid_t                 pid;       /* 0 before it runs and after it was reaped */
    int                   exit_code; /* valid when has_ended */
    bool                  has_ended;
    struct streams        streams;
    struct ttrpc_pending  readers[STREAMS]; /* none waits when it is not pending */
    size_t                reader_most[STREAMS];
    struct ttrpc_pending  writer;
    struct ttrpc_pending  waiters[CONTAINER_WAITERS_MAX];
    size_t                n_waiters;
    uid_t                 uid;     /* whom it runs as; of the first, the container's */
    gid_t                 gid;
    container_done_fn    *done;    /* of the exec that goes on */
    struct ttrpc_pending  pending; /* likewise */
};

struct container {
    struct containers        *all;
    char                      id[CONTAINER_ID_MAX + 1];
    enum container_state      state;
    uint64_t                  unpacked_ms; /* for the timeline of its owner */
    struct policy_grant       grant;
    char                      image[CONTAINER_IMAGE_MAX + 1]; /* its manifest's digest, as it was asked for or found by name */
    char                      mounted[CONTAINER_MOUNTED_MAX + 1]; /* the first of what its root shows below its own writes; "": nothing yet */
    char                      volumes[VOLUME_DISKS_MAX][VOLUME_DISK_NAME_MAX + 1]; /* persistent ones that it may write */
    size_t                    n_volumes;
    struct cgroup_limits      limits;
    bool                      is_deleted; /* by crun */
    bool                      has_terminal;
    bool                      shares_processes;
    bool                      has_last_words; /* policy lets the host read its termination log */
    char                      trees[VOLUME_TREES_MAX][VOLUME_PATH_MAX + 1]; /* paths of its volumes of files; "": none */
    uid_t                     uid;
    gid_t                     gid;
    struct json_object       *template;  /* the `process` of its configuration; what is run later follows it */
    struct container_process  first;
    struct late_signals       late; /* to the first */
    struct container_process *execs[CONTAINER_EXECS_MAX];
    container_done_fn        *done;    /* of the work that goes on */
    struct ttrpc_pending      pending; /* likewise */
};

struct containers_options {
    struct loop    *loop;
    struct reaper  *reaper;
    const char     *directory; /* "/run/containers": one directory for each container below it */
    const char     *crun;      /* path of the program */
    output_more_fn *more;      /* owner: the process */
    void          (*ended)(void *owner, struct container_process *process);
    void           *owner;     /* of `ended` and of every done function */
    const char     *cgroups;   /* "/sys/fs/cgroup/containers"; NULL: none are looked at */
    const char     *pod_init;  /* program that is the first in a PID namespace that containers share */
    const char     *sysctls;   /* "/proc/sys" */
};

FALLIBLE containers_new(const struct containers_options *options, struct containers **out, struct err *err);
const struct containers_options *containers_options(const struct containers *all);

struct container *containers_find(struct containers *all, const char *id); /* NULL when there is none */
size_t            containers_count(const struct containers *all);
/* By the number of its control group, the st_ino of the group's directory; NULL when there is none. */
struct container *containers_find_cgroup(struct containers *all, uint64_t cgroup);

/*
 * Adds a container with an empty root directory.
 *
 * Fails MALFORMED for an id that is no plain name, DENIED for one used before, LIMIT, OS.
 */
FALLIBLE containers_add(struct containers *all, const char *id, struct policy_grant grant, struct container **out,
                        struct err *err);

/*
 * Where the images are that containers other than `but` show: the first that container_mount_root was told; borrowed. False when one of
 * them has none yet, so that not all are known.
 */
bool containers_images(struct containers *all, const struct container *but, char *out[static CONTAINERS_MAX], size_t *n);

/* What every id has to be: 1 to CONTAINER_ID_MAX of a-z, 0-9 and, not first, -. Fails MALFORMED. */
FALLIBLE container_id_check(const char *id, struct err *err);

/* Path of the root directory, valid until the next call. */
const char *container_root(const struct container *container);

/*
 * Makes the root show the image, which others may show too: the folders `lower`, the top first, with the container's own writes
 * in memory above them. The root is empty so far. Fails LIMIT, OS.
 */
FALLIBLE container_mount_root(struct container *container, char *const *lower, size_t n, struct err *err);

/* The process of that id, "" for the first; NULL when there is none. */
struct container_process *container_process_find(struct container *container, const char *id);

/* Each of these fails CONFIG in a state that does not allow it, or OS; else `done` is told later. */
struct container_command {
    const struct image_config *image;
    char *const               *args;
    size_t                     n_args;
    char *const               *env;
    size_t                     n_env;
    bool                       is_whole; /* args are not the image's entry point's, but all */
    bool                       terminal;
    const char                *hostname; /* NULL or "": from the id */
    bool                       share_processes; /* with the others of the pod that do */
    const struct volumes      *volumes;  /* checked, and allowed by policy, as the next; NULL: none */
    const struct hidden_paths *hidden;
    const struct pod_sysctls  *sysctls;
};
FALLIBLE container_create(struct container *container, const struct container_command *command,
                          container_done_fn *done, struct ttrpc_pending pending, struct err *err);
FALLIBLE container_start(struct container *container, container_done_fn *done, struct ttrpc_pending pending,
                         struct err *err);
/* Kills what still runs. After `done` the container is gone. */
FALLIBLE container_delete(struct container *container, container_done_fn *done, struct ttrpc_pending pending,
                          struct err *err);

/*
 * Removes one whose root could not be filled or that crun refused; no process of it exists. Whoever waits for its end
 * hears that it never ran.
 */
void container_discard(struct container *container);
/* Whoever still waits for something of this process hears NOT_FOUND, and why. */
void container_process_dismiss(struct container_process *process, const char *why);

/* Fails CONFIG when it does not run, MALFORMED for a number that is no signal. */
FALLIBLE container_signal(struct container_process *process, uint32_t signal_number, bool all, struct err *err);

/* What the kernel counts of it. Fails UNSUPPORTED where no control groups are, OS. */
FALLIBLE container_stats(const struct container *container, struct cgroup_stats *out, struct err *err);
/* Other files take the place of a volume's. Fails NOT_FOUND, CONFIG before it was created, OS. */
FALLIBLE container_update_volume(struct container *container, const char *path, const struct volume_file *files, size_t n,
                                 struct err *err);
/* Appends the end of what the container wrote into its termination log; nothing unless policy lists that. */
void container_last_words(const struct container *container, struct buffer *out);
/* Fails CONFIG in a state without processes, LIMIT, UNSUPPORTED, OS. */
FALLIBLE container_update(struct container *container, const struct cgroup_limits *limits, struct err *err);
