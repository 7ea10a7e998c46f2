#include "tests/harness/test.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include "guest/agent/tunnel.h"
#include "guest/api/connection.h"

enum { FIRST_ID = 7 };

/* The host's side, as a process: what is sent into a connection comes back out of it; "!" makes the peer close. */
struct host {
    struct loop         *loop;
    struct buffer        held;
    struct ttrpc_pending receiver;
    bool                 is_over, refuses;
    unsigned             n_open;
};

static void give(struct host *h)
{
    AUTO(buffer) struct buffer held   = TAKE(h->held);
    Tunnel__ReceiveResponse    answer = TUNNEL__RECEIVE_RESPONSE__INIT;

    answer.data = (ProtobufCBinaryData){ held.len, held.at };
    answer.eof  = h->is_over;
    ttrpc_answer(TAKE(h->receiver), &answer.base);
}

static void serve_open(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct host         *h      = owner;
    Tunnel__OpenResponse answer = TUNNEL__OPEN_RESPONSE__INIT;
    struct err           why    = { .kind = ERR_OS, .text = "connect: Connection refused" };

    (void) request;
    answer.id = FIRST_ID + h->n_open++;
    if (h->refuses)
        ttrpc_refuse(pending, &why);
    else
        ttrpc_answer(pending, &answer.base);
}

static void serve_send(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct host               *h      = owner;
    const Tunnel__SendRequest *asked  = (const Tunnel__SendRequest *) request;
    Tunnel__SendResponse       answer = TUNNEL__SEND_RESPONSE__INIT;

    buffer_append(&h->held, (struct bytes){ asked->data.data, asked->data.len });
    h->is_over |= memchr(asked->data.data, '!', asked->data.len) != NULL;
    ttrpc_answer(pending, &answer.base);
    if (ttrpc_is_pending(h->receiver))
        give(h);
}

static void serve_receive(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct host *h = owner;

    (void) request;
    h->receiver = pending;
    if (h->held.len > 0 || h->is_over)
        give(h);
}

static void serve_close(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    struct host           *h      = owner;
    Tunnel__CloseResponse  answer = TUNNEL__CLOSE_RESPONSE__INIT;

    (void) request;
    h->is_over = false;
    ttrpc_answer(pending, &answer.base);
}

static const struct ttrpc_row rows[] = {
    { "Open", serve_open }, { "Send", serve_send }, { "Receive", serve_receive }, { "Close", serve_close },
};

static void on_closed(void *owner, const struct err *why)
{
    (void) why;
    loop_stop(((struct host *) owner)->loop);
}

static void run_host(int fd, bool refuses)
{
    struct host                     h       = { .refuses = refuses };
    struct ttrpc_connection_options options = { .service = &tunnel_service, .rows = rows, .n_rows = 4,
                                                .closed = on_closed, .owner = &h };
    struct ttrpc_connection        *connection = NULL;
    struct err                      err;

    bool is_good = loop_new(&h.loop, &err);
    options.loop = h.loop;
    is_good      = is_good && ttrpc_connection_new(&options, fd, &connection, &err) && loop_run(h.loop, &err);
    ttrpc_connection_free(connection);
    buffer_free(&h.held);
    loop_free(h.loop);
    _exit(is_good ? 0 : 1);
}

struct rig {
    int   control;
    pid_t host, tunnel;
};

static void open_rig(struct rig *rig, bool refuses)
{
    int port[2], control[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, port), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
    rig->host = fork();
    if (rig->host == 0) {
        (void) close(port[0]);
        (void) close(control[0]);
        (void) close(control[1]);
        run_host(port[1], refuses);
    }
    rig->tunnel = fork();
    if (rig->tunnel == 0) {
        (void) close(port[1]);
        (void) close(control[0]);
        _exit(tunnel_run(control[1], port[0]));
    }
    (void) close(port[0]);
    (void) close(port[1]);
    (void) close(control[1]);
    rig->control = control[0];
}

/* Both processes end by themselves when the agent's end is closed. */
static void close_rig(struct rig *rig)
{
    int status;

    (void) close(rig->control);
    assert_int_equal(waitpid(rig->tunnel, &status, 0), rig->tunnel);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(rig->host, &status, 0), rig->host);
    assert_int_equal(status, 0);
}

static void bytes_go_there_and_come_back_in_order(void **state)
{
    struct rig                 rig;
    struct err                 err;
    AUTO(heap) uint8_t        *sent = malloc(300000), *got = malloc(300000);
    size_t                     n_sent = 0, n_got = 0;

    (void) state;
    assert_true(sent && got);
    for (size_t i = 0; i < 300000; i++)
        sent[i] = (uint8_t) (i / 256 + i) == '!' ? 0 : (uint8_t) (i / 256 + i);
    open_rig(&rig, false);
    AUTO(fd) int fd = tunnel_connect(rig.control, &err);
    assert_true(fd >= 0);
    while (n_got < 300000) {
        if (n_sent < 300000) {
            ssize_t n = write(fd, sent + n_sent, n_sent + 30000 < 300000 ? 30000 : 300000 - n_sent);

            assert_true(n > 0);
            n_sent += (size_t) n;
        }
        ssize_t n = read(fd, got + n_got, 300000 - n_got);
        assert_true(n > 0);
        n_got += (size_t) n;
    }
    assert_memory_equal(got, sent, 300000);
    close_rig(&rig);
}

static void the_end_at_the_broker_is_the_end_of_the_socket(void **state)
{
    struct rig rig;
    struct err err;
    char       got[8];

    (void) state;
    open_rig(&rig, false);
    AUTO(fd) int fd = tunnel_connect(rig.control, &err);
    assert_int_equal(write(fd, "bye!", 4), 4);
    assert_int_equal(recv(fd, got, 4, MSG_WAITALL), 4);
    assert_memory_equal(got, "bye!", 4);
    assert_int_equal(read(fd, got, sizeof got), 0);
    AUTO(fd) int again = tunnel_connect(rig.control, &err);
    assert_true(again >= 0);
    close_rig(&rig);
}

static void a_refused_connection_brings_the_reason(void **state)
{
    struct rig rig;
    struct err err;

    (void) state;
    open_rig(&rig, true);
    assert_int_equal(tunnel_connect(rig.control, &err), NO_FD);
    assert_int_equal(err.kind, ERR_OS);
    assert_string_equal(err.text, "tunnel: connect: Connection refused");
    close_rig(&rig);
}

static void one_connection_too_many_is_refused(void **state)
{
    int        fds[TUNNEL_CONNECTIONS_MAX];
    struct rig rig;
    struct err err;

    (void) state;
    open_rig(&rig, false);
    for (int i = 0; i < TUNNEL_CONNECTIONS_MAX; i++) {
        fds[i] = tunnel_connect(rig.control, &err);
        assert_true(fds[i] >= 0);
    }
    assert_int_equal(tunnel_connect(rig.control, &err), NO_FD);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "tunnel: over 8 connections");
    for (int i = 0; i < TUNNEL_CONNECTIONS_MAX; i++)
        (void) close(fds[i]);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_there_and_come_back_in_order),
        cmocka_unit_test(the_end_at_the_broker_is_the_end_of_the_socket),
        cmocka_unit_test(a_refused_connection_brings_the_reason),
        cmocka_unit_test(one_connection_too_many_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
