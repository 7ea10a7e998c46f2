/* Finds the initdata among the block devices that the host attached. [KATA 2.4] */
#pragma once

#include "base/bytes.h"

enum { BLOCK_DEVICES_MAX = 64 };

/*
 * Looks at every vd? and sd? of `directory` ("/dev") for one disk that begins with the initdata magic and reads the
 * TOML text from it, appended to `text`. Nothing in the text has been looked at yet.
 *
 * Fails NOT_FOUND when no disk has the magic, MALFORMED when two have or the content is broken, LIMIT, OS.
 */
FALLIBLE initdata_disk_find(const char *directory, struct buffer *text, struct err *err);
