#include "guest/agent/volumes_opening.h"

#include "guest/agent/keeper.h"
#include "guest/init/power.h"

static const struct ttrpc_method open_method = { &keeper_service, "OpenVolume" };

static void next(struct volumes_opening *v);

static void on_opened(void *owner, const ProtobufCMessage *message, const struct err *why)
{
    struct volumes_opening *v = owner;

    if (!message) {
        v->done(v->owner, why); /* the keeper names the phase */
        return;
    }
    if (((const Keeper__OpenVolumeResponse *) message)->was_formatted)
        power_note("start", "a blank disk was formatted as a volume, as policy allows");
    v->at++;
    next(v);
}

static FALLIBLE ask(struct volumes_opening *v, struct err *err)
{
    Keeper__OpenVolumeRequest request = KEEPER__OPEN_VOLUME_REQUEST__INIT;
    struct volume_disk       *disk    = &v->volumes->disks[v->at];
    struct json_object       *row     = policy_volume(v->container->grant.volumes, disk);

    if (!row)
        return fail_with(err, ERR_DENIED, "policy does not list the volume %.120s for this container", disk->path);
    disk->read_only    = json_object_get_boolean(json_object_object_get(row, "read_only"));
    request.name       = (char *) (uintptr_t) disk->volume; /* written to the wire only, as is the next */
    request.key        = (char *) (uintptr_t) json_object_get_string(json_object_object_get(row, "key"));
    request.read_only  = disk->read_only;
    request.may_format = json_object_get_boolean(json_object_object_get(row, "format"));
    v->service->has_volumes = true;
    return ttrpc_connection_call(v->service->keeper, &open_method, &request.base, on_opened, v, err);
}

static void next(struct volumes_opening *v)
{
    struct err err;

    if (v->at == v->volumes->n_disks) {
        v->done(v->owner, NULL);
    } else if (!ask(v, &err)) {
        (void) context(&err, "start"); /* false is what it returns */
        v->done(v->owner, &err);
    }
}

void volumes_opening_begin(struct volumes_opening *v)
{
    v->at = 0;
    next(v);
}
