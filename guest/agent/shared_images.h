/*
 * Images that this guest has, each fetched and unpacked (or mounted) once: containers of a pod that run the same one show
 * it, read-only, below writes of their own.
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
    char                 path[IMAGE_MOUNT_PATH_MAX];
    bool                 is_unpacked; /* there, and so to be removed */
};

struct shared_images {
    struct shared_image at[SHARED_IMAGES_MAX];
    size_t              n;
    unsigned            n_made; /* names folders: none comes twice */
};

/* NULL: it is not here, or came under another verdict. Valid until the next call. */
const struct shared_image *shared_images_find(const struct shared_images *all, const struct digest *manifest,
                                              const struct image_verdict *verdict);

/* Makes an empty folder below `folder` for one that comes. Fails LIMIT, OS. */
FALLIBLE shared_images_begin(struct shared_images *all, const char *folder, char path[static IMAGE_MOUNT_PATH_MAX], int *out_fd,
                             struct err *err);
/* It came: `image` is taken. Call only after shared_images_begin. */
void shared_images_add(struct shared_images *all, struct shared_image image);

/* Forgets, and removes where they were unpacked, those whose path is none of `used`. */
void shared_images_forget(struct shared_images *all, char *const *used, size_t n_used);

void shared_images_free(struct shared_images *all); /* what is unpacked stays */
static inline void auto_shared_images(struct shared_images *all) { shared_images_free(all); }
