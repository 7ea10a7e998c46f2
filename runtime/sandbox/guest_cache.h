/*
 * The node's cache: blobs by content, as guests offered them after they had pulled them, for the next guest of the
 * same image. What is in it is ciphertext and public documents. A guest trusts none of it, and it trusts no guest:
 * a blob gets its name when its digest was computed here. Several processes may share one folder.
 */
#pragma once

#include "keys/ocicrypt/digest.h"

enum {
    BLOB_PATH_LEN         = 13 + 64 + 1,
    GUEST_CACHE_BLOBS_MAX = 1 << 16, /* of all guests together */
    GUEST_BLOBS_MAX       = 1 << 12, /* of one */
};

/* "blobs/sha256/<hex>", or MALFORMED when `digest` is not "sha256:" and 64 lower-case hex digits. */
FALLIBLE blob_path(const char *digest, char path[static BLOB_PATH_LEN], struct err *err);

struct guest_cache {
    int      folder_fd;
    uint64_t bytes_max;  /* of all blobs together */
    uint64_t bytes_left; /* that this guest may still bring in: half of the whole at first */
    size_t   blobs_left; /* likewise: a file takes room, however little is in it */

    /* the blob that is arriving */
    int               fd; /* nameless file; NO_FD: none */
    char              path[BLOB_PATH_LEN];
    uint64_t          offset, size;
    struct digest_run digest;
};

#define NO_GUEST_CACHE ((struct guest_cache){ .folder_fd = NO_FD, .fd = NO_FD })

/* Makes the folder when it is not there. `out` is yours, AUTO(guest_cache). */
FALLIBLE guest_cache_open(const char *folder, uint64_t bytes_max, struct guest_cache *out, struct err *err);
void     guest_cache_close(struct guest_cache *cache);
static inline void auto_guest_cache(struct guest_cache *cache) { guest_cache_close(cache); }

/* An open descriptor to read from, and a note that the blob was used. Fails NOT_FOUND. */
FALLIBLE guest_cache_get(const struct guest_cache *cache, const char *digest, int *out_fd, struct err *err);

/*
 * The next piece of a blob; at offset 0 one begins, whatever was arriving. When it is whole and right it is kept, and
 * blobs that were not used for longest make room.
 *
 * Fails MALFORMED for a piece out of order, LIMIT for more than there is room for, UNTRUSTED for other bytes than the
 * digest says, OS.
 */
FALLIBLE guest_cache_put(struct guest_cache *cache, const char *digest, uint64_t offset, uint64_t size, struct bytes piece,
                        struct err *err);
