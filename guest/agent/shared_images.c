#include "guest/agent/shared_images.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

static bool verdict_equal(const struct image_verdict *a, const struct image_verdict *b)
{
    return a->must_be_encrypted == b->must_be_encrypted && strcmp(a->required_kid, b->required_kid) == 0;
}

const struct shared_image *shared_images_find(const struct shared_images *all, const struct digest *manifest,
                                              const struct image_verdict *verdict)
{
    for (size_t i = 0; i < all->n; i++)
        if (digest_equal(&all->at[i].manifest, manifest) && verdict_equal(&all->at[i].verdict, verdict))
            return &all->at[i];
    return NULL;
}

FALLIBLE shared_images_begin(struct shared_images *all, const char *folder, char path[static IMAGE_MOUNT_PATH_MAX], int *out_fd,
                             struct err *err)
{
    if (all->n == SHARED_IMAGES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d images at once", SHARED_IMAGES_MAX);
    (void) snprintf(path, IMAGE_MOUNT_PATH_MAX, "%s/unpacked-%u", folder, all->n_made++); /* a cut one is made as well */
    if (!directory_make(path, err))
        return false;
    *out_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return *out_fd >= 0 || err_os(err, "%s", path);
}

void shared_images_add(struct shared_images *all, struct shared_image image)
{
    all->at[all->n++] = image;
}

static void forget(struct shared_image *image)
{
    struct err ignored; /* what stays behind is memory of a guest that will end */

    if (image->is_unpacked)
        (void) !directory_remove(image->path, &ignored);
    buffer_free(&image->config);
}

static bool is_used(const struct shared_image *image, char *const *used, size_t n_used)
{
    for (size_t i = 0; i < n_used; i++)
        if (strcmp(used[i], image->path) == 0)
            return true;
    return false;
}

void shared_images_forget(struct shared_images *all, char *const *used, size_t n_used)
{
    size_t kept = 0;

    for (size_t i = 0; i < all->n; i++)
        if (is_used(&all->at[i], used, n_used))
            all->at[kept++] = all->at[i];
        else
            forget(&all->at[i]);
    all->n = kept;
}

void shared_images_free(struct shared_images *all)
{
    for (size_t i = 0; i < all->n; i++)
        buffer_free(&all->at[i].config);
    all->n = 0;
}
