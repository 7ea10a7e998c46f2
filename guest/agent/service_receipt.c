#include "guest/agent/keeper.h"
#include "guest/agent/service_methods.h"
#include "guest/api/receipt.h"

static const struct ttrpc_method sign_method = { &keeper_service, "SignReceipt" };

struct receipt_wish {
    struct ttrpc_pending pending;
};

static void on_receipt(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct receipt_wish       *wish   = owner;
    Agent__GetReceiptResponse  answer = AGENT__GET_RECEIPT_RESPONSE__INIT;
    struct err                 shown;

    if (response) {
        answer.receipt = ((const Keeper__GivenResponse *) response)->content;
        ttrpc_answer(wish->pending, &answer.base);
    } else {
        shown = *why;
        service_refuse(wish->pending, "attest", &shown);
    }
    free(wish);
}

static FALLIBLE add_stream(struct json_object *statement, const char *name, const struct output *output, struct err *err)
{
    struct json_object *said = json_object_new_object();
    uint8_t             digest[SHA256_LEN];

    json_add(statement, name, said);
    if (!output->has_ended)
        return fail_with(err, ERR_CONFIG, "the container's output has not ended");
    if (!output_digest(output, digest, err))
        return false;
    json_add_hex(said, "sha256", BYTES_OF(digest));
    json_add(said, "bytes", json_object_new_uint64(output->n_bytes));
    return true;
}

static FALLIBLE write_statement(const struct container *c, const ProtobufCBinaryData *nonce, struct buffer *out, struct err *err)
{
    AUTO(json) struct json_object *statement = json_object_new_object();

    if (!c->grant.output)
        return fail_with(err, ERR_DENIED, "policy does not let the host know this container's output");
    if (nonce->len > RECEIPT_NONCE_MAX)
        return fail_with(err, ERR_LIMIT, "a nonce over %d bytes", RECEIPT_NONCE_MAX);
    if (c->state != CONTAINER_STOPPED || !c->first.has_ended)
        return fail_with(err, ERR_CONFIG, "container %s is %s; a receipt is of one that has ended", c->id, container_state_name(c->state));
    json_add_text(statement, "image", c->image);
    json_add(statement, "exit_code", json_object_new_int(c->first.exit_code));
    json_add_hex(statement, "nonce", (struct bytes){ nonce->data, nonce->len });
    if (!add_stream(statement, "stdout", &c->first.streams.outputs[0], err) ||
        (!c->has_terminal && !add_stream(statement, "stderr", &c->first.streams.outputs[1], err)))
        return false;
    json_write(statement, out);
    return true;
}

void service_get_receipt(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct service                 *s     = owner;
    const Agent__GetReceiptRequest *asked = (const Agent__GetReceiptRequest *) request;
    struct container               *c     = service_find(s, asked->id, pending);
    Keeper__SignReceiptRequest      sign  = KEEPER__SIGN_RECEIPT_REQUEST__INIT;
    AUTO(buffer) struct buffer      text  = { 0 };
    char                           *volumes[VOLUME_DISKS_MAX];
    struct err                      err;

    if (!c)
        return;
    struct receipt_wish *wish = malloc(sizeof *wish);
    if (!wish)
        abort();
    wish->pending = pending;
    for (size_t i = 0; i < c->n_volumes; i++)
        volumes[i] = c->volumes[i];
    sign.volumes   = volumes;
    sign.n_volumes = c->n_volumes;
    if (write_statement(c, &asked->nonce, &text, &err)) {
        sign.statement = (char *) (uintptr_t) buffer_text(&text); /* written to the wire only */
        if (ttrpc_connection_call(s->keeper, &sign_method, &sign.base, on_receipt, wish, &err))
            return;
    }
    free(wish);
    service_refuse(pending, "start", &err);
}
