/* Whether an image may be used under a policy, and what else must hold of it when it is unpacked. */
#pragma once

#include "guest/signature/cosign.h"
#include "guest/signature/image_policy.h"
#include "keys/ocicrypt/packet.h"

/* What is judged, and where to ask. */
struct image_case {
    const struct image_reference *requested; /* by the owner's or the user's name; NULL: none */
    struct digest                 manifest;  /* that was resolved: of a manifest or of an index */
    bool                          is_pinned; /* the owner's policy named this digest: it vouches for the content */

    /* Appends the PEM behind "kbs:///R/T/G". */
    bool (*key)(void *owner, const char *kid, struct buffer *pem, struct err *err);
    /* Adds the signatures that are kept beside `manifest`; none is no failure. */
    bool (*signatures)(void *owner, const struct digest *manifest, struct signatures *out, struct err *err);
    void  *owner;
};

struct image_verdict {
    bool must_be_encrypted;
    char required_kid[ENC_KID_MAX + 1]; /* "": any */
};

/*
 *   policy    NULL: none was configured. A pinned image is then accepted, any other DENIED.
 *   out       written only when the image may be used
 *
 * Fails DENIED with the requirement that does not hold; or as the callbacks do.
 */
FALLIBLE image_judge(const struct image_policy *policy, const struct image_case *of, struct image_verdict *out,
                     struct err *err);
