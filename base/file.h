/* Whole files, read with a limit and written so that a reader sees the old content or the new. */
#pragma once

#include <sys/types.h>

#include "base/auto.h"
#include "base/bytes.h"

/* Appends the file's content to `out`. Fails LIMIT over `len_max`, NOT_FOUND when there is no such file, else OS. */
FALLIBLE file_read(const char *path, size_t len_max, struct buffer *out, struct err *err);
FALLIBLE file_read_fd(int fd, size_t len_max, struct buffer *out, struct err *err); /* from the current offset to the end */

/* Writes a temporary file beside `path`, syncs it and renames it over `path`. `mode` is exact, whatever the umask. */
FALLIBLE file_write(const char *path, struct bytes content, mode_t mode, struct err *err);
FALLIBLE write_all(int fd, struct bytes content, struct err *err); /* repeats short writes and EINTR */

/* Makes `path` and its parents, mode 0755; one that exists is fine. */
FALLIBLE directory_make(const char *path, struct err *err);
/* Removes `path` and all below it, however deep, without following symbolic links; a missing one is fine. Fails OS where something is mounted in it. */
FALLIBLE directory_remove(const char *path, struct err *err);
/* Makes a new private directory (0700) named `prefix`XXXXXX below TMPDIR or /tmp. `out` is yours (AUTO(text)). */
FALLIBLE directory_make_temporary(const char *prefix, char **out, struct err *err);
/* A nameless file in memory that holds `content`, sealed, opened for reading only, offset 0. */
FALLIBLE memory_file(const char *name, struct bytes content, int *out_fd, struct err *err);
