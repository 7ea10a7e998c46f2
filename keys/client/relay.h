/*
 * Lets libcurl use a socket that someone else connected. Debian 12's libcurl (7.88) connects again what a callback
 * calls connected already, and fails; so it gets a local socket that it may connect, and its bytes are moved between
 * that and the real one, in the thread that waits for the transfer.
 */
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include "base/bytes.h"

enum { RELAY_ROOM = 16 << 10, RELAY_FDS = 3 };

/* Bytes on their way; the reader's end of file follows them. */
struct relay_way {
    uint8_t room[RELAY_ROOM];
    size_t  from, to;
    bool    ended;  /* nothing more will come */
    bool    passed; /* … and the other side was told */
};

struct relay {
    int              listener, near, far;
    char             path[16]; /* of the listener while it waits; "" when its name is abstract */
    struct relay_way out, in; /* near to far, far to near */
};

#define NO_RELAY ((struct relay){ .listener = -1, .near = -1, .far = -1 })

/*
 * Begins to relay for `far`, which it closes in the end, also on failure.
 *
 *   address, len    where a fresh AF_UNIX stream socket of this process must connect; at most 16 bytes
 */
FALLIBLE relay_open(struct relay *relay, int far_take, struct sockaddr *address, socklen_t *len, struct err *err);
void     relay_close(struct relay *relay);

/* What to wait for: fills `fds` and returns how many. */
unsigned relay_wants(const struct relay *relay, struct pollfd fds[static RELAY_FDS]);
/* Moves what can be moved without waiting. */
void     relay_move(struct relay *relay);
