/* The security context of a container, over that of its pod, as members of its entry in policy.json. [core/v1 SecurityContext] */
#pragma once

#include "runtime/cli/pod_container.h"

/* Fails UNSUPPORTED for what no guest gives, MALFORMED for numbers that are none. */
FALLIBLE pod_security_add(const struct pod_reading *r, const yaml_node_t *container, struct json_object *entry, struct err *err);

/* Tells `tell` of what is in it and a guest has in another way, or not. */
void pod_security_note(const struct pod_reading *r, const yaml_node_t *container, const char *name,
                       void (*tell)(const struct pod_reading *r, const char *name, const char *what, const char *of));
