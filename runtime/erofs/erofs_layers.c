#include "runtime/erofs/erofs_layers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "guest/image/entry_path.h"

enum { PAGE = 4096 };

FALLIBLE erofs_layers_open(const char *folder, const struct image_budget *budget, struct erofs_layers *out, struct err *err)
{
    *out = (struct erofs_layers){ .content_fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
                                  .bytes_max = budget->unpacked_bytes, .depth_max = budget->path_depth };
    if (out->content_fd < 0)
        return err_os(err, "make a file in %.160s", folder);
    return erofs_tree_new(budget->inodes, &out->tree, err);
}

void erofs_layers_free(struct erofs_layers *layers)
{
    erofs_tree_free(&layers->tree);
    auto_fd(&layers->content_fd);
    *layers = NO_EROFS_LAYERS;
}

static FALLIBLE charge(struct erofs_layers *l, uint64_t bytes, struct err *err)
{
    if (bytes > l->bytes_max - l->bytes)
        return fail_with(err, ERR_LIMIT, "more than %llu bytes, the budget", (unsigned long long) l->bytes_max);
    l->bytes += bytes;
    return true;
}

/* What the guest sets, and no more: see rootfs.c. */
static FALLIBLE attributes_take(struct erofs_layers *l, struct erofs_node *node, const struct tar_entry *e, struct err *err)
{
    for (size_t i = 0; i < e->n_xattrs; i++) {
        char         name[TAR_COMPONENT_MAX + 1];
        struct bytes from = e->xattrs[i].name;

        memcpy(name, from.at, from.len);
        name[from.len] = 0;
        if (strcmp(name, "security.capability") != 0 && strncmp(name, "user.", 5) != 0)
            continue;
        if (e->xattrs[i].value.len > UINT16_MAX)
            return fail_with(err, ERR_LIMIT, "an extended attribute of %zu bytes", e->xattrs[i].value.len);
        if (!charge(l, e->xattrs[i].value.len, err))
            return false;
        erofs_attribute_set(node, name, e->xattrs[i].value);
    }
    return true;
}

static void owner_take(struct erofs_node *node, const struct tar_entry *e)
{
    node->mode     = (node->mode & S_IFMT) | e->mode;
    node->uid      = e->uid;
    node->gid      = e->gid;
    node->mtime    = e->mtime;
    node->mtime_ns = e->mtime_ns;
}

static FALLIBLE content_keep(struct erofs_layers *l, struct tar *tar, struct err *err)
{
    for (;;) {
        struct bytes piece = { 0 };

        if (!tar_content(tar, &piece, err))
            return false;
        if (piece.len == 0)
            return true;
        if (!write_all(l->content_fd, piece, err))
            return context(err, "keep its content");
        l->content_len += piece.len;
    }
}

static void extents_take(struct erofs_node *node, const struct tar_entry *e)
{
    node->is_sparse = e->is_sparse && e->size > 0;
    node->n_extents = node->is_sparse ? e->n_extents : 0;
    node->extents   = zeroed(node->n_extents + 1, sizeof *node->extents);
    for (size_t i = 0; i < node->n_extents; i++)
        node->extents[i] = (struct erofs_extent){ e->extents[i].offset, e->extents[i].len };
}

static FALLIBLE file_add(struct erofs_layers *l, struct erofs_node *node, const struct tar_entry *e, struct tar *tar, struct err *err)
{
    node->size      = e->size;
    node->stored_at = l->content_len;
    extents_take(node, e);
    return charge(l, (e->stored + PAGE - 1) / PAGE * PAGE, err) && content_keep(l, tar, err) && attributes_take(l, node, e, err);
}

static mode_t type_of(enum tar_kind kind)
{
    static const mode_t types[] = { [TAR_FILE] = S_IFREG, [TAR_SYMBOLIC_LINK] = S_IFLNK, [TAR_CHARACTER] = S_IFCHR,
                                    [TAR_BLOCK] = S_IFBLK, [TAR_FOLDER] = S_IFDIR, [TAR_FIFO] = S_IFIFO };

    return types[kind]; /* a hard link has none of its own */
}

static FALLIBLE node_fill(struct erofs_layers *l, struct erofs_node *node, const struct tar_entry *e, struct tar *tar, struct err *err)
{
    owner_take(node, e);
    if (e->kind == TAR_FILE)
        return file_add(l, node, e, tar, err);
    if (e->kind == TAR_FOLDER)
        return attributes_take(l, node, e, err);
    if (e->kind == TAR_SYMBOLIC_LINK) {
        node->mode = S_IFLNK | 0777;
        node->link = strdup(e->link);
        if (!node->link)
            abort();
        node->size = strlen(node->link);
        return charge(l, node->size, err);
    }
    node->major = e->kind == TAR_FIFO ? 0 : e->major;
    node->minor = e->kind == TAR_FIFO ? 0 : e->minor;
    return true;
}

static FALLIBLE hard_link_add(struct erofs_layers *l, struct erofs_node *folder, const char *base, const struct tar_entry *e,
                              struct err *err)
{
    struct entry_path  target;
    struct erofs_node *of    = NULL;
    struct erofs_name *found = NULL;

    if (!entry_path_read(e->link, &target, err))
        return context(err, "target of a hard link");
    if (target.base[0] == '\0' || target.whiteout != WHITEOUT_NONE || target.depth > l->depth_max)
        return fail_with(err, ERR_MALFORMED, "target of a hard link: the root, a whiteout, or too deep");
    if (!erofs_walk(&l->tree, target.parent, ~0U, &of, err))
        return context(err, "target of a hard link");
    found = erofs_find(of, target.base);
    if (!found)
        return fail_with(err, ERR_MALFORMED, "a hard link to something that is not there");
    if (S_ISDIR(found->node->mode))
        return fail_with(err, ERR_MALFORMED, "a hard link to a folder");
    erofs_put(&l->tree, folder, base, found->node, l->layer);
    return true;
}

static FALLIBLE entry_put(struct erofs_layers *l, struct erofs_node *folder, const char *base, const struct tar_entry *e,
                          struct tar *tar, struct err *err)
{
    struct erofs_name *there = erofs_find(folder, base);
    struct erofs_node *node  = NULL;

    if (e->kind == TAR_HARD_LINK)
        return hard_link_add(l, folder, base, e, err);
    if (e->kind == TAR_FOLDER && there && S_ISDIR(there->node->mode)) {
        there->layer = l->layer;
        return node_fill(l, there->node, e, tar, err);
    }
    if (!erofs_node_new(&l->tree, folder, type_of(e->kind), &node, err))
        return false;
    erofs_put(&l->tree, folder, base, node, l->layer);
    return node_fill(l, node, e, tar, err);
}

static FALLIBLE whiteout_apply(struct erofs_layers *l, const struct entry_path *path, const struct tar_entry *e, struct err *err)
{
    struct erofs_node *folder = NULL;

    if (e->kind != TAR_FILE && e->kind != TAR_HARD_LINK)
        return fail_with(err, ERR_MALFORMED, "a whiteout that is not a file");
    if (l->layer == 0)
        return true;
    if (!erofs_walk(&l->tree, path->parent, ~0U, &folder, err))
        return err->kind == ERR_NOT_FOUND;
    erofs_hide(&l->tree, folder, path->whiteout == WHITEOUT_OPAQUE ? NULL : path->base, l->layer);
    return true;
}

static FALLIBLE apply(struct erofs_layers *l, const struct tar_entry *e, struct tar *tar, struct err *err)
{
    struct entry_path  path;
    struct erofs_node *folder = NULL;

    if (!entry_path_read(e->name, &path, err))
        return false;
    if (path.depth > l->depth_max)
        return fail_with(err, ERR_LIMIT, "a path of %zu steps; the budget is %u", path.depth, l->depth_max);
    if (path.depth == 0)
        return e->kind == TAR_FOLDER ? node_fill(l, l->tree.root, e, tar, err)
                                     : fail_with(err, ERR_MALFORMED, "an entry for the root that is not a folder");
    if (path.whiteout != WHITEOUT_NONE)
        return whiteout_apply(l, &path, e, err);
    if (path.has_final_slash && e->kind != TAR_FOLDER)
        return fail_with(err, ERR_MALFORMED, "a name with a final slash that is not a folder's");
    return erofs_walk(&l->tree, path.parent, l->layer, &folder, err) && entry_put(l, folder, path.base, e, tar, err);
}

FALLIBLE erofs_layers_add(struct erofs_layers *layers, struct stream from, struct err *err)
{
    AUTO(tar) struct tar       tar    = tar_over(from);
    AUTO(buffer) struct buffer shown  = { 0 };
    struct tar_entry           entry  = { 0 };
    bool                       is_end = false;

    for (;;) {
        if (!tar_next(&tar, &entry, &is_end, err))
            return false;
        if (is_end)
            break;
        if (!apply(layers, &entry, &tar, err)) {
            printable_append(&shown, bytes_of_text(entry.name), 80);
            return contextf(err, "\"%s\"", buffer_text(&shown));
        }
    }
    layers->layer++;
    return true;
}
