/*
 * The built-in policy: the entry "policy.json" of the initdata lists the containers that may be created, whole. A
 * request must equal one entry in every field; there are no patterns.
 *
 *   {"network":true,"containers":[{"image":"sha256:...","args":["a"]|null,"env":["K=V"],"output":true,"input":false}]}
 *
 * `args` null: the image's own command. `output`, `input` and `network` may be missing: false.
 */
#pragma once

#include "base/json.h"

struct policy {
    struct json_object *document; /* owned */
};

/* What a request asks for; all borrowed. */
struct policy_request {
    const char  *image_digest;
    char *const *args;
    size_t       n_args;
    char *const *env;
    size_t       n_env;
    bool         terminal;
};

struct policy_grant {
    bool output; /* the host may read what the container writes */
    bool input;  /* the host may write to its standard input */
};

/*
 * Reads and checks the whole document: a policy with anything in it that is not understood is no policy.
 *
 *   out    yours, AUTO(policy); the zero state denies everything
 *
 * Fails MALFORMED, LIMIT.
 */
FALLIBLE policy_read(struct bytes text, struct policy *out, struct err *err);
void     policy_free(struct policy *policy);
static inline void auto_policy(struct policy *policy) { policy_free(policy); }

/* Whether the guest may have a network, which is the host's to choose. Fails DENIED. */
FALLIBLE policy_allow_network(const struct policy *policy, struct err *err);

/* Fails DENIED, with the field of the nearest entry that differs. `out` is written only on success. */
FALLIBLE policy_allow_create(const struct policy *policy, const struct policy_request *request,
                             struct policy_grant *out, struct err *err);
