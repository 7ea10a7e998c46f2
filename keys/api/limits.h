/* Every bound that a peer of the key protocol can push against, with its unit and its reason. */
#pragma once

enum {
    KBS_BODY_MAX          = 2 << 20,   /* bytes of a request; Trustee's default, and a CoCo event log fits */
    KBS_ANSWER_MAX        = 2 << 20,   /* bytes of an answer: a resource of KBS_RESOURCE_MAX in a JWE, twice base64 */
    KBS_ERROR_BODY_MAX    = 16 << 10,  /* bytes of an error document that the client looks at */
    KBS_RESOURCE_MAX      = 512 << 10, /* bytes of one stored secret: keys, certificates, policies; not files */
    KBS_PATH_SEGMENT_MAX  = 128,       /* characters of one part of REPOSITORY/TYPE/TAG */
    KBS_NONCE_MAX         = 1024,      /* characters; ours are 44, a foreign broker's are opaque */
    KBS_TOKEN_MAX         = 96 << 10,  /* characters of a token: claims carry a whole event log */
    KBS_ADDITIONAL_MAX    = 1 << 20,   /* bytes of the additional evidence text */
    KBS_INITDATA_TEXT_MAX = 1 << 20,   /* bytes of initdata TOML: a generated pod policy is 60 KiB */
    KBS_INITDATA_DISK_MAX = 2 << 20,   /* bytes of the block image that carries it, gzipped */
    KBS_INITDATA_URL_MAX  = 1024,      /* characters of the broker's URL in it */
    KBS_REASON_MAX        = 240        /* bytes of a peer's error text that is shown to a person */
};
