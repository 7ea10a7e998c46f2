/* The peer is nghttp2's client, as grpc-go would speak; and bytes that are no HTTP/2. */
#include "keys/grpc/grpc_session.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

#include "keys/grpc/keyprovider.pb-c.h"
#include "tests/harness/test.h"

/* A client with one call. */
struct client {
    nghttp2_session *http;
    struct buffer    body;          /* what is sent */
    size_t           n_sent;
    struct buffer    answer;        /* DATA of the server */
    char             status[4], text[300];
    bool             is_over;
};

static ssize_t give(nghttp2_session *http, int32_t id, uint8_t *to, size_t most, uint32_t *flags, nghttp2_data_source *source, void *owner)
{
    struct client *c = owner;
    size_t         n = c->body.len - c->n_sent < most ? c->body.len - c->n_sent : most;

    (void) http, (void) id, (void) source;
    if (n > 0)
        memcpy(to, c->body.at + c->n_sent, n);
    c->n_sent += n;
    if (c->n_sent == c->body.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t) n;
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *owner)
{
    (void) http, (void) flags, (void) id;
    buffer_append(&((struct client *) owner)->answer, (struct bytes){ data, len });
    return 0;
}

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *owner)
{
    struct client *c = owner;

    (void) http, (void) frame, (void) flags;
    if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        (void) snprintf(c->status, sizeof c->status, "%.*s", (int) value_len, (const char *) value);
    if (name_len == 12 && memcmp(name, "grpc-message", 12) == 0)
        (void) snprintf(c->text, sizeof c->text, "%.*s", (int) value_len, (const char *) value);
    return 0;
}

static int on_close(nghttp2_session *http, int32_t id, uint32_t code, void *owner)
{
    (void) http, (void) id;
    assert_int_equal(code, 0);
    ((struct client *) owner)->is_over = true;
    return 0;
}

static void client_open(struct client *c)
{
    nghttp2_session_callbacks *callbacks;

    *c = (struct client){ 0 };
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    assert_int_equal(nghttp2_session_client_new(&c->http, callbacks, c), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(c->http, 0, NULL, 0), 0);
}

static void client_close(struct client *c)
{
    nghttp2_session_del(c->http);
    buffer_free(&c->body);
    buffer_free(&c->answer);
}

#define NV(n, v) { (uint8_t *) (uintptr_t) (n), (uint8_t *) (uintptr_t) (v), strlen(n), strlen(v), 0 }

/* Submits a call and carries bytes to and fro, `piece` at a time, until it is over. */
static void call(struct client *c, struct grpc_session *server, const char *path, const char *content_type, size_t piece)
{
    nghttp2_nv            headers[] = { NV(":method", "POST"), NV(":scheme", "http"), NV(":path", path), NV(":authority", "x"),
                                        NV("content-type", content_type), NV("te", "trailers") };
    nghttp2_data_provider body      = { .read_callback = give };
    struct err            err;

    assert_true(nghttp2_submit_request(c->http, NULL, headers, 6, &body, NULL) > 0);
    for (int i = 0; i < 10000 && !c->is_over; i++) {
        AUTO(buffer) struct buffer back = { 0 };
        const uint8_t             *at;
        ssize_t                    n = nghttp2_session_mem_send(c->http, &at);

        assert_true(n >= 0);
        for (size_t done = 0; done < (size_t) n; done += piece) {
            size_t             len   = (size_t) n - done < piece ? (size_t) n - done : piece;
            AUTO(heap) uint8_t *exact = exact_copy(at + done, len);

            assert_true(grpc_session_feed(server, (struct bytes){ exact, len }, &back, &err));
        }
        if (back.len > 0)
            assert_int_equal(nghttp2_session_mem_recv(c->http, back.at, back.len), back.len);
    }
    assert_true(c->is_over);
}

/* Answers with the request's bytes as a name, three times; "/fail" fails. */
static void echo(void *owner, const char *path, struct bytes message, struct grpc_reply *reply)
{
    Keyprovider__Document      answer = KEYPROVIDER__DOCUMENT__INIT;
    AUTO(buffer) struct buffer text   = { 0 };

    ++*(int *) owner;
    if (strcmp(path, "/fail") == 0) {
        grpc_reply_add(reply, &answer.base);
        grpc_reply_fail(reply, GRPC_NOT_FOUND, "100% gone\n");
        return;
    }
    buffer_append(&text, message);
    answer.json = (ProtobufCBinaryData){ .len = text.len, .data = text.at }; /* only read */
    for (int i = 0; i < 3; i++)
        grpc_reply_add(reply, &answer.base);
}

static void put_message(struct buffer *body, const char *text)
{
    uint8_t prefix[5] = { 0, 0, 0, (uint8_t) (strlen(text) >> 8), (uint8_t) strlen(text) };

    buffer_append(body, BYTES_OF(prefix));
    buffer_append_text(body, text);
}

static void a_call_is_answered_however_its_bytes_arrive(void **state)
{
    static const uint8_t wanted[] = { 0, 0, 0, 0, 4, 0x0a, 2, 'h', 'i' };

    (void) state;
    for (size_t piece = 1; piece < 100; piece += 7) {
        AUTO(grpc_session) struct grpc_session *server = NULL;
        struct client                           c;
        struct err                              err;
        int                                     n_calls = 0;

        client_open(&c);
        assert_true(grpc_session_new(echo, &n_calls, &server, &err));
        put_message(&c.body, "hi");
        call(&c, server, "/echo", "application/grpc+proto", piece);
        assert_string_equal(c.status, "0");
        assert_int_equal(c.answer.len, 3 * sizeof wanted);
        assert_memory_equal(c.answer.at + 2 * sizeof wanted, wanted, sizeof wanted);
        assert_int_equal(n_calls, 1);
        client_close(&c);
    }
}

static void answers_larger_than_a_window_arrive_whole(void **state)
{
    AUTO(grpc_session) struct grpc_session *server  = NULL;
    AUTO(buffer) struct buffer              text    = { 0 };
    struct client                           c;
    struct err                              err;
    int                                     n_calls = 0;

    (void) state;
    client_open(&c);
    memset(buffer_grow(&text, 60000), 'x', 60000);
    assert_true(grpc_session_new(echo, &n_calls, &server, &err));
    put_message(&c.body, buffer_text(&text));
    call(&c, server, "/echo", "application/grpc", 4096);
    assert_string_equal(c.status, "0");
    assert_int_equal(c.answer.len, 3 * (60000 + 5 + 4));
    client_close(&c);
}

static void check_refused(const char *path, const char *content_type, struct bytes body, const char *status, const char *text)
{
    AUTO(grpc_session) struct grpc_session *server  = NULL;
    struct client                           c;
    struct err                              err;
    int                                     n_calls = 0;

    client_open(&c);
    buffer_append(&c.body, body);
    assert_true(grpc_session_new(echo, &n_calls, &server, &err));
    call(&c, server, path, content_type, 1000);
    assert_string_equal(c.status, status);
    assert_string_equal(c.text, text);
    assert_int_equal(c.answer.len, 0);
    client_close(&c);
}

static void what_is_no_call_is_refused(void **state)
{
    static const uint8_t good[] = { 0, 0, 0, 0, 1, 'a' }, compressed[] = { 1, 0, 0, 0, 1, 'a' }, more[] = { 0, 0, 0, 0, 1, 'a', 0 };
    AUTO(buffer) struct buffer path = { 0 }, large = { 0 };

    (void) state;
    check_refused("/fail", "application/grpc", BYTES_OF(good), "5", "100%25 gone%0A");
    check_refused("/echo", "text/plain", BYTES_OF(good), "3", "not a gRPC call");
    check_refused("/echo", "application/grpc", BYTES_OF(compressed), "3", "compressed messages are not taken");
    check_refused("/echo", "application/grpc", BYTES_OF(more), "3", "the request is not one message");
    for (size_t len = 0; len < sizeof good; len++)
        check_refused("/echo", "application/grpc", (struct bytes){ good, len }, "3", "the request is not one message");
    memset(buffer_grow(&path, GRPC_PATH_MAX + 1), '/', GRPC_PATH_MAX + 1);
    check_refused(buffer_text(&path), "application/grpc", BYTES_OF(good), "3", "not a gRPC call");
    (void) buffer_grow(&large, GRPC_MESSAGE_MAX + 6);
    check_refused("/echo", "application/grpc", buffer_bytes(&large), "8", "the request is too large");
}

static void bytes_that_are_no_http2_end_the_connection(void **state)
{
    AUTO(grpc_session) struct grpc_session *server = NULL;
    AUTO(buffer) struct buffer              out    = { 0 };
    struct err                              err;

    (void) state;
    assert_true(grpc_session_new(echo, NULL, &server, &err));
    assert_false(grpc_session_feed(server, bytes_of_text("GET / HTTP/1.1\r\n\r\nsome more"), &out, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static void a_session_that_ends_amid_a_call_leaves_nothing(void **state)
{
    AUTO(grpc_session) struct grpc_session *server = NULL;
    AUTO(buffer) struct buffer              out    = { 0 };
    nghttp2_nv            headers[] = { NV(":method", "POST"), NV(":scheme", "http"), NV(":path", "/echo"), NV(":authority", "x") };
    nghttp2_data_provider body      = { .read_callback = give };
    struct client         c;
    struct err            err;
    const uint8_t        *at;

    (void) state;
    client_open(&c);
    put_message(&c.body, "never heard");
    c.n_sent = c.body.len + 1; /* give would never say that it is over */
    assert_true(grpc_session_new(echo, NULL, &server, &err));
    assert_true(nghttp2_submit_request(c.http, NULL, headers, 4, &body, NULL) > 0);
    ssize_t n = nghttp2_session_mem_send(c.http, &at);
    assert_true(n > 0 && grpc_session_feed(server, (struct bytes){ at, (size_t) n }, &out, &err));
    client_close(&c); /* ASan would tell of the stream that the server still has */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_answered_however_its_bytes_arrive),
        cmocka_unit_test(answers_larger_than_a_window_arrive_whole),
        cmocka_unit_test(what_is_no_call_is_refused),
        cmocka_unit_test(bytes_that_are_no_http2_end_the_connection),
        cmocka_unit_test(a_session_that_ends_amid_a_call_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
