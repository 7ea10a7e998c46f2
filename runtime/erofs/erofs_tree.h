/*
 * The files of an image as a tree in memory: names, owners, modes; contents stay where they were put. Names are
 * resolved as the guest's kernel would with the image as its root: links are followed, and lead nowhere else.
 */
#pragma once

#include <sys/types.h>

#include "base/auto.h"
#include "base/bytes.h"

enum { EROFS_DEPTH_MAX = 512 }; /* nested folders: links let an archive's own paths add up */

struct erofs_extent { uint64_t offset, len; }; /* in the file */

struct erofs_attribute {
    char         *name; /* "user.x", "security.capability" */
    struct buffer value;
};

struct erofs_node {
    mode_t   mode; /* with its type */
    uint32_t uid, gid;
    int64_t  mtime;
    uint32_t mtime_ns;
    uint32_t major, minor; /* of devices */
    uint32_t n_names;      /* how many names lead here */

    uint64_t             size;      /* of a file, holes included; of a link's target */
    uint64_t             stored_at; /* of a file: where its content stands, its extents one after the other */
    bool                 is_sparse;
    struct erofs_extent *extents; /* of a sparse file: ascending, apart */
    size_t               n_extents;
    char                *link; /* of a symbolic link */

    struct erofs_attribute *attributes;
    size_t                  n_attributes;

    struct erofs_node *parent; /* of a folder; the root's is itself */
    unsigned           depth;  /* of a folder; the root's is 0 */
    struct erofs_name *names;  /* of a folder: in order of their bytes */
    size_t             n, room;

    struct { /* for who lays them out */
        uint64_t nid, at, size;
        uint32_t block, number;
        bool     is_inline, is_placed;
    } place;
};

struct erofs_name {
    char              *text;
    struct erofs_node *node;
    unsigned           layer; /* that wrote it last */
};

struct erofs_tree {
    struct erofs_node *root;
    uint64_t           n_nodes, nodes_max;
};

/* An empty root: mode 0755, owner root, time 0. */
FALLIBLE erofs_tree_new(uint64_t nodes_max, struct erofs_tree *out, struct err *err);
void     erofs_tree_free(struct erofs_tree *tree);
static inline void auto_erofs_tree(struct erofs_tree *tree) { erofs_tree_free(tree); }

/* A node that will stand in `folder`. Fails LIMIT beyond nodes_max, and EROFS_DEPTH_MAX for folders. */
FALLIBLE erofs_node_new(struct erofs_tree *tree, const struct erofs_node *folder, mode_t mode, struct erofs_node **out,
                        struct err *err);

struct erofs_name *erofs_find(const struct erofs_node *folder, const char *name); /* NULL: none */
/* Puts `node` under the name; what was there is gone, and all below it. */
void erofs_put(struct erofs_tree *tree, struct erofs_node *folder, const char *name, struct erofs_node *node, unsigned layer);

/*
 * Hides what layers below `layer` left: everything in `folder`, or (`name` not NULL) what is under that name. What `layer` wrote stays,
 * and the folders that lead there.
 */
void erofs_hide(struct erofs_tree *tree, struct erofs_node *folder, const char *name, unsigned layer);

/*
 * The folder that `path` ("a/b", "" for the root) leads to. Symbolic links are followed.
 *
 *   layer   missing folders are made for it, mode 0755; ~0U: none is made
 *
 * Fails NOT_FOUND, MALFORMED for a step that is no folder, LIMIT.
 */
FALLIBLE erofs_walk(struct erofs_tree *tree, const char *path, unsigned layer, struct erofs_node **out, struct err *err);

/* Sets it or replaces its value. */
void erofs_attribute_set(struct erofs_node *node, const char *name, struct bytes value);
