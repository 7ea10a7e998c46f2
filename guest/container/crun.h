/* How crun is called: for one container, with descriptors for its process, and what it said when it failed. */
#pragma once

#include "guest/container/container.h"

enum { CONTAINER_PATH_MAX = 256 };

/* "directory/id/name"; sized for the longest id. */
void container_path(const struct container *container, const char *name, char out[static CONTAINER_PATH_MAX]);

/* `verb` and its options end with NULL; the id is added. `fds` become 0, 1 and 2 of crun and of what it starts. */
FALLIBLE crun_run(struct container *container, const char *const *verb, const int fds[static 3],
                  reaper_ended_fn *ended, void *owner, struct err *err);

/* Fills `err` with the last line of what crun logged; false. */
bool crun_failed(const struct container *container, struct err *err);

/* The number that crun wrote to the file of that name. */
FALLIBLE crun_read_pid(const struct container *container, const char *name, pid_t *out, struct err *err);

/* Ends a deletion that only waited for processes to be reaped: to be called when one was. */
void container_settle(struct container *container);
