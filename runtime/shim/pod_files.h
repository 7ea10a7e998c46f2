/*
 * /etc/hostname, /etc/hosts and /etc/resolv.conf of a pod that was made by the sandbox service: there engines leave these
 * files to the shim. With a pause container they make and mount them. [containerd internal/cri/server: podsandbox]
 */
#pragma once

#include "runtime/shim/engine.pb-c.h"
#include "runtime/shim/volumes.h"

struct pod_files {
    struct buffer hostname, hosts, resolv_conf;
};

/* From the pod's configuration; where it has no DNS, the node's resolv.conf at `node_resolv_conf`. Fails LIMIT, OS. */
FALLIBLE pod_files_make(const Engine__PodConfig *config, const char *node_resolv_conf, struct pod_files *out, struct err *err);
void     pod_files_free(struct pod_files *files);
static inline void auto_pod_files(struct pod_files *files) { pod_files_free(files); }

/* Adds those that the container has no mount of its own for, as the kubelet gives it /etc/hosts. Empty ones are left out. Fails LIMIT. */
FALLIBLE pod_files_add(const struct pod_files *files, const struct container_spec *spec, struct host_volumes *volumes,
                       struct err *err);
