/* The persistent volumes of one `cloister run`, as they stand on its command line. */
#pragma once

#include "base/options.h"
#include "guest/api/volume_limits.h"

enum { POD_VOLUME_FILE_MAX = 4096, POD_VOLUME_KEY_MAX = 320 };

struct pod_volume {
    char name[VOLUME_DISK_NAME_MAX + 1];
    char file[POD_VOLUME_FILE_MAX];   /* of the host */
    char path[VOLUME_PATH_MAX + 1];   /* in the container */
    char key[POD_VOLUME_KEY_MAX];     /* "kbs:///REPOSITORY/TYPE/TAG" */
    bool read_only, format;
};

struct pod_volumes {
    struct pod_volume at[VOLUME_DISKS_MAX];
    size_t            n;
};

/*
 * Reads NAME=FILE:PATH[:ro|:new] of each `volume`, and NAME=URI of each `key`; a volume without a key of its own has
 * kbs:///default/volume/NAME. Paths are the guest's to judge: here they are only cut out.
 *
 * Fails CONFIG, naming the option.
 */
FALLIBLE pod_volumes_read(const struct option_list *volumes, const struct option_list *keys, struct pod_volumes *out, struct err *err);
