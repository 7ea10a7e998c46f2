/* A key encryption key from a file: exactly 32 raw bytes, read straight into locked memory. */
#pragma once

#include "base/secret.h"

/* Fails CONFIG with the way to make a key, NOT_FOUND, OS. `out` is yours. */
FALLIBLE key_file_read(const char *path, struct secret *out, struct err *err);
