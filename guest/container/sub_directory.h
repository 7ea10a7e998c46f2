/*
 * A directory in a volume (Kubernetes' subPath). Containers that have the volume may put links there, and exchange what
 * is there at any time: it is looked for without following any, and what was found is what is mounted.
 */
#pragma once

#include "base/err.h"

/*
 * Makes the directories of `path` below `volume` that are not there, for everyone, and mounts the last at `place`,
 * which is made.
 *
 *   path    checked by volume_below_check
 *
 * Fails DENIED where something on the way is no directory of the volume itself, OS.
 */
FALLIBLE sub_directory_mount(const char *volume, const char *path, const char *place, struct err *err);
/* Removes the mount and the place, and nothing that is in the volume. One that is not there is fine. */
void     sub_directory_unmount(const char *place);
