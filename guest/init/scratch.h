/*
 * The scratch disk: room that the host lends, so that memory does not have to hold images whole. It becomes swap behind
 * encryption (AES-256-XTS) and integrity (HMAC-SHA-256), under keys that are made at boot and never leave the guest; tmpfs, where images are
 * unpacked, then spills into it. What the host changes on it reads as an error. What it puts back, a block of this same
 * boot at its own place, is not noticed: dm-integrity keeps no memory of what was there last.
 */
#pragma once

#include "guest/init/disk.h"

#define SCRATCH_SERIAL "cloister-scratch" /* of the virtio-blk device, by which the guest knows it */

enum { SCRATCH_LEN_MIN = 16 << 20 };

/* Opens the disk /dev/`name` and gives it to the kernel as swap. Its modules are loaded. Fails LIMIT, MALFORMED, OS. */
FALLIBLE scratch_open(const char *name, struct err *err);
