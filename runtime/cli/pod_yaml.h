/* Kubernetes manifests, as far as they say what runs in a pod. [core/v1 PodSpec] */
#pragma once

#include "base/json.h"
#include "base/options.h"

enum { POD_YAML_LEN_MAX = 1 << 20, POD_YAML_DOCUMENTS_MAX = 64, POD_YAML_CONTAINERS_MAX = 64 };

/* What a manifest asks for. */
struct pod_yaml {
    struct json_object *policy; /* "policy.json" as guest/container/policy.h has it: containers, network */
    struct json_object *names;  /* array: the name of each entry of `containers`, in its order */
    struct json_object *notes;  /* array of texts: what a person should know about it */
};
void pod_yaml_free(struct pod_yaml *pod);
static inline void auto_pod_yaml(struct pod_yaml *pod) { pod_yaml_free(pod); }

/* The digest of an image that the manifest names without one: "sha256:…", 71 characters. Fails as it likes. */
struct pod_images {
    bool (*digest)(void *owner, const char *image, char out[static 72], struct err *err);
    void  *owner;
};

/*
 * Reads Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job and CronJob documents; others are passed over.
 *
 *   out    yours, AUTO(pod_yaml); written only on success
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for what a policy cannot pin or a guest does not have: envFrom, a reference
 * $(NAME) to a value from elsewhere, privileges, added capabilities, the host's namespaces.
 */
FALLIBLE pod_yaml_read(struct bytes text, const struct pod_images *images, struct pod_yaml *out, struct err *err);
