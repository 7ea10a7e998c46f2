/*
 * containerd's snapshots service. A layer that is not to be unpacked on this node is committed at once and answered
 * with ALREADY_EXISTS, which makes containerd neither fetch nor unpack it; other layers are unpacked as overlayfs
 * wants them, so that one snapshotter serves confidential and plain pods. [containerd docs/remote-snapshotter]
 */
#pragma once

#include "keys/grpc/grpc_session.h"
#include "runtime/snapshotter/snapshot_store.h"

struct snapshot_service {
    struct snapshot_store *store;
    const char            *root; /* of the folders; neither comma nor colon in it */
    /* Whether the layer with these labels stays packed. */
    bool (*stays_packed)(void *owner, struct json_object *labels);
    void *owner;
};

/* A grpc_call_fn; `owner` is a struct snapshot_service. */
void snapshot_service_call(void *owner, const char *path, struct bytes message, struct grpc_reply *reply);

/* Makes the folders and removes those that no snapshot has: of a life that was cut short. */
FALLIBLE snapshot_service_sweep(const struct snapshot_service *service, struct err *err);
