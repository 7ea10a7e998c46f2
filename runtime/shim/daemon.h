/*
 * The process that stays for a pod: its socket, the engines that are connected to it, and the end when all is done.
 * [containerd runtime/v2 README]
 */
#pragma once

#include "runtime/shim/invocation.h"
#include "runtime/shim/pod.h"

struct daemon_options {
    const struct invocation     *invocation;
    const struct machine_driver *driver;
    const char                  *ttrpc_address; /* for events; "": none */
    const char                  *directory;     /* of this pod: holds its socket and its record */
    struct settings             *settings_take;
    int                          listener_take; /* a listening socket */
};

enum { DAEMON_PATH_MAX = 108 };
void daemon_socket_path(const char *directory, char out[static DAEMON_PATH_MAX]);
void daemon_record_path(const char *directory, char out[static DAEMON_PATH_MAX]);

/* Makes the directory, 0700, and listens in it, 0600. Fails OS, LIMIT. */
FALLIBLE daemon_listen(const char *directory, int *listener, struct err *err);

/* Serves until the engines are done with the pod, then leaves nothing behind. */
FALLIBLE daemon_run(const struct daemon_options *options, struct err *err);

/* Whether a pod's shim answers at its socket. */
bool     daemon_answers(const char *directory);

/*
 * Ends what a shim left that does not answer: processes by its record, redirections in the pod's network namespace, socket,
 * directory. One that is just ending, with
 * its socket closed already, is given time.
 */
FALLIBLE daemon_clean_up(const char *directory, struct err *err);

/*
 * Cleans up after every pod below `root` whose shim is dead and about which no engine asked: one that was killed while a
 * container was created may have been forgotten with its bundle. What cannot be cleaned up is left for the next time.
 * Returns how many there were.
 */
unsigned daemon_sweep(const char *root);
