/*
 * Applies the entries of layers, bottom first, to one root directory. Every name is resolved by the kernel with
 * the root as its ceiling, so that no link, however it got there, leads out. [threats I3; openat2(2) RESOLVE_IN_ROOT]
 */
#pragma once

#include "guest/image/image.h"
#include "guest/image/layer_tree.h"
#include "guest/image/tar.h"

struct rootfs {
    int                 root_fd; /* borrowed */
    struct image_budget budget;
    bool                keeps_our_owner;
    bool                is_stacked;      /* the root is an overlay: what it shows of lower trees is copied when it changes */
    uint64_t            bytes, n_inodes; /* so far, over all layers */

    /* of the current layer */
    bool                is_bottom; /* nothing below: whiteouts have nothing to hide */
    struct layer_names  written;
    struct folder_time *times; /* set at the end, since filling a folder changes its time */
    size_t              n_times;

    /* the last parent: most entries share theirs with the one before */
    struct buffer parent_path;
    int           parent_fd;
    ino_t         parent_inode;
};

struct rootfs rootfs_over(int root_fd, const struct image_budget *budget, bool keeps_our_owner);
void          rootfs_free(struct rootfs *rootfs);
static inline void auto_rootfs(struct rootfs *rootfs) { rootfs_free(rootfs); }

/*
 * The next layer goes through another root: an overlay over the trees of those below it (guest/image/layer_store.h), or, when
 * there are none, an empty directory. Between layers only. The budgets go on.
 */
void rootfs_move(struct rootfs *rootfs, int root_fd, bool is_stacked);

/* So much of the image is there already. Fails LIMIT. */
FALLIBLE rootfs_count(struct rootfs *rootfs, uint64_t bytes, uint64_t n_inodes, struct err *err);

void rootfs_layer_begin(struct rootfs *rootfs);
/*
 * Applies the current entry of `tar` and reads its content from there.
 * Fails with the entry's name in front: MALFORMED, UNSUPPORTED, LIMIT (a budget), OS (disk full and the like).
 */
FALLIBLE rootfs_apply(struct rootfs *rootfs, const struct tar_entry *entry, struct tar *tar, struct err *err);
FALLIBLE rootfs_layer_end(struct rootfs *rootfs, struct err *err);
