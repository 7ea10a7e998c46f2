/*
 * What a container finds in its file system beside its image: small read-only files and volumes of such files, whose
 * content the request carries; empty directories, which containers of the pod may share; and its termination log. All are
 * memory of the guest. And persistent volumes, which guest/volume opens. Nothing is mounted from the host.
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"
#include "guest/api/volume_limits.h"

#define TERMINATION_LOG "/dev/termination-log" /* where Kubernetes has it unless a pod says otherwise */

struct volume_file {
    const char  *path; /* in the container; in a volume: below the volume's */
    struct bytes content;
    uint32_t     mode; /* permission bits */
};

struct volume_tree {
    const char *path;
    size_t      first, n; /* its files among all */
};

struct volume_directory {
    const char *path;
    const char *volume; /* directories of one name are one directory */
    bool        read_only;
    uint64_t    size;     /* bytes, by policy; 0: no bound of its own */
    const char *sub_path; /* a directory in it, which is made if need be; NULL or "": the volume itself */
};

struct volume_disk {
    const char *path;
    const char *volume; /* its name */
    bool        read_only; /* as policy says */
};

struct volumes { /* the texts and contents are borrowed */
    struct volume_file      files[VOLUME_FILES_MAX]; /* first those that stand alone, then those of volumes */
    size_t                  n_files;                 /* that stand alone */
    size_t                  n_all;                   /* with those of volumes; counted by the check */
    struct volume_tree      trees[VOLUME_TREES_MAX];
    size_t                  n_trees;
    struct volume_directory directories[VOLUME_DIRECTORIES_MAX]; /* an outer one before those in it, after the check */
    size_t                  n_directories;
    struct volume_disk      disks[VOLUME_DISKS_MAX]; /* nothing else lies in one or around one */
    size_t                  n_disks;
    const char             *termination_log; /* NULL or "": none */
};

/* Absolute, in its one form, and not "/". Fails MALFORMED; LIMIT when it is too long. */
FALLIBLE volume_path_form_check(const char *path, struct err *err);
/* And not in /proc, /sys or /dev. Fails as that. */
FALLIBLE volume_path_check(const char *path, struct err *err);
FALLIBLE volume_directory_path_check(const char *path, struct err *err); /* or /dev/shm */
FALLIBLE termination_path_check(const char *path, struct err *err);      /* or TERMINATION_LOG */
/* Relative, in its one form, and no name in it begins with "..", which are the volume's own. Fails as above. */
FALLIBLE volume_below_check(const char *path, struct err *err);
/* 1 to VOLUME_NAME_MAX of a-z, 0-9 and, not first, -. Fails MALFORMED. */
FALLIBLE volume_name_check(const char *name, struct err *err);

/* The same for a persistent volume's, up to VOLUME_DISK_NAME_MAX. */
FALLIBLE volume_disk_name_check(const char *name, struct err *err);

/* Whether `path` is `directory` or something below it. */
bool volume_path_is_in(const char *path, const char *directory);

/*
 * Checks names, modes, and that no path is named twice or lies below a file or in a volume of files; puts the directories
 * in order.
 *
 * Fails MALFORMED; LIMIT for a content, or contents together, that are too long.
 */
FALLIBLE volumes_check(struct volumes *volumes, struct err *err);
/* The files of one volume: those that an update brings. */
FALLIBLE volume_tree_check(const struct volume_file *files, size_t n, struct err *err);

enum { VOLUME_HOST_PATH_MAX = 512 };
/* Where the guest keeps them; `folder` is the container's own, `shared` the pod's. */
void volume_file_place(const char *folder, size_t i, char out[static VOLUME_HOST_PATH_MAX]);
void volume_disk_place(const char *volume, char out[static VOLUME_HOST_PATH_MAX]); /* where guest/volume mounts it */
void volume_tree_place(const char *folder, size_t i, char out[static VOLUME_HOST_PATH_MAX]);
void volume_termination_place(const char *folder, char out[static VOLUME_HOST_PATH_MAX]);
void volume_directory_place(const char *shared, const char *volume, char out[static VOLUME_HOST_PATH_MAX]);

struct volume_places {
    const char *folder; /* the container's own */
    const char *shared; /* the pod's */
    const char *subs;   /* the container's own, for directories in volumes: nothing in it is ever removed with what it holds */
};
void volume_sub_place(const char *subs, size_t i, char out[static VOLUME_HOST_PATH_MAX]);

/* Writes the files, which will be the container's user's, and makes the directories that do not exist. Fails OS. */
FALLIBLE volumes_make(const struct volumes *volumes, const struct volume_places *places, uid_t uid, gid_t gid, struct err *err);
/* Takes back what it mounted of directories in volumes. */
void     volumes_unmake(const struct volume_places *places);
