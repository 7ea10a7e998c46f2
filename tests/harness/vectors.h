/* Test vectors: those in the source tree, and the larger set beside it that a machine may lack. */
#pragma once

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

enum { VECTOR_LEN_MAX = 16 << 20, EXIT_SKIPPED = 77 };

static inline struct buffer vector_file(const char *folder_variable, const char *below, const char *path)
{
    const char   *folder = getenv(folder_variable);
    struct buffer out    = { 0 };
    char          full[PATH_MAX];
    struct err    err;

    (void) snprintf(full, sizeof full, "%s%s/%s", folder ? folder : ".", below, path); /* a cut path fails below */
    if (!file_read(full, VECTOR_LEN_MAX, &out, &err)) {
        fprintf(stderr, "test vector: %s\n", err.text);
        exit(1);
    }
    return out;
}

/* A file under tests/vectors/ of the source tree. */
static inline struct buffer own_vector(const char *path)
{
    return vector_file("CLOISTER_SOURCE", "/tests/vectors", path);
}

/* A file of the shared set; main() has called vectors_required(). */
static inline struct buffer shared_vector(const char *path)
{
    return vector_file("CLOISTER_VECTORS", "", path);
}

/* Ends the test as skipped, with the reason, where the shared set is absent. */
static inline void vectors_required(const char *path)
{
    const char *folder = getenv("CLOISTER_VECTORS");
    char        full[PATH_MAX];

    (void) snprintf(full, sizeof full, "%s/%s", folder ? folder : ".", path); /* a cut path does not exist */
    if (access(full, R_OK) == 0)
        return;
    printf("skipped: no %s; set CLOISTER_VECTORS\n", full);
    exit(EXIT_SKIPPED);
}
