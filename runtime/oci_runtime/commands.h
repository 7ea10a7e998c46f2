/* The commands of `cloister-runtime`, one function each. [runc(8), OCI-RUNTIME runtime.md Operations] */
#pragma once

#include "base/options.h"

struct globals { /* options in front of the command */
    const char *root, *settings, *log, *log_format;
    bool        debug, systemd_cgroup, has_json_log;
};

#define RUNTIME_COMMANDS(X) \
    X(create,  "make a container from a bundle; its VM boots") \
    X(start,   "start the process of a container") \
    X(run,     "create and start") \
    X(state,   "print a container's state as JSON") \
    X(kill,    "send a signal to a container's process") \
    X(delete,  "remove a container that has ended") \
    X(exec,    "run another process in a container") \
    X(list,    "print all containers") \
    X(ps,      "print the process that stands for a container") \
    X(pause,   "let a container's VM stand still") \
    X(resume,  "let it go on") \
    X(events,  "print what a container uses, as JSON") \
    X(update,  "refused: the size of a VM is part of what was measured") \
    X(checkpoint, "refused: it would hold the guest's memory in the clear") \
    X(features, "print what this runtime supports, as JSON") \
    X(spec,    "write a config.json to begin with")

/* Each gives the exit status, after one line on standard error where it is not 0. */
#define RUNTIME_DECLARE(name, about) int runtime_##name(const struct globals *g, int argc, char **argv);
RUNTIME_COMMANDS(RUNTIME_DECLARE)
#undef RUNTIME_DECLARE

/* What the commands share: an outcome that reads "cloister-runtime: what", into the log too where the engine reads it there. */
int  command_fail(const struct globals *g, const struct err *err);

/* Reads options, and wants exactly `n` operands; with --help nothing is left to do. False: `exit_code` is set. */
bool command_options(const struct globals *g, const struct option_table *table, int argc, char **argv, size_t n,
                     char ***operands, int *exit_code);
