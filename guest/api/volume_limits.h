/* Bounds of the files and empty directories of CreateContainer: what the host's runtime sends and the guest takes. */
#pragma once

enum {
    VOLUME_FILES_MAX       = 128,       /* files that one container gets beside its image */
    VOLUME_TREES_MAX       = 32,        /* volumes of files of one container; their files count among those above */
    VOLUME_DIRECTORIES_MAX = 16,        /* empty directories of one container */
    VOLUME_DISKS_MAX       = 8,         /* persistent volumes of one container, and of one guest */
    VOLUME_DISK_NAME_MAX   = 16,        /* characters of their names: with "vol-" in front they are serials of virtio-blk, at most 20 */
    VOLUME_FILE_LEN_MAX    = 256 << 10, /* bytes of one file */
    VOLUME_FILES_LEN_MAX   = 448 << 10, /* bytes of all of one container: they come in one message of at most 1 MiB */
    VOLUME_PATH_MAX        = 255,       /* characters of a path in the container */
    VOLUME_NAME_MAX        = 63,        /* characters: a DNS label */
    TERMINATION_LEN_MAX    = 4096       /* bytes of a termination message; the kubelet takes no more */
};
