/* Every bound that a registry or its configuration can push against, with its unit and its reason. */
#pragma once

enum {
    CHALLENGE_TEXT_MAX    = 4096,      /* bytes of one WWW-Authenticate header */
    CHALLENGE_REALM_MAX   = 1023,      /* bytes of the token service's URL */
    CHALLENGE_SERVICE_MAX = 255,
    TOKEN_ANSWER_MAX      = 64 << 10,  /* bytes of a token service's answer; genuine ones are below 4 KiB */
    TOKEN_MAX             = 16 << 10,  /* bytes of a token; a header line of more is refused by servers */
    CREDENTIALS_MAX       = 256 << 10, /* bytes of an auth.json */
    CREDENTIAL_MAX        = 4096,      /* bytes of "user:password" */
    REGISTRIES_MAX        = 256,       /* [[registry]] tables of one configuration */
    ATTEMPTS_MAX          = 8,         /* places where one image may be: mirrors and the origin */
    LOCATION_MAX          = 511,       /* bytes of a location: HOST[:PORT][/PATH] */
    HEADERS_MAX           = 256 << 10, /* bytes of all headers of a transfer, redirects included */
    FETCH_WINDOW          = 4 << 20,   /* bytes of one transfer that wait for their reader */
    FETCHES_MAX           = 3,         /* blobs under way at once: 12 MiB is all that waits */
    FETCH_TRIES_MAX       = 5,         /* failures in a row without a byte in between */
    FETCH_TRIES_ALL_MAX   = 64,        /* failures of one blob, progress or not */
    FETCH_BACKOFF_MS      = 250,       /* before the second try; doubles */
    FETCH_BACKOFF_MS_MAX  = 8000,
    FETCH_CONNECT_MS      = 15000,     /* until TLS stands */
    FETCH_SILENCE_S       = 30,        /* fewer than these bytes a second for so long end a transfer: */
    FETCH_SPEED_MIN       = 1024
};
