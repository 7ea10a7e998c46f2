/*
 * What a pod needs of its VM, behind a table: the real one is a sandbox under QEMU; tests and benchmarks of the shim put
 * in one that only answers.
 */
#pragma once

#include "guest/api/connection.h"
#include "runtime/shim/settings.h"

struct machine_options {
    struct loop           *loop;
    const struct settings *settings;
    unsigned               cpus, memory_mib;
    struct bytes           initdata; /* TOML text; borrowed for the start */
    const char            *blobs;    /* directory with blobs/sha256/…, or NULL */
    const char            *more_blobs; /* another, or NULL */
    const char            *cache;    /* the node's, where what the guest pulled is kept for the next; NULL: none */
    uint64_t               cache_max; /* bytes of it */
    bool                   has_shelf; /* `lend` may be called */
    bool (*may_read)(void *owner, const char *digest);  /* which of them the guest gets */
    void (*kept)(void *owner, const char *digest);      /* what it brought into `cache` */
    const char            *network;  /* path of a network namespace, or NULL */
    void (*ready)(void *owner);                         /* the guest has attested and takes requests */
    void (*ended)(void *owner, const struct err *why);  /* unasked for; once; then only free */
    void  *owner;
};

struct machine; /* of the driver */

struct machine_driver {
    bool (*start)(const struct machine_options *options, struct machine **out, struct err *err);
    bool (*call)(struct machine *machine, const char *method, const ProtobufCMessage *request, ttrpc_reply_fn *reply,
                 void *owner, struct err *err); /* of cloister.agent.v1.Agent */
    bool (*lend)(struct machine *machine, const char *name, int fd, struct err *err); /* as sandbox_lend */
    bool (*is_lost)(const struct machine *machine); /* calls fail because the guest is gone; `ended` will say why */
    void (*processes)(const struct machine *machine, pid_t *vmm, pid_t *platform); /* 0: none */
    void (*free)(struct machine *machine); /* the VM is gone afterwards; calls that wait are never told */
};

extern const struct machine_driver sandbox_machine;
