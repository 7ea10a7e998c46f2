/*
 * What a pod leaves on disk so that others can find it, and end it when its shim is dead: the processes, each by number
 * and start time, since a number alone may be someone else's by now.
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "runtime/shim/pod_cgroup.h"

struct process_mark {
    pid_t    pid;   /* 0: none */
    uint64_t start; /* clock ticks after boot, field 22 of /proc/PID/stat [proc(5)] */
};

enum { RECORD_NETWORK_MAX = 512 };

struct record {
    struct process_mark shim, vmm, platform;
    char                network[RECORD_NETWORK_MAX]; /* path of the namespace whose interfaces are redirected; "": none */
    struct pod_cgroup   cgroup; /* of the VM */
};

/* Fails NOT_FOUND when there is no such process, or only its remains. */
FALLIBLE process_mark_of(pid_t pid, struct process_mark *out, struct err *err);
bool     process_mark_lives(const struct process_mark *mark);
/* Waits for its end, at most so long; true when it has ended. */
bool     process_mark_await(const struct process_mark *mark, int timeout_ms);
/* SIGKILL, if it is still that process; waits up to a second for its end. */
void     process_mark_kill(const struct process_mark *mark);

/* The start time in the text of /proc/PID/stat; its name, in parentheses, may hold anything. Fails NOT_FOUND for a zombie. */
FALLIBLE process_stat_read(struct bytes text, uint64_t *start, struct err *err);

/* Fails MALFORMED, LIMIT. */
FALLIBLE record_read(struct bytes text, struct record *out, struct err *err);
void     record_write(const struct record *record, struct buffer *out);

/*
 * The directory of a pod below `root`: "root/HEX", the same for the same engine, namespace and sandbox, and short enough
 * for a socket's path.
 */
enum { RECORD_PATH_MAX = 96 };
FALLIBLE record_directory(const char *root, const char *address, const char *namespace, const char *sandbox,
                          char out[static RECORD_PATH_MAX], struct err *err);
