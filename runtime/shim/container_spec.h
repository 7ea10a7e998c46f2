/*
 * The parts of an OCI bundle's config.json that have any effect here: a closed set of annotations, argv, environment,
 * terminal, host name, limits, bind mounts (runtime/shim/volumes.h), block devices outside of /dev (runtime/shim/pod_disks.h), and
 * what a container may not see or has to have (runtime/shim/container_rights.h).
 * Everything else in it, hooks, other devices and paths of the host among it, is not looked at. [OCI-RUNTIME 1.x config]
 */
#pragma once

#include "base/json.h"
#include "runtime/shim/container_rights.h"
#include "runtime/shim/process_spec.h"

enum container_role {
    ROLE_SINGLE,   /* no pod: the container is its own */
    ROLE_SANDBOX,  /* the pod itself: the engine's pause container */
    ROLE_CONTAINER /* one of a pod that is there */
};

struct spec_limits { /* 0: none */
    uint64_t memory_bytes;
    uint64_t cpu_quota_us, cpu_period_us;
};

struct spec_mount {
    const char *source; /* on the host */
    const char *target; /* in the container */
    bool        read_only;
};

/* A block device that is to be found outside of /dev: what Kubernetes gives as a volumeDevice. */
struct spec_device {
    const char *path; /* in the container */
    unsigned    major, minor;
    bool        read_only;
};

struct container_spec {
    struct json_object *document; /* owns the texts */
    enum container_role role;
    const char         *sandbox_id;    /* NULL for ROLE_SINGLE */
    const char         *image_name;    /* as a person wrote it; NULL: the engine did not say */
    const char         *image_digests; /* CRI-O: "repo@sha256:…" or several, "…,…"; NULL */
    const char         *hostname;      /* "" when it has none of its own */
    const char         *initdata;      /* base64 of gzip of TOML; NULL */
    const char         *receipt;       /* a receipt is wanted when it has ended, with this nonce in hex; NULL: none */
    const char         *network;       /* path of the network namespace; NULL: none of its own */
    struct spec_mount  *mounts;        /* bind mounts of the host that are not the engine's own; the array is owned */
    size_t              n_mounts;
    struct spec_device *devices;       /* the array is owned */
    size_t              n_devices;
    struct spec_mount   termination;   /* the kubelet's file for a container's last words; its source NULL: none */
    bool                share_processes; /* a container of a pod: in the pod's PID namespace */
    const char         *cgroup;        /* cgroupsPath; NULL: none */
    struct process_spec process;
    struct container_rights rights;
    struct spec_limits  limits;        /* of the container */
    struct spec_limits  pod_limits;    /* of the pod, where the engine says them */
};

void container_spec_free(struct container_spec *spec);
static inline void auto_container_spec(struct container_spec *spec) { container_spec_free(spec); }

/*
 * Reads the JSON text.
 *
 *   out    yours, AUTO(container_spec); written only on success
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for a spec version that is not 1.x, for a pod in the host's PID namespace, and as
 * container_rights_read; CONFIG when both initdata annotations are set.
 */
FALLIBLE container_spec_read(struct bytes text, struct container_spec *out, struct err *err);

/* The resources of an update. Fails as that. */
FALLIBLE resources_read(struct bytes text, struct spec_limits *out, struct err *err);

/* The digest in "repo@sha256:…", or the first of a list; NULL when there is none. Borrowed; ends at a comma or zero. */
const char *image_reference_digest(const char *reference);
