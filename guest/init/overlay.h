/* overlayfs: a stack of folders shown as one, read-only but for the writes that go into an upper one. */
#pragma once

#include <stddef.h>

#include "base/err.h"

enum { OVERLAY_LOWER_MAX = 256 /* the kernel takes 500 */ };

struct overlay {
    const char *const *lower; /* paths, the top first; each alone in its name: no list in one text, so no escaping */
    size_t             n_lower;
    const char        *upper, *work; /* empty folders of one file system */
};

/*
 * Makes the overlay as a mount that is in no mount namespace: whoever has `mount_fd` can use it, nobody finds it by path, a
 * container that starts meanwhile inherits nothing, and it ends with its last descriptor.
 *
 * Metadata of files is never apart from their content, no folder is a redirection to another, and no index is kept: an
 * upper folder is, on its own, what changed. Fails LIMIT, OS.
 */
FALLIBLE overlay_make(const struct overlay *overlay, int *mount_fd, struct err *err);

/* Puts it at `path`. */
FALLIBLE overlay_attach(int mount_fd, const char *path, struct err *err);
