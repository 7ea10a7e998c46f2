/*
 * Persistent volumes: disks of the host that hold LUKS2, opened in the guest with a key from the broker, and in it ext4.
 * In the kernel: dm-integrity with a journal, above it dm-crypt as AES-256-XTS with HMAC-SHA-256, so that what the host
 * changed reads as an error. Runs in a process of its own, which may mount and knows no other key: guest/volume/opener.h.
 */
#pragma once

#include "base/secret.h"
#include "guest/api/tree_digest.h"
#include "guest/api/volume_limits.h"
#include "guest/init/disk.h"

#define VOLUME_SERIAL_PREFIX "vol-"          /* of the virtio-blk device; then the volume's name */
#define VOLUMES_FOLDER       "/run/volumes"  /* where each is mounted, by its name */

struct volume_request {
    const char          *name;
    const struct secret *passphrase;
    bool                 read_only;
    bool                 may_format; /* a disk that is blank, from its first byte to its segment, gets a header and a file system */
    uint64_t             known_epoch; /* the broker's: an older volume is refused, as is a blank one when this is not 0 */
};

struct volume_opened {
    uint64_t epoch;         /* that the volume was brought to last; 0: never */
    bool     was_formatted; /* just now */
};

/*
 * Opens the disk and mounts it below VOLUMES_FOLDER. Nothing is left open or mounted on failure, and nothing that does
 * not open is ever written to.
 *
 * Fails NOT_FOUND when the host gives no such disk; UNTRUSTED when the key does not open it or it is an old copy; MALFORMED, UNSUPPORTED and
 * LIMIT for its header; DENIED for a blank one that may not be formatted; OS.
 */
FALLIBLE volume_open(const struct volume_request *request, struct volume_opened *out, struct err *err);

/* Writes the epoch into the volume, and waits until the disk has it. */
FALLIBLE volume_advance(const char *name, uint64_t epoch, struct err *err);

/* Of all that is in it now. Fails as tree_digest_of does. */
FALLIBLE volume_digest(const char *name, struct tree_digest *out, struct err *err);

/*
 * Writes everything out, and unmounts. A volume that is still in use is written out all the same; its journal then says
 * that it was not closed. Fails OS.
 */
FALLIBLE volume_close(const char *name, struct err *err);
