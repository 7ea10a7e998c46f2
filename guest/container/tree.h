/*
 * A volume of files, laid out as the kubelet does it: the files in a folder "..N", to which the link "..data" points, and
 * for the first name of each path a link into "..data". Other files take their place by one rename: who reads sees the
 * old or the new ones, all of them. [Kubernetes, pkg/volume/util AtomicWriter]
 */
#pragma once

#include "guest/container/volumes.h"

/*
 * Makes `folder`, or replaces the files in it. They will be `uid`'s and `gid`'s.
 *
 *   files    checked by volumes_check or volume_tree_check; their paths are below the folder
 *
 * Fails OS; what was there before then is there still.
 */
FALLIBLE tree_write(const char *folder, const struct volume_file *files, size_t n, uid_t uid, gid_t gid, struct err *err);
