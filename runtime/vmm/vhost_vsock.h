/* The host kernel's end of a guest's vsock. [Linux include/uapi/linux/vhost.h] */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define VHOST_VSOCK_DEVICE "/dev/vhost-vsock"

/*
 * Opens the device and gives it a context id that no other guest of this host has. The id is the guest's as long as the
 * descriptor, or a copy that a hypervisor got, is open.
 *
 *   out_fd    yours; O_CLOEXEC
 *
 * Fails NOT_FOUND without the device (with the way out), OS.
 */
FALLIBLE vhost_vsock_open(int *out_fd, uint32_t *out_cid, struct err *err);
