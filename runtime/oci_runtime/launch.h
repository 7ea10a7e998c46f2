/* From a bundle to a monitor that runs, and from a process file to one more process: what `create` and `exec` fork. */
#pragma once

#include <sys/types.h>

#include "base/options.h"
#include "runtime/oci_runtime/container_state.h"

struct launch_options {
    const char *bundle, *pid_file, *console_socket; /* the latter two may be NULL */
    const char *settings;                           /* path of TOML, or NULL */
};

/*
 * Makes the container: reads config.json, finds or packs its image, forks the monitor, waits until the guest has the
 * container. On failure nothing is left.
 *
 *   monitor    a child of this process
 */
FALLIBLE launch_container(const char *root, const char *id, const struct launch_options *options, pid_t *monitor, struct err *err);

struct launch_exec_options {
    const char *process_file;  /* or else … */
    char      **args;          /* ended by NULL; with them, where they are given: */
    const char *user, *cwd;    /* "UID[:GID]", an absolute path; NULL: the container's */
    const struct option_list *env; /* "K=V", added to the container's; NULL: none */
    const char *pid_file, *console_socket;
    bool        terminal;
};
FALLIBLE launch_exec(const struct container_state *state, const struct launch_exec_options *options, pid_t *child, struct err *err);
