/* What PID 1 mounts, in order, each step a row with a name, so that a failure says which. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct mount_row {
    const char   *target;
    const char   *type;
    unsigned long flags;   /* MS_... */
    const char   *options; /* NULL: none */
    bool          may_be_absent; /* when this kernel has no such file system */
};

extern const struct mount_row mount_rows[];
extern const size_t           n_mount_rows;

/*
 * Covers the initial root with itself, so that pivot_root works later, then mounts every row and makes the standard
 * links in /dev. Call once, in PID 1, before anything else.
 */
FALLIBLE mounts_make(struct err *err);

/* The rows that need a kernel module; after modules_load. */
FALLIBLE mounts_make_late(struct err *err);

/* Bounds what /run may hold, where images are unpacked: a full one is an error with a name, a full guest is its end. */
FALLIBLE mounts_bound_run(uint64_t bytes, struct err *err);
