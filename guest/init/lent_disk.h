/*
 * A disk that the host lends, wherever it is: a device of its own since the start, or a part of the shelf, on which the
 * host puts disks later (guest/api/shelf.h). Either way it is known by its name, and nothing else about it is believed.
 */
#pragma once

#include "guest/init/disk.h"

/* Whether there is one whose name begins so, or may be one later. */
bool lent_disk_may_come(const char *prefix);

/*
 * Finds and opens the disk. What is on the shelf becomes a device of its own (dm-linear) for as long as it is not
 * forgotten; `fd` must be closed before that.
 *
 * Fails NOT_FOUND when the host lends none of that name; MALFORMED, OS.
 */
FALLIBLE lent_disk_open(const char *name, bool read_only, struct disk *out, struct err *err);

/* Takes back the device, if one was made. Fails OS, while it is in use. */
FALLIBLE lent_disk_forget(const char *name, struct err *err);
