#include "guest/api/ttrpc.h"

#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "guest/api/status.h"

FALLIBLE ttrpc_frame_read(struct bytes input, struct ttrpc_frame *out, size_t *used, struct err *err)
{
    struct reader r = reader_over(input);

    *used = 0;
    if (input.len < TTRPC_HEADER_LEN)
        return true;
    uint32_t len    = take_u32be(&r);
    uint32_t stream = take_u32be(&r);
    uint8_t  type   = take_u8(&r);
    uint8_t  flags  = take_u8(&r);
    if (!reader_ok(&r, err))
        return context(err, "ttrpc header");

    if (len > MESSAGE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "ttrpc: message of %u bytes, most is %d", len, MESSAGE_LEN_MAX);
    if (type != TTRPC_REQUEST && type != TTRPC_RESPONSE)
        return fail_with(err, ERR_UNSUPPORTED, "ttrpc: message type %u", type);
    if (flags != 0)
        return fail_with(err, ERR_UNSUPPORTED, "ttrpc: flags %#x: streams are not spoken here", flags);
    if (stream % 2 == 0)
        return fail_with(err, ERR_MALFORMED, "ttrpc: stream id %u is not a client's", stream);

    if (len > r.left.len)
        return true;
    *out  = (struct ttrpc_frame){ stream, (enum ttrpc_type) type, take(&r, len) };
    *used = TTRPC_HEADER_LEN + (size_t) len;
    return true;
}

static FALLIBLE append_frame(struct buffer *out, uint32_t stream, enum ttrpc_type type,
                             const ProtobufCMessage *envelope, struct err *err)
{
    size_t len = protobuf_c_message_get_packed_size(envelope);

    if (len > MESSAGE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "ttrpc: message of %zu bytes, most is %d", len, MESSAGE_LEN_MAX);
    struct writer w = writer_over(buffer_grow(out, TTRPC_HEADER_LEN), TTRPC_HEADER_LEN);
    put_u32be(&w, (uint32_t) len);
    put_u32be(&w, stream);
    put_u8(&w, (uint8_t) type);
    put_u8(&w, 0);
    message_append(out, envelope);
    return true;
}

FALLIBLE ttrpc_append_request(struct buffer *out, uint32_t stream, const struct ttrpc_method *method,
                              const ProtobufCMessage *request, struct err *err)
{
    AUTO(buffer) struct buffer payload  = WIPED_BUFFER;
    Envelope__Request          envelope = ENVELOPE__REQUEST__INIT;
    char                       name[TTRPC_NAME_MAX]; /* protobuf-c wants text that it could write to */
    char                       service[TTRPC_NAME_MAX];

    message_append(&payload, request);
    (void) snprintf(name, sizeof name, "%s", method->name); /* our own tables: short */
    (void) snprintf(service, sizeof service, "%s", method->service->name);
    envelope.service = service;
    envelope.method  = name;
    envelope.payload = (ProtobufCBinaryData){ payload.len, payload.at };
    return append_frame(out, stream, TTRPC_REQUEST, &envelope.base, err);
}

FALLIBLE ttrpc_append_response(struct buffer *out, uint32_t stream, const ProtobufCMessage *response, struct err *err)
{
    AUTO(buffer) struct buffer payload  = WIPED_BUFFER;
    Envelope__Response         envelope = ENVELOPE__RESPONSE__INIT;

    message_append(&payload, response);
    envelope.payload = (ProtobufCBinaryData){ payload.len, payload.at };
    return append_frame(out, stream, TTRPC_RESPONSE, &envelope.base, err);
}

/* The peer refuses text that is not UTF-8; ours may quote bytes that are not. */
static void refusal_text(const struct err *why, struct buffer *out)
{
    if (is_utf8(bytes_of_text(why->text)))
        buffer_append_text(out, why->text);
    else
        printable_append(out, bytes_of_text(why->text), sizeof why->text);
}

void ttrpc_append_refusal(struct buffer *out, uint32_t stream, const struct err *why)
{
    AUTO(buffer) struct buffer text     = { 0 };
    Envelope__Status           status   = ENVELOPE__STATUS__INIT;
    Envelope__Response         envelope = ENVELOPE__RESPONSE__INIT;
    struct err                 never;

    refusal_text(why, &text);
    (void) buffer_text(&text); /* puts the zero behind the end */
    status.code     = status_of_kind(why->kind == ERR_NONE ? ERR_BUG : why->kind);
    status.message  = (char *) text.at;
    envelope.status = &status;
    if (!append_frame(out, stream, TTRPC_RESPONSE, &envelope.base, &never))
        abort(); /* an err's text is far below the limit */
}

FALLIBLE ttrpc_request_read(struct bytes message, ProtobufCMessage **out, struct err *err)
{
    AUTO(message) ProtobufCMessage *read = NULL;

    if (!message_read(&envelope__request__descriptor, message, MESSAGE_LOOSE, &read, err))
        return context(err, "ttrpc");
    const Envelope__Request *request = (const Envelope__Request *) read;
    if (strlen(request->service) > TTRPC_NAME_MAX || strlen(request->method) > TTRPC_NAME_MAX)
        return fail_with(err, ERR_LIMIT, "ttrpc: service or method name over %d bytes", TTRPC_NAME_MAX);
    if (request->n_metadata > TTRPC_METADATA_MAX)
        return fail_with(err, ERR_LIMIT, "ttrpc: over %d metadata entries", TTRPC_METADATA_MAX);
    *out = TAKE(read);
    return true;
}

FALLIBLE ttrpc_response_read(struct bytes message, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out,
                             struct err *err)
{
    AUTO(message) ProtobufCMessage *read = NULL;

    if (!message_read(&envelope__response__descriptor, message, MESSAGE_LOOSE, &read, err))
        return context(err, "ttrpc");
    const Envelope__Response *response = (const Envelope__Response *) read;
    if (response->status && response->status->code != 0)
        return fail_with(err, status_kind(response->status->code), "%s", response->status->message);
    struct bytes payload = { response->payload.data, response->payload.len };
    return message_read(type, payload, MESSAGE_EXACT, out, err);
}

ssize_t ttrpc_write(int fd, bool is_port, struct bytes b)
{
    return is_port ? write(fd, b.at, b.len) : send(fd, b.at, b.len, MSG_NOSIGNAL);
}

void ttrpc_drop(struct buffer *input, size_t used)
{
    if (used > 0 && used < input->len)
        memmove(input->at, input->at + used, input->len - used);
    input->len -= used;
    if (input->is_wiped && used > 0)
        explicit_bzero(input->at + input->len, used);
}
