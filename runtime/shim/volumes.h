/*
 * What the engine's bind mounts become for a guest, which shares no file system with the host: the content of small
 * files, and names of empty directories. Volumes are as the kubelet prepares them. What fits neither is not passed on.
 */
#pragma once

#include "guest/api/agent.pb-c.h"
#include "guest/api/volume_limits.h"
#include "runtime/shim/container_spec.h"
#include "runtime/shim/sub_path.h"

struct volume_texts { /* what a file's message points to */
    char          path[VOLUME_PATH_MAX + 1];
    struct buffer content;
};

struct host_volumes {
    Agent__File            files[VOLUME_FILES_MAX], *files_at[VOLUME_FILES_MAX];
    struct volume_texts    texts[VOLUME_FILES_MAX];
    size_t                 n_files, len; /* `len`: bytes of all contents; first the files that stand alone */
    Agent__FileVolume          trees[VOLUME_TREES_MAX], *trees_at[VOLUME_TREES_MAX];
    size_t                 n_alone, n_trees;
    Agent__EmptyDirectory  directories[VOLUME_DIRECTORIES_MAX], *directories_at[VOLUME_DIRECTORIES_MAX];
    struct sub_path        subs[VOLUME_DIRECTORIES_MAX]; /* what those messages point to, where it is a subPath */
    size_t                 n_directories;
    const char            *unmet; /* a mount that is not passed on, borrowed from the spec; NULL */
};

/*
 * Reads the files of the spec's mounts now: later changes on the host are not seen. Symbolic links are followed in one
 * place only, from a volume's own "..data" to a folder beside it.
 *
 *   out    yours, host_volumes_free, also on failure; its messages borrow from it and from `spec`
 *
 * Fails LIMIT, OS.
 */
FALLIBLE host_volumes_read(const struct container_spec *spec, struct host_volumes *out, struct err *err);
/* After it, and after host_volumes_add: the volumes of files, whose files stand behind all others. Fails as that. */
FALLIBLE host_volumes_read_trees(const struct container_spec *spec, struct host_volumes *out, struct err *err);
/* One more file, whose content is copied. Fails LIMIT. */
FALLIBLE host_volumes_add(struct host_volumes *volumes, const char *path, uint32_t mode, struct bytes content, struct err *err);
/* The files of one volume as they are now, `trees[0]`; NOT_FOUND when the folder is no volume of files. */
FALLIBLE host_volume_read(const struct spec_mount *mount, struct host_volumes *out, struct err *err);
bool     host_volume_is_tree(const struct spec_mount *mount);
void     host_volumes_free(struct host_volumes *volumes);
/* Into the file that the kubelet made for them, where there is one. Fails OS. */
FALLIBLE host_volume_keep_last_words(const char *path, struct bytes words, struct err *err);
