#include <stdio.h>

#include "runtime/snapshotter/snapshot_service.h"

static bool stays_packed(void *owner, struct json_object *labels)
{
    (void) owner;
    return json_object_object_length(labels) != 1; /* some do, some do not */
}

/*
 * Calls one after the other: a byte for the method, one for the length of its message, the message. Whatever they
 * are, each is answered by messages or by a failure, never by both.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = { "Prepare", "View", "Mounts", "Commit", "Remove", "Stat", "Update", "List", "Usage", "None" };
    AUTO(snapshot_store) struct snapshot_store *store = NULL;
    struct reader                               r     = reader_over((struct bytes){ data, size });
    struct err                                  err;

    if (!snapshot_store_open(":memory:", &store, &err))
        __builtin_trap();
    struct snapshot_service service = { .store = store, .root = "/nonexistent", .stays_packed = stays_packed };
    while (r.left.len > 0) {
        struct grpc_reply reply = { .status = GRPC_OK };
        char              path[80];

        (void) snprintf(path, sizeof path, "/containerd.services.snapshots.v1.Snapshots/%s",
                        methods[take_u8(&r) % (sizeof methods / sizeof *methods)]); /* fits */
        uint8_t      len     = take_u8(&r);
        struct bytes message = take(&r, len < r.left.len ? len : r.left.len);
        snapshot_service_call(&service, path, message, &reply);
        if (reply.status != GRPC_OK && reply.messages.len > 0)
            __builtin_trap();
        buffer_free(&reply.messages);
    }
    return 0;
}
