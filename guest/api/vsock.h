/*
 * The four ports over vsock, where the host lends /dev/vhost-vsock in place of virtio-serial: the same bytes. The guest
 * connects, so that nobody has to try again and again until it is there. The host's port numbers are one space for all its
 * guests: each guest's lie where its context id (CID) says. [Linux vsock(7)]
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    VSOCK_PORT_FIRST      = 1024,
    VSOCK_PORTS_PER_GUEST = 8,
    VSOCK_CID_MIN         = 3,        /* below: the hypervisor, the machine itself, the host */
    VSOCK_CID_MAX         = 0xfffffff /* all their ports fit in 32 bits */
};

/* `index` counts AGENT_PORT, BLOBS_PORT, BROKER_PORT, REPORT_PORT from 0. */
uint32_t vsock_port(uint32_t cid, unsigned index);

/* Host side: a socket that waits for guest `cid`, for ttrpc_connection_new. Fails OS. */
FALLIBLE vsock_listen(uint32_t cid, unsigned index, int *out_fd, struct err *err);

/*
 * Whether the other end of `connection`, accepted from `listener`, is who the listener waits for: any process of the host
 * and any other guest can knock. A socket that is no vsock has no such neighbours.
 */
bool vsock_is_guest(int listener, int connection);

/* Guest side: to the host's end of the port of this name. `out_fd` is yours; O_CLOEXEC. Fails NOT_FOUND without vsock, OS. */
FALLIBLE vsock_connect(const char *name, int *out_fd, struct err *err);
