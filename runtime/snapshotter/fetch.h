/*
 * Fetches blobs of registries into the cache, one after the other, each in a process of its own that is nobody and
 * has one descriptor: it reads what a registry says. Registries that ask for a login are left alone; a guest fetches
 * from those itself.
 */
#pragma once

#include "base/loop.h"
#include "runtime/snapshotter/blob_cache.h"

enum { FETCH_WAITING_MAX = 1024, BLOB_SIZE_MAX_GIB = 64 };

struct fetcher;

FALLIBLE fetcher_new(struct loop *loop, const struct blob_cache *cache, struct fetcher **out, struct err *err);
void     fetcher_free(struct fetcher *fetcher);
DEFINE_AUTO(fetcher, struct fetcher *, fetcher_free)

/* Does nothing when the cache has it, or it waits already. LIMIT when too many wait. */
FALLIBLE fetcher_want(struct fetcher *fetcher, const char *url, const struct digest *digest, uint64_t size, struct err *err);

/* What the child process runs: URL DIGEST SIZE, the blob to descriptor 3. Gives its exit status. */
#define FETCH_WORD "fetch-blob"
int fetch_main(int argc, char **argv);
