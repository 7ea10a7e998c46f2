/*
 * The keeper's part in persistent volumes: the key and the epoch from the broker, to the process that opens them
 * (guest/volume/opener.h). One that was opened stays open until the guest ends.
 */
#pragma once

#include "base/json.h"
#include "guest/agent/keeper.pb-c.h"
#include "guest/api/call.h"
#include "guest/api/volume_limits.h"
#include "keys/client/kbs.h"

enum { KEEPER_VOLUME_KEY_MAX = 512 };

struct keeper_volume {
    char name[VOLUME_DISK_NAME_MAX + 1];
    char key[KEEPER_VOLUME_KEY_MAX];
    bool read_only;
};

struct keeper_volumes {
    int                  opener_fd; /* NO_FD: the host gave no disk for a volume when the guest started */
    struct ttrpc_client  opener;
    struct keeper_volume open[VOLUME_DISKS_MAX];
    size_t               n;
};

void auto_keeper_volumes(struct keeper_volumes *volumes);

/*
 * Opens as asked; one that is open in the same way is fine. The epoch: read from the broker, compared in the volume,
 * advanced in the volume and then at the broker, before this returns. Of a read-only volume it is only compared.
 *
 * Fails as kbs_resource_get, kbs_epoch_advance and volume_open do, with "key:" or "start:" in front; DENIED for one
 * that is open in another way.
 */
FALLIBLE keeper_volume_open(struct keeper_volumes *volumes, struct kbs_client *broker, const Keeper__OpenVolumeRequest *asked,
                            bool *was_formatted, struct err *err);

/*
 * Adds to `statement` what is in the named volumes: "volumes":{NAME:{"sha256","entries","bytes"}}; nothing when there are none.
 * Fails DENIED for one that is not open; LIMIT, UNSUPPORTED, OS.
 */
FALLIBLE keeper_volumes_state(struct keeper_volumes *volumes, char *const *names, size_t n, struct json_object *statement, struct err *err);

/* Closes all; what could not be closed is named in `note`, which is otherwise left alone. */
void keeper_volumes_close(struct keeper_volumes *volumes, struct buffer *note);
