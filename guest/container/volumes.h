/*
 * What a container finds in its file system beside its image: small read-only files whose content the request carries,
 * and empty directories, which containers of the pod may share: both are memory of the guest. And persistent volumes, which
 * guest/volume opens. Nothing is mounted from the host.
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"
#include "guest/api/volume_limits.h"

struct volume_file {
    const char  *path; /* in the container */
    struct bytes content;
    uint32_t     mode; /* permission bits */
};

struct volume_directory {
    const char *path;
    const char *volume; /* directories of one name are one directory */
};

struct volume_disk {
    const char *path;
    const char *volume; /* its name */
    bool        read_only; /* as policy says */
};

struct volumes { /* the texts and contents are borrowed */
    struct volume_file      files[VOLUME_FILES_MAX];
    size_t                  n_files;
    struct volume_directory directories[VOLUME_DIRECTORIES_MAX]; /* an outer one before those in it, after the check */
    size_t                  n_directories;
    struct volume_disk      disks[VOLUME_DISKS_MAX]; /* nothing else lies in one or around one */
    size_t                  n_disks;
};

/* Absolute, in its one form, and neither "/" nor in /proc, /sys or /dev. Fails MALFORMED; LIMIT when it is too long. */
FALLIBLE volume_path_check(const char *path, struct err *err);
/* 1 to VOLUME_NAME_MAX of a-z, 0-9 and, not first, -. Fails MALFORMED. */
FALLIBLE volume_name_check(const char *name, struct err *err);

/* The same for a persistent volume's, up to VOLUME_DISK_NAME_MAX. */
FALLIBLE volume_disk_name_check(const char *name, struct err *err);

/* Whether `path` is `directory` or something below it. */
bool volume_path_is_in(const char *path, const char *directory);

/*
 * Checks names, modes, and that no path is named twice or lies below a file; puts the directories in order.
 *
 * Fails MALFORMED; LIMIT for a content, or contents together, that are too long.
 */
FALLIBLE volumes_check(struct volumes *volumes, struct err *err);

enum { VOLUME_HOST_PATH_MAX = 400 };
/* Where the guest keeps them; `folder` is the container's own, `shared` the pod's. */
void volume_file_place(const char *folder, size_t i, char out[static VOLUME_HOST_PATH_MAX]);
void volume_disk_place(const char *volume, char out[static VOLUME_HOST_PATH_MAX]); /* where guest/volume mounts it */
void volume_directory_place(const char *shared, const char *volume, char out[static VOLUME_HOST_PATH_MAX]);

/* Writes the files, which will be the container's user's, and makes the directories that do not exist. Fails OS. */
FALLIBLE volumes_make(const struct volumes *volumes, const char *folder, const char *shared, uid_t uid, gid_t gid,
                      struct err *err);
