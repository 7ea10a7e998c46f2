/*
 * Which disks a pod's guest is lent while it runs: the layers of its images that are mounted, and persistent volumes. A
 * volume is a block device that Kubernetes gives the container at a path outside of /dev, or a mounted folder with the file
 * VOLUME_FILE in it. Its name is the last part of the path in the container; key and rights are the guest's policy's.
 */
#pragma once

#include "guest/api/agent.pb-c.h"
#include "guest/api/shelf.h"
#include "guest/api/volume_limits.h"
#include "runtime/oci/image_disks.h"
#include "runtime/shim/container_spec.h"

#define VOLUME_FILE "cloister.img"

struct pod_volume_disk {
    char  name[VOLUME_DISK_NAME_MAX + 1];
    dev_t device; /* of the device, or of the file's file system */
    ino_t inode;  /* 0: a device */
};

struct pod_disks { /* the zero state: none */
    char                   images[SHELF_SLOTS][SHELF_NAME_MAX + 1];
    size_t                 n_images;
    struct pod_volume_disk volumes[VOLUME_DISKS_MAX];
    size_t                 n_volumes;
};

struct lender {
    bool (*lend)(void *owner, const char *name, int fd, struct err *err); /* `fd` is borrowed */
    void  *owner;
};

/*
 * Lends the image's layers of blocks that are not lent yet.
 *
 *   stores   directories with blobs/sha256/... below; NULL: none
 *   coming   whether one of them is not there, but on its way into a store
 *
 * Fails as image_disks_open and the lender do; an image whose manifest is nowhere has no such layers.
 */
FALLIBLE pod_disks_lend_image(struct pod_disks *disks, const char *const stores[static IMAGE_STORES], const char *digest, const struct lender *lender,
                              bool *coming, struct err *err);

/* What a container's request says of its volumes. */
struct container_disks {
    Agent__Volume rows[VOLUME_DISKS_MAX], *at[VOLUME_DISKS_MAX];
    char          names[VOLUME_DISKS_MAX][VOLUME_DISK_NAME_MAX + 1];
    size_t        n;
};

/*
 * Lends the container's volumes that are not lent yet. Each is locked while the VM runs, for it alone unless it is read-only.
 *
 *   out    yours to keep in place: its messages borrow from it and from `spec`
 *
 * Fails CONFIG for a name that is none or two volumes', and for one that is in use; LIMIT, OS, and as the lender.
 */
FALLIBLE pod_disks_lend_volumes(struct pod_disks *disks, const struct container_spec *spec, const struct lender *lender,
                                struct container_disks *out, struct err *err);

/* Whether the mounted folder is a volume. */
bool pod_disks_is_volume(const struct spec_mount *mount);
