/* Every bound that host or image can push against here, with its unit and its reason. */
#pragma once

enum {
    CONTAINERS_MAX          = 16,        /* at once, in one guest */
    CONTAINER_IDS_MAX       = 256,       /* ever used: an id is good once */
    CONTAINER_ID_MAX        = 64,        /* characters: what engines use, SHA-256 in hex */
    CONTAINER_EXECS_MAX     = 16,        /* processes that were run in one container and are not deleted yet */
    CONTAINER_IMAGE_MAX     = 71,        /* characters: "sha256:" and 64 hex digits */
    CONTAINER_MOUNTED_MAX   = 63,        /* characters: a path of our own */
    HOSTNAME_LEN_MAX        = 63,        /* characters: a DNS label */
    CONTAINER_WAITERS_MAX   = 8,         /* WaitContainer requests on one container */
    CONTAINER_ARGS_MAX      = 4096,      /* strings of argv or env, image and request together */
    CONTAINER_TEXT_MAX      = 128 << 10, /* bytes of one of them; the kernel's MAX_ARG_STRLEN */
    OUTPUT_BUFFER_MAX       = 1 << 20,   /* bytes of one stream that wait for the host; then the container waits */
    POLICY_LEN_MAX          = 256 << 10, /* bytes of policy.json, and of policy.rego */
    RULES_MEMORY_MAX        = 32 << 20,  /* bytes while policy.rego is compiled, and of one decision */
    POLICY_CONTAINERS_MAX   = 64,
    POLICY_EXECS_MAX        = 256,       /* argvs of one container */
    HIDDEN_PATHS_MAX        = 256,       /* masked paths of one container, and read-only ones; engines list some for each CPU */
    USER_FILE_MAX           = 1 << 20,   /* bytes of the image's passwd or group */
    USER_GROUPS_MAX         = 64,        /* supplementary groups of a user */
    CRUN_LOG_MAX            = 4096       /* bytes of crun's own log that are looked at */
};
