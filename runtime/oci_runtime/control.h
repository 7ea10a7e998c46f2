/*
 * Between the commands and a container's monitor: one JSON object per packet on a UNIX socket in the container's folder,
 * with descriptors beside it. Both ends are this program; the folder is root's.
 */
#pragma once

#include "base/json.h"

enum { CONTROL_LEN_MAX = 192 << 10, CONTROL_FDS_MAX = 3 }; /* an exec's argv is the largest */

/* "DIRECTORY/control"; however long DIRECTORY is. */
FALLIBLE control_listen(const char *directory, int *fd, struct err *err);
/* Fails NOT_FOUND when no monitor listens any more. */
FALLIBLE control_connect(const char *directory, int *fd, struct err *err);

FALLIBLE control_send(int fd, struct json_object *message, const int *fds, size_t n_fds, struct err *err);
/*
 *   fds    with room for CONTROL_FDS_MAX; yours, each or NO_FD
 *
 * Fails NOT_FOUND when the other end is gone, MALFORMED, LIMIT.
 */
FALLIBLE control_receive(int fd, struct json_object **out, int fds[static CONTROL_FDS_MAX], struct err *err);

/* Sends a request and waits for its answer. Fails as the answer's "error" says, with kind CONFIG. */
FALLIBLE control_ask(const char *directory, struct json_object *request, struct json_object **answer, struct err *err);
