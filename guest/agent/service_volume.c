#include "guest/agent/service_methods.h"
#include "guest/agent/wishes.h"
#include "keys/api/sealed_secret.h"

/* What was sealed is opened while a container is created, and for no other host's file later. */
static FALLIBLE check_plain(const struct volume_file *files, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (sealed_secret_is(files[i].content))
            return fail_with(err, ERR_UNSUPPORTED, "file %.80s: a sealed secret is opened when its container is created, not later", files[i].path);
    return true;
}

static FALLIBLE update(struct container *c, const Agent__FileVolume *volume, struct err *err)
{
    struct volume_file files[VOLUME_FILES_MAX];
    size_t             n = 0;

    if (!volume)
        return fail_with(err, ERR_MALFORMED, "volume: missing");
    return policy_allow_volume_update(&c->grant, volume->path, err) &&
           wishes_add_files(volume->files, volume->n_files, files, &n, err) && volume_tree_check(files, n, err) &&
           check_plain(files, n, err) && container_update_volume(c, volume->path, files, n, err);
}

void service_update_volume(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Agent__UpdateVolumeRequest *asked  = (const Agent__UpdateVolumeRequest *) request;
    Agent__UpdateVolumeResponse       answer = AGENT__UPDATE_VOLUME_RESPONSE__INIT;
    struct container                 *c      = service_find(owner, asked->id, pending);
    struct err                        err;

    if (!c)
        return;
    if (update(c, asked->volume, &err))
        ttrpc_answer(pending, &answer.base);
    else
        service_refuse(pending, "start", &err);
}
