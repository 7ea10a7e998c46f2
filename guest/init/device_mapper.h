/* Devices of the kernel's device mapper, made of one target each. [Linux, include/uapi/linux/dm-ioctl.h] */
#pragma once

#include <stdint.h>

#include "base/secret.h"

enum { DM_PATH_MAX = 32, DM_TABLE_MAX = 1024, DM_STATUS_MAX = 64 };

/* A table with a key in its midst, in hex: never in memory that is not wiped. Fails LIMIT. */
FALLIBLE dm_table_write(const char *before, const struct secret *key, const char *after, struct secret *out, struct err *err);

struct dm_device {
    char     path[DM_PATH_MAX]; /* "/dev/dm-0" */
    unsigned major, minor;      /* as tables name it */
};

/*
 * Makes a device and starts it.
 *
 *   name       unique in this kernel
 *   read_only  nothing is written to it, nor by it to what lies below
 *   target     "crypt", "integrity", "verity"
 *   sectors    its length, in 512 bytes
 *   table      the target's parameters, which may hold a key; at most DM_TABLE_MAX bytes
 *
 * Fails LIMIT, OS.
 */
FALLIBLE dm_device_make(const char *name, bool read_only, const char *target, uint64_t sectors, const struct secret *table,
                        struct dm_device *out, struct err *err);

/*
 * The same in two parts, for who can do the first one while nobody waits: it takes tens of milliseconds, and most of them
 * asleep. `reserved` is the name until the device is taken for another; dm_device_start removes what it cannot start.
 */
FALLIBLE dm_device_reserve(const char *reserved, struct err *err);
FALLIBLE dm_device_rename(const char *reserved, const char *name, struct err *err);
FALLIBLE dm_device_start(const char *name, bool read_only, const char *target, uint64_t sectors, const struct secret *table,
                         struct dm_device *out, struct err *err);

FALLIBLE dm_device_remove(const char *name, struct err *err);

/* What the target says of itself, cut to DM_STATUS_MAX: "V" or "C" (corrupted) of verity. Fails NOT_FOUND, OS. */
FALLIBLE dm_device_status(const char *name, char out[static DM_STATUS_MAX + 1], struct err *err);
