/*
 * The control group of a pod's VM, where the engine says that the pod's processes belong: below the kubelet's group of the
 * pod, whose limits and RuntimeClass overhead then hold for the VM. Of hierarchies of version 1 those that count or limit
 * memory, CPU time, processes and I/O; and that of version 2, alone or beside them.
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"

enum { POD_CGROUP_PATH_MAX = 512, POD_CGROUP_MOUNT_MAX = 128, POD_CGROUP_HIERARCHIES_MAX = 8 };

struct pod_cgroup {
    char path[POD_CGROUP_PATH_MAX]; /* in each hierarchy; "": none */
    struct {
        char     mount[POD_CGROUP_MOUNT_MAX];
        unsigned made; /* of the path's directories, from the last one on: they did not exist */
    } at[POD_CGROUP_HIERARCHIES_MAX];
    size_t n;
};

/*
 * The path that a config.json's cgroupsPath means: "/a/b" as it is, and "A-B.slice:PREFIX:NAME" as systemd lays out its
 * slices. NULL, "" and what has no meaning without the engine's own place come to "".
 *
 * Fails MALFORMED for a path that is not in its one form, LIMIT.
 */
FALLIBLE pod_cgroup_path(const char *cgroups_path, char out[static POD_CGROUP_PATH_MAX], struct err *err);
/* The same for a pod without a config.json: the CRI's cgroup_parent and the pod's id. */
FALLIBLE pod_cgroup_path_below(const char *parent, const char *id, char out[static POD_CGROUP_PATH_MAX], struct err *err);

/* Makes the group at `path` in every hierarchy. Fails OS, LIMIT; `out` then has what was made. */
FALLIBLE pod_cgroup_make(struct bytes mountinfo, const char *path, struct pod_cgroup *out, struct err *err);
FALLIBLE pod_cgroup_enter(const struct pod_cgroup *group, pid_t pid, struct err *err);
/*
 * The group, and of the directories above it those that were made for it, as long as they are empty. A process that was
 * killed may be in it for a moment more than it is seen: it is waited for, up to a second.
 */
void     pod_cgroup_remove(struct pod_cgroup *group);
