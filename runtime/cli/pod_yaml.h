/* Kubernetes manifests, as far as they say what runs in a pod. [core/v1 PodSpec] */
#pragma once

#include "base/json.h"
#include "base/options.h"

enum { POD_YAML_LEN_MAX = 1 << 20, POD_YAML_DOCUMENTS_MAX = 64, POD_YAML_CONTAINERS_MAX = 256 };

/*
 * Reads Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job and CronJob documents; others are passed over.
 *
 *   images    "NAME=sha256:…": digests of images that the manifest names without one
 *   out       array of {"name", "image", "args": array or null, "env": array, "output": true}; yours
 *
 * Fails MALFORMED, LIMIT; UNSUPPORTED for what a policy cannot pin: an image without digest, a value from
 * elsewhere, arguments without a command, privileges.
 */
FALLIBLE pod_yaml_read(struct bytes text, const struct option_list *images, struct json_object **out, struct err *err);
