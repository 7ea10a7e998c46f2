/*
 * Images that this guest has, each fetched and unpacked (or mounted) once: containers of a pod that run the same one show
 * it, read-only, below writes of their own. Images that begin with the same layers have these in common.
 */
#pragma once

#include "guest/image/image.h"
#include "guest/signature/judge.h"

#define SHARED_IMAGES_FOLDER "/run/images"

enum { SHARED_IMAGES_MAX = 64 /* at once: four for each container that there can be */ };

struct shared_image {
    struct digest        manifest;
    struct image_verdict verdict; /* under which it came: another one may want more of the same image */
    struct buffer        config;  /* verified, JSON */
    unsigned             top;     /* of its stack of layers; 0: it is mounted */
    char                 mounted[IMAGE_MOUNT_PATH_MAX];
};

struct shared_images {
    struct shared_image at[SHARED_IMAGES_MAX];
    size_t              n;
    struct layer_store  layers; /* its folder and overlay are to be filled in */
};

/* Where an image is: its layers, the top first, or the one place where it is mounted. */
struct shared_root {
    char (*lower)[LAYER_PATH_MAX];
    size_t n;
};

static inline void auto_shared_root(struct shared_root *root) { free(root->lower); }

/* NULL: it is not here, or came under another verdict. Valid until the next call. */
const struct shared_image *shared_images_find(const struct shared_images *all, const struct digest *manifest,
                                              const struct image_verdict *verdict);

/* Whether one more may come. Fails LIMIT. */
FALLIBLE shared_images_room(const struct shared_images *all, struct err *err);
/* It came: `image` is taken. Call only when there was room. */
void shared_images_add(struct shared_images *all, struct shared_image image);

/* `out` is yours, AUTO(shared_root). */
void shared_images_root(const struct shared_images *all, const struct shared_image *image, struct shared_root *out);

/* Forgets images whose first `lower` is none of `used`, and removes the layers that no other has. */
void shared_images_forget(struct shared_images *all, char *const *used, size_t n_used);

void shared_images_free(struct shared_images *all); /* what is unpacked stays */
static inline void auto_shared_images(struct shared_images *all) { shared_images_free(all); }
