/*
 * What an engine says of a container's rights that a guest takes up: paths that it is not to see or not to write, and kernel
 * settings of its pod. More capabilities than engines give by default are refused, and so a privileged container is: a
 * guest's containers never have them, and one that went on without would fail later and say something else.
 */
#pragma once

#include "base/json.h"
#include "guest/api/agent.pb-c.h"
#include "guest/api/sysctl.h"

struct container_rights { /* texts borrow from the document; the two arrays of paths are owned */
    char        **masked, **readonly;
    size_t        n_masked, n_readonly;
    struct sysctl sysctls[SYSCTLS_MAX];
    size_t        n_sysctls;
};
void container_rights_free(struct container_rights *rights);

/*
 *   process, os    the members `process` and `linux` of config.json; NULL: none
 *   is_run         something runs in it: it is no pod, which only holds containers
 *   out            yours, also on failure
 *
 * Fails UNSUPPORTED for capabilities that no container of a guest has and for kernel settings that are no pod's; MALFORMED, LIMIT.
 */
FALLIBLE container_rights_read(struct json_object *process, struct json_object *os, bool is_run, struct container_rights *out, struct err *err);

/*
 * Of a process only; `is_masked`: there are paths that it is not to see, which a privileged one has not. Fails UNSUPPORTED,
 * MALFORMED, LIMIT.
 */
FALLIBLE container_rights_check(struct json_object *process, bool is_masked, struct err *err);

/* A pod's kernel settings, kept for the containers that come later. */
struct kept_sysctls {
    char  *names[SYSCTLS_MAX], *values[SYSCTLS_MAX]; /* owned */
    size_t n;
};
/* Adds a copy. Fails UNSUPPORTED, MALFORMED, LIMIT, as sysctl_check. */
FALLIBLE kept_sysctls_add(struct kept_sysctls *kept, const struct sysctl *sysctl, struct err *err);
void     kept_sysctls_free(struct kept_sysctls *kept);
static inline void auto_kept_sysctls(struct kept_sysctls *kept) { kept_sysctls_free(kept); }

/*
 * Puts both into the request.
 *
 *   pod     NULL: none; the container's own are stronger
 *   room    that the request borrows from
 */
struct rights_room {
    Agent__Sysctl rows[2 * SYSCTLS_MAX], *at[2 * SYSCTLS_MAX];
};
void container_rights_ask(const struct container_rights *rights, const struct kept_sysctls *pod, struct rights_room *room,
                          Agent__CreateContainerRequest *request);
