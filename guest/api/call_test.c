#include "tests/harness/test.h"

#include <poll.h>
#include <sys/socket.h>

#include "guest/api/call.h"

static const struct ttrpc_method read_blob = { &blobs_service, "Read" };

/* A client whose peer has already said everything it will say. */
struct pair {
    struct ttrpc_client client;
    int                 fds[2];
};

static void open_pair(struct pair *p)
{
    struct err err;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->fds), 0);
    assert_true(ttrpc_client_over(p->fds[0], &p->client, &err));
}

static void close_pair(struct pair *p)
{
    buffer_free(&p->client.input);
    (void) close(p->fds[0]);
    (void) close(p->fds[1]);
}

static void say(struct pair *p, uint32_t stream, uint64_t size)
{
    AUTO(buffer) struct buffer wire   = { 0 };
    Blobs__ReadResponse        answer = BLOBS__READ_RESPONSE__INIT;
    struct err                 err;

    answer.size = size;
    assert_true(ttrpc_append_response(&wire, stream, &answer.base, &err));
    assert_int_equal(write(p->fds[1], wire.at, wire.len), wire.len);
}

static bool ask(struct pair *p, int timeout_ms, uint64_t *size, struct err *err)
{
    Blobs__ReadRequest              request  = BLOBS__READ_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *response = NULL;

    if (!ttrpc_call(&p->client, &read_blob, &request.base, timeout_ms, &response, err))
        return false;
    *size = ((const Blobs__ReadResponse *) response)->size;
    return true;
}

static void two_calls_use_two_streams(void **state)
{
    struct pair p;
    uint64_t    size;
    struct err  err;

    (void) state;
    open_pair(&p);
    say(&p, 1, 10);
    say(&p, 3, 30);
    assert_true(ask(&p, 1000, &size, &err));
    assert_int_equal(size, 10);
    assert_true(ask(&p, 1000, &size, &err));
    assert_int_equal(size, 30);
    close_pair(&p);
}

static void silence_is_a_timeout_and_breaks_the_client(void **state)
{
    struct pair p;
    uint64_t    size;
    struct err  err;

    (void) state;
    open_pair(&p);
    assert_false(ask(&p, 5, &size, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_string_equal(err.text, "Read: no answer in time");
    assert_false(ask(&p, 5, &size, &err));
    assert_int_equal(err.kind, ERR_OS);
    close_pair(&p);
}

static void an_answer_to_a_call_not_yet_made_is_malformed(void **state)
{
    struct pair p;
    uint64_t    size;
    struct err  err;

    (void) state;
    open_pair(&p);
    say(&p, 5, 10);
    assert_false(ask(&p, 1000, &size, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_string_equal(err.text, "Read: ttrpc: answer on stream 5, wanted 1");
    close_pair(&p);
}

static void a_refusal_leaves_the_client_usable(void **state)
{
    struct err                 why  = { .kind = ERR_NOT_FOUND, .text = "no such blob" };
    AUTO(buffer) struct buffer wire = { 0 };
    struct pair                p;
    uint64_t                   size;
    struct err                 err;

    (void) state;
    open_pair(&p);
    ttrpc_append_refusal(&wire, 1, &why);
    assert_int_equal(write(p.fds[1], wire.at, wire.len), wire.len);
    say(&p, 3, 30);
    assert_false(ask(&p, 1000, &size, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "Read: no such blob");
    assert_true(ask(&p, 1000, &size, &err));
    close_pair(&p);
}

static void a_closed_peer_is_told(void **state)
{
    struct pair p;
    uint64_t    size;
    struct err  err;

    (void) state;
    open_pair(&p);
    assert_int_equal(shutdown(p.fds[1], SHUT_WR), 0);
    assert_false(ask(&p, 1000, &size, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_string_equal(err.text, "Read: the peer closed the connection");
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_calls_use_two_streams),
        cmocka_unit_test(silence_is_a_timeout_and_breaks_the_client),
        cmocka_unit_test(an_answer_to_a_call_not_yet_made_is_malformed),
        cmocka_unit_test(a_refusal_leaves_the_client_usable),
        cmocka_unit_test(a_closed_peer_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
