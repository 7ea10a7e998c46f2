/* Every bound that an engine, a person's configuration or a guest can push against here, with its unit and reason. */
#pragma once

enum {
    SHIM_ID_MAX          = 128,      /* characters of an engine's id: containerd has 76 */
    SHIM_SPEC_MAX        = 2 << 20,  /* bytes of config.json: Kubernetes allows 256 KiB of annotations */
    SHIM_SETTINGS_MAX    = 64 << 10, /* bytes of a handler's configuration */
    SHIM_RESOURCES_MAX   = 16 << 10, /* bytes of CRI-O's text of a pod's limits: it may list huge pages and cgroup files */
    SHIM_RECORD_MAX      = 8192,     /* bytes of the state file */
    SHIM_STRINGS_MAX     = 4096,     /* entries of argv or env */
    SHIM_MOUNTS_MAX      = 512,      /* entries of mounts, of devices, of rules about devices */
    SHIM_TASKS_MAX       = 128,      /* containers and processes of one pod at once */
    SHIM_ENDED_MAX       = 8,        /* ended processes of a container that no engine has deleted: a guest has 16 in all */
    SHIM_WAITERS_MAX     = 32,       /* Wait requests on one process; containerd has two */
    SHIM_CONNECTIONS_MAX = 128,      /* of engines: containerd has one per container */
    SHIM_EVENTS_MAX      = 1024,     /* events that wait for an engine that is away; then the oldest is dropped */
    SHIM_OPTIONS_MAX     = 1 << 20,  /* bytes of standard input at start */
    SHIM_FIFO_WAIT_MS    = 10000,    /* for a reader of an output FIFO; then its output is dropped */
    SHIM_FIFO_RETRY_MS   = 5,
    SHIM_DRAIN_MS        = 1000,     /* for output that is still held open after its process ended */
    SHIM_SIGNAL_MS       = 3000,     /* for a guest to say that it had a signal; then engines hear that it was sent */
    SHIM_HANG_UP_MS      = 3000,     /* for engines to hang up after Shutdown */
    SHIM_EVENT_RETRY_MS  = 500,
    SHIM_ENGINE_WAIT_MS  = 10000,    /* for containerd's answer about an image */
    SHIM_LAYER_WAIT_MS   = 90000,    /* for a layer that the node fetches; engines wait 120 s for a container */
    SHIM_LAYER_RETRY_MS  = 100,
    SHIM_RECEIPT_WAIT_MS = 300000,   /* for a receipt, for which a guest reads what is in volumes */
    SHIM_CLOSE_WAIT_MS   = 30000,    /* for a guest to close its volumes and power off */
    SHIM_BLOCK           = 64 << 10, /* bytes of output or input that are moved at once */
};
