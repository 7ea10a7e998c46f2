/*
 * One VM with its services: started, waited for until the guest has attested, called, ended. Everything runs on the
 * caller's loop. Nothing is left behind by sandbox_free, in whatever state it is called.
 */
#pragma once

#include "guest/api/connection.h"
#include "runtime/vmm/vm.h"

struct pod_link;
struct sandbox;

/* A persistent volume: the file is locked while the VM runs, for itself alone unless it is read-only. */
struct sandbox_volume {
    const char *name; /* at most 16 characters: the disk's serial is vol-NAME */
    const char *path; /* of a file or a block device */
    bool        read_only;
};

struct sandbox_files {
    const char *firmware, *kernel, *initrd; /* paths */
};

struct sandbox_options {
    struct loop         *loop;
    enum tee             tee;
    enum accelerator     accel;
    enum channel         channel;
    struct vm_binding    binding;        /* snp, tdx; the digest of the initdata is filled in here */
    unsigned             cpus, memory_mib;
    unsigned             scratch_mib;    /* disk that the guest may encrypt into, below TMPDIR or /var/tmp; 0: none */
    const struct vm_disk *disks;         /* what the guest is lent besides; used by sandbox_start only */
    size_t               n_disks;
    const struct sandbox_volume *volumes;
    size_t               n_volumes;
    bool                 has_shelf;      /* sandbox_lend may be called later */
    struct sandbox_files files;
    const char          *append;
    struct bytes         initdata;       /* the TOML text */
    const char          *broker_url;     /* where the tunnel leads */
    const char          *layout;         /* directory of an OCI layout whose blobs are served; NULL: none */
    const char          *more_blobs;     /* another, for blobs that the first lacks; NULL: none */
    bool               (*may_read)(void *owner, const char *digest); /* NULL: every blob of them */
    void               (*kept)(void *owner, const char *digest); /* the guest brought this blob into the cache; NULL: see blob_service.h */
    const char          *cache;          /* directory of the node's cache of ciphertext; NULL: none. See blob_service.h */
    uint64_t             cache_max;      /* bytes that it may hold */
    const char          *platform_keys;  /* simulated platform: its key directory */
    const struct pod_link *network;      /* of the pod; used by sandbox_start only. NULL: the guest has none */
    const char          *tpm_identity;   /* --tee tpm: folder of the TPM's seeds */
    uint32_t             boot_timeout_ms; /* until the agent has attested */
    int                  console_fd;     /* where console lines are copied to, or NO_FD */
    void               (*console_said)(void *owner, const char *line); /* each of them; NULL. Not the sandbox's owner: */
    void                *console_owner;

    /* The guest has attested and takes requests. */
    void (*ready)(void *owner);
    /* The VM or its agent ended, unasked for. `why` reads "phase: what". Called once; then only sandbox_free. */
    void (*ended)(void *owner, const struct err *why);
    void  *owner;
};

enum sandbox_state { SANDBOX_STARTING, SANDBOX_READY, SANDBOX_STOPPING, SANDBOX_ENDED };

/* Host-side milestones, in milliseconds of CLOCK_MONOTONIC. */
struct sandbox_times {
    uint64_t begin_ms;  /* sandbox_start was called */
    uint64_t launch_ms; /* the hypervisor process runs */
    uint64_t ready_ms;  /* the agent answered; 0 before */
};

/* All failures read "phase: what". */
FALLIBLE sandbox_start(const struct sandbox_options *options, struct sandbox **out, struct err *err);
FALLIBLE sandbox_call(struct sandbox *sandbox, const char *method, const ProtobufCMessage *request,
                      ttrpc_reply_fn *reply, void *owner, struct err *err);

/*
 * The guest's console of a debug image: what it writes goes to `fd` as it is from now on, and bytes are typed on it. A guest
 * that is no such image reads none of them. The second fails OS.
 */
void     sandbox_console_copy(struct sandbox *sandbox, int fd);
FALLIBLE sandbox_console_write(struct sandbox *sandbox, struct bytes typed, struct err *err);

/*
 * Lends a disk to a guest that runs: it has it when it asks, under `name` as a serial (guest/api/shelf.h). `fd` is
 * borrowed. Fails as shelf_put does; LIMIT when all SHELF_SLOTS places are taken.
 */
FALLIBLE sandbox_lend(struct sandbox *sandbox, const char *name, int fd, struct err *err);

/* True once the agent's connection is over: requests then fail, and `ended` tells why. */
bool sandbox_lost_agent(const struct sandbox *sandbox);

/* The end of the VM is wanted from now on: `ended` is then called with kind NONE. */
void                        sandbox_expect_end(struct sandbox *sandbox);
/* The processes that a sandbox consists of, for a record that survives their parent; 0: none. */
void                        sandbox_processes(const struct sandbox *sandbox, pid_t *vmm, pid_t *platform);
const struct sandbox_times *sandbox_times(const struct sandbox *sandbox);
void                        sandbox_free(struct sandbox *sandbox);
DEFINE_AUTO(sandbox, struct sandbox *, sandbox_free)

uint64_t monotonic_ms(void);
