#include "keys/grpc/grpc_session.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

enum { PREFIX_LEN = 5 }; /* a flag for compression, and the length of the message */

struct stream;

struct grpc_session {
    nghttp2_session *http;
    grpc_call_fn    *call;
    void            *owner;
    struct stream   *streams; /* those that are open */
};

struct stream {
    struct stream    *next;
    char              path[GRPC_PATH_MAX + 1];
    bool              is_post, is_grpc, is_too_large, has_long_path;
    struct buffer     body;
    struct grpc_reply reply;
    size_t            n_sent; /* of the reply's messages */
};

void grpc_reply_add(struct grpc_reply *reply, const ProtobufCMessage *message)
{
    size_t        len    = protobuf_c_message_get_packed_size(message);
    uint8_t      *at     = buffer_grow(&reply->messages, PREFIX_LEN + len);
    struct writer prefix = writer_over(at, PREFIX_LEN);

    if (len > UINT32_MAX)
        abort(); /* what we answer with is a few KiB */
    put_u8(&prefix, 0);
    put_u32be(&prefix, (uint32_t) len);
    (void) protobuf_c_message_pack(message, at + PREFIX_LEN); /* the length is known */
}

void grpc_reply_fail(struct grpc_reply *reply, enum grpc_status status, const char *text)
{
    reply->messages.len = 0;
    reply->status       = status;
    (void) snprintf(reply->text, sizeof reply->text, "%s", text); /* cut where it is long */
}

static void stream_free(struct grpc_session *s, struct stream *stream)
{
    struct stream **at = &s->streams;

    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    buffer_free(&stream->body);
    buffer_free(&stream->reply.messages);
    free(stream);
}

static struct stream *stream_of(struct grpc_session *s, int32_t id)
{
    return nghttp2_session_get_stream_user_data(s->http, id);
}

/* ---- the answer ---- */

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *) (uintptr_t) name, (uint8_t *) (uintptr_t) value, strlen(name), strlen(value),
                         NGHTTP2_NV_FLAG_NONE }; /* nghttp2 copies; its fields are not const */
}

/* [gRPC PROTOCOL-HTTP2, Percent-Encoded] */
static void append_percent(struct buffer *out, const char *text)
{
    for (; *text; text++)
        if (*text >= 0x20 && *text < 0x7f && *text != '%')
            buffer_append(out, (struct bytes){ (const uint8_t *) text, 1 });
        else
            buffer_printf(out, "%%%02X", (unsigned char) *text);
}

static int submit_trailer(nghttp2_session *http, int32_t id, const struct grpc_reply *reply)
{
    AUTO(buffer) struct buffer text = { 0 };
    char                       status[12];

    (void) snprintf(status, sizeof status, "%d", reply->status); /* fits */
    append_percent(&text, reply->text);
    nghttp2_nv trailers[] = { header("grpc-status", status), header("grpc-message", buffer_text(&text)) };
    return nghttp2_submit_trailer(http, id, trailers, 2);
}

static ssize_t give_messages(nghttp2_session *http, int32_t id, uint8_t *to, size_t most, uint32_t *flags,
                             nghttp2_data_source *source, void *owner)
{
    struct stream *stream = source->ptr;
    size_t         left   = stream->reply.messages.len - stream->n_sent;
    size_t         n      = left < most ? left : most;

    (void) owner;
    if (n > 0)
        memcpy(to, stream->reply.messages.at + stream->n_sent, n);
    stream->n_sent += n;
    if (n == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (submit_trailer(http, id, &stream->reply) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t) n;
}

static int submit(struct grpc_session *s, int32_t id, struct stream *stream)
{
    nghttp2_nv            headers[] = { header(":status", "200"), header("content-type", "application/grpc") };
    nghttp2_data_provider messages  = { .source.ptr = stream, .read_callback = give_messages };

    return nghttp2_submit_response(s->http, id, headers, 2, &messages);
}

/* ---- the request ---- */

/* NULL when the body is one uncompressed message, which `out` then is. */
static const char *read_body(const struct stream *stream, struct bytes *out)
{
    struct reader r          = reader_over(buffer_bytes(&stream->body));
    uint8_t       compressed = take_u8(&r);
    uint32_t      len        = take_u32be(&r);
    struct err    err;

    *out = take(&r, len);
    if (!reader_done(&r, &err))
        return "the request is not one message";
    return compressed ? "compressed messages are not taken" : NULL;
}

static int answer(struct grpc_session *s, int32_t id, struct stream *stream)
{
    struct bytes message = { 0 };
    const char  *defect  = !stream->is_post || !stream->is_grpc || stream->has_long_path ? "not a gRPC call" : NULL;

    if (stream->is_too_large)
        grpc_reply_fail(&stream->reply, GRPC_RESOURCE_EXHAUSTED, "the request is too large");
    else if (defect || (defect = read_body(stream, &message)))
        grpc_reply_fail(&stream->reply, GRPC_INVALID_ARGUMENT, defect);
    else
        s->call(s->owner, stream->path, message, &stream->reply);
    buffer_free(&stream->body);
    return submit(s, id, stream);
}

static int on_begin_headers(nghttp2_session *http, const nghttp2_frame *frame, void *owner)
{
    struct grpc_session *s = owner;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        abort();
    stream->body           = (struct buffer) WIPED_BUFFER; /* a message may hold a key */
    stream->reply.messages = (struct buffer) WIPED_BUFFER;
    stream->next           = s->streams;
    s->streams   = stream;
    return nghttp2_session_set_stream_user_data(http, frame->hd.stream_id, stream);
}

static bool is(const uint8_t *at, size_t len, const char *text)
{
    return bytes_equal((struct bytes){ at, len }, bytes_of_text(text));
}

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *owner)
{
    static const char grpc[] = "application/grpc";
    struct stream    *stream = stream_of(owner, frame->hd.stream_id);

    (void) http;
    (void) flags;
    if (!stream)
        return 0;
    if (is(name, name_len, ":method"))
        stream->is_post = is(value, value_len, "POST");
    if (is(name, name_len, "content-type"))
        stream->is_grpc = value_len >= sizeof grpc - 1 && memcmp(value, grpc, sizeof grpc - 1) == 0;
    if (is(name, name_len, ":path")) {
        stream->has_long_path = value_len > GRPC_PATH_MAX || memchr(value, 0, value_len);
        if (!stream->has_long_path)
            memcpy(stream->path, value, value_len);
    }
    return 0;
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *owner)
{
    struct stream *stream = stream_of(owner, id);

    (void) http;
    (void) flags;
    if (!stream)
        return 0;
    stream->is_too_large |= len > GRPC_MESSAGE_MAX + PREFIX_LEN - stream->body.len;
    if (!stream->is_too_large)
        buffer_append(&stream->body, (struct bytes){ data, len });
    return 0;
}

static int on_frame(nghttp2_session *http, const nghttp2_frame *frame, void *owner)
{
    struct stream *stream = stream_of(owner, frame->hd.stream_id);

    (void) http;
    if (stream && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        return answer(owner, frame->hd.stream_id, stream);
    return 0;
}

static int on_close(nghttp2_session *http, int32_t id, uint32_t code, void *owner)
{
    struct stream *stream = stream_of(owner, id);

    (void) code;
    if (!stream)
        return 0;
    stream_free(owner, stream);
    return nghttp2_session_set_stream_user_data(http, id, NULL);
}

/* ---- the connection ---- */

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}

FALLIBLE grpc_session_new(grpc_call_fn *call, void *owner, struct grpc_session **out, struct err *err)
{
    static const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_MAX },
    };
    AUTO(grpc_session) struct grpc_session *s         = calloc(1, sizeof *s);
    nghttp2_session_callbacks              *callbacks = NULL;

    if (!s || nghttp2_session_callbacks_new(&callbacks) != 0)
        abort();
    s->call  = call;
    s->owner = owner;
    set_callbacks(callbacks);
    int code = nghttp2_session_server_new(&s->http, callbacks, s);
    nghttp2_session_callbacks_del(callbacks);
    if (code == 0)
        code = nghttp2_submit_settings(s->http, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    if (code != 0)
        return fail_with(err, ERR_LIMIT, "HTTP/2: %s", nghttp2_strerror(code));
    *out = TAKE(s);
    return true;
}

/* nghttp2 does not close the streams of a session that it deletes. */
void grpc_session_free(struct grpc_session *session)
{
    if (!session)
        return;
    while (session->streams)
        stream_free(session, session->streams);
    nghttp2_session_del(session->http);
    free(session);
}

FALLIBLE grpc_session_feed(struct grpc_session *session, struct bytes in, struct buffer *out, struct err *err)
{
    const uint8_t *at;
    ssize_t        n = in.len > 0 ? nghttp2_session_mem_recv(session->http, in.at, in.len) : 0;

    if (n < 0)
        return fail_with(err, ERR_MALFORMED, "HTTP/2: %s", nghttp2_strerror((int) n));
    while ((n = nghttp2_session_mem_send(session->http, &at)) > 0)
        buffer_append(out, (struct bytes){ at, (size_t) n });
    if (n < 0)
        return fail_with(err, ERR_LIMIT, "HTTP/2: %s", nghttp2_strerror((int) n));
    if (!nghttp2_session_want_read(session->http) && !nghttp2_session_want_write(session->http))
        return fail_with(err, ERR_MALFORMED, "HTTP/2: the connection is over");
    return true;
}
