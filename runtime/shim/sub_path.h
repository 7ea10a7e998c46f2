/*
 * A subPath of a volume, as the kubelet prepares it: a bind mount at .../pods/UID/volume-subpaths/NAME/CONTAINER/INDEX.
 * Which volume it is of, and where in it, is what the kernel says of that mount. [Kubernetes pkg/volume/util/subpath]
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "guest/api/volume_limits.h"

enum sub_path_kind {
    SUB_PATH_NONE,  /* the path is of another form, or of a volume that a guest cannot have */
    SUB_PATH_EMPTY, /* of an emptyDir */
    SUB_PATH_FILES  /* of a ConfigMap, Secret, projected or downward-API volume */
};

struct sub_path {
    enum sub_path_kind kind;
    char               volume[VOLUME_NAME_MAX + 1];
    char               path[VOLUME_PATH_MAX + 1]; /* below the volume; "": the volume itself */
};

bool sub_path_is(const char *source); /* has that form */

/*
 * Pure.
 *
 *   mountinfo    text of /proc/self/mountinfo [proc(5)]
 *
 * Fails MALFORMED for a line that is none, LIMIT for a path that is too long.
 */
FALLIBLE sub_path_find(struct bytes mountinfo, const char *source, struct sub_path *out, struct err *err);
