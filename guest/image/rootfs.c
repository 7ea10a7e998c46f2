#include "guest/image/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/text.h"
#include "guest/image/entry_path.h"

enum { PAGE = 4096, RESOLVE_TRIES = 64 };

struct folder_time {
    char           *path;
    struct timespec mtime;
};

struct rootfs rootfs_over(int root_fd, const struct image_budget *budget, bool keeps_our_owner)
{
    return (struct rootfs){ .root_fd         = root_fd,
                            .budget          = *budget,
                            .keeps_our_owner = keeps_our_owner,
                            .is_bottom       = true,
                            .parent_fd       = NO_FD };
}

static void parent_forget(struct rootfs *fs)
{
    auto_fd(&fs->parent_fd);
    fs->parent_fd = NO_FD;
}

static void layer_forget(struct rootfs *fs)
{
    parent_forget(fs);
    layer_names_free(&fs->written);
    for (size_t i = 0; i < fs->n_times; i++)
        free(fs->times[i].path);
    free(fs->times);
    fs->times   = NULL;
    fs->n_times = 0;
}

void rootfs_free(struct rootfs *rootfs)
{
    layer_forget(rootfs);
    buffer_free(&rootfs->parent_path);
}

void rootfs_move(struct rootfs *rootfs, int root_fd, bool is_stacked)
{
    layer_forget(rootfs);
    rootfs->root_fd    = root_fd;
    rootfs->is_stacked = is_stacked;
    rootfs->is_bottom  = !is_stacked;
}

void rootfs_layer_begin(struct rootfs *rootfs)
{
    layer_forget(rootfs);
}

/* Opens `path` with the root as its ceiling; "" is the root. Sets errno. */
static int open_inside(const struct rootfs *fs, const char *path, uint64_t flags)
{
    struct open_how how = { .flags   = flags | O_CLOEXEC,
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV };
    long            fd  = -1;

    /* EAGAIN: something was renamed meanwhile and the kernel could not be sure. It is for us to repeat. */
    for (int tries = 0; tries < RESOLVE_TRIES; tries++) {
        fd = syscall(SYS_openat2, fs->root_fd, path[0] ? path : ".", &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return (int) fd;
}

static FALLIBLE charge(struct rootfs *fs, uint64_t bytes, uint64_t n_inodes, struct err *err)
{
    if (n_inodes > fs->budget.inodes - fs->n_inodes)
        return fail_with(err, ERR_LIMIT, "more than %llu files, the budget", (unsigned long long) fs->budget.inodes);
    if (bytes > fs->budget.unpacked_bytes - fs->bytes)
        return fail_with(err, ERR_LIMIT, "more than %llu bytes, the budget",
                         (unsigned long long) fs->budget.unpacked_bytes);
    fs->n_inodes += n_inodes;
    fs->bytes += bytes;
    return true;
}

FALLIBLE rootfs_count(struct rootfs *rootfs, uint64_t bytes, uint64_t n_inodes, struct err *err)
{
    return charge(rootfs, bytes, n_inodes, err);
}

static void remember_written(struct rootfs *fs, ino_t folder, const char *name)
{
    if (!fs->is_bottom)
        layer_names_add(&fs->written, folder, name);
}

/*
 * What lies in a lower tree is copied when it changes: a folder with the first name in it, a file, content and all, when it
 * gets another name. Counted once a layer; folders above are not.
 */
static FALLIBLE charge_copy(struct rootfs *fs, ino_t inode, uint64_t bytes, struct err *err)
{
    if (!fs->is_stacked || layer_names_have(&fs->written, inode, ""))
        return true;
    layer_names_add(&fs->written, inode, ""); /* no name is empty */
    return charge(fs, bytes, 1, err);
}

static FALLIBLE parent_fail(struct err *err)
{
    if (errno == ENOENT)
        return fail_with(err, ERR_NOT_FOUND, "its folder is missing, or a link to nothing");
    if (errno == ENOTDIR || errno == ELOOP)
        return fail_with(err, ERR_MALFORMED, "its folder is not a folder");
    return err_os(err, "open its folder");
}

/* Makes the folders of `path` that are missing, one step at a time: archives may leave them out. */
static FALLIBLE parents_make(struct rootfs *fs, const char *path, struct err *err)
{
    char         so_far[TAR_PATH_MAX + 1];
    AUTO(fd) int at = open_inside(fs, "", O_PATH | O_DIRECTORY);

    for (const char *step = path; at >= 0 && *step;) {
        const char *slash = strchrnul(step, '/');
        size_t      len   = (size_t) (slash - path);
        char        name[TAR_COMPONENT_MAX + 1];
        struct stat st;
        bool        is_new;

        memcpy(so_far, path, len);
        so_far[len] = '\0';
        memcpy(name, step, (size_t) (slash - step));
        name[slash - step] = '\0';
        is_new             = mkdirat(at, name, 0755) == 0;
        if (!is_new && errno != EEXIST)
            return err_os(err, "make the folder \"%s\"", name);
        if (is_new && fstat(at, &st) < 0)
            return err_os(err, "look at its folder");
        if (is_new && !charge(fs, PAGE, 1, err))
            return false;
        if (is_new)
            remember_written(fs, st.st_ino, name);
        int next = open_inside(fs, so_far, O_PATH | O_DIRECTORY);

        auto_fd(&at);
        at   = next;
        step = *slash ? slash + 1 : slash;
    }
    return at >= 0 || parent_fail(err);
}

/* Leaves the folder that `path` names in fs->parent_fd; `makes` says what to do about missing ones. */
static FALLIBLE parent_open(struct rootfs *fs, const char *path, bool makes, struct err *err)
{
    struct stat st;

    if (fs->parent_fd >= 0 && strcmp(buffer_text(&fs->parent_path), path) == 0)
        return true;
    parent_forget(fs);
    fs->parent_fd = open_inside(fs, path, O_RDONLY | O_DIRECTORY);
    if (fs->parent_fd < 0 && errno == ENOENT && makes) {
        if (!parents_make(fs, path, err))
            return false;
        fs->parent_fd = open_inside(fs, path, O_RDONLY | O_DIRECTORY);
    }
    if (fs->parent_fd < 0 || fstat(fs->parent_fd, &st) < 0)
        return parent_fail(err);
    fs->parent_inode    = st.st_ino;
    fs->parent_path.len = 0;
    buffer_append_text(&fs->parent_path, path);
    return true;
}

/* The folder stays open, but its path may lead elsewhere from now on. */
static void parent_path_forget(struct rootfs *fs)
{
    fs->parent_path.len = 0;
    buffer_append_text(&fs->parent_path, "/"); /* no path that we are asked for begins so */
}

/* What stands under the name makes room, from this layer or from one below. */
static FALLIBLE room_make(struct rootfs *fs, const char *base, struct err *err)
{
    parent_path_forget(fs);
    return layer_tree_remove(fs->parent_fd, base, NULL, err);
}

static FALLIBLE xattrs_set(struct rootfs *fs, int fd, const struct tar_entry *e, struct err *err)
{
    for (size_t i = 0; i < e->n_xattrs; i++) {
        char         name[TAR_COMPONENT_MAX + 1];
        struct bytes value = e->xattrs[i].value;

        memcpy(name, e->xattrs[i].name.at, e->xattrs[i].name.len);
        name[e->xattrs[i].name.len] = '\0';
        bool is_capability = strcmp(name, "security.capability") == 0;

        if (!is_capability && strncmp(name, "user.", 5) != 0)
            continue; /* labels and overlay marks of the machine that packed it mean nothing, or too much, here */
        if (is_capability && fs->keeps_our_owner)
            continue;
        if (!charge(fs, value.len, 0, err))
            return false;
        if (fsetxattr(fd, name, value.at, value.len, 0) < 0 && (is_capability || errno != ENOTSUP))
            return err_os(err, "set an extended attribute");
    }
    return true;
}

static struct timespec mtime_of(const struct tar_entry *e)
{
    return (struct timespec){ .tv_sec = e->mtime, .tv_nsec = (long) e->mtime_ns };
}

/* Owner first: a change of owner clears set-user-id bits and capabilities. */
static FALLIBLE owner_set(const struct rootfs *fs, int fd, const struct tar_entry *e, struct err *err)
{
    return fs->keeps_our_owner || fchownat(fd, "", e->uid, e->gid, AT_EMPTY_PATH) == 0 || err_os(err, "set the owner");
}

static FALLIBLE extent_write(int fd, struct tar *tar, const struct tar_extent *extent, struct bytes *piece,
                             struct err *err)
{
    uint64_t offset = extent->offset, left = extent->len;

    if (lseek(fd, (off_t) offset, SEEK_SET) < 0)
        return err_os(err, "seek");
    while (left > 0) {
        if (piece->len == 0 && !tar_content(tar, piece, err))
            return false;
        size_t n = piece->len < left ? piece->len : (size_t) left;

        if (!write_all(fd, (struct bytes){ piece->at, n }, err))
            return false;
        *piece = (struct bytes){ piece->at + n, piece->len - n };
        left -= n;
    }
    return true;
}

static FALLIBLE sparse_write(int fd, const struct tar_entry *e, struct tar *tar, struct err *err)
{
    struct bytes piece = { 0 };

    for (size_t i = 0; i < e->n_extents; i++)
        if (e->extents[i].len > 0 && !extent_write(fd, tar, &e->extents[i], &piece, err))
            return false;
    return ftruncate(fd, (off_t) e->size) == 0 || err_os(err, "set its size");
}

static FALLIBLE content_write(int fd, const struct tar_entry *e, struct tar *tar, struct err *err)
{
    if (e->is_sparse)
        return sparse_write(fd, e, tar, err);
    for (;;) {
        struct bytes piece = { 0 };

        if (!tar_content(tar, &piece, err))
            return false;
        if (piece.len == 0)
            return true;
        if (!write_all(fd, piece, err))
            return false;
    }
}

static FALLIBLE apply_file(struct rootfs *fs, const char *base, const struct tar_entry *e, struct tar *tar,
                           struct err *err)
{
    const uint64_t        flags    = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const struct timespec times[2] = { mtime_of(e), mtime_of(e) };
    AUTO(fd) int          fd       = openat(fs->parent_fd, base, (int) flags, 0600);

    if (fd < 0 && errno == EEXIST) {
        if (!room_make(fs, base, err))
            return false;
        fd = openat(fs->parent_fd, base, (int) flags, 0600);
    }
    if (fd < 0)
        return err_os(err, "create");
    if (!charge(fs, (e->stored + PAGE - 1) / PAGE * PAGE, 1, err) || !content_write(fd, e, tar, err) ||
        !owner_set(fs, fd, e, err) || !xattrs_set(fs, fd, e, err))
        return false;
    if (fchmod(fd, e->mode) < 0 || futimens(fd, times) < 0)
        return err_os(err, "set mode and time");
    return true;
}

static FALLIBLE time_remember(struct rootfs *fs, const char *path, const struct tar_entry *e, struct err *err)
{
    if (fs->n_times % 256 == 0) {
        struct folder_time *more = reallocarray(fs->times, fs->n_times + 256, sizeof *more);

        if (!more)
            abort();
        fs->times = more;
    }
    fs->times[fs->n_times] = (struct folder_time){ strdup(path), mtime_of(e) };
    if (!fs->times[fs->n_times].path)
        abort();
    fs->n_times++;
    return charge(fs, strlen(path), 0, err); /* a folder named again and again costs memory too */
}

static FALLIBLE folder_finish(struct rootfs *fs, int fd, const char *path, const struct tar_entry *e, struct err *err)
{
    if (!owner_set(fs, fd, e, err) || !xattrs_set(fs, fd, e, err))
        return false;
    if (fchmod(fd, e->mode) < 0)
        return err_os(err, "set the mode");
    return time_remember(fs, path, e, err);
}

static FALLIBLE apply_folder(struct rootfs *fs, const char *base, const char *path, const struct tar_entry *e,
                             struct err *err)
{
    bool is_new = mkdirat(fs->parent_fd, base, 0700) == 0;

    if (!is_new && errno != EEXIST)
        return err_os(err, "make the folder");
    AUTO(fd) int fd = openat(fs->parent_fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) { /* a file or a link is replaced, never followed */
        if (!room_make(fs, base, err))
            return false;
        is_new = mkdirat(fs->parent_fd, base, 0700) == 0;
        fd     = openat(fs->parent_fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0)
        return err_os(err, "open the folder");
    return (!is_new || charge(fs, PAGE, 1, err)) && folder_finish(fs, fd, path, e, err);
}

static FALLIBLE apply_symbolic_link(struct rootfs *fs, const char *base, const struct tar_entry *e, struct err *err)
{
    const struct timespec times[2] = { mtime_of(e), mtime_of(e) };

    if (!charge(fs, strlen(e->link), 1, err))
        return false;
    if (symlinkat(e->link, fs->parent_fd, base) < 0) {
        if (errno != EEXIST)
            return err_os(err, "make the symbolic link");
        if (!room_make(fs, base, err))
            return false;
        if (symlinkat(e->link, fs->parent_fd, base) < 0)
            return err_os(err, "make the symbolic link");
    }
    if (!fs->keeps_our_owner && fchownat(fs->parent_fd, base, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_os(err, "set the owner");
    return utimensat(fs->parent_fd, base, times, AT_SYMLINK_NOFOLLOW) == 0 || err_os(err, "set the time");
}

/* The target is a name in the image, like any other: resolved below the root, its last step not followed. */
static FALLIBLE apply_hard_link(struct rootfs *fs, const char *base, const struct tar_entry *e, struct err *err)
{
    struct entry_path target;
    struct stat       there, here;

    if (!entry_path_read(e->link, &target, err))
        return context(err, "target of a hard link");
    if (target.base[0] == '\0' || target.whiteout != WHITEOUT_NONE || target.depth > fs->budget.path_depth)
        return fail_with(err, ERR_MALFORMED, "target of a hard link: the root, a whiteout, or too deep");
    AUTO(fd) int folder = open_inside(fs, target.parent, O_PATH | O_DIRECTORY);

    if (folder < 0 || fstatat(folder, target.base, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? fail_with(err, ERR_MALFORMED, "a hard link to something that is not there") :
                                 err_os(err, "open the target of a hard link");
    if (S_ISDIR(there.st_mode))
        return fail_with(err, ERR_MALFORMED, "a hard link to a folder");
    if (fstatat(fs->parent_fd, base, &here, AT_SYMLINK_NOFOLLOW) == 0) {
        if (here.st_ino == there.st_ino && here.st_dev == there.st_dev)
            return true;
        if (!room_make(fs, base, err))
            return false;
    }
    if (!charge(fs, 0, 1, err) || !charge_copy(fs, there.st_ino, (uint64_t) there.st_blocks * 512, err))
        return false;
    return linkat(folder, target.base, fs->parent_fd, base, 0) == 0 || err_os(err, "make the hard link");
}

static FALLIBLE apply_node(struct rootfs *fs, const char *base, const struct tar_entry *e, struct err *err)
{
    mode_t type = e->kind == TAR_CHARACTER ? S_IFCHR : e->kind == TAR_BLOCK ? S_IFBLK : S_IFIFO;
    dev_t  dev  = e->kind == TAR_FIFO ? 0 : makedev(e->major, e->minor);
    char   by_number[32];

    if (fs->keeps_our_owner && e->kind != TAR_FIFO)
        return true;
    if (S_ISCHR(type) && dev == 0) /* overlayfs's own mark, which would hide the name: so it does, whatever shows the layer */
        return room_make(fs, base, err);
    if (!charge(fs, 0, 1, err))
        return false;
    if (mknodat(fs->parent_fd, base, type | 0600, dev) < 0) {
        if (errno != EEXIST)
            return err_os(err, "make the node");
        if (!room_make(fs, base, err))
            return false;
        if (mknodat(fs->parent_fd, base, type | 0600, dev) < 0)
            return err_os(err, "make the node");
    }
    AUTO(fd) int fd = openat(fs->parent_fd, base, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || !owner_set(fs, fd, e, err))
        return fd < 0 ? err_os(err, "open the node") : false;
    (void) snprintf(by_number, sizeof by_number, "/proc/self/fd/%d", fd); /* fits any number */
    const struct timespec times[2] = { mtime_of(e), mtime_of(e) };

    if (chmod(by_number, e->mode) < 0 || utimensat(AT_FDCWD, by_number, times, 0) < 0)
        return err_os(err, "set mode and time");
    return true;
}

static FALLIBLE apply_whiteout(struct rootfs *fs, const struct entry_path *path, const struct tar_entry *e,
                               struct err *err)
{
    if (e->kind != TAR_FILE && e->kind != TAR_HARD_LINK)
        return fail_with(err, ERR_MALFORMED, "a whiteout that is not a file");
    if (fs->is_bottom)
        return true;
    if (!parent_open(fs, path->parent, false, err))
        return err->kind == ERR_NOT_FOUND;
    parent_path_forget(fs);
    if (path->whiteout == WHITEOUT_OPAQUE)
        return layer_tree_clear(fs->parent_fd, &fs->written, err);
    return layer_tree_remove(fs->parent_fd, path->base, &fs->written, err);
}

static FALLIBLE apply_root(struct rootfs *fs, const struct tar_entry *e, struct err *err)
{
    AUTO(fd) int fd = NO_FD;

    if (e->kind != TAR_FOLDER)
        return fail_with(err, ERR_MALFORMED, "an entry for the root that is not a folder");
    fd = open_inside(fs, "", O_RDONLY | O_DIRECTORY);
    return fd < 0 ? err_os(err, "open the root") : folder_finish(fs, fd, "", e, err);
}

static FALLIBLE apply_kind(struct rootfs *fs, const struct entry_path *path, const char *whole,
                           const struct tar_entry *e, struct tar *tar, struct err *err)
{
    switch (e->kind) {
    case TAR_FILE:
        return apply_file(fs, path->base, e, tar, err);
    case TAR_FOLDER:
        return apply_folder(fs, path->base, whole, e, err);
    case TAR_SYMBOLIC_LINK:
        return apply_symbolic_link(fs, path->base, e, err);
    case TAR_HARD_LINK:
        return apply_hard_link(fs, path->base, e, err);
    case TAR_CHARACTER:
    case TAR_BLOCK:
    case TAR_FIFO:
        return apply_node(fs, path->base, e, err);
    }
    return fail_with(err, ERR_BUG, "a kind of entry without a rule");
}

static FALLIBLE apply_path(struct rootfs *fs, const struct tar_entry *e, struct tar *tar, struct err *err)
{
    struct entry_path          path;
    AUTO(buffer) struct buffer whole = { 0 };

    if (!entry_path_read(e->name, &path, err))
        return false;
    if (path.depth > fs->budget.path_depth)
        return fail_with(err, ERR_LIMIT, "a path of %zu steps; the budget is %u", path.depth, fs->budget.path_depth);
    if (path.depth == 0)
        return apply_root(fs, e, err);
    if (path.whiteout != WHITEOUT_NONE)
        return apply_whiteout(fs, &path, e, err);
    if (path.has_final_slash && e->kind != TAR_FOLDER)
        return fail_with(err, ERR_MALFORMED, "a name with a final slash that is not a folder's");
    buffer_printf(&whole, "%s%s%s", path.parent, path.parent[0] ? "/" : "", path.base);
    if (!parent_open(fs, path.parent, true, err) || !charge_copy(fs, fs->parent_inode, PAGE, err) || !apply_kind(fs, &path, buffer_text(&whole), e, tar, err))
        return false;
    remember_written(fs, fs->parent_inode, path.base);
    return true;
}

FALLIBLE rootfs_apply(struct rootfs *rootfs, const struct tar_entry *entry, struct tar *tar, struct err *err)
{
    AUTO(buffer) struct buffer shown = { 0 };

    if (apply_path(rootfs, entry, tar, err))
        return true;
    printable_append(&shown, bytes_of_text(entry->name), 80);
    return contextf(err, "\"%s\"", buffer_text(&shown));
}

FALLIBLE rootfs_layer_end(struct rootfs *rootfs, struct err *err)
{
    parent_forget(rootfs);
    for (size_t i = 0; i < rootfs->n_times; i++) {
        const struct folder_time *folder   = &rootfs->times[i];
        const struct timespec     times[2] = { folder->mtime, folder->mtime };
        AUTO(fd) int              fd       = open_inside(rootfs, folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

        if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) /* replaced by a later entry: fine */
            return err_os(err, "open a folder to set its time");
        if (fd >= 0 && futimens(fd, times) < 0)
            return err_os(err, "set the time of a folder");
    }
    layer_forget(rootfs);
    rootfs->is_bottom = false;
    return true;
}
