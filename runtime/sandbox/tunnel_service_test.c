#include <arpa/inet.h>
#include <sys/wait.h>
#include <sys/socket.h>

#include "guest/api/call.h"
#include "runtime/sandbox/tunnel_service.h"
#include "tests/harness/test.h"


static void urls_have_one_form(void **state)
{
    static const char *const good[][3] = { { "https://127.0.0.1:8443", "127.0.0.1", "8443" }, { "https://kbs.example", "kbs.example", "443" },
                                           { "https://[::1]:1/", "::1", "1" }, { "https://h/", "h", "443" } };
    static const char *const bad[] = { "", "http://h", "https://", "https://:1", "https://h:", "https://h:123456", "https://h:x",
                                       "https://[::1", "https://h/path", "https://h:1x", "https://h:1!", "https://u@h:1:2" };
    struct broker_address address;
    struct err            err;

    (void) state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(broker_address_read(good[i][0], &address, &err));
        assert_string_equal(address.host, good[i][1]);
        assert_string_equal(address.port, good[i][2]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (broker_address_read(bad[i], &address, &err))
            fail_msg("accepted %s", bad[i]);
        assert_int_equal(err.kind, ERR_CONFIG);
    }
}

/* The guest's side runs in a child: the service's loop is in this process. */
static int guest_side(int fd)
{
    AUTO(ttrpc_client) struct ttrpc_client client = { 0 };
    struct ttrpc_method    open_ = { &tunnel_service, "Open" }, send_ = { &tunnel_service, "Send" },
                           receive_ = { &tunnel_service, "Receive" }, close_ = { &tunnel_service, "Close" };
    Tunnel__OpenRequest    open_request    = TUNNEL__OPEN_REQUEST__INIT;
    Tunnel__SendRequest    send_request    = TUNNEL__SEND_REQUEST__INIT;
    Tunnel__ReceiveRequest receive_request = TUNNEL__RECEIVE_REQUEST__INIT;
    Tunnel__CloseRequest   close_request   = TUNNEL__CLOSE_REQUEST__INIT;
    ProtobufCMessage      *opened = NULL, *sent = NULL, *received = NULL, *closed = NULL;
    char                   text[] = "hello";
    struct err             err;

    if (!ttrpc_client_over(fd, &client, &err) || !ttrpc_call(&client, &open_, &open_request.base, 5000, &opened, &err))
        return 1;
    send_request.id   = ((Tunnel__OpenResponse *) opened)->id;
    send_request.data = (ProtobufCBinaryData){ 5, (uint8_t *) text };
    if (!ttrpc_call(&client, &send_, &send_request.base, 5000, &sent, &err))
        return 2;
    receive_request.id   = send_request.id;
    receive_request.most = 100;
    if (!ttrpc_call(&client, &receive_, &receive_request.base, 5000, &received, &err) ||
        ((Tunnel__ReceiveResponse *) received)->data.len != 5)
        return 3;
    close_request.id = send_request.id;
    if (!ttrpc_call(&client, &close_, &close_request.base, 5000, &closed, &err))
        return 4;
    ProtobufCMessage *again = NULL;

    if (ttrpc_call(&client, &receive_, &receive_request.base, 5000, &again, &err) || err.kind != ERR_NOT_FOUND)
        return 5; /* a closed connection is unknown */
    receive_request.most = 0;
    return ttrpc_call(&client, &receive_, &receive_request.base, 5000, &again, &err) ? 6 : 0;
}

static void child_ended(struct loop_source *source, uint32_t events)
{
    (void) events;
    loop_stop(source->loop);
}

static void forwards_bytes_both_ways_to_the_one_address(void **state)
{
    AUTO(loop) struct loop                     *loop = NULL;
    AUTO(tunnel_service) struct tunnel_service *service = NULL;
    AUTO(fd) int       listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address  = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          len      = sizeof address;
    char               url[64];
    int                ends[2], pipe_fds[2], status = 0;
    struct err         err;

    (void) state;
    assert_return_code(bind(listener, (struct sockaddr *) &address, len), 0);
    assert_return_code(listen(listener, 1), 0);
    assert_return_code(getsockname(listener, (struct sockaddr *) &address, &len), 0);
    (void) snprintf(url, sizeof url, "https://127.0.0.1:%u", ntohs(address.sin_port));
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_return_code(pipe(pipe_fds), 0);

    pid_t echo = fork(); /* the broker's stand-in: one connection, five bytes back */

    if (echo == 0) {
        char block[16];
        int  fd = accept(listener, NULL, NULL);
        ssize_t n = read(fd, block, sizeof block);

        _exit(n > 0 && write(fd, block, (size_t) n) == n ? 0 : 1);
    }
    pid_t guest = fork();

    if (guest == 0)
        _exit(guest_side(ends[1])); /* closes pipe_fds[1] by ending */
    assert_return_code(close(ends[1]) | close(pipe_fds[1]), 0);
    assert_true(loop_new(&loop, &err));
    assert_true(tunnel_service_new(loop, url, ends[0], &service, &err));

    struct loop_source end = { .fd = pipe_fds[0], .ready = child_ended };

    assert_true(loop_add(loop, &end, 1 /* EPOLLIN; hang-up is always told */, &err));
    assert_true(loop_run(loop, &err));
    loop_remove(&end);
    assert_return_code(close(pipe_fds[0]), 0);
    assert_int_equal(waitpid(guest, &status, 0), guest);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(echo, &status, 0), echo);
    assert_int_equal(status, 0);
}

struct opening {
    struct loop *loop;
    size_t       n_open, n_refused, n_asked;
    char         why[256];
};

static void on_opened(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct opening *o = owner;

    o->n_open += response != NULL;
    o->n_refused += !response;
    if (!response)
        (void) snprintf(o->why, sizeof o->why, "%s", why->text); /* cut is fine */
    if (o->n_open + o->n_refused == o->n_asked)
        loop_stop(o->loop);
}

static void never_closed(void *owner, const struct err *why)
{
    (void) owner;
    fail_msg("the connection closed: %s", why->text);
}

static void a_guest_has_all_the_connections_that_it_may_keep_and_no_more(void **state)
{
    static const struct ttrpc_method            open_ = { &tunnel_service, "Open" };
    AUTO(loop) struct loop                     *loop  = NULL;
    AUTO(tunnel_service) struct tunnel_service *service = NULL;
    AUTO(fd) int                    listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in              address  = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t                       len      = sizeof address;
    Tunnel__OpenRequest             request  = TUNNEL__OPEN_REQUEST__INIT;
    struct opening                  opening  = { .n_asked = TUNNEL_CONNECTIONS_MAX + 1 };
    struct ttrpc_connection        *guest    = NULL;
    char                            url[64];
    int                             ends[2];
    struct err                      err;

    (void) state;
    assert_return_code(bind(listener, (struct sockaddr *) &address, len) | listen(listener, TUNNEL_CONNECTIONS_MAX), 0);
    assert_return_code(getsockname(listener, (struct sockaddr *) &address, &len), 0);
    (void) snprintf(url, sizeof url, "https://127.0.0.1:%u", ntohs(address.sin_port));
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_true(loop_new(&loop, &err) && tunnel_service_new(loop, url, ends[0], &service, &err));
    opening.loop = loop;
    struct ttrpc_connection_options calling = { .loop = loop, .closed = never_closed, .owner = &opening };
    assert_true(ttrpc_connection_new(&calling, ends[1], &guest, &err));
    for (size_t i = 0; i < opening.n_asked; i++)
        assert_true(ttrpc_connection_call(guest, &open_, &request.base, on_opened, &opening, &err));
    assert_true(loop_run(loop, &err));
    assert_int_equal(opening.n_open, TUNNEL_CONNECTIONS_MAX);
    assert_string_equal(opening.why, "broker connection: too many at once");
    ttrpc_connection_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_have_one_form),
        cmocka_unit_test(forwards_bytes_both_ways_to_the_one_address),
        cmocka_unit_test(a_guest_has_all_the_connections_that_it_may_keep_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
