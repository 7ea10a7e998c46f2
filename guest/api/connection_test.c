#include "tests/harness/test.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/secret.h"
#include "guest/api/call.h"
#include "guest/api/connection.h"
#include "tests/harness/traces.h"

static const struct ttrpc_method read_output = { &agent_service, "ReadOutput" };
static const struct ttrpc_method start       = { &agent_service, "StartContainer" };
static const struct ttrpc_method shutdown_vm = { &agent_service, "Shutdown" };

/* Both ends of one connection on one loop; "ReadOutput" is answered later, "StartContainer" refused at once. */
struct ends {
    struct loop             *loop;
    struct ttrpc_connection *server, *client;
    struct ttrpc_pending     later[CONNECTION_PENDING_MAX];
    size_t                   n_later;
    unsigned                 n_replies, n_closed;
    size_t                   stop_after; /* replies */
    bool                     has_response;
    struct err               why, closed_why;
};

static void serve_read_output(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct ends *e = owner;

    assert_string_equal(((const Agent__ReadOutputRequest *) request)->id, "c");
    assert_true(e->n_later < CONNECTION_PENDING_MAX);
    e->later[e->n_later++] = pending;
}

static void serve_start(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct ends                    *e      = owner;
    Agent__ReadOutputResponse       answer = AGENT__READ_OUTPUT_RESPONSE__INIT;
    struct err                      why    = { .kind = ERR_DENIED, .text = "start: not now" };

    (void) request;
    answer.eof = true;
    for (size_t i = e->n_later; i > 0; i--) /* the last asked is the first answered */
        ttrpc_answer(e->later[i - 1], &answer.base);
    ttrpc_refuse(pending, &why);
    ttrpc_refuse(pending, &why); /* used up: must not be sent twice */
}

static const struct ttrpc_row rows[] = { { "ReadOutput", serve_read_output }, { "StartContainer", serve_start } };

static void on_closed(void *owner, const struct err *why)
{
    struct ends *e = owner;

    e->closed_why = *why;
    e->n_closed++;
    loop_stop(e->loop);
}

static void on_reply(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct ends *e = owner;

    e->has_response = response != NULL;
    e->why          = *why;
    e->n_replies++;
    if (e->n_replies == e->stop_after)
        loop_stop(e->loop);
}

static void open_server(struct ends *e, int fd)
{
    struct ttrpc_connection_options options = { e->loop, &agent_service, rows, 2, on_closed, e };
    struct err                      err;

    assert_true(ttrpc_connection_new(&options, fd, &e->server, &err));
}

/* Returns the raw other end when `with_client` is false. */
static int open_ends(struct ends *e, bool with_client)
{
    struct ttrpc_connection_options options = { .closed = on_closed, .owner = e };
    int                             fds[2];
    struct err                      err;

    *e = (struct ends){ .stop_after = 1 };
    assert_true(loop_new(&e->loop, &err));
    options.loop = e->loop;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    open_server(e, fds[0]);
    if (!with_client)
        return fds[1];
    assert_true(ttrpc_connection_new(&options, fds[1], &e->client, &err));
    return NO_FD;
}

static void close_ends(struct ends *e)
{
    ttrpc_connection_free(e->server);
    ttrpc_connection_free(e->client);
    loop_free(e->loop);
}

static void ask(struct ends *e, const struct ttrpc_method *method, const ProtobufCMessage *request)
{
    struct err err;

    assert_true(ttrpc_connection_call(e->client, method, request, on_reply, e, &err));
}

static void ask_for_output(struct ends *e)
{
    Agent__ReadOutputRequest request = AGENT__READ_OUTPUT_REQUEST__INIT;
    char                     id[]    = "c";

    request.id = id;
    ask(e, &read_output, &request.base);
}

static void run(struct ends *e)
{
    struct err err;

    assert_true(loop_run(e->loop, &err));
}

static void long_polls_are_answered_out_of_order_and_later(void **state)
{
    struct ends                    e;
    Agent__StartContainerRequest   request = AGENT__START_CONTAINER_REQUEST__INIT;

    (void) state;
    open_ends(&e, true);
    e.stop_after = 4;
    for (int i = 0; i < 3; i++)
        ask_for_output(&e);
    ask(&e, &start, &request.base);
    run(&e);
    assert_int_equal(e.n_replies, 4);
    assert_int_equal(e.why.kind, ERR_DENIED);
    assert_string_equal(e.why.text, "start: not now");
    close_ends(&e);
}

static void a_method_without_a_row_is_refused(void **state)
{
    struct ends            e;
    Agent__ShutdownRequest request = AGENT__SHUTDOWN_REQUEST__INIT;

    (void) state;
    open_ends(&e, true);
    ask(&e, &shutdown_vm, &request.base);
    run(&e);
    assert_false(e.has_response);
    assert_int_equal(e.why.kind, ERR_UNSUPPORTED);
    assert_string_equal(e.why.text, "no such method");
    close_ends(&e);
}

static void one_request_too_many_is_refused_and_the_rest_still_wait(void **state)
{
    struct ends                e;
    AUTO(buffer) struct buffer flood   = { 0 };
    Agent__ReadOutputRequest   request = AGENT__READ_OUTPUT_REQUEST__INIT;
    char                       id[]    = "c";
    uint8_t                    answer[256];
    struct err                 err;

    (void) state;
    AUTO(fd) int peer = open_ends(&e, false);
    request.id = id;
    for (uint32_t i = 0; i <= CONNECTION_PENDING_MAX; i++)
        assert_true(ttrpc_append_request(&flood, 2 * i + 1, &read_output, &request.base, &err));
    assert_int_equal(write(peer, flood.at, flood.len), flood.len);
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    run(&e); /* until the server saw the end */
    assert_int_equal(e.n_later, CONNECTION_PENDING_MAX);
    ssize_t n = read(peer, answer, sizeof answer);
    struct ttrpc_frame              frame = { 0 };
    AUTO(message) ProtobufCMessage *out   = NULL;
    size_t                          used;
    assert_true(n > 0 && ttrpc_frame_read((struct bytes){ answer, (size_t) n }, &frame, &used, &err));
    assert_int_equal(frame.stream, 2 * CONNECTION_PENDING_MAX + 1);
    assert_false(ttrpc_response_read(frame.message, &agent__read_output_response__descriptor, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    close_ends(&e);
}

static void garbage_ends_the_connection_and_says_why(void **state)
{
    static const struct { const char *bytes; size_t len; enum err_kind kind; const char *text; } rows_of[] = {
        { "GET / HTTP/1.1\r\n", 16, ERR_LIMIT, "ttrpc: message of 1195725856 bytes, most is 1048576" },
        { "\0\0\0\0\0\0\0\x01\x02\0", 10, ERR_MALFORMED, "ttrpc: answer on stream 1, which waits for none" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows_of / sizeof *rows_of; i++) {
        struct ends  e;
        AUTO(fd) int peer = open_ends(&e, false);

        assert_int_equal(write(peer, rows_of[i].bytes, rows_of[i].len), rows_of[i].len);
        run(&e);
        assert_int_equal(e.n_closed, 1);
        assert_int_equal(e.closed_why.kind, rows_of[i].kind);
        assert_string_equal(e.closed_why.text, rows_of[i].text);
        close_ends(&e);
    }
}

static void a_broken_payload_is_refused_and_the_connection_lives(void **state)
{
    struct ends                e;
    AUTO(fd) int               peer   = open_ends(&e, false);
    AUTO(buffer) struct buffer wire   = { 0 };
    Agent__ReadOutputRequest   request = AGENT__READ_OUTPUT_REQUEST__INIT;
    char                       id[]    = "c\xff";
    struct err                 err;

    (void) state;
    request.id = id;
    assert_true(ttrpc_append_request(&wire, 1, &read_output, &request.base, &err));
    id[1] = 0;
    assert_true(ttrpc_append_request(&wire, 3, &read_output, &request.base, &err));
    assert_int_equal(write(peer, wire.at, wire.len), wire.len);
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    run(&e);
    assert_int_equal(e.n_later, 1);
    assert_int_equal(e.later[0].stream, 3);
    close_ends(&e);
}

static void calls_are_told_when_the_peer_goes(void **state)
{
    struct ends e;

    (void) state;
    open_ends(&e, true);
    e.stop_after = 2;
    ask_for_output(&e);
    ask_for_output(&e);
    ttrpc_connection_free(TAKE(e.server));
    run(&e);
    assert_false(e.has_response);
    assert_int_equal(e.why.kind, ERR_OS);
    close_ends(&e);
}

static void free_inside_a_callback(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct ends *e = owner;

    (void) response;
    (void) why;
    ttrpc_connection_free(TAKE(e->client));
    loop_stop(e->loop);
}

static void a_callback_may_free_its_own_connection(void **state)
{
    struct ends            e;
    Agent__ShutdownRequest request = AGENT__SHUTDOWN_REQUEST__INIT;
    struct err             err;

    (void) state;
    open_ends(&e, true);
    assert_true(ttrpc_connection_call(e.client, &shutdown_vm, &request.base, free_inside_a_callback, &e, &err));
    run(&e);
    assert_null(e.client);
    close_ends(&e);
}

/* Feeds one more byte each time the loop has taken the one before. */
struct feeder {
    struct loop_source source;
    struct buffer      wire;
    size_t             sent;
    int                peer;
};

static void feed(struct loop_source *source, uint32_t events)
{
    struct feeder *f = source->owner;
    uint64_t       n;

    (void) events;
    assert_int_equal(read(source->fd, &n, sizeof n), sizeof n);
    if (f->sent < f->wire.len)
        assert_int_equal(write(f->peer, f->wire.at + f->sent++, 1), 1);
    else
        assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
    struct ends            e;
    AUTO(fd) int           peer    = open_ends(&e, false);
    struct feeder          feeder  = { .peer = peer };
    Agent__ShutdownRequest request = AGENT__SHUTDOWN_REQUEST__INIT;
    uint8_t                answer[128];
    struct err             err;

    (void) state;
    feeder.source = (struct loop_source){ .ready = feed, .owner = &feeder };
    assert_true(ttrpc_append_request(&feeder.wire, 1, &shutdown_vm, &request.base, &err));
    assert_true(loop_timer_fd(1, 1, &feeder.source.fd, &err));
    assert_true(loop_add(e.loop, &feeder.source, EPOLLIN, &err));
    run(&e);
    assert_int_equal(feeder.sent, feeder.wire.len);
    assert_true(read(peer, answer, sizeof answer) > 0);
    close_ends(&e);
    assert_int_equal(close(feeder.source.fd), 0);
    buffer_free(&feeder.wire);
}

/* As a host waits for its guest by vsock: what it asked before the guest was there is answered. */
static void a_listener_becomes_the_connection_of_its_first_peer(void **state)
{
    struct ends        e;
    struct ends        guest   = { .stop_after = 1 };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    socklen_t          len     = sizeof address;
    int                listener, connected, late;
    struct err         err;

    (void) state;
    e = (struct ends){ .stop_after = 4 };
    assert_true(loop_new(&e.loop, &err));
    guest.loop = e.loop;
    listener   = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(listener, (const struct sockaddr *) &address, sizeof address.sun_family), 0); /* a name of the kernel's choice */
    assert_return_code(listen(listener, 4), 0);
    assert_return_code(getsockname(listener, (struct sockaddr *) &address, &len), 0);

    struct ttrpc_connection_options options = { .loop = e.loop, .closed = on_closed, .owner = &e };
    assert_true(ttrpc_connection_new(&options, listener, &e.client, &err));
    Agent__StartContainerRequest request = AGENT__START_CONTAINER_REQUEST__INIT;
    for (int i = 0; i < 3; i++)
        ask_for_output(&e);
    ask(&e, &start, &request.base);

    connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(connect(connected, (const struct sockaddr *) &address, len), 0);
    open_server(&guest, connected);
    run(&e);
    assert_int_equal(e.n_replies, 4);
    assert_string_equal(e.why.text, "start: not now");
    late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, (const struct sockaddr *) &address, len), -1); /* the door is closed */
    assert_int_equal(errno, ECONNREFUSED);
    (void) close(late);
    ttrpc_connection_free(guest.server);
    close_ends(&e);
}

/* ---- what stays in memory ---- */

enum { PASSED_LEN = 40000, PASSED_TIMES = 3 };

static struct secret passed;

static void serve_secret(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    Agent__ReadOutputResponse answer  = AGENT__READ_OUTPUT_RESPONSE__INIT;
    struct bytes              content = secret_expose(&passed);

    (void) owner;
    (void) request;
    answer.data = (ProtobufCBinaryData){ content.len, (uint8_t *) (uintptr_t) content.at };
    ttrpc_answer(pending, &answer.base);
}

static void compare_with_passed(const ProtobufCMessage *response)
{
    const Agent__ReadOutputResponse *answer = (const Agent__ReadOutputResponse *) response;

    assert_int_equal(answer->data.len, passed.len);
    assert_memory_equal(answer->data.data, passed.held, passed.len);
}

static void on_secret(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    AUTO(message) ProtobufCMessage *copy = message_copy(response);

    compare_with_passed(copy);
    on_reply(owner, response, why);
}

/* Over two connections, and once more to a client that calls. */
static void pass_secrets(int fd)
{
    static const struct ttrpc_row secret_rows[] = { { "ReadOutput", serve_secret } };
    struct ttrpc_connection_options serving = { .service = &agent_service, .rows = secret_rows, .n_rows = 1, .closed = on_closed };
    Agent__ReadOutputRequest        request = AGENT__READ_OUTPUT_REQUEST__INIT;
    Agent__ReadOutputResponse       answer  = AGENT__READ_OUTPUT_RESPONSE__INIT;
    struct ttrpc_client             client;
    struct ends                     e;
    struct err                      err;
    AUTO(message) ProtobufCMessage *response = NULL;
    AUTO(buffer) struct buffer      wire     = WIPED_BUFFER;
    char                           *mark     = strdup(TRACES_MARK); /* leaked by design */
    int                             fds[2];

    assert_non_null(mark);
    assert_true(secret_random(PASSED_LEN, &passed, &err));
    int far = open_ends(&e, false);
    ttrpc_connection_free(TAKE(e.server));
    (void) close(far);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    serving.loop = e.loop;
    serving.owner = &e;
    assert_true(ttrpc_connection_new(&serving, fds[0], &e.server, &err) && ttrpc_connection_new(&serving, fds[1], &e.client, &err));
    e.stop_after = PASSED_TIMES;
    for (int i = 0; i < PASSED_TIMES; i++)
        assert_true(ttrpc_connection_call(e.client, &read_output, &request.base, on_secret, &e, &err));
    run(&e);
    close_ends(&e);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    answer.data = (ProtobufCBinaryData){ passed.len, passed.held };
    assert_true(ttrpc_client_over(fds[0], &client, &err) && ttrpc_append_response(&wire, 1, &answer.base, &err));
    assert_int_equal(write(fds[1], wire.at, wire.len), wire.len);
    assert_true(ttrpc_call(&client, &read_output, &request.base, -1, &response, &err));
    compare_with_passed(response);
    auto_ttrpc_client(&client);
    assert_int_equal(write(fd, passed.held, 4096), 4096);
    secret_free(&passed);
}

static void leaves_no_trace_of_what_passed_through(void **state)
{
    (void) state;
    assert_no_traces_of(pass_secrets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_polls_are_answered_out_of_order_and_later),
        cmocka_unit_test(a_method_without_a_row_is_refused),
        cmocka_unit_test(one_request_too_many_is_refused_and_the_rest_still_wait),
        cmocka_unit_test(garbage_ends_the_connection_and_says_why),
        cmocka_unit_test(a_broken_payload_is_refused_and_the_connection_lives),
        cmocka_unit_test(calls_are_told_when_the_peer_goes),
        cmocka_unit_test(a_callback_may_free_its_own_connection),
        cmocka_unit_test(a_frame_may_come_byte_by_byte),
        cmocka_unit_test(a_listener_becomes_the_connection_of_its_first_peer),
        cmocka_unit_test(leaves_no_trace_of_what_passed_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
