/*
 * The built-in policy: the entry "policy.json" of the initdata lists the containers that may be created, whole. A
 * request must equal one entry in every field; there are no patterns. An image is named by its digest; or, where an
 * image policy vouches for it, as "REGISTRY/REPOSITORY:TAG".
 *
 *   {"network":true,"containers":[{"image":"sha256:...","args":["a"]|null,"env":["K=V"],"output":true,"input":false}]}
 *
 * `args` null: the image's own command. What may be missing, and then is denied or the image's own:
 *
 *   output, input     the host may read what processes write, and write what they read
 *   terminal          processes may have a terminal
 *   exec              what may be run in the container later: guest/container/policy_exec.h
 *   network           (of the policy) the guest may have the network that the host gives it
 *   update            the host may change limits of memory and CPU while it runs
 *   command           takes the place of the image's entry point
 *   env_names         variables that the host may set to any value: HOSTNAME, KUBERNETES_SERVICE_HOST, ...
 *   user, cwd         instead of the image's
 *   resources         list of "kbs:///REPOSITORY/TYPE/TAG": what its processes may ask the broker for, by the guest
 *   sealed            list of "kbs:///...": keys that may have signed sealed secrets among `env` and `files`; without
 *                     it a sealed secret is refused. The signer's word counts: what he names need not be in `resources`
 *   sealed_unsigned   takes sealed secrets that nobody signed, as CoCo made them before 2026, for `resources` only
 *   measure           its processes may add events to the guest's log [guest/agent/measurements.h]
 *   token, evidence   likewise: a token of the broker, evidence of this guest
 *   read_only_root    the root file system cannot be written
 *   capabilities, groups, not_root   guest/container/privileges.h
 *   masked_paths, readonly_paths     guest/container/hidden_paths.h
 *   sysctls                          guest/container/pod_sysctls.h
 *   files             what the host may put into the container, read-only: {"path"}, with any content; {"path",
 *                     "sha256"}, with this content; {"directory"}, a volume of files in place of this directory,
 *                     {"directory","update":true}, which may change while the container is there
 *   empty_directories {"path","volume"}, more: "read_only", "size" (bytes), "sub_path" (a directory in it): one
 *                     directory for all containers that have the same volume
 *   volumes           {"path","volume","key"}: persistent volumes and the "kbs:///REPOSITORY/TYPE/TAG" that opens each; with
 *                     "read_only":true, or with "format":true, which lets a blank disk become a volume
 *   share_processes   it shares one PID namespace with the other containers of the pod for which this is said: they
 *                     see and may signal each other. The host cannot choose otherwise
 *   termination_log   path of the file whose end the host may read when the container has ended
 *
 * What has a digest, and empty directories, the host cannot leave out: the image has something else in their place.
 */
#pragma once

#include "base/json.h"
#include "guest/container/hidden_paths.h"
#include "guest/container/pod_sysctls.h"
#include "guest/container/policy_exec.h"
#include "guest/container/privileges.h"
#include "guest/container/volumes.h"
#include "keys/ocicrypt/image_config.h"

struct policy {
    struct json_object *document;     /* owned */
    bool                rules_decide; /* no document, but rules, which then decide alone: guest/container/rules.h */
};

/* What a request asks for; all borrowed. */
struct policy_request {
    const char  *image_digest;
    char *const *args;
    size_t       n_args;
    char *const *env;
    size_t       n_env;
    bool         terminal;
    bool         is_whole; /* args and env are those of the image and the pod together */
    bool         share_processes;
    const char  *image_name; /* counts when `image_digest` is empty; NULL: none */
    const struct volumes *volumes; /* checked, as the next; NULL: none */
    const struct hidden_paths *hidden;
    const struct pod_sysctls  *sysctls;
};

struct policy_grant {
    bool                output;   /* the host may read what the container writes */
    bool                input;    /* the host may write to its standard input */
    bool                terminal;
    bool                update;
    bool                read_only_root;
    bool                rules_decide; /* what is run in the container is judged by rules, not by `exec` */
    const char         *user;     /* NULL: the image's; this and the rest borrow from the policy */
    const char         *cwd;      /* NULL: the image's */
    struct privileges   privileges;
    struct json_object *exec;     /* NULL: nothing */
    bool                token;
    bool                evidence;
    bool                measure;
    struct json_object *resources; /* NULL: none */
    struct json_object *sealed;    /* NULL: none */
    bool                sealed_unsigned;
    struct json_object *volumes;   /* NULL: none */
    struct json_object *files;             /* NULL: none */
    struct json_object *empty_directories; /* NULL: none */
    const char         *termination_log;   /* NULL: the host reads none */
    struct json_object *masked_paths, *readonly_paths, *sysctls; /* NULL: none */
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

/* Whether all containers that it allows have one image, so that no other will come. */
bool policy_has_one_image(const struct policy *policy);

/* Whether the guest may have a network, which is the host's to choose. Fails DENIED. */
FALLIBLE policy_allow_network(const struct policy *policy, struct err *err);

/*
 * Judges a request. A whole one is judged twice: first with `image` NULL, so that nothing is fetched for an image that
 * no entry names; then with the verified configuration, from which argv and environment follow.
 *
 * Fails DENIED, with the field of the nearest entry that differs. `out` is written only on success.
 */
FALLIBLE policy_allow_create(const struct policy *policy, const struct policy_request *request,
                             const struct image_config *image, struct policy_grant *out, struct err *err);

/* The row of `list`, a grant's volumes, that is for this disk; NULL when there is none. */
struct json_object *policy_volume(struct json_object *list, const struct volume_disk *disk);

/* Fails DENIED unless the container's entry lists the resource, "kbs:///...". */
FALLIBLE policy_allow_resource(const struct policy_grant *grant, const char *uri, struct err *err);

/* Whether the files of the volume at `path` may change. Fails DENIED. */
FALLIBLE policy_allow_volume_update(const struct policy_grant *grant, const char *path, struct err *err);
/* Gives each empty directory the bound that policy sets. */
void policy_bound_directories(const struct policy_grant *grant, struct volumes *volumes);

/*
 * Whether a sealed secret may be opened for the container: signed by `signer`, or with "" by nobody. What an unsigned
 * one names, policy_allow_resource judges. Fails DENIED.
 */
FALLIBLE policy_allow_signer(const struct policy_grant *grant, const char *signer, struct err *err);

/* Fails DENIED unless the container's entry lists it. */
FALLIBLE policy_allow_exec(const struct policy_grant *grant, const struct exec_wish *wish, struct err *err);
