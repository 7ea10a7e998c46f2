#include "runtime/shim/disk_needs.h"

#include <string.h>

#include "keys/api/initdata.h"

static bool image_may_want_disks(const char *const stores[static IMAGE_STORES], const char *digest)
{
    AUTO(image_disks) struct image_disks disks = { .n = 0 };
    struct err                           unknown;

    return !digest || !image_disks_open(stores, digest, &disks, &unknown) || disks.n + disks.n_missing > 0;
}

static bool container_may_want_disks(const char *const stores[static IMAGE_STORES], struct json_object *entry)
{
    struct json_object *volumes, *image;

    if (!json_object_is_type(entry, json_type_object))
        return true;
    if (json_object_object_get_ex(entry, "volumes", &volumes) &&
        (!json_object_is_type(volumes, json_type_array) || json_object_array_length(volumes) > 0))
        return true;
    return !json_object_object_get_ex(entry, "image", &image) ||
           image_may_want_disks(stores, json_object_is_type(image, json_type_string) ? json_object_get_string(image) : NULL);
}

bool pod_may_want_disks(struct bytes text, const char *const stores[static IMAGE_STORES])
{
    AUTO(initdata) struct initdata initdata = { 0 };
    AUTO(json) struct json_object *policy   = NULL;
    struct json_object            *containers;
    struct err                     unknown;

    if (!initdata_read(text, &initdata, &unknown))
        return true; /* which the start of the VM tells */
    const char *document = initdata_entry(&initdata, "policy.json");
    if (!document || !json_read(bytes_of_text(document), KBS_INITDATA_TEXT_MAX, &policy, &unknown) ||
        !json_get(policy, "containers", json_type_array, &containers, &unknown))
        return true;
    for (size_t i = 0; i < json_object_array_length(containers); i++)
        if (container_may_want_disks(stores, json_object_array_get_idx(containers, i)))
            return true;
    return false;
}
