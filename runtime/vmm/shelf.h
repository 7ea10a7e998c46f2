/*
 * The disk on which others are put while the guest runs (guest/api/shelf.h): a process of its own serves it to the
 * hypervisor, so that a slow disk stalls no one else, and holds the descriptors of what lies on it.
 */
#pragma once

#include "base/process.h"
#include "guest/api/shelf.h"

struct shelf {
    struct process server;
    int            control_fd;
};

#define NO_SHELF ((struct shelf){ NO_PROCESS, NO_FD })

/* Starts the server. `hypervisor_fd` is yours: the end of a socket for the hypervisor. Fails OS. */
FALLIBLE shelf_start(struct shelf *out, int *hypervisor_fd, struct err *err);

/*
 * Puts a disk on it; a guest that looks from now on finds it.
 *
 *   name    as shelf_row's
 *   fd      of a file or a block device, and with the right to write where the guest may; borrowed
 *
 * Fails MALFORMED for a disk that is empty, LIMIT, OS. A shelf has SHELF_SLOTS places: who fills it counts.
 */
FALLIBLE shelf_put(const struct shelf *shelf, const char *name, int fd, struct err *err);

void shelf_free(struct shelf *shelf); /* its server is gone then */

/* ---- the server's own view, for it and its tests ---- */

struct shelf_slots {
    struct shelf_directory directory;
    int                    fds[SHELF_SLOTS];
    bool                   is_dirty[SHELF_SLOTS]; /* written since the last flush */
    int                    control_fd;
};

/* As enum nbd_error. What was put before a read of the directory began is in it. */
int shelf_read(void *slots, uint64_t at, uint8_t *into, uint32_t len);
int shelf_write(void *slots, uint64_t at, struct bytes what, bool is_durable);
int shelf_flush(void *slots);
