/*
 * Which guest may have which resource. A resource's bindings come first, then the resource policy whose name is the
 * longest start of the path; where no policy is stored, the built-in rule. Deny by default; a store that cannot answer,
 * a policy that fails and a policy that is undefined deny.
 */
#pragma once

#include "base/json.h"
#include "keys/broker/appraisal_policy.h"
#include "keys/store/store.h"

#define RELEASE_BUILTIN    "builtin-1" /* as the audit log names it */
#define RELEASE_POLICY_ALL "*"         /* the name of the policy for all paths that have none of their own */

/* What was proven about the guest that asks. */
struct release_subject {
    const char         *tee;
    struct bytes        measurement; /* as evidence has it: 48 bytes for SNP; empty where one value does not tell */
    struct bytes        initdata;    /* the field that holds its digest: HOST_DATA, 32 bytes */
    bool                is_affirmed; /* executables affirmed, hardware not contraindicated, by the attestation policy */
    struct json_object *images;      /* identities of its workload: an array of texts; NULL: none known; borrowed */
};

struct release_request {
    struct store                 *store;
    struct policy_engine         *engine;
    const struct release_subject *subject;
    const char                   *path;   /* "REPOSITORY/TYPE/TAG" */
    struct json_object           *claims; /* of the token: the policy's input; borrowed */
    const char                   *query;  /* of the request, a JSON object, for the policy; NULL: none */
    int64_t                       now;
};

/*
 * Decides. Returns true: release.
 *
 *   policy    which policy decided, also when it denies: "builtin-1", "default/key#3"
 *
 * Fails DENIED with a line for the guest's user; CONFIG when a policy fails; OS when the store cannot tell.
 */
FALLIBLE release_decide(const struct release_request *request, char policy[static POLICY_VERSION_MAX], struct err *err);

/*
 * The built-in rule: a resource goes only to a guest whose measurement is registered and whose initdata is expected,
 * both for that very path or for all. A TEE whose measurement is not one value has to be affirmed instead.
 *
 *   path    NULL asks whether the guest may have anything at all
 *
 * Fails DENIED, OS.
 */
FALLIBLE release_builtin(struct store *store, const struct release_subject *subject, const char *path, int64_t now,
                         struct err *err);

/* Whether `text` compiles as a resource policy. Fails MALFORMED with its place, LIMIT. */
FALLIBLE release_policy_check(struct policy_engine *engine, struct bytes text, struct err *err);

/* "*", "repo", "repo/type" or "repo/type/tag". */
bool release_policy_name_is_valid(const char *name);

/*
 * Checks what is to be stored as a binding: {"initdata":[hex...],"workload":[text...]}, at least one of them, each with
 * at least one entry; other members are refused. Fails MALFORMED.
 */
FALLIBLE release_binding_check(struct json_object *binding, struct err *err);
