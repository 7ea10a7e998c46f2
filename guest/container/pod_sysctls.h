/*
 * The kernel settings of a container's pod [guest/api/sysctl.h]. What its entry in policy.json has under `sysctls`,
 * {"NAME":"VALUE"}, is set whether the host asks for it or not; the host may ask for those, and for what engines set for
 * every pod. The network's are set in the guest, which is the pod; those of the IPC namespace in the container's own.
 */
#pragma once

#include "base/json.h"
#include "guest/api/sysctl.h"

struct pod_sysctls {
    struct sysctl rows[2 * SYSCTLS_MAX]; /* policy's and the host's; borrowed texts */
    size_t        n;
};

/* Of a policy's entry as it is read, and of a request: its names are checked, and that none comes twice. */
FALLIBLE pod_sysctls_check_entry(struct json_object *entry, struct err *err);
FALLIBLE pod_sysctls_check(const struct pod_sysctls *asked, struct err *err);

/* The name of the first that the entry does not let the host ask for; NULL: none. */
const char *pod_sysctls_difference(struct json_object *entry, const struct pod_sysctls *asked);

/* What is to be set: policy's (NULL: none), and the host's where policy names no value. Both were checked. */
void pod_sysctls_join(struct json_object *granted, const struct pod_sysctls *asked, struct pod_sysctls *out);

/* Sets those of the network; `root` is "/proc/sys". Fails OS, NOT_FOUND for what this kernel has not. */
FALLIBLE pod_sysctls_write(const struct pod_sysctls *all, const char *root, struct err *err);

/* Adds `sysctl`, the others, to the part `linux` of crun's configuration; `all` NULL: none. */
void pod_sysctls_add(const struct pod_sysctls *all, struct json_object *to);
