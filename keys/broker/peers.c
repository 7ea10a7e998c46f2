#include "keys/broker/peers.h"

#include <sys/socket.h>

struct peer *peers_add(struct peers *peers, int fd, int64_t now_ms)
{
    struct peer *peer = malloc(sizeof *peer);

    if (!peer)
        abort();
    *peer = (struct peer){ .after = peers->first, .fd = fd, .phase = PHASE_HELLO, .since_ms = now_ms };
    if (peers->first)
        peers->first->before = peer;
    peers->first = peer;
    peers->n++;
    return peer;
}

void peers_remove(struct peers *peers, struct peer *peer)
{
    if (peer->before)
        peer->before->after = peer->after;
    else
        peers->first = peer->after;
    if (peer->after)
        peer->after->before = peer->before;
    peers->n--;
    free(peer);
}

void peer_enter(struct peer *peer, enum phase phase, int64_t now_ms)
{
    peer->phase    = phase;
    peer->since_ms = now_ms;
}

size_t peers_expire(struct peers *peers, int64_t now_ms)
{
    size_t n = 0;

    for (struct peer *peer = peers->first; peer; peer = peer->after) {
        uint64_t limit_s = peers->limits_s[peer->phase];

        if (peer->is_shut || limit_s == 0 || now_ms - peer->since_ms < (int64_t) limit_s * 1000)
            continue;
        (void) shutdown(peer->fd, SHUT_RDWR); /* one that is gone already is what we want */
        peer->is_shut = true;
        n += peer->phase != PHASE_IDLE;
    }
    return n;
}

size_t peers_busy(const struct peers *peers)
{
    size_t n = 0;

    for (const struct peer *peer = peers->first; peer; peer = peer->after)
        n += peer->phase != PHASE_IDLE && !peer->is_shut;
    return n;
}
