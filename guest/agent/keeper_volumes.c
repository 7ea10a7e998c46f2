#include "guest/agent/keeper_volumes.h"

#include <string.h>

#include "guest/volume/opener.h"

enum { OPEN_TIMEOUT_MS = 900000, SHORT_TIMEOUT_MS = 120000 }; /* what is formatted may be large, and the disk slow */

static const struct ttrpc_method open_method    = { &volumes_service, "Open" };
static const struct ttrpc_method advance_method = { &volumes_service, "Advance" };
static const struct ttrpc_method digest_method  = { &volumes_service, "Digest" };
static const struct ttrpc_method close_method   = { &volumes_service, "Close" };

void auto_keeper_volumes(struct keeper_volumes *volumes)
{
    auto_ttrpc_client(&volumes->opener);
    auto_fd(&volumes->opener_fd);
}

/* The opener's words name the volume; that it was asked by a call of this name is nobody's concern. */
static bool without_name(const struct ttrpc_method *method, struct err *err)
{
    size_t len = strlen(method->name);

    if (strncmp(err->text, method->name, len) == 0 && strncmp(err->text + len, ": ", 2) == 0)
        memmove(err->text, err->text + len + 2, strlen(err->text + len + 2) + 1);
    return false;
}

static FALLIBLE call_close(struct keeper_volumes *v, const char *name, struct err *err)
{
    Volume__CloseRequest            request = VOLUME__CLOSE_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *answer  = NULL;

    request.name = (char *) (uintptr_t) name; /* written to the wire only */
    return ttrpc_call(&v->opener, &close_method, &request.base, SHORT_TIMEOUT_MS, &answer, err) || without_name(&close_method, err);
}

static FALLIBLE call_advance(struct keeper_volumes *v, const char *name, uint64_t epoch, struct err *err)
{
    Volume__AdvanceRequest          request = VOLUME__ADVANCE_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *answer  = NULL;

    request.name  = (char *) (uintptr_t) name; /* written to the wire only */
    request.epoch = epoch;
    return ttrpc_call(&v->opener, &advance_method, &request.base, SHORT_TIMEOUT_MS, &answer, err) || without_name(&advance_method, err);
}

/* The volume is at `epoch` when this returns, and what the broker knew is not beyond that. */
static FALLIBLE call_open(struct keeper_volumes *v, const Keeper__OpenVolumeRequest *asked, const struct secret *passphrase, uint64_t known,
                          uint64_t *epoch, bool *was_formatted, struct err *err)
{
    struct bytes                    raw     = secret_expose(passphrase);
    Volume__OpenRequest             request = VOLUME__OPEN_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *answer  = NULL;

    request.name        = asked->name;
    request.passphrase  = (ProtobufCBinaryData){ raw.len, (uint8_t *) (uintptr_t) raw.at }; /* written to the wire only */
    request.read_only   = asked->read_only;
    request.may_format  = asked->may_format;
    request.known_epoch = known;
    if (!ttrpc_call(&v->opener, &open_method, &request.base, OPEN_TIMEOUT_MS, &answer, err))
        return without_name(&open_method, err) || context(err, "start");
    *epoch         = ((const Volume__OpenResponse *) answer)->epoch;
    *was_formatted = ((const Volume__OpenResponse *) answer)->was_formatted;
    return true;
}

/*
 * First the volume, then the broker: after a crash between the two the volume is ahead, which is fine. Of two guests
 * that opened the same state the broker takes one.
 */
static FALLIBLE advance(struct keeper_volumes *v, struct kbs_client *broker, const Keeper__OpenVolumeRequest *asked, uint64_t epoch,
                        struct err *err)
{
    struct err ignored;

    if (call_advance(v, asked->name, epoch, err) && kbs_epoch_advance(broker, asked->key, epoch, err))
        return true;
    (void) !call_close(v, asked->name, &ignored); /* the first failure is told */
    return contextf(err, "key: volume %.16s", asked->name);
}

static FALLIBLE open_new(struct keeper_volumes *v, struct kbs_client *broker, const Keeper__OpenVolumeRequest *asked, bool *was_formatted,
                         struct err *err)
{
    AUTO(secret) struct secret passphrase = { 0 };
    uint64_t                   known, epoch;

    if (!kbs_resource_get(broker, asked->key, &passphrase, err) || !kbs_epoch_get(broker, asked->key, &known, err))
        return contextf(err, "key: volume %.16s", asked->name);
    return call_open(v, asked, &passphrase, known, &epoch, was_formatted, err) &&
           (asked->read_only || advance(v, broker, asked, epoch + 1, err));
}

FALLIBLE keeper_volume_open(struct keeper_volumes *volumes, struct kbs_client *broker, const Keeper__OpenVolumeRequest *asked,
                            bool *was_formatted, struct err *err)
{
    *was_formatted = false;
    for (size_t i = 0; i < volumes->n; i++) {
        const struct keeper_volume *open = &volumes->open[i];

        if (strcmp(open->name, asked->name) != 0)
            continue;
        return (strcmp(open->key, asked->key) == 0 && open->read_only == asked->read_only) ||
               fail_with(err, ERR_DENIED, "start: volume %.16s: another container has it open in another way", asked->name);
    }
    if (volumes->opener_fd < 0)
        return fail_with(err, ERR_NOT_FOUND, "start: volume %.16s: the host gives no disk for it", asked->name);
    if (volumes->n == VOLUME_DISKS_MAX || strlen(asked->name) > VOLUME_DISK_NAME_MAX || strlen(asked->key) >= KEEPER_VOLUME_KEY_MAX)
        return fail_with(err, ERR_LIMIT, "start: volume %.16s: over %d volumes, or too long a name", asked->name, VOLUME_DISKS_MAX);
    if (!open_new(volumes, broker, asked, was_formatted, err))
        return false;
    struct keeper_volume *now = &volumes->open[volumes->n++];
    (void) snprintf(now->name, sizeof now->name, "%s", asked->name); /* their lengths were compared */
    (void) snprintf(now->key, sizeof now->key, "%s", asked->key);
    now->read_only = asked->read_only;
    return true;
}

static FALLIBLE call_digest(struct keeper_volumes *v, const char *name, struct json_object *out, struct err *err)
{
    Volume__DigestRequest           request = VOLUME__DIGEST_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *answer  = NULL;

    request.name = (char *) (uintptr_t) name; /* written to the wire only */
    if (!ttrpc_call(&v->opener, &digest_method, &request.base, OPEN_TIMEOUT_MS, &answer, err))
        return without_name(&digest_method, err);
    const Volume__DigestResponse *found = (const Volume__DigestResponse *) answer;
    json_add_hex(out, "sha256", (struct bytes){ found->sha256.data, found->sha256.len });
    json_add(out, "entries", json_object_new_uint64(found->entries));
    json_add(out, "bytes", json_object_new_uint64(found->bytes));
    return true;
}

FALLIBLE keeper_volumes_state(struct keeper_volumes *volumes, char *const *names, size_t n, struct json_object *statement, struct err *err)
{
    struct json_object *all = n > 0 ? json_object_new_object() : NULL;

    if (all)
        json_add(statement, "volumes", all);
    for (size_t i = 0; i < n; i++) {
        struct json_object *one     = json_object_new_object();
        bool                is_open = false;

        json_add(all, names[i], one);
        for (size_t k = 0; k < volumes->n; k++)
            is_open |= strcmp(volumes->open[k].name, names[i]) == 0;
        if (!is_open)
            return fail_with(err, ERR_DENIED, "volume %.16s is not open", names[i]);
        if (!call_digest(volumes, names[i], one, err))
            return false;
    }
    return true;
}

void keeper_volumes_close(struct keeper_volumes *volumes, struct buffer *note)
{
    struct err err;

    for (size_t i = volumes->n; i-- > 0;)
        if (!call_close(volumes, volumes->open[i].name, &err))
            buffer_printf(note, "%s%s", note->len ? "; " : "", err.text);
    volumes->n = 0;
}
