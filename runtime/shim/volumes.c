#include "runtime/shim/volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/shim/mountinfo.h"
#include "runtime/shim/pod_disks.h"

enum { FOLDER_DEPTH_MAX = 8, LINK_LEN_MAX = 255 };

void host_volumes_free(struct host_volumes *volumes)
{
    for (size_t i = 0; i < volumes->n_files; i++)
        buffer_free(&volumes->texts[i].content);
    volumes->n_files = volumes->n_directories = volumes->n_alone = volumes->n_trees = 0;
}

FALLIBLE host_volumes_add(struct host_volumes *v, const char *path, uint32_t mode, struct bytes content, struct err *err)
{
    struct volume_texts *texts = &v->texts[v->n_files];
    Agent__File         *file  = &v->files[v->n_files];

    if (v->n_files == VOLUME_FILES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d files", VOLUME_FILES_MAX);
    if (strlen(path) > VOLUME_PATH_MAX)
        return fail_with(err, ERR_LIMIT, "a path over %d characters", VOLUME_PATH_MAX);
    if (content.len > VOLUME_FILES_LEN_MAX - v->len)
        return fail_with(err, ERR_LIMIT, "over %d bytes in all volumes of the container", VOLUME_FILES_LEN_MAX);
    texts->content = (struct buffer){ 0 };
    buffer_append(&texts->content, content);
    v->len += content.len;
    v->files_at[v->n_files++] = file; /* from here on it is released with the rest */
    (void) snprintf(texts->path, sizeof texts->path, "%s", path); /* fits, see above */
    agent__file__init(file);
    file->path    = texts->path;
    file->content = (ProtobufCBinaryData){ texts->content.len, texts->content.at };
    file->mode    = mode & 0777;
    return true;
}

static FALLIBLE add_file(struct host_volumes *v, int fd, mode_t mode, const char *path, struct err *err)
{
    AUTO(buffer) struct buffer content = { 0 };

    return file_read_fd(fd, VOLUME_FILE_LEN_MAX, &content, err) &&
           host_volumes_add(v, path, mode, buffer_bytes(&content), err);
}

/* NO_FD for what is neither a regular file nor a directory, or is not there: it is not opened, which could have effects. */
static int open_plain(int folder, const char *name, struct stat *st)
{
    if (fstatat(folder, name, st, AT_SYMLINK_NOFOLLOW) < 0 || (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)))
        return NO_FD;
    AUTO(fd) int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || fstat(fd, st) < 0 || (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)))
        return NO_FD;
    return TAKE_FD(fd);
}

static FALLIBLE add_folder(struct host_volumes *v, int fd, const char *path, int depth, struct err *err)
{
    AUTO(fd) int       own = dup(fd);
    AUTO(dir) DIR     *all = own < 0 ? NULL : fdopendir(own);
    struct dirent     *row;

    if (!all)
        return err_os(err, "volume");
    own = NO_FD; /* the stream's now */
    if (depth == FOLDER_DEPTH_MAX)
        return fail_with(err, ERR_LIMIT, "over %d folders deep", FOLDER_DEPTH_MAX);
    while ((row = readdir(all))) {
        char        below[VOLUME_PATH_MAX + 1];
        struct stat st;

        if (strcmp(row->d_name, ".") == 0 || strcmp(row->d_name, "..") == 0)
            continue;
        AUTO(fd) int entry = open_plain(fd, row->d_name, &st);
        if (entry < 0)
            continue;
        if ((size_t) snprintf(below, sizeof below, "%s%s%s", path, *path ? "/" : "", row->d_name) >= sizeof below)
            return fail_with(err, ERR_LIMIT, "a path over %d characters", VOLUME_PATH_MAX);
        if (S_ISDIR(st.st_mode) ? !add_folder(v, entry, below, depth + 1, err) : !add_file(v, entry, st.st_mode, below, err))
            return false;
    }
    return true;
}

/* The kubelet's form: files are in a folder "..TIME", to which the link "..data" points. [Kubernetes pkg/volume/util AtomicWriter] */
static int open_current(int volume)
{
    char    target[LINK_LEN_MAX + 1] = "";
    ssize_t len                      = readlinkat(volume, "..data", target, LINK_LEN_MAX);

    if (len <= 2 || strncmp(target, "..", 2) != 0 || strchr(target, '/'))
        return NO_FD;
    return openat(volume, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* NULL unless the path is .../kubernetes.io~empty-dir/NAME. */
static const char *empty_directory_name(const char *source)
{
    static const char kind[] = "/kubernetes.io~empty-dir/";
    const char       *at     = strstr(source, kind);

    return at && at[sizeof kind - 1] && !strchr(at + sizeof kind - 1, '/') ? at + sizeof kind - 1 : NULL;
}

/* `sub`: where in it; NULL: it is mounted whole. */
static FALLIBLE add_empty(struct host_volumes *v, const struct spec_mount *mount, const char *name, const struct sub_path *sub,
                          struct err *err)
{
    Agent__EmptyDirectory *directory = &v->directories[v->n_directories];
    struct sub_path       *kept      = &v->subs[v->n_directories];

    if (v->n_directories == VOLUME_DIRECTORIES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d empty directories", VOLUME_DIRECTORIES_MAX);
    agent__empty_directory__init(directory);
    directory->path   = (char *) (uintptr_t) mount->target; /* to the wire only, as the next */
    directory->volume = (char *) (uintptr_t) name;
    directory->read_only = mount->read_only;
    if (sub) {
        *kept               = *sub;
        directory->volume   = kept->volume;
        directory->sub_path = kept->path;
    }
    v->directories_at[v->n_directories++] = directory;
    return true;
}

static bool is_folder(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* NO_FD: it is no volume of files. */
static int open_tree(const struct spec_mount *mount)
{
    struct stat  st;
    AUTO(fd) int fd = *mount->source == '/' && !empty_directory_name(mount->source) ? open_plain(AT_FDCWD, mount->source, &st) : NO_FD;

    return fd >= 0 && S_ISDIR(st.st_mode) ? open_current(fd) : NO_FD;
}

bool host_volume_is_tree(const struct spec_mount *mount)
{
    AUTO(fd) int current = open_tree(mount);

    return current >= 0;
}

static FALLIBLE add_tree(struct host_volumes *v, const struct spec_mount *mount, int current, struct err *err)
{
    Agent__FileVolume *tree  = &v->trees[v->n_trees];
    size_t         first = v->n_files;

    if (v->n_trees == VOLUME_TREES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d volumes of files", VOLUME_TREES_MAX);
    if (!add_folder(v, current, "", 0, err))
        return false;
    agent__file_volume__init(tree);
    tree->path               = (char *) (uintptr_t) mount->target; /* to the wire only */
    tree->files              = v->files_at + first;
    tree->n_files            = v->n_files - first;
    v->trees_at[v->n_trees++] = tree;
    return true;
}

FALLIBLE host_volume_read(const struct spec_mount *mount, struct host_volumes *out, struct err *err)
{
    AUTO(fd) int current = open_tree(mount);

    *out = (struct host_volumes){ .n_files = 0 };
    if (current < 0)
        return fail_with(err, ERR_NOT_FOUND, "volume at %.80s: it is none any more", mount->target);
    return add_tree(out, mount, current, err) || contextf(err, "volume at %.80s", mount->target);
}

FALLIBLE host_volume_keep_last_words(const char *path, struct bytes words, struct err *err)
{
    AUTO(fd) int fd = open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat  st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_os(err, "termination log");
    if (!S_ISREG(st.st_mode))
        return fail_with(err, ERR_CONFIG, "termination log: no plain file");
    return (ftruncate(fd, 0) == 0 || err_os(err, "termination log")) && write_all(fd, words, err);
}

static FALLIBLE find_sub_path(const struct spec_mount *mount, struct sub_path *out, struct err *err)
{
    AUTO(buffer) struct buffer mounts = { 0 };

    *out = (struct sub_path){ .kind = SUB_PATH_NONE };
    return !sub_path_is(mount->source) || (file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &mounts, err) &&
                                           sub_path_find(buffer_bytes(&mounts), mount->source, out, err));
}

/* What stands alone; volumes of files come after all of that. */
static FALLIBLE add_mount(struct host_volumes *v, const struct spec_mount *mount, struct err *err)
{
    const char     *name = empty_directory_name(mount->source);
    struct sub_path sub;
    struct stat     st;
    AUTO(fd) int    fd   = NO_FD;

    if (name)
        return add_empty(v, mount, name, NULL, err);
    if (!find_sub_path(mount, &sub, err))
        return false;
    if (sub.kind == SUB_PATH_EMPTY)
        return add_empty(v, mount, NULL, &sub, err);
    if (*mount->source == '/')
        fd = open_plain(AT_FDCWD, mount->source, &st);
    if (fd >= 0 && S_ISREG(st.st_mode))
        return add_file(v, fd, st.st_mode, mount->target, err);
    if (!v->unmet && sub.kind == SUB_PATH_NONE && !host_volume_is_tree(mount) && !pod_disks_is_volume(mount))
        v->unmet = mount->target;
    return true;
}

/* A folder of such a volume has no "..data" of its own: it stays as it was when the kubelet mounted it, in any pod. */
static FALLIBLE add_if_tree(struct host_volumes *v, const struct spec_mount *mount, struct err *err)
{
    AUTO(fd) int    current = open_tree(mount);
    struct sub_path sub;
    struct stat     st;

    if (current < 0 && !find_sub_path(mount, &sub, err))
        return false;
    if (current < 0 && sub.kind == SUB_PATH_FILES)
        current = open_plain(AT_FDCWD, mount->source, &st);
    return current < 0 || !is_folder(current) || add_tree(v, mount, current, err);
}

FALLIBLE host_volumes_read(const struct container_spec *spec, struct host_volumes *out, struct err *err)
{
    *out = (struct host_volumes){ .n_files = 0 };
    for (size_t i = 0; i < spec->n_mounts; i++)
        if (!add_mount(out, &spec->mounts[i], err))
            return contextf(err, "volume at %.80s", spec->mounts[i].target);
    return true;
}

FALLIBLE host_volumes_read_trees(const struct container_spec *spec, struct host_volumes *out, struct err *err)
{
    out->n_alone = out->n_files;
    for (size_t i = 0; i < spec->n_mounts; i++)
        if (!add_if_tree(out, &spec->mounts[i], err))
            return contextf(err, "volume at %.80s", spec->mounts[i].target);
    return true;
}
