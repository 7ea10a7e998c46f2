#include "guest/image/layer_tree.h"

#include <errno.h>
#include <fcntl.h>
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

static FALLIBLE clear_take(int folder_fd_take, const struct layer_names *keep, int depth, struct err *err);

static FALLIBLE remove_at(int folder_fd, ino_t folder, const char *name, const struct layer_names *keep, int depth,
                          struct err *err)
{
    bool is_kept = layer_names_have(keep, folder, name);
    int  inner_fd;

    if (!is_kept && unlinkat(folder_fd, name, 0) == 0)
        return true;
    if (!is_kept && errno != EISDIR && errno != EPERM)
        return errno == ENOENT || err_os(err, "remove a file of a lower layer");
    inner_fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner_fd < 0)
        return errno == ENOENT || (is_kept && (errno == ENOTDIR || errno == ELOOP)) ||
               err_os(err, "open a folder of a lower layer");
    if (!clear_take(inner_fd, keep, depth + 1, err))
        return false;
    if (is_kept || unlinkat(folder_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return true;
    /* with something kept inside, the folder stays */
    return ((errno == ENOTEMPTY || errno == EEXIST) && keep) || err_os(err, "remove a folder of a lower layer");
}

static FALLIBLE clear_take(int folder_fd_take, const struct layer_names *keep, int depth, struct err *err)
{
    AUTO(fd) int   fd  = folder_fd_take;
    AUTO(dir) DIR *dir = NULL;
    struct stat    st;

    if (depth > LAYER_DEPTH_MAX)
        return fail_with(err, ERR_LIMIT, "folders nested deeper than %d", LAYER_DEPTH_MAX);
    if (fstat(fd, &st) < 0)
        return err_os(err, "look at a folder of a lower layer");
    dir = fdopendir(fd);
    if (!dir)
        return err_os(err, "read a folder of a lower layer");
    (void) TAKE_FD(fd); /* it is the stream's now */
    for (;;) {
        struct dirent *entry;

        errno = 0;
        entry = readdir(dir);
        if (!entry)
            return errno == 0 || err_os(err, "read a folder of a lower layer");
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!remove_at(dirfd(dir), st.st_ino, entry->d_name, keep, depth, err))
            return false;
    }
}

FALLIBLE layer_tree_clear(int folder_fd, const struct layer_names *keep, struct err *err)
{
    int again = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* with an offset of its own */

    return again < 0 ? err_os(err, "open a folder of a lower layer") : clear_take(again, keep, 0, err);
}

FALLIBLE layer_tree_remove(int folder_fd, const char *name, const struct layer_names *keep, struct err *err)
{
    struct stat st;

    if (fstat(folder_fd, &st) < 0)
        return err_os(err, "look at a folder");
    return remove_at(folder_fd, st.st_ino, name, keep, 0, err);
}
