/* Lines of /proc/self/mountinfo, which is the kernel's, with names in it that are not. [proc(5)] */
#pragma once

#include <limits.h>

#include "base/bytes.h"
#include "base/err.h"

enum { MOUNTINFO_MAX = 8 << 20, MOUNT_WORD_MAX = 256 };

struct mount_line {
    char device[32];      /* "MAJOR:MINOR" */
    char root[PATH_MAX];  /* in its file system */
    char point[PATH_MAX]; /* where it is */
    char type[MOUNT_WORD_MAX];
    char options[MOUNT_WORD_MAX]; /* of the file system; cut where they are longer */
};

/*
 * Takes the first line off `left`.
 *
 *   is_there    false at the end
 *
 * Fails MALFORMED for a line that is none, LIMIT for a path that is too long.
 */
FALLIBLE mountinfo_next(struct bytes *left, struct mount_line *out, bool *is_there, struct err *err);
