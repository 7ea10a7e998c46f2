/* One container of a Kubernetes manifest, and the entry of policy.json that allows exactly it. [core/v1 Container] */
#pragma once

#include <yaml.h>

#include "runtime/cli/pod_yaml.h"

struct pod_reading {
    yaml_document_t         *document;
    const struct pod_images *images;
    struct pod_yaml         *out;
    const yaml_node_t       *security; /* the pod's securityContext, or NULL */
    const yaml_node_t       *volumes;  /* the pod's, or NULL */
    bool                     shares_processes; /* shareProcessNamespace */
    const yaml_node_t       *annotations; /* the pod's, or NULL */
    bool                     has_token; /* the node mounts the service account's token */
};

/* NULL when there is none, or `map` is none. */
const char        *yaml_text(const yaml_node_t *node);
const yaml_node_t *yaml_member(const struct pod_reading *r, const yaml_node_t *map, const char *key);
size_t             yaml_count(const yaml_node_t *list); /* 0 for what is no list */
const yaml_node_t *yaml_item(const struct pod_reading *r, const yaml_node_t *list, size_t i);

/* Appends the container's entry, its name and the notes on it to `r->out`. */
FALLIBLE pod_container_add(const struct pod_reading *r, const yaml_node_t *container, struct err *err);
