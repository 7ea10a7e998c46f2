#include "guest/api/message.h"
#include "guest/api/network.h"

/* A request that the guest accepts is one that network_write makes again and network_read takes again, as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct network         network, again;
    static struct network_message written;
    AUTO(message) ProtobufCMessage *read = NULL;
    struct err                      err;

    if (!message_read(&agent__configure_network_request__descriptor, (struct bytes){ data, size }, MESSAGE_EXACT, &read, &err) ||
        !network_read((const Agent__ConfigureNetworkRequest *) read, &network, &err))
        return 0;
    network_write(&network, &written);
    if (!network_read(&written.request, &again, &err) || again.n_routes != network.n_routes ||
        again.n_interfaces != network.n_interfaces)
        __builtin_trap();
    for (size_t i = 0; i < network.n_addresses; i++)
        if (network.addresses[i].interface >= network.n_interfaces || !ip_equal(&network.addresses[i].ip, &again.addresses[i].ip))
            __builtin_trap();
    return 0;
}
