/* Processes that are run in a container after its first: as its user and in its environment, unless policy lets them have others. */
#pragma once

#include "guest/container/container.h"

/*
 * Runs one; `done` is told when crun has started it or refused, `owner` is the containers' own. The grant must have
 * been asked before.
 *
 * Fails MALFORMED for an id that is none, CONFIG when the container does not run or the id is in use, LIMIT, OS.
 */
struct exec_request {
    const char      *id;
    struct exec_wish wish;
};
FALLIBLE exec_start(struct container *container, const struct exec_request *request, container_done_fn *done,
                    struct ttrpc_pending pending, struct err *err);

/* Forgets one that has ended. Fails CONFIG when it runs. */
FALLIBLE exec_delete(struct container_process *process, struct err *err);
void     exec_discard_all(struct container *container); /* all of them must have ended */
