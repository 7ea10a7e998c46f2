/*
 * Mounts image disks for the keeper: a process of its own, so that who reads foreign documents and holds all keys need not
 * be able to mount. It parses nothing; what it is told is of fixed size, and it mounts below IMAGE_DISK_ROOT only.
 */
#pragma once

#include "guest/init/image_disk.h"

/* Serves `control_fd` (SOCK_SEQPACKET), which is taken, until it closes. Returns the process's exit code. */
int mounter_run(int control_fd);

/* Asks the mounter behind `control_fd`. Fails as image_disk_mount; OS when it is gone, or said nothing for two minutes: then for good. */
FALLIBLE mounter_mount(int control_fd, const struct image_disk *disk, const struct secret *key, struct err *err);
