/*
 * Layers that this guest has unpacked, each once for all images that begin with the same ones: a folder for each, with what it
 * changes in those below, as overlayfs keeps it. An image's root is a stack of them. [docs/decisions/shared-layers.md]
 */
#pragma once

#include "keys/ocicrypt/layer_key.h"

enum { LAYER_STORE_MAX = 1024, /* layers at once; each costs an entry of 64 bytes */
       LAYER_PATH_MAX  = 64 };

/* Names a layer on top of those below it. Equal only where all is equal that its files follow from. Zeros: nothing below. */
struct layer_id { uint8_t at[SHA256_LEN]; };

/*
 * From the id of what is below to that of the layer above it.
 *
 *   key    that the image's own annotation opened; NULL: the layer is not encrypted. It is part of the name: an image that
 *          names another's layer without being given its key names something else.
 */
void layer_id_next(struct layer_id *id, const struct descriptor *layer, const struct layer_type *type, const struct layer_key *key,
                   const struct digest *diff_id);

struct stored_layer {
    struct layer_id id;
    unsigned        number; /* names its folder: none comes twice, none is 0 */
    unsigned        below;  /* 0: nothing */
    uint64_t        bytes, n_inodes; /* of the stack up to here, as budgets count */
};

/*
 * Shows layers as one root, read-only but for what goes into the tree of `upper`; `lower`: the top first. The root is gone
 * with its last descriptor.
 */
typedef bool layer_overlay_fn(void *owner, unsigned upper, const unsigned *lower, size_t n_lower, int *root_fd, struct err *err);

struct layer_store {
    const char          *folder;   /* "/run/images"; borrowed */
    layer_overlay_fn    *overlay;
    void                *owner;    /* of that */
    bool                 is_apart; /* each layer has a folder; else all that one image adds has one: nobody else will want them */
    struct stored_layer *layers;
    size_t               n;
    unsigned             n_made;
};

/* Of the stack that these ids name from the bottom on: the highest layer that is there, and how many it is with those below; else
 * NULL and 0. Valid until the next call. */
const struct stored_layer *layer_store_find(const struct layer_store *store, const struct layer_id *ids, size_t n, size_t *n_there);

/* One that is being filled. */
struct layer_begun {
    unsigned number, below;
    int      root_fd; /* shows what is below, and takes what changes */
};

#define NO_LAYER_BEGUN ((struct layer_begun){ .root_fd = NO_FD })

/* `below`: a layer that is there, 0 for none. Fails LIMIT, OS. */
FALLIBLE layer_store_begin(struct layer_store *store, unsigned below, struct layer_begun *out, struct err *err);
/* It is whole: from now on it is there, and nothing changes it any more. Fails OS when what it was filled with cannot be removed. */
FALLIBLE layer_store_end(struct layer_store *store, struct layer_begun *begun, const struct layer_id *id, uint64_t bytes,
                         uint64_t n_inodes, struct err *err);
/* It is not. Does nothing for one that was ended. */
void layer_store_abandon(struct layer_store *store, struct layer_begun *begun);

/* The stack whose top is `top`, as numbers, the top first. Returns how many: 0 when it is not there. */
size_t layer_store_stack(const struct layer_store *store, unsigned top, unsigned out[static OCI_LAYERS_MAX]);
/* Where the files of a layer are. */
void layer_store_path(const char *folder, unsigned number, char out[static LAYER_PATH_MAX]);
/* Where overlayfs works while it is filled. */
void layer_store_work_path(const char *folder, unsigned number, char out[static LAYER_PATH_MAX]);

/* Removes layers that are in the stack of none of these. */
void layer_store_keep(struct layer_store *store, const unsigned *tops, size_t n);
/* Removes those that came after it had `n`. */
void layer_store_shorten(struct layer_store *store, size_t n);

void layer_store_free(struct layer_store *store); /* the folders stay */
static inline void auto_layer_store(struct layer_store *store) { layer_store_free(store); }
