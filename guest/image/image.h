/*
 * An image from its manifest digest to a root directory: fetched from an untrusted source, verified, decrypted,
 * unpacked. Nothing of a layer is decrypted before its digest and its HMAC held. [threats I1, I3, I4]
 */
#pragma once

#include "guest/image/layer_store.h"
#include "keys/ocicrypt/block_layer.h"
#include "keys/ocicrypt/image_config.h"
#include "keys/ocicrypt/layer_key.h"

enum { IMAGE_READ_MAX = 256 << 10, /* bytes asked of a source at once */
       IMAGE_SOURCES_MAX = 16 };

/*
 * Puts up to `len` (1 to IMAGE_READ_MAX) bytes of the blob `digest` ("sha256:<hex>"), from `offset`, at `into`.
 * `got` is how many, at most `len`; 0 only at the end. `total` is the size of the whole blob.
 */
typedef bool image_read_fn(void *owner, const char *digest, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                           uint64_t *total, struct err *err);

/* Where blobs come from. Nothing that it says is believed: it may lie, be short, or stop. */
struct image_source {
    image_read_fn *read;
    void          *owner;
    const char    *name;          /* for messages; may be NULL for a source that is the only one */
    image_read_fn *read_manifest; /* where those are another kind of thing; NULL: `read` */
    /* The layers that will be asked for, in order; called before the first one is. NULL: not interested. */
    void         (*expect)(void *owner, const struct manifest *manifest);
    bool           is_cache;      /* what comes from it is not offered to image_keep */
};

/*
 * Where ciphertext and documents may be kept for the next guest; what is not encrypted is never offered. Pieces come
 * in order, a blob at a time; one that turns out to be wrong, or breaks off, begins again at offset 0 or never ends.
 */
struct image_keep {
    bool (*put)(void *owner, const char *digest, uint64_t offset, struct bytes piece, uint64_t total); /* false: no more is taken */
    void  *owner;
};

enum image_phase { IMAGE_PULL, IMAGE_KEY, IMAGE_VERIFY, IMAGE_UNPACK, IMAGE_PHASES };

const char *image_phase_name(enum image_phase phase); /* "pull", "key", "verify", "unpack" */

struct image_budget {
    uint64_t unpacked_bytes; /* content of all files, rounded up to pages; a hard link is free */
    uint64_t packed_bytes;   /* all layer blobs together */
    uint64_t inodes;
    uint32_t path_depth;     /* components of a path */
    uint32_t ratio;          /* unpacked : packed of one layer's stream, beyond its first 64 MiB */
    uint32_t window_log;     /* zstd: largest window, as a power of two */
};

#define IMAGE_BUDGET_DEFAULT                                                                                     \
    ((struct image_budget){ .unpacked_bytes = 8ULL << 30, .packed_bytes = 8ULL << 30, .inodes = 1 << 20,         \
                            .path_depth = 128, .ratio = 256, .window_log = 27 })

/*
 * Mounts a layer of blocks from a disk that the host lent, under this root hash, which was verified.
 *
 *   key    BLOCK_LAYER_KEY_LEN bytes; of length 0 for a layer that is not encrypted
 *   path   where it is mounted, read-only
 *
 * Fails NOT_FOUND (no such disk), UNTRUSTED (other blocks), MALFORMED, OS.
 */
enum { IMAGE_MOUNT_PATH_MAX = 64 };
typedef bool image_mount_fn(void *owner, const struct digest *layer, const struct block_layer *blocks, const struct secret *key,
                            char path[static IMAGE_MOUNT_PATH_MAX], struct err *err);

struct image_request {
    struct digest       manifest;   /* of a manifest, or of an index that has one for `architecture` */
    const char         *architecture; /* "amd64" */
    const struct image_source *sources; /* tried in order, for each blob; borrowed */
    size_t              n_sources;      /* at most IMAGE_SOURCES_MAX */
    struct image_keep   keep;           /* `put` NULL: nothing is kept */
    kek_fn             *kek; /* asks the broker: "kbs:///R/T/G" -> key; once for each layer that has another key id */
    void               *kek_owner;
    image_mount_fn     *mount; /* for images of one layer that is mounted; NULL: there are none */
    void               *mount_owner;
    struct layer_store *layers; /* where layers are kept apart for other images to share; NULL: all go into the target */
    struct image_budget budget;
    /*
     * Directory that holds the ciphertext until it is verified, in a nameless file; NO_FD: in memory. It is given
     * back piece by piece while the layer unpacks.
     */
    int  scratch_fd;
    bool keeps_our_owner;    /* tests without root: chown and device nodes are left out */
    bool must_be_encrypted;  /* a plain layer is DENIED */
    const char *required_kid; /* with it: every layer encrypted, and under this key id; NULL: any */
};

/* Filled in as it goes, so that a failure says where it was. */
struct image_progress {
    enum image_phase phase;
    uint64_t         spent_ns[IMAGE_PHASES];
    uint64_t         bytes_pulled, bytes_unpacked, n_inodes;
    uint64_t         bytes_cached; /* of bytes_pulled: from sources that are a cache */
    unsigned         n_failures;   /* of sources that another one made up for; "no such blob" does not count */
    char             last_failure[200]; /* the last of them, with the source's name */
    char             mounted[IMAGE_MOUNT_PATH_MAX]; /* where the image is, instead of in the target; "": it is there, or else */
    unsigned         top;            /* of the image's stack in `layers`; 0: it has none */
    size_t           n_layers_there; /* that another image had brought */
};

/*
 * Unpacks the whole image into the empty directory `target_fd`, as root of the container; or, with `layers`, into folders
 * there, except for layers that are there already: these cost neither a byte of a source nor memory, and all that is asked
 * of the image is asked of them (keys, policy, digests, budgets). When it is one layer of blocks, mounts it. In both cases
 * the target is not used, and may be NO_FD. The container's own rules
 * on devices apply later: mount the target `nodev` where it can be.
 *
 *   config      yours, AUTO(image_config): from the verified config blob; written only on success
 *   progress    always written; on failure `phase` is the phase that failed
 *
 * On failure all that was unpacked is removed again, as far as that works. `err` begins with what failed
 * ("layer 2 of 3: ..."), not with the phase. Fails as the callbacks do, and MALFORMED, LIMIT (a budget),
 * UNSUPPORTED, UNTRUSTED (digest, HMAC, wrong key), DENIED, NOT_FOUND, OS (disk full and the like).
 */
FALLIBLE image_unpack(const struct image_request *request, int target_fd, struct image_config *config,
                      struct image_progress *progress, struct err *err);
