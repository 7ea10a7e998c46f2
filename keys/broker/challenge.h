/*
 * Nonces without memory: a challenge proves by a MAC that we made it, for whom and until when, so an unfinished
 * handshake costs the broker nothing, and any replica with the same key can continue it. That it is used only once is
 * the store's matter: see store_session_add.
 */
#pragma once

#include "base/secret.h"

enum {
    CHALLENGE_KEY_LEN   = 32,
    CHALLENGE_ID_LEN    = 32, /* lower-case hex digits of a version 4 UUID: the session cookie */
    CHALLENGE_NONCE_LEN = 44  /* base64 of 32 bytes */
};

struct challenge {
    char    id[CHALLENGE_ID_LEN + 1];
    char    nonce[CHALLENGE_NONCE_LEN + 1];
    uint8_t tee;     /* the caller's number of the TEE */
    int64_t expires; /* seconds since 1970 */
};

/* Derives the key from the store's epoch: replicas that share a store share it, and a restored store has another. */
FALLIBLE challenge_key(const struct secret *epoch, struct secret *out, struct err *err);

FALLIBLE challenge_make(const struct secret *key, uint8_t tee, int64_t expires, struct challenge *out, struct err *err);

/*
 * Reads a nonce that came back for the session `id`, both as the client sent them.
 *
 * Fails MALFORMED; UNTRUSTED when it is not ours or belongs to another session; TIMEOUT at or after its expiry.
 */
FALLIBLE challenge_check(const struct secret *key, const char *id, const char *nonce, int64_t now,
                         struct challenge *out, struct err *err);

/* Whether `id` has the form of a session id. */
bool challenge_id_is_valid(const char *id);
