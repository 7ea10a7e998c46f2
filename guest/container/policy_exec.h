/*
 * What may be run in a container after its first process. In an entry of policy.json, `exec` lists it: an argv, whole, which
 * then has the container's user, directory and environment; or
 *
 *   {"args":["id"],"user":"1000:1000","cwd":"/srv","env":["K=V"]}
 *
 * with these instead, each as the host asks for it: what is missing is the container's own. `env` is added to the container's.
 */
#pragma once

#include "base/json.h"

struct exec_wish { /* a request's, borrowed */
    char *const *args;
    size_t       n_args;
    bool         terminal;
    const char  *user; /* "UID:GID"; NULL or "": the container's, as the next */
    const char  *cwd;
    char *const *env;
    size_t       n_env;
};

/* Of an entry as it is read. Fails MALFORMED, LIMIT. */
FALLIBLE policy_check_exec(struct json_object *entry, struct err *err);

/* Whether the host asks for more than another argv. What a terminal brings with it, TERM=xterm, does not count. */
bool exec_wish_is_special(const struct exec_wish *wish);

/* Whether one of the rows of `list`, an entry's `exec`, is what is asked for. */
bool policy_exec_lists(struct json_object *list, const struct exec_wish *wish);
