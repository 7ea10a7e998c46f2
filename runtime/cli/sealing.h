/* Sealed secrets on the owner's side: making them, and naming their signers in a policy. [keys/api/sealed_secret.h] */
#pragma once

#include "base/json.h"

/* Adds to a container's entry of "policy.json" who signed the sealed values of `env`, an array of "NAME=VALUE". */
void sealing_add_signers(struct json_object *entry, struct json_object *env);

struct sealing {
    const char *uri;     /* of the secret; with `secret`, of the key that wraps it */
    const char *kid;     /* where the signer's public key is: kbs:///REPOSITORY/TYPE/TAG */
    const char *signer;  /* file with the private key, PEM */
    const char *secret;  /* file whose content goes into an envelope; NULL: none */
    const char *wrap_by; /* file with the 32 bytes of the wrapping key; with `secret` only */
};

/* Appends the sealed secret. Fails CONFIG, MALFORMED, LIMIT, OS. */
FALLIBLE sealing_make(const struct sealing *sealing, struct buffer *out, struct err *err);

/* Appends the public half of the signer's key as a JWK, for the broker to keep; makes the file, 0600, if it is not there. */
FALLIBLE sealing_signer(const char *path, struct buffer *out, struct err *err);
