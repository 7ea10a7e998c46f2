#include "runtime/net/pod_network.h"

/* Whatever a kernel says: each part that is kept belongs to an interface that is kept. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pod_network pod;
    struct network           *n = &pod.network;
    struct err                err;

    if (!pod_network_read((struct bytes){ data, size }, &pod, &err))
        return 0;
    for (size_t i = 0; i < n->n_addresses; i++)
        if (n->addresses[i].interface >= n->n_interfaces)
            __builtin_trap();
    for (size_t i = 0; i < n->n_routes; i++)
        if (n->routes[i].interface >= n->n_interfaces || n->routes[i].destination.len == 0)
            __builtin_trap();
    for (size_t i = 0; i < n->n_neighbours; i++)
        if (n->neighbours[i].interface >= n->n_interfaces)
            __builtin_trap();
    return 0;
}
