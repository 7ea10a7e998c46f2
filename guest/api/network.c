#include "guest/api/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { MTU_MIN_IPV6 = 1280, IPV4_LEN = 4, IPV6_LEN = 16, LOOPBACK_IPV4 = 127 };

const char *ip_text(const struct ip_address *ip, char text[static IP_TEXT_SIZE])
{
    if (ip->len == 0 || !inet_ntop(ip->len == IPV4_LEN ? AF_INET : AF_INET6, ip->at, text, IP_TEXT_SIZE))
        (void) snprintf(text, IP_TEXT_SIZE, "none"); /* fits */
    return text;
}

FALLIBLE ip_read(struct bytes from, struct ip_address *out, struct err *err)
{
    if (from.len != IPV4_LEN && from.len != IPV6_LEN)
        return fail_with(err, ERR_MALFORMED, "an IP address of %zu bytes", from.len);
    *out = (struct ip_address){ .len = (uint8_t) from.len };
    memcpy(out->at, from.at, from.len);
    return true;
}

bool ip_equal(const struct ip_address *a, const struct ip_address *b)
{
    return bytes_equal((struct bytes){ a->at, a->len }, (struct bytes){ b->at, b->len });
}

bool ip_fits_prefix(const struct ip_address *ip, uint32_t prefix)
{
    if (prefix > ip->len * 8u)
        return false;
    for (uint32_t bit = prefix; bit < ip->len * 8u; bit++)
        if (ip->at[bit / 8] & 0x80 >> bit % 8)
            return false;
    return true;
}

static bool is_loopback(const struct ip_address *ip)
{
    static const uint8_t ours[IPV6_LEN] = { [15] = 1 };
    static const uint8_t mapped[]       = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, LOOPBACK_IPV4 };

    if (ip->len == IPV4_LEN)
        return ip->at[0] == LOOPBACK_IPV4;
    return memcmp(ip->at, ours, sizeof ours) == 0 || memcmp(ip->at, mapped, sizeof mapped) == 0;
}

static bool is_multicast(const struct ip_address *ip)
{
    return ip->len == IPV4_LEN ? ip->at[0] >= 224 : ip->at[0] == 0xff; /* with the reserved and broadcast above it */
}

static bool is_host_address(const struct ip_address *ip)
{
    return !bytes_are_zero((struct bytes){ ip->at, ip->len }) && !is_loopback(ip) && !is_multicast(ip);
}

/* Not one that means more than one device, or another one, where its settings are. */
static bool is_plain_name(const char *name)
{
    static const char *const taken[] = { "lo", "all", "default" };
    size_t                   len     = strlen(name);

    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(name, taken[i]) == 0)
            return false;
    return len > 0 && len < NETWORK_NAME_SIZE && len == strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") &&
           name[0] != '.';
}

static FALLIBLE read_hardware(const ProtobufCBinaryData *from, uint8_t out[static HARDWARE_LEN], struct err *err)
{
    if (from->len != HARDWARE_LEN)
        return fail_with(err, ERR_MALFORMED, "a hardware address of %zu bytes", from->len);
    memcpy(out, from->data, HARDWARE_LEN);
    if (out[0] & 1 || bytes_are_zero((struct bytes){ out, HARDWARE_LEN }))
        return fail_with(err, ERR_MALFORMED, "a hardware address that is no station's");
    return true;
}

static FALLIBLE read_host_address(const ProtobufCBinaryData *from, struct ip_address *out, struct err *err)
{
    char text[IP_TEXT_SIZE];

    if (!ip_read((struct bytes){ from->data, from->len }, out, err))
        return false;
    return is_host_address(out) || fail_with(err, ERR_MALFORMED, "%s is no host's address", ip_text(out, text));
}

static FALLIBLE check_index(uint32_t index, const struct network *n, struct err *err)
{
    return index < n->n_interfaces || fail_with(err, ERR_MALFORMED, "interface %u of %zu", index, n->n_interfaces);
}

static FALLIBLE read_interface(const Agent__NetworkInterface *from, struct network *n, struct err *err)
{
    struct network_interface *to = &n->interfaces[n->n_interfaces];

    if (!is_plain_name(from->name))
        return fail_with(err, ERR_MALFORMED, "an interface's name that is not plain");
    (void) snprintf(to->name, sizeof to->name, "%s", from->name); /* its length was checked */
    if (!read_hardware(&from->hardware, to->hardware, err))
        return false;
    if (from->mtu < MTU_MIN || from->mtu > MTU_MAX)
        return fail_with(err, ERR_MALFORMED, "MTU %u; %d to %d are possible", from->mtu, MTU_MIN, MTU_MAX);
    to->mtu = from->mtu;
    for (size_t i = 0; i < n->n_interfaces; i++)
        if (strcmp(n->interfaces[i].name, to->name) == 0 ||
            memcmp(n->interfaces[i].hardware, to->hardware, HARDWARE_LEN) == 0)
            return fail_with(err, ERR_MALFORMED, "two interfaces of one name or hardware address");
    n->n_interfaces++;
    return true;
}

static FALLIBLE read_address(const Agent__NetworkAddress *from, struct network *n, struct err *err)
{
    struct network_address *to = &n->addresses[n->n_addresses];

    if (!check_index(from->interface, n, err) || !read_host_address(&from->ip, &to->ip, err))
        return false;
    if (from->prefix == 0 || from->prefix > to->ip.len * 8u)
        return fail_with(err, ERR_MALFORMED, "a prefix of %u bits", from->prefix);
    if (to->ip.len == IPV6_LEN && n->interfaces[from->interface].mtu < MTU_MIN_IPV6)
        return fail_with(err, ERR_MALFORMED, "MTU %u is too small for IPv6", n->interfaces[from->interface].mtu);
    to->interface = from->interface;
    to->prefix    = from->prefix;
    n->n_addresses++;
    return true;
}

static FALLIBLE read_route(const Agent__NetworkRoute *from, struct network *n, struct err *err)
{
    struct network_route *to = &n->routes[n->n_routes];

    if (!check_index(from->interface, n, err) ||
        !ip_read((struct bytes){ from->destination.data, from->destination.len }, &to->destination, err))
        return false;
    if (from->prefix > to->destination.len * 8u || !ip_fits_prefix(&to->destination, from->prefix))
        return fail_with(err, ERR_MALFORMED, "a destination that is no prefix of %u bits", from->prefix);
    if (is_loopback(&to->destination) || is_multicast(&to->destination))
        return fail_with(err, ERR_MALFORMED, "a route to loopback or multicast");
    if ((from->gateway.len > 0 && !read_host_address(&from->gateway, &to->gateway, err)) ||
        (from->source.len > 0 && !read_host_address(&from->source, &to->source, err)))
        return false;
    if ((to->gateway.len > 0 && to->gateway.len != to->destination.len) ||
        (to->source.len > 0 && to->source.len != to->destination.len))
        return fail_with(err, ERR_MALFORMED, "two families in one route");
    to->interface       = from->interface;
    to->prefix          = from->prefix;
    to->priority        = from->priority;
    to->gateway_on_link = from->gateway_on_link;
    n->n_routes++;
    return true;
}

static FALLIBLE read_neighbour(const Agent__NetworkNeighbour *from, struct network *n, struct err *err)
{
    struct network_neighbour *to = &n->neighbours[n->n_neighbours];

    if (!check_index(from->interface, n, err) || !read_host_address(&from->ip, &to->ip, err) ||
        !read_hardware(&from->hardware, to->hardware, err))
        return false;
    to->interface = from->interface;
    n->n_neighbours++;
    return true;
}

static FALLIBLE check_counts(const Agent__ConfigureNetworkRequest *m, struct err *err)
{
    if (m->n_interfaces > NETWORK_INTERFACES_MAX || m->n_addresses > NETWORK_ADDRESSES_MAX ||
        m->n_routes > NETWORK_ROUTES_MAX || m->n_neighbours > NETWORK_NEIGHBOURS_MAX)
        return fail_with(err, ERR_LIMIT, "network: over %d interfaces, %d addresses, %d routes or %d neighbours",
                         NETWORK_INTERFACES_MAX, NETWORK_ADDRESSES_MAX, NETWORK_ROUTES_MAX, NETWORK_NEIGHBOURS_MAX);
    return true;
}

FALLIBLE network_read(const Agent__ConfigureNetworkRequest *message, struct network *out, struct err *err)
{
    struct network n = { 0 };

    if (!check_counts(message, err))
        return false;
    for (size_t i = 0; i < message->n_interfaces; i++)
        if (!read_interface(message->interfaces[i], &n, err))
            return contextf(err, "network interface %zu", i);
    for (size_t i = 0; i < message->n_addresses; i++)
        if (!read_address(message->addresses[i], &n, err))
            return contextf(err, "network address %zu", i);
    for (size_t i = 0; i < message->n_routes; i++)
        if (!read_route(message->routes[i], &n, err))
            return contextf(err, "network route %zu", i);
    for (size_t i = 0; i < message->n_neighbours; i++)
        if (!read_neighbour(message->neighbours[i], &n, err))
            return contextf(err, "network neighbour %zu", i);
    *out = n;
    return true;
}

static ProtobufCBinaryData bytes_of_ip(struct ip_address *ip)
{
    return (ProtobufCBinaryData){ ip->len, ip->at };
}

static void write_interfaces_and_addresses(struct network *n, struct network_message *out)
{
    for (size_t i = 0; i < n->n_interfaces; i++) {
        out->interfaces[i]          = (Agent__NetworkInterface) AGENT__NETWORK_INTERFACE__INIT;
        out->interfaces[i].name     = n->interfaces[i].name;
        out->interfaces[i].hardware = (ProtobufCBinaryData){ HARDWARE_LEN, n->interfaces[i].hardware };
        out->interfaces[i].mtu      = n->interfaces[i].mtu;
        out->interfaces_at[i]       = &out->interfaces[i];
    }
    for (size_t i = 0; i < n->n_addresses; i++) {
        out->addresses[i]           = (Agent__NetworkAddress) AGENT__NETWORK_ADDRESS__INIT;
        out->addresses[i].interface = n->addresses[i].interface;
        out->addresses[i].ip        = bytes_of_ip(&n->addresses[i].ip);
        out->addresses[i].prefix    = n->addresses[i].prefix;
        out->addresses_at[i]        = &out->addresses[i];
    }
}

static void write_routes_and_neighbours(struct network *n, struct network_message *out)
{
    for (size_t i = 0; i < n->n_routes; i++) {
        out->routes[i]                 = (Agent__NetworkRoute) AGENT__NETWORK_ROUTE__INIT;
        out->routes[i].interface       = n->routes[i].interface;
        out->routes[i].destination     = bytes_of_ip(&n->routes[i].destination);
        out->routes[i].prefix          = n->routes[i].prefix;
        out->routes[i].gateway         = bytes_of_ip(&n->routes[i].gateway);
        out->routes[i].source          = bytes_of_ip(&n->routes[i].source);
        out->routes[i].priority        = n->routes[i].priority;
        out->routes[i].gateway_on_link = n->routes[i].gateway_on_link;
        out->routes_at[i]              = &out->routes[i];
    }
    for (size_t i = 0; i < n->n_neighbours; i++) {
        out->neighbours[i]           = (Agent__NetworkNeighbour) AGENT__NETWORK_NEIGHBOUR__INIT;
        out->neighbours[i].interface = n->neighbours[i].interface;
        out->neighbours[i].ip        = bytes_of_ip(&n->neighbours[i].ip);
        out->neighbours[i].hardware  = (ProtobufCBinaryData){ HARDWARE_LEN, n->neighbours[i].hardware };
        out->neighbours_at[i]        = &out->neighbours[i];
    }
}

void network_write(struct network *network, struct network_message *out)
{
    out->request = (Agent__ConfigureNetworkRequest) AGENT__CONFIGURE_NETWORK_REQUEST__INIT;
    write_interfaces_and_addresses(network, out);
    write_routes_and_neighbours(network, out);
    out->request.interfaces   = out->interfaces_at;
    out->request.n_interfaces = network->n_interfaces;
    out->request.addresses    = out->addresses_at;
    out->request.n_addresses  = network->n_addresses;
    out->request.routes       = out->routes_at;
    out->request.n_routes     = network->n_routes;
    out->request.neighbours   = out->neighbours_at;
    out->request.n_neighbours = network->n_neighbours;
}
