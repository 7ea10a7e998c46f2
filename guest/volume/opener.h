/*
 * The process that opens volumes: root with the one capability to mount and to make devices, forked before the guest has
 * any key. It parses what the host wrote on a disk, and holds a volume's key while it opens that. Serves volume.proto on a
 * socket pair, to the keeper alone.
 */
#pragma once

#include "guest/api/connection.h"
#include "guest/volume/volume.pb-c.h"

extern const struct ttrpc_service volumes_service;

/* Serves until the other end is closed. Returns the exit code of the process. */
int opener_run(int control_fd_take);
