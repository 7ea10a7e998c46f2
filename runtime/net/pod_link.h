/*
 * A pod's network, joined to a VM: for each interface of the pod's namespace a tap device beside it, and every packet
 * that reaches one sent out at the other. The addresses stay on the interface, for whoever looks at the namespace;
 * the guest gets the same ones.
 */
#pragma once

#include "runtime/net/pod_network.h"

struct pod_link {
    struct pod_network pod;
    int                taps[NETWORK_INTERFACES_MAX]; /* owned; a tap ends with its last descriptor */
    int                netlink_fd;                   /* in the pod's namespace, or NO_FD */
};

#define NO_POD_LINK ((struct pod_link){ .netlink_fd = NO_FD })

/*
 * Must be called while this program has one thread: it enters the namespace for a moment.
 *
 *   path   of the namespace: /run/netns/NAME, /proc/PID/ns/net
 *   out    release with AUTO(pod_link); a link that was not released leaves filters on the pod's interfaces, which
 *          pod_link_sweep takes off, which the next one replaces and which end with the namespace
 *
 * Fails CONFIG when it is no network namespace, or holds no interface; UNSUPPORTED, LIMIT as pod_network_read does; OS.
 */
FALLIBLE pod_link_open(const char *path, struct pod_link *out, struct err *err);
void     pod_link_close(struct pod_link *link);

/*
 * Takes off what a link left whose process was killed. A namespace with one of our tap devices in it is another VM's by
 * now and stays as it is; one that has gone has nothing left. One thread, as above. Fails OS.
 */
FALLIBLE pod_link_sweep(const char *path, struct err *err);
static inline void auto_pod_link(struct pod_link *link) { pod_link_close(link); }
