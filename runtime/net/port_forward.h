/*
 * Connections to 127.0.0.1 in a pod's network namespace, which engines make there for `kubectl port-forward`, led on to the
 * same port of the pod's address, where the guest is. A BPF program of the namespace hands them all to one listener;
 * the other end is dialled from the node's own namespace, as by anyone on the node. [kernel docs, bpf/prog_sk_lookup]
 */
#pragma once

#include "base/loop.h"
#include "guest/api/network.h"

enum { PORT_FORWARD_MAX = 64, PORT_FORWARD_BLOCK = 16 << 10 }; /* connections at once; bytes of each direction that wait */

struct port_forward;

/*
 * Must be called while this program has one thread: it enters the namespace for a moment.
 *
 *   path      of the namespace
 *   address   of the pod, IPv4
 *   out       yours, port_forward_free; with it all ends, the program in the namespace too
 *
 * Fails UNSUPPORTED where the kernel has no such programs, OS.
 */
FALLIBLE port_forward_open(struct loop *loop, const char *path, const struct ip_address *address, struct port_forward **out, struct err *err);
void     port_forward_free(struct port_forward *forward);
DEFINE_AUTO(port_forward, struct port_forward *, port_forward_free)
