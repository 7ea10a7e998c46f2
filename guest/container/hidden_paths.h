/*
 * What of its own file system a container does not see, and what it cannot write: the guest's list, always; what its entry
 * in policy.json adds (`masked_paths`, `readonly_paths`), whether the host asks for it or not; and what the host asks for
 * besides. That may be anything of /proc and /sys but what leads into processes; elsewhere a path that seems empty may turn
 * a program's own protection off, so policy has to list it.
 */
#pragma once

#include "base/json.h"

struct hidden_paths { /* a request's, borrowed */
    char *const *masked;
    size_t       n_masked;
    char *const *readonly;
    size_t       n_readonly;
};

/* Of a policy's entry as it is read, and of a request. Fail MALFORMED, LIMIT. */
FALLIBLE hidden_paths_check_entry(struct json_object *entry, struct err *err);
FALLIBLE hidden_paths_check(const struct hidden_paths *asked, struct err *err);

/* Whether the host may ask for this path of itself. */
bool hidden_path_is_kernels(const char *path);

/* NULL when the entry lists all that needs to be; else "masked path" or "read-only path", and which. */
const char *hidden_paths_difference(struct json_object *entry, const struct hidden_paths *asked, const char **path);

/*
 * Adds `maskedPaths` and `readonlyPaths` to the part `linux` of crun's configuration.
 *
 *   masked, readonly   policy's lists; NULL: none
 *   asked              NULL: nothing
 */
void hidden_paths_add(struct json_object *to, struct json_object *masked, struct json_object *readonly, const struct hidden_paths *asked);
