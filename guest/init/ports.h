/* Virtio-serial ports by the name that the host gave them; there is no udev to make links. Where it gave vsock, that. */
#pragma once

#include "base/err.h"

enum { PORT_NAME_MAX = 64, PORTS_MAX = 64 };

/*
 * Opens the port whose name is in `class_directory`/PORT/name ("/sys/class/virtio-ports"), through
 * `device_directory`/PORT ("/dev"). A port can be open once at a time.
 *
 *   out_fd    yours; O_CLOEXEC, O_NONBLOCK
 *
 * Fails NOT_FOUND when the machine has no such port, MALFORMED when two have the name, OS, LIMIT.
 */
FALLIBLE port_open_in(const char *class_directory, const char *device_directory, const char *name, int *out_fd,
                      struct err *err);

/* Of this machine; a port that there is not is looked for by vsock. */
FALLIBLE port_open(const char *name, int *out_fd, struct err *err);

/* Whether the host gave a vsock device, below `directory` ("/sys/bus/virtio/devices"): its driver is a module of its own. */
bool ports_are_vsock(const char *directory);
