/* Every bound that a signature or a signature policy can push against, with its unit and its reason. */
#pragma once

enum {
    IMAGE_POLICY_MAX       = 256 << 10, /* bytes of a policy; initdata is not longer */
    POLICY_REQUIREMENTS_MAX = 16,       /* requirements of one scope */
    POLICY_KEYS_MAX        = 16,        /* keys of one requirement */
    SIGNATURES_MAX         = 64,        /* of one image; each costs a public key operation per key */
    SIGNATURE_PAYLOAD_MAX  = 64 << 10,  /* bytes of what was signed; genuine ones are below 1 KiB */
    SIGNATURE_TEXT_MAX     = 4096,      /* bytes of base64: RSA with 16384 bits needs 2732 */
    SIGNATURE_KEY_MAX      = 16 << 10   /* bytes of a public key in PEM */
};
