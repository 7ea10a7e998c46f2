#include "guest/image/layer_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "guest/image/limits.h"

struct layer_name {
    ino_t folder;
    char  name[];
};

static size_t slot_of(const struct layer_names *names, ino_t folder, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t) folder * 0x9e3779b97f4a7c15u;
    size_t   slot;

    for (const char *c = name; *c; c++)
        hash = (hash ^ (uint8_t) *c) * 0x100000001b3u;
    slot = (size_t) (hash ^ hash >> 32) & (names->n_slots - 1);
    while (names->slots[slot] && (names->slots[slot]->folder != folder || strcmp(names->slots[slot]->name, name) != 0))
        slot = (slot + 1) & (names->n_slots - 1);
    return slot;
}

static void grow(struct layer_names *names)
{
    struct layer_names bigger = { .n_slots = names->n_slots ? names->n_slots * 2 : 1024, .n = names->n };

    bigger.slots = calloc(bigger.n_slots, sizeof *bigger.slots);
    if (!bigger.slots)
        abort();
    for (size_t i = 0; i < names->n_slots; i++)
        if (names->slots[i])
            bigger.slots[slot_of(&bigger, names->slots[i]->folder, names->slots[i]->name)] = names->slots[i];
    free(names->slots);
    *names = bigger;
}

void layer_names_add(struct layer_names *names, ino_t folder, const char *name)
{
    size_t slot;

    if (names->n * 2 >= names->n_slots)
        grow(names);
    slot = slot_of(names, folder, name);
    if (names->slots[slot])
        return;
    names->slots[slot] = malloc(sizeof(struct layer_name) + strlen(name) + 1);
    if (!names->slots[slot])
        abort();
    names->slots[slot]->folder = folder;
    memcpy(names->slots[slot]->name, name, strlen(name) + 1);
    names->n++;
}

bool layer_names_have(const struct layer_names *names, ino_t folder, const char *name)
{
    return names && names->n_slots > 0 && names->slots[slot_of(names, folder, name)];
}

void layer_names_free(struct layer_names *names)
{
    for (size_t i = 0; i < names->n_slots; i++)
        free(names->slots[i]);
    free(names->slots);
    *names = (struct layer_names){ 0 };
}

/* Folders that are being emptied, the innermost last: on the heap, since a layer says how deep they are nested. */
struct folder {
    DIR  *dir;
    ino_t inode;
    bool  is_kept;            /* by its own name in the folder around it */
    char  name[NAME_MAX + 1]; /* there; "" for the one that is to be emptied only */
};

struct walk {
    const struct layer_names *keep;
    int                       outside; /* the folder around the first */
    struct folder            *folders;
    size_t                    n, room;
};

static void auto_walk(struct walk *w)
{
    while (w->n > 0)
        (void) closedir(w->folders[--w->n].dir);
    free(w->folders);
}

static struct folder *walk_room(struct walk *w)
{
    if (w->n == w->room) {
        w->room    = w->room ? 2 * w->room : 8;
        w->folders = reallocarray(w->folders, w->room, sizeof *w->folders);
        if (!w->folders)
            abort();
    }
    return &w->folders[w->n];
}

static FALLIBLE enter_take(struct walk *w, int fd_take, const char *name, bool is_kept, struct err *err)
{
    AUTO(fd) int   fd = fd_take;
    struct folder *in = walk_room(w);
    struct stat    st;

    if (w->n == LAYER_DEPTH_MAX)
        return fail_with(err, ERR_LIMIT, "folders nested deeper than %d", LAYER_DEPTH_MAX);
    if (fstat(fd, &st) < 0)
        return err_os(err, "look at a folder of a lower layer");
    *in = (struct folder){ .dir = fdopendir(fd), .inode = st.st_ino, .is_kept = is_kept };
    (void) snprintf(in->name, sizeof in->name, "%s", name); /* the system has no longer ones */
    if (!in->dir)
        return err_os(err, "read a folder of a lower layer");
    (void) TAKE_FD(fd); /* it is the stream's now */
    w->n++;
    return true;
}

/* Removes a file, and enters a folder. */
static FALLIBLE visit(struct walk *w, int folder_fd, ino_t folder, const char *name, struct err *err)
{
    bool is_kept = layer_names_have(w->keep, folder, name);
    int  inner_fd;

    if (!is_kept && unlinkat(folder_fd, name, 0) == 0)
        return true;
    if (!is_kept && errno != EISDIR && errno != EPERM)
        return errno == ENOENT || err_os(err, "remove a file of a lower layer");
    inner_fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner_fd < 0)
        return errno == ENOENT || (is_kept && (errno == ENOTDIR || errno == ELOOP)) ||
               err_os(err, "open a folder of a lower layer");
    return enter_take(w, inner_fd, name, is_kept, err);
}

static FALLIBLE leave(struct walk *w, struct err *err)
{
    const struct folder *left   = &w->folders[--w->n];
    int                  around = w->n > 0 ? dirfd(w->folders[w->n - 1].dir) : w->outside;

    (void) closedir(left->dir); /* it was only read */
    if (left->is_kept || !left->name[0] || unlinkat(around, left->name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return true;
    /* with something kept inside, the folder stays */
    return ((errno == ENOTEMPTY || errno == EEXIST) && w->keep) || err_os(err, "remove a folder of a lower layer");
}

static FALLIBLE walk_all(struct walk *w, struct err *err)
{
    while (w->n > 0) {
        const struct folder *in = &w->folders[w->n - 1];
        struct dirent       *entry;

        errno = 0;
        entry = readdir(in->dir);
        if (!entry) {
            if (errno != 0)
                return err_os(err, "read a folder of a lower layer");
            if (!leave(w, err))
                return false;
        } else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                   !visit(w, dirfd(in->dir), in->inode, entry->d_name, err)) {
            return false;
        }
    }
    return true;
}

FALLIBLE layer_tree_clear(int folder_fd, const struct layer_names *keep, struct err *err)
{
    AUTO(walk) struct walk w     = { .keep = keep, .outside = folder_fd };
    int                    again = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* with an offset of its own */

    if (again < 0)
        return err_os(err, "open a folder of a lower layer");
    return enter_take(&w, again, "", false, err) && walk_all(&w, err);
}

FALLIBLE layer_tree_remove(int folder_fd, const char *name, const struct layer_names *keep, struct err *err)
{
    AUTO(walk) struct walk w = { .keep = keep, .outside = folder_fd };
    struct stat            st;

    if (fstat(folder_fd, &st) < 0)
        return err_os(err, "look at a folder");
    return visit(&w, folder_fd, st.st_ino, name, err) && walk_all(&w, err);
}
