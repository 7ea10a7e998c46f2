/*
 * The configuration that crun gets, composed here from the verified image configuration and what policy allowed.
 * Nothing of it is copied from the host. [OCI-RUNTIME 1.1]
 */
#pragma once

#include "guest/container/hidden_paths.h"
#include "guest/container/pod_sysctls.h"
#include "guest/container/privileges.h"
#include "guest/container/volumes.h"
#include "keys/ocicrypt/image_config.h"

struct oci_request {
    const char                *id;
    const struct image_config *image;
    const struct user         *user;       /* with the groups that policy adds */
    struct privileges          privileges; /* zeros: the default capabilities */
    const char                *root; /* path of the root directory */
    char *const               *args; /* n_args == 0: the image's command */
    size_t                     n_args;
    char *const               *env;  /* added to the image's, and stronger */
    size_t                     n_env;
    bool                       is_whole; /* args are the whole argv: the image's entry point is not put in front */
    bool                       terminal;
    bool                       read_only_root;
    const char                *cwd;      /* NULL: the image's */
    const char                *hostname;
    const char                *processes; /* path of the PID namespace that it shares; NULL: its own */
    const struct volumes      *volumes; /* checked and made; NULL: none */
    const struct volume_places *places; /* where they were made */
    struct json_object        *masked_paths, *readonly_paths; /* policy's; NULL: none */
    const struct hidden_paths *hidden;  /* the host's; NULL: none */
    const struct pod_sysctls  *sysctls; /* of both; NULL: none */
};

/*
 * Appends the JSON text of config.json.
 *
 *   process    yours: the part that describes the process, for those that are run in the container later
 *
 * Fails CONFIG when there is no command, MALFORMED for an environment entry without a name and for a working
 * directory that is not absolute, LIMIT.
 */
FALLIBLE oci_compose(const struct oci_request *request, struct buffer *json, struct json_object **process,
                     struct err *err);

/* Whether an environment sets the variable that `entry`, "NAME=VALUE", sets. */
bool oci_env_has(const char *const *entries, size_t n, const char *entry);

/* A process that is run later, where it differs from the first. */
struct oci_exec {
    char *const       *args;
    size_t             n_args;
    bool               terminal;
    const struct user *user; /* with the groups that policy adds; NULL: the same */
    struct privileges  privileges;
    const char        *cwd;  /* NULL: the same */
    char *const       *env;  /* added to the container's, and stronger */
    size_t             n_env;
};

/* Appends the JSON text of the process. Fails LIMIT, CONFIG, MALFORMED as oci_compose. */
FALLIBLE oci_compose_exec(struct json_object *process, const struct oci_exec *exec, struct buffer *json, struct err *err);
