#include "guest/agent/shared_images.h"

#include <string.h>

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

FALLIBLE shared_images_room(const struct shared_images *all, struct err *err)
{
    return all->n < SHARED_IMAGES_MAX || fail_with(err, ERR_LIMIT, "over %d images at once", SHARED_IMAGES_MAX);
}

void shared_images_add(struct shared_images *all, struct shared_image image)
{
    all->at[all->n++] = image;
}

void shared_images_root(const struct shared_images *all, const struct shared_image *image, struct shared_root *out)
{
    unsigned stack[OCI_LAYERS_MAX];

    out->n     = image->top ? layer_store_stack(&all->layers, image->top, stack) : 1;
    out->lower = calloc(out->n, sizeof *out->lower);
    if (!out->lower)
        abort();
    for (size_t i = 0; i < out->n; i++)
        if (image->top)
            layer_store_path(all->layers.folder, stack[i], out->lower[i]);
        else
            (void) snprintf(out->lower[i], sizeof out->lower[i], "%s", image->mounted); /* of the same size */
}

static bool is_used(const struct shared_images *all, const struct shared_image *image, char *const *used, size_t n_used)
{
    char path[LAYER_PATH_MAX];

    layer_store_path(all->layers.folder, image->top, path);
    for (size_t i = 0; i < n_used; i++)
        if (strcmp(used[i], image->top ? path : image->mounted) == 0)
            return true;
    return false;
}

void shared_images_forget(struct shared_images *all, char *const *used, size_t n_used)
{
    unsigned tops[SHARED_IMAGES_MAX];
    size_t   kept = 0;

    for (size_t i = 0; i < all->n; i++) {
        if (!is_used(all, &all->at[i], used, n_used)) {
            buffer_free(&all->at[i].config);
            continue;
        }
        tops[kept]     = all->at[i].top;
        all->at[kept++] = all->at[i];
    }
    all->n = kept;
    layer_store_keep(&all->layers, tops, kept);
}

void shared_images_free(struct shared_images *all)
{
    for (size_t i = 0; i < all->n; i++)
        buffer_free(&all->at[i].config);
    all->n = 0;
    layer_store_free(&all->layers);
}
