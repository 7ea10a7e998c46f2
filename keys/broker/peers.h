/* Open connections, and how long each may stay in one phase: who sends a byte now and then gains nothing by it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

enum phase {
    PHASE_HELLO,    /* from accept, through the TLS handshake, to the first request line */
    PHASE_REQUEST,  /* from a request line to the last byte of its body */
    PHASE_DECIDING, /* ours; without a limit */
    PHASE_ANSWER,   /* until the peer took it */
    PHASE_IDLE,     /* between two requests */
    N_PHASES
};

struct peer {
    struct peer *before, *after;
    int          fd; /* borrowed */
    enum phase   phase;
    int64_t      since_ms;
    bool         is_shut;
};

/* Its zero state has no peer and no limit. */
struct peers {
    struct peer *first;
    size_t       n;
    uint64_t     limits_s[N_PHASES]; /* 0: none */
};

struct peer *peers_add(struct peers *peers, int fd, int64_t now_ms);
void         peers_remove(struct peers *peers, struct peer *peer);
void         peer_enter(struct peer *peer, enum phase phase, int64_t now_ms);

/* How many are doing something. */
size_t peers_busy(const struct peers *peers);

/* Shuts the sockets of those that are overdue; how many of them were not just idle. */
size_t peers_expire(struct peers *peers, int64_t now_ms);
