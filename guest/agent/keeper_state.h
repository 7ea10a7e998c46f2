/*
 * What the keeper must not forget while it rests: sessions and keys, what was bound to the guest, its event log, images and
 * volumes that are here, and how far its peers and it have counted. What can be asked for again is not in it, nor what follows
 * from the initdata. Read by the process's own next child only, so that structs go as they are.
 */
#pragma once

#include "guest/agent/keeper_inside.h"

/* Of kbs_session_write. */
struct keeper_sessions {
    struct bytes of_images, of_workloads;
};

/* Appends. It has keys in it: the caller wipes it. Fails as OpenSSL does. */
FALLIBLE keeper_state_write(struct keeper *k, struct buffer *out, struct err *err);

/*
 * Fills in `k`, whose attester and peers are open and whose rest is as keeper_begin leaves it.
 *
 *   sessions    borrowed from `from`
 *
 * Fails MALFORMED for what the other did not write; what was filled in until then is to be released all the same.
 */
FALLIBLE keeper_state_read(struct bytes from, struct keeper *k, struct keeper_sessions *sessions, struct err *err);

/* Whether what would be written now is short enough to be held: images come with documents of megabytes, and then the keeper stays awake. */
bool keeper_state_is_short(struct keeper *k);
