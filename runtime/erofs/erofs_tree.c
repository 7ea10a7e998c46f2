#include "runtime/erofs/erofs_tree.h"

#include <string.h>
#include <sys/stat.h>

enum { LINKS_MAX = 40, /* followed for one path, as the kernel has it */
       TARGET_MAX = 4096 };

static void node_free(struct erofs_tree *tree, struct erofs_node *node);

static void name_drop(struct erofs_tree *tree, struct erofs_name *name)
{
    free(name->text);
    if (--name->node->n_names == 0)
        node_free(tree, name->node);
}

static void node_free(struct erofs_tree *tree, struct erofs_node *node)
{
    for (size_t i = 0; i < node->n; i++)
        name_drop(tree, &node->names[i]);
    for (size_t i = 0; i < node->n_attributes; i++) {
        free(node->attributes[i].name);
        buffer_free(&node->attributes[i].value);
    }
    free(node->names);
    free(node->attributes);
    free(node->extents);
    free(node->link);
    free(node);
    tree->n_nodes--;
}

FALLIBLE erofs_node_new(struct erofs_tree *tree, const struct erofs_node *folder, mode_t mode, struct erofs_node **out,
                        struct err *err)
{
    if (folder && S_ISDIR(mode) && folder->depth == EROFS_DEPTH_MAX)
        return fail_with(err, ERR_LIMIT, "folders nested deeper than %d", EROFS_DEPTH_MAX);
    if (tree->n_nodes == tree->nodes_max)
        return fail_with(err, ERR_LIMIT, "more than %llu files, the budget", (unsigned long long) tree->nodes_max);
    tree->n_nodes++;
    *out         = zeroed(1, sizeof **out);
    (*out)->mode = mode;
    return true;
}

FALLIBLE erofs_tree_new(uint64_t nodes_max, struct erofs_tree *out, struct err *err)
{
    *out = (struct erofs_tree){ .nodes_max = nodes_max };
    if (!erofs_node_new(out, NULL, S_IFDIR | 0755, &out->root, err))
        return false;
    out->root->parent  = out->root;
    out->root->n_names = 1;
    return true;
}

void erofs_tree_free(struct erofs_tree *tree)
{
    if (tree->root)
        node_free(tree, tree->root);
    *tree = (struct erofs_tree){ 0 };
}

/* Where the name is, or would stand. */
static size_t place_of(const struct erofs_node *folder, const char *name, bool *is_there)
{
    size_t low = 0, high = folder->n;

    *is_there = false;
    while (low < high && !*is_there) {
        size_t middle = low + (high - low) / 2;
        int    order  = strcmp(name, folder->names[middle].text);

        *is_there = order == 0;
        if (order <= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return high;
}

struct erofs_name *erofs_find(const struct erofs_node *folder, const char *name)
{
    bool   is_there;
    size_t at = place_of(folder, name, &is_there);

    return is_there ? &folder->names[at] : NULL;
}

void erofs_put(struct erofs_tree *tree, struct erofs_node *folder, const char *name, struct erofs_node *node, unsigned layer)
{
    bool              is_there;
    size_t            at  = place_of(folder, name, &is_there);
    struct erofs_name put = { strdup(name), node, layer };

    if (!put.text)
        abort();
    node->n_names++; /* first: it may be what is there */
    if (is_there) {
        name_drop(tree, &folder->names[at]);
    } else {
        if (folder->n == folder->room) {
            folder->room  = folder->room ? folder->room * 2 : 8;
            folder->names = reallocarray(folder->names, folder->room, sizeof *folder->names);
            if (!folder->names)
                abort();
        }
        memmove(&folder->names[at + 1], &folder->names[at], (folder->n++ - at) * sizeof *folder->names);
    }
    folder->names[at] = put;
    if (S_ISDIR(node->mode)) {
        node->parent = folder;
        node->depth  = folder->depth + 1;
    }
}

static void name_remove(struct erofs_tree *tree, struct erofs_node *folder, size_t at)
{
    name_drop(tree, &folder->names[at]);
    folder->n--;
    memmove(&folder->names[at], &folder->names[at + 1], (folder->n - at) * sizeof *folder->names);
}

/* True when the name is to go. */
static bool name_hide(struct erofs_tree *tree, struct erofs_name *name, unsigned layer)
{
    bool is_folder = S_ISDIR(name->node->mode);

    if (is_folder)
        erofs_hide(tree, name->node, NULL, layer);
    return name->layer != layer && (!is_folder || name->node->n == 0);
}

void erofs_hide(struct erofs_tree *tree, struct erofs_node *folder, const char *name, unsigned layer)
{
    bool   is_there = !name;
    size_t at       = name ? place_of(folder, name, &is_there) : 0;

    for (size_t end = name ? at + 1 : folder->n; is_there && end > at; end--)
        if (name_hide(tree, &folder->names[end - 1], layer))
            name_remove(tree, folder, end - 1);
}

/* What is still to be walked, targets of links in front of the path's own rest. */
struct walk {
    char     left[2 * TARGET_MAX];
    size_t   n_own; /* bytes at its end that are of the path itself */
    unsigned n_links;
};

/* The target of a link stands in front of what is left. */
static FALLIBLE link_follow(struct walk *walk, const char *target, const char *rest, struct err *err)
{
    char joined[sizeof walk->left];
    int  n = snprintf(joined, sizeof joined, "%s/%s", target, rest);

    if (++walk->n_links > LINKS_MAX || n < 0 || (size_t) n >= sizeof joined)
        return fail_with(err, ERR_MALFORMED, "its folder is not a folder");
    if (strlen(rest) < walk->n_own)
        walk->n_own = strlen(rest);
    memcpy(walk->left, joined, (size_t) n + 1); /* over `rest` */
    return true;
}

static FALLIBLE step_make(struct erofs_tree *tree, struct erofs_node *folder, const char *name, unsigned layer,
                          struct erofs_node **out, struct err *err)
{
    if (layer == ~0U)
        return fail_with(err, ERR_NOT_FOUND, "its folder is missing, or a link to nothing");
    if (!erofs_node_new(tree, folder, S_IFDIR | 0755, out, err))
        return false;
    erofs_put(tree, folder, name, *out, layer);
    return true;
}

/* One name further; `rest` is what comes behind it. */
static FALLIBLE step(struct erofs_tree *tree, struct walk *walk, const char *name, const char *rest, unsigned layer,
                     struct erofs_node **at, struct err *err)
{
    struct erofs_name *found = erofs_find(*at, name);

    if (strcmp(name, "") == 0 || strcmp(name, ".") == 0) {
        memmove(walk->left, rest, strlen(rest) + 1);
        return true;
    }
    if (strcmp(name, "..") == 0) {
        *at = (*at)->parent;
        memmove(walk->left, rest, strlen(rest) + 1);
        return true;
    }
    if (found && S_ISLNK(found->node->mode)) {
        const char *target = found->node->link;

        *at = target[0] == '/' ? tree->root : *at;
        return link_follow(walk, target, rest, err);
    }
    if (found && !S_ISDIR(found->node->mode))
        return fail_with(err, ERR_MALFORMED, "its folder is not a folder");
    if (!found && !step_make(tree, *at, name, strlen(rest) < walk->n_own ? layer : ~0U, at, err)) /* none where a link leads */
        return false;
    *at = found ? found->node : *at;
    memmove(walk->left, rest, strlen(rest) + 1);
    return true;
}

FALLIBLE erofs_walk(struct erofs_tree *tree, const char *path, unsigned layer, struct erofs_node **out, struct err *err)
{
    struct walk walk = { .n_own = SIZE_MAX };

    if (strlen(path) >= TARGET_MAX)
        return fail_with(err, ERR_LIMIT, "a path of %zu bytes", strlen(path));
    memcpy(walk.left, path, strlen(path) + 1);
    *out = tree->root;
    while (walk.left[0]) {
        char  name[TARGET_MAX];
        char *slash = strchrnul(walk.left, '/');
        size_t len  = (size_t) (slash - walk.left);

        if (len >= sizeof name)
            return fail_with(err, ERR_LIMIT, "a name of %zu bytes", len);
        memcpy(name, walk.left, len);
        name[len] = 0;
        if (!step(tree, &walk, name, *slash ? slash + 1 : slash, layer, out, err))
            return false;
    }
    return true;
}

void erofs_attribute_set(struct erofs_node *node, const char *name, struct bytes value)
{
    size_t i = 0;

    while (i < node->n_attributes && strcmp(node->attributes[i].name, name) != 0)
        i++;
    if (i == node->n_attributes) {
        node->attributes = reallocarray(node->attributes, ++node->n_attributes, sizeof *node->attributes);
        if (!node->attributes)
            abort();
        node->attributes[i] = (struct erofs_attribute){ .name = strdup(name) };
        if (!node->attributes[i].name)
            abort();
    }
    node->attributes[i].value.len = 0;
    buffer_append(&node->attributes[i].value, value);
}
