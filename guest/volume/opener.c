#include "guest/volume/opener.h"

#include <string.h>

#include "guest/api/services.h"
#include "guest/init/calls.h"
#include "guest/volume/volume.h"

const struct ttrpc_service volumes_service = { "cloister.volumes", &volume__volumes__descriptor, MESSAGE_EXACT };

static void refuse(struct ttrpc_pending pending, const char *name, struct err *why)
{
    (void) contextf(why, "volume %.16s", name); /* false is what it returns */
    ttrpc_refuse(pending, why);
}

static void serve_open(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Volume__OpenRequest *asked  = (const Volume__OpenRequest *) message;
    Volume__OpenResponse       answer = VOLUME__OPEN_RESPONSE__INIT;
    AUTO(secret) struct secret key    = { 0 };
    struct volume_request      request = { asked->name, &key, asked->read_only, asked->may_format, asked->known_epoch };
    struct volume_opened       opened;
    struct err                 err;
    bool                       ok;

    (void) owner;
    ok = secret_copy((struct bytes){ asked->passphrase.data, asked->passphrase.len }, &key, &err);
    if (!ok || !volume_open(&request, &opened, &err)) {
        refuse(pending, asked->name, &err);
        return;
    }
    answer.epoch         = opened.epoch;
    answer.was_formatted = opened.was_formatted;
    ttrpc_answer(pending, &answer.base);
}

static void serve_advance(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Volume__AdvanceRequest *asked  = (const Volume__AdvanceRequest *) message;
    Volume__AdvanceResponse       answer = VOLUME__ADVANCE_RESPONSE__INIT;
    struct err                    err;

    (void) owner;
    if (volume_advance(asked->name, asked->epoch, &err))
        ttrpc_answer(pending, &answer.base);
    else
        refuse(pending, asked->name, &err);
}

static void serve_digest(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Volume__DigestRequest *asked  = (const Volume__DigestRequest *) message;
    Volume__DigestResponse       answer = VOLUME__DIGEST_RESPONSE__INIT;
    struct tree_digest           digest;
    struct err                   err;

    (void) owner;
    if (!volume_digest(asked->name, &digest, &err)) {
        refuse(pending, asked->name, &err);
        return;
    }
    answer.sha256  = (ProtobufCBinaryData){ sizeof digest.sha256, digest.sha256 };
    answer.entries = digest.entries;
    answer.bytes   = digest.bytes;
    ttrpc_answer(pending, &answer.base);
}

static void serve_close(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Volume__CloseRequest *asked  = (const Volume__CloseRequest *) message;
    Volume__CloseResponse       answer = VOLUME__CLOSE_RESPONSE__INIT;
    struct err                  err;

    (void) owner;
    if (volume_close(asked->name, &err))
        ttrpc_answer(pending, &answer.base);
    else
        refuse(pending, asked->name, &err);
}

static const struct ttrpc_row rows[] = { { "Open", serve_open }, { "Advance", serve_advance }, { "Digest", serve_digest },
                                         { "Close", serve_close } };

static void on_closed(void *owner, const struct err *why)
{
    (void) why; /* the keeper is the only peer: when it is gone, so is the guest */
    loop_stop(owner);
}

int opener_run(int control_fd_take)
{
    struct ttrpc_connection_options                 serving    = { .service = &volumes_service, .rows = rows,
                                                                   .n_rows = sizeof rows / sizeof *rows, .closed = on_closed };
    AUTO(ttrpc_connection) struct ttrpc_connection *connection = NULL;
    struct loop                                    *loop       = NULL;
    struct err                                      err;

    if (!secret_heap_open(&err) || !calls_confine_disks(&err) || !loop_new(&loop, &err))
        return 1;
    serving.loop = loop;
    serving.owner = loop;
    bool is_good = ttrpc_connection_new(&serving, control_fd_take, &connection, &err) && loop_run(loop, &err);
    ttrpc_connection_free(TAKE(connection));
    loop_free(loop);
    return is_good ? 0 : 1;
}
