/*
 * Which names the current layer has written, and removal of what the layers below left: a whiteout hides only
 * those, wherever it stands in its archive. [OCI-IMAGE layer, whiteouts]
 */
#pragma once

#include <sys/types.h>

#include "base/auto.h"
#include "base/err.h"

/* A set of (inode of the folder, name). The zero state is empty. */
struct layer_names {
    struct layer_name **slots;
    size_t              n_slots, n;
};

void layer_names_add(struct layer_names *names, ino_t folder, const char *name);
bool layer_names_have(const struct layer_names *names, ino_t folder, const char *name);
void layer_names_free(struct layer_names *names);
static inline void auto_layer_names(struct layer_names *names) { layer_names_free(names); }

/*
 * Removes `name` in `folder_fd`, and below it, except for what is in `keep` (NULL: nothing is kept) and the folders
 * that lead there. No symbolic link is followed. One that is missing is fine.
 * Fails LIMIT beyond LAYER_DEPTH_MAX, else OS.
 */
FALLIBLE layer_tree_remove(int folder_fd, const char *name, const struct layer_names *keep, struct err *err);
/* The same for all that is in the folder. */
FALLIBLE layer_tree_clear(int folder_fd, const struct layer_names *keep, struct err *err);
