#include "tests/harness/test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/api/connection.h"
#include "guest/workload/endpoints.h"
#include "guest/workload/request.h"
#include "guest/workload/visits.h"

enum { QUIET = 1, GREEDY = 2, HELD_MAX = 16, CROWD = 100, PORTS = 1 << 16 };

/* The real server in a process of its own, real connections, and a desk that says what it was asked. */
struct rig {
    struct loop             *loop;
    struct ttrpc_connection *desk;
    struct loop_source       client;
    pid_t                    pid;
    uint16_t                 port;
    char                     reply[8192];
    size_t                   len;
    bool                     has_asked, refuses, holds;
    uint8_t                  who;     /* opens the next connection: QUIET, GREEDY */
    struct ttrpc_pending     held[HELD_MAX]; /* questions that are answered later, */
    size_t                   n_held;
    bool                     stops_when_held; /* and what the loop waits for then */
};

/* Whose port it is; shared with the server, which asks for it in the kernel's place. */
static uint8_t *whose;

static bool say_whose(uint16_t port, uint16_t server_port, uint64_t *cgroup, struct err *err)
{
    assert(server_port != 0);
    *cgroup = whose[port];
    return *cgroup != 0 || fail_with(err, ERR_NOT_FOUND, "nobody's");
}

static void ask(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct rig                 *rig    = owner;
    const Workload__AskRequest *asked  = (const Workload__AskRequest *) message;
    Workload__AskResponse       answer = WORKLOAD__ASK_RESPONSE__INIT;
    char                        text[1024];
    struct err                  why;

    rig->has_asked = true;
    assert_in_range(asked->port, 1, 65535);
    (void) snprintf(text, sizeof text, "%d %s %.*s", (int) asked->kind, asked->resource, (int) asked->runtime_data.len, (const char *) asked->runtime_data.data);
    answer.content = (ProtobufCBinaryData){ strlen(text), (uint8_t *) text };
    (void) fail_with(&why, ERR_DENIED, "policy says no");
    if (rig->holds && asked->kind == WORKLOAD__KIND__KIND_RESOURCE) {
        assert_true(rig->n_held < sizeof rig->held / sizeof *rig->held);
        rig->held[rig->n_held++] = pending;
        if (rig->stops_when_held)
            loop_stop(rig->loop);
        return;
    }
    if (rig->refuses)
        ttrpc_refuse(pending, &why);
    else
        ttrpc_answer(pending, &answer.base);
}

static const struct ttrpc_row rows[] = { { "Ask", ask } };

static void on_closed(void *owner, const struct err *why)
{
    (void) owner;
    (void) why;
}

static int open_rig(void **state)
{
    struct rig        *rig = calloc(1, sizeof *rig);
    struct sockaddr_in at;
    socklen_t          len = sizeof at;
    int                ends[2], listener = NO_FD;
    struct err         err;

    assert_non_null(rig);
    rig->who = QUIET;
    whose    = mmap(NULL, PORTS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(whose != MAP_FAILED);
    assert_true(loop_new(&rig->loop, &err) && endpoints_listen(0, &listener, &err));
    assert_int_equal(getsockname(listener, (struct sockaddr *) &at, &len), 0);
    rig->port = ntohs(at.sin_port);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    rig->pid = fork();
    assert_true(rig->pid >= 0);
    if (rig->pid == 0) {
        (void) close(ends[0]);
        _exit(endpoints_run(listener, ends[1], say_whose));
    }
    (void) close(ends[1]);
    (void) close(listener);
    struct ttrpc_connection_options options = { .loop = rig->loop, .service = &workload_service, .rows = rows, .n_rows = 1,
                                                .closed = on_closed, .owner = rig };
    assert_true(ttrpc_connection_new(&options, ends[0], &rig->desk, &err));
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;

    ttrpc_connection_free(rig->desk);
    loop_free(rig->loop);
    assert_int_equal(kill(rig->pid, SIGKILL), 0);
    assert_int_equal(waitpid(rig->pid, NULL, 0), rig->pid);
    assert_int_equal(munmap(whose, PORTS), 0);
    free(rig);
    return 0;
}

static void client_ready(struct loop_source *source, uint32_t events)
{
    struct rig *rig = source->owner;
    ssize_t     n   = read(source->fd, rig->reply + rig->len, sizeof rig->reply - 1 - rig->len);

    (void) events;
    if (n > 0)
        rig->len += (size_t) n;
    else
        loop_stop(rig->loop);
}

static int connect_to(const struct rig *rig)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          len = sizeof at;
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *) &at, len) == 0 && getsockname(fd, (struct sockaddr *) &at, &len) == 0);
    whose[ntohs(at.sin_port)] = rig->who; /* known before the server can ask */
    at.sin_port = htons(rig->port);
    assert_int_equal(connect(fd, (struct sockaddr *) &at, sizeof at), 0);
    return fd;
}

/* Sends bytes as they are, and gives all that came back until the server closed. */
static const char *exchange(struct rig *rig, const char *text)
{
    struct err err;

    rig->len       = 0;
    rig->has_asked = false;
    rig->client    = (struct loop_source){ .fd = connect_to(rig), .ready = client_ready, .owner = rig };
    assert_int_equal(write(rig->client.fd, text, strlen(text)), (ssize_t) strlen(text));
    assert_true(loop_add(rig->loop, &rig->client, EPOLLIN, &err));
    assert_true(loop_run(rig->loop, &err));
    loop_remove(&rig->client);
    (void) close(rig->client.fd);
    rig->reply[rig->len] = 0;
    return rig->reply;
}

static const char *get(struct rig *rig, const char *target)
{
    char text[4096];

    (void) snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", target);
    return exchange(rig, text);
}

static void assert_answer(const char *reply, const char *status, const char *body)
{
    const char *content = strstr(reply, "\r\n\r\n");

    if (strncmp(reply, "HTTP/1.1 ", 9) != 0 || strncmp(reply + 9, status, strlen(status)) != 0 || !content)
        fail_msg("%s", reply);
    assert_string_equal(content + 4, body);
}

static void questions_reach_the_desk_and_answers_the_caller(void **state)
{
    struct rig *rig = *state;

    assert_answer(get(rig, "/cdh/resource/default/key/1"), "200", "1 kbs:///default/key/1 ");
    assert_answer(get(rig, "/aa/token?token_type=kbs"), "200", "2  ");
    assert_answer(get(rig, "/aa/evidence?runtime_data=a%20b"), "200", "3  a b");
    assert_answer(get(rig, "/aa/evidence?runtime_data=a+b"), "200", "3  a b");
    assert_answer(get(rig, "/aa/evidence?encoding=base64&runtime_data=YWI"), "200", "3  ab");
    assert_answer(get(rig, "/aa/evidence?runtime_data=%E2%82%AC&other=x"), "200", "3  \xe2\x82\xac");
    assert_answer(get(rig, "/aa/additional-evidence?runtime_data=x"), "200", "7  x");
    assert_non_null(strstr(rig->reply, "application/octet-stream"));
    assert_answer(get(rig, "http://127.0.0.1:8006/cdh/resource/default/key/1"), "200", "1 kbs:///default/key/1 "); /* as through a proxy */
    assert_answer(get(rig, "/info"), "200", "4  ");
    assert_non_null(strstr(rig->reply, "application/json"));
}

/* How often `what` stands in `text`. */
static unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

static const char *read_to_end(struct rig *rig, int fd);

#define GET_INFO "GET /info HTTP/1.1\r\nHost: x\r\n\r\n"
#define EVENT    "{\"domain\":\"d\",\"operation\":\"o\",\"content\":\"c\"}"

static void every_form_of_http_is_answered_or_refused(void **state)
{
    static const struct { const char *what, *sent, *status; bool reaches_desk; } forms[] = {
        { "HTTP/1.0", "GET /info HTTP/1.0\r\n\r\n", "200", true },
        { "HTTP/1.1 without a host", "GET /info HTTP/1.1\r\n\r\n", "400", false },
        { "HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", false },
        { "HTTP/9", "GET /info HTTP/9.9\r\nHost: x\r\n\r\n", "505", false },
        { "chunked", "POST /aa/aael HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "c\r\n{\"domain\":\"d\r\n20\r\n\",\"operation\":\"o\",\"content\":\"c\"}\r\n0\r\n\r\n", "200", true },
        { "a chunk's size that is none", "POST /aa/aael HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400", false },
        { "a method that there is not", "BREW /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405", false },
        { "CONNECT", "CONNECT 127.0.0.1:8006 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405", false },
        { "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405", false },
        { "a length that is none", "POST /aa/aael HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: -1\r\n\r\n", "400", false },
        { "a body where none is wanted", "GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody", "200", true },
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *reply = exchange(rig, forms[i].sent);

        if (strncmp(reply, "HTTP/1.", 7) != 0 || strncmp(reply + 9, forms[i].status, 3) != 0 || rig->has_asked != forms[i].reaches_desk)
            fail_msg("%s: %s", forms[i].what, reply);
    }
    (void) exchange(rig, "BREW /aa/aael HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(rig->reply, "Allow: POST\r\n"));
}

static void requests_in_a_row_are_answered_in_a_row(void **state)
{
    struct rig *rig = *state;

    (void) exchange(rig, GET_INFO GET_INFO "GET /aa/token HTTP/1.1\r\nHost: x\r\n\r\n" "GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" GET_INFO);
    assert_int_equal(count_of(rig->reply, "HTTP/1.1 200"), 3); /* nothing after the one that said close */
    assert_int_equal(count_of(rig->reply, "HTTP/1.1 400"), 1);
    assert_true(strstr(rig->reply, "HTTP/1.1 400") > strstr(strstr(rig->reply, "HTTP/1.1 200") + 1, "HTTP/1.1 200"));
}

static void headers_and_bodies_have_their_bounds(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct rig                *rig  = *state;

    buffer_append_text(&text, "GET /info HTTP/1.1\r\nHost: x\r\nX: ");
    memset(buffer_extend(&text, 20000), 'a', 20000);
    buffer_append_text(&text, "\r\n\r\n");
    (void) exchange(rig, buffer_text(&text));
    assert_false(rig->has_asked);
    assert_non_null(strstr(rig->reply, "HTTP/1.1 431"));
    text.len = 0;
    buffer_printf(&text, "POST /aa/aael HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", WORKLOAD_BODY_MAX + 1);
    memset(buffer_extend(&text, WORKLOAD_BODY_MAX + 1), 'a', WORKLOAD_BODY_MAX + 1);
    (void) exchange(rig, buffer_text(&text));
    assert_answer(rig->reply, "400", "{\"success\":\"false\",\"message\":\"over 16384 bytes were sent\"}");
    assert_false(rig->has_asked);
    (void) exchange(rig, "POST /aa/aael HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 44\r\n\r\n" EVENT);
    assert_int_equal(count_of(rig->reply, "HTTP/1.1 200"), 1);
    assert_true(rig->has_asked);
}

/* A body that does not come holds up nobody else; with its end it is a question as any. */
static void a_slow_body_waits_alone(void **state)
{
    static const char head[] = "POST /aa/aael HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 44\r\n\r\n";
    struct rig       *rig    = *state;
    int               slow   = connect_to(rig);

    assert_int_equal(write(slow, head, sizeof head - 1), (ssize_t) sizeof head - 1);
    assert_int_equal(write(slow, EVENT, 10), 10);
    assert_answer(get(rig, "/info"), "200", "4  ");
    assert_int_equal(write(slow, &EVENT[10], sizeof EVENT - 11), (ssize_t) sizeof EVENT - 11);
    assert_answer(read_to_end(rig, slow), "200", "6  ");
}

static void what_is_no_question_never_reaches_the_desk(void **state)
{
    static const struct { const char *target, *status, *body; } rows_[] = {
        { "/", "404", "URL NOT FOUND" },
        { "/cdh/resource/a/%2e%2e/b", "400", "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and ." },
        { "/aa/token", "400", "token_type is missing" },
        { "/aa/token?token_type=coco_as", "501", "token_type: only kbs; a coco_as token is bound to no key and no nonce" },
        { "/aa/token?token_type=kbs&token_type=coco_as", "400", "token_type: given twice" },
        { "/aa/evidence?runtime_data", "400", "runtime_data is missing" },
        { "/aa/evidence?runtime_data=a&encoding=hex", "400", "encoding: only base64 (URL-safe, no padding)" },
        { "/aa/evidence/?runtime_data=a", "404", "URL NOT FOUND" },
        { "/aa/../aa/token?token_type=kbs", "404", "URL NOT FOUND" },
        { "/./info", "404", "URL NOT FOUND" },
        { "//info", "404", "URL NOT FOUND" },
        { "/%69nfo", "404", "URL NOT FOUND" },
        { "/info%00", "404", "URL NOT FOUND" },
        { "/cdh/resource/a/b/c%00", "400", "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and ." },
        { "/cdh/resource/a/b%2fc/d", "400", "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and ." },
        { "/cdh/resource//a/b/c", "400", "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and ." },
        { "http://127.0.0.1:8006", "404", "URL NOT FOUND" },
        { "http:///info", "404", "URL NOT FOUND" },
        { "https://127.0.0.1/info", "404", "URL NOT FOUND" },
        { "/aa/evidence?runtime_data=a%00b", "400", "runtime_data: over 512 bytes, or with a zero among them" },
        { "/aa/aael", "405", "only POST" },
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof rows_ / sizeof *rows_; i++) {
        assert_answer(get(rig, rows_[i].target), rows_[i].status, rows_[i].body);
        assert_false(rig->has_asked);
    }
}

static void a_denial_is_forbidden(void **state)
{
    struct rig *rig = *state;

    rig->refuses = true;
    assert_answer(get(rig, "/cdh/resource/default/key/1"), "403", "policy says no");
    rig->refuses = false;
    assert_answer(get(rig, "/cdh/resource/default/key/1"), "200", "1 kbs:///default/key/1 "); /* the desk is still asked */
}

static void garbage_and_bodies_are_survived(void **state)
{
    struct rig *rig = *state;

    (void) exchange(rig, "\r\n\r\nnonsense\r\n\r\n");
    assert_false(rig->has_asked);
    (void) exchange(rig, "POST /aa/aael HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n{\"a\":");
    assert_answer(rig->reply, "400", "{\"success\":\"false\",\"message\":\"event: JSON: unexpected end of data at offset 5\"}");
    assert_answer(get(rig, "/info"), "200", "4  ");
}

static int send_question(const struct rig *rig, const char *target)
{
    int  fd = connect_to(rig);
    char text[256];

    (void) snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", target);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    return fd;
}

static int open_question(struct rig *rig, const char *target)
{
    int        fd = send_question(rig, target);
    struct err err;

    rig->stops_when_held = true;
    assert_true(loop_run(rig->loop, &err)); /* until the desk was asked */
    rig->stops_when_held = false;
    return fd;
}

/* What comes on it until the server closes it; closes it. */
static const char *read_to_end(struct rig *rig, int fd)
{
    struct err err;

    rig->len    = 0;
    rig->client = (struct loop_source){ .fd = fd, .ready = client_ready, .owner = rig };
    assert_true(loop_add(rig->loop, &rig->client, EPOLLIN, &err));
    assert_true(loop_run(rig->loop, &err));
    loop_remove(&rig->client);
    (void) close(fd);
    rig->reply[rig->len] = 0;
    return rig->reply;
}

/* What a broker answers late holds up nobody but who asked: the others are served while it waits, in any order. */
static void a_question_that_waits_holds_up_no_other(void **state)
{
    struct rig           *rig    = *state;
    char                  late[] = "late";
    Workload__AskResponse answer = WORKLOAD__ASK_RESPONSE__INIT;
    int                   fds[3];

    rig->holds = true;
    for (size_t i = 0; i < 3; i++) {
        rig->who = (uint8_t) (QUIET + i); /* one share has less */
        fds[i]   = open_question(rig, "/cdh/resource/default/slow/1");
    }
    assert_int_equal(rig->n_held, 3);
    assert_answer(get(rig, "/info"), "200", "4  ");
    assert_answer(get(rig, "/aa/token?token_type=kbs"), "200", "2  ");
    answer.content = (ProtobufCBinaryData){ 4, (uint8_t *) late };
    for (size_t i = 3; i-- > 0;) {
        ttrpc_answer(rig->held[i], &answer.base);
        assert_answer(read_to_end(rig, fds[i]), "200", "late");
    }
    assert_answer(get(rig, "/info"), "200", "4  ");
}

/* Who asked is gone before the answer: it is for nobody, and the next is served. */
static void a_caller_that_left_is_forgotten(void **state)
{
    struct rig           *rig    = *state;
    char                  late[] = "late";
    Workload__AskResponse answer = WORKLOAD__ASK_RESPONSE__INIT;

    rig->holds = true;
    (void) close(open_question(rig, "/cdh/resource/default/slow/1"));
    answer.content = (ProtobufCBinaryData){ 4, (uint8_t *) late };
    ttrpc_answer(rig->held[0], &answer.base);
    assert_answer(get(rig, "/info"), "200", "4  ");
}

/* It may open what it wants, and say nothing on it: what it had longest is closed, and the others find room. */
static void a_container_that_takes_all_connections_takes_its_own(void **state)
{
    struct rig *rig = *state;
    int         fds[CROWD], n_closed = 0;
    char        nothing;

    rig->who = GREEDY;
    for (size_t i = 0; i < CROWD; i++)
        fds[i] = connect_to(rig);
    rig->who = QUIET;
    assert_answer(get(rig, "/info"), "200", "4  "); /* came after them, so they have been accepted */
    for (size_t i = 0; i < CROWD; i++)
        n_closed += recv(fds[i], &nothing, 1, MSG_DONTWAIT) == 0;
    assert_int_equal(n_closed, CROWD - SHARE_CONNECTIONS);
    assert_int_equal(recv(fds[0], &nothing, 1, MSG_DONTWAIT), 0); /* the oldest; */
    assert_int_equal(recv(fds[CROWD - 1], &nothing, 1, MSG_DONTWAIT), -1);
    rig->who = GREEDY;
    assert_answer(get(rig, "/info"), "200", "4  "); /* even the greedy one is still served */
    for (size_t i = 0; i < CROWD; i++)
        (void) close(fds[i]);
}

/* Two of its questions are before the keeper at once, a few wait for their turn, and for more it is told to come again. */
static void a_container_that_asks_all_the_time_waits_for_itself(void **state)
{
    struct rig           *rig    = *state;
    char                  late[] = "late";
    Workload__AskResponse answer = WORKLOAD__ASK_RESPONSE__INIT;
    int                   fds[SHARE_QUESTIONS], quiet;
    struct err            err;

    answer.content = (ProtobufCBinaryData){ 4, (uint8_t *) late };
    rig->holds     = true;
    rig->who       = GREEDY;
    for (size_t i = 0; i < SHARE_QUESTIONS; i++)
        fds[i] = i < SHARE_ASKED ? open_question(rig, "/cdh/resource/default/slow/1") : send_question(rig, "/cdh/resource/default/slow/1");
    rig->who = QUIET;
    assert_answer(get(rig, "/info"), "200", "4  "); /* came after them: they have been read */
    rig->who = GREEDY;
    assert_answer(get(rig, "/cdh/resource/default/slow/1"), "503", "this container has too many questions without an answer");
    assert_non_null(strstr(rig->reply, "Retry-After: 1\r\n"));
    assert_int_equal(rig->n_held, SHARE_ASKED);
    rig->who = QUIET;
    quiet    = open_question(rig, "/cdh/resource/default/slow/1");
    assert_int_equal(rig->n_held, SHARE_ASKED + 1); /* it did not queue behind them */
    ttrpc_answer(rig->held[SHARE_ASKED], &answer.base);
    assert_answer(read_to_end(rig, quiet), "200", "late");
    rig->stops_when_held = true;
    for (size_t i = 0; i < SHARE_QUESTIONS; i++) {
        ttrpc_answer(rig->held[i < SHARE_ASKED ? i : i + 1], &answer.base);
        if (i + SHARE_ASKED < SHARE_QUESTIONS)
            assert_true(loop_run(rig->loop, &err)); /* until the next one's turn has come */
    }
    for (size_t i = 0; i < SHARE_QUESTIONS; i++)
        assert_answer(read_to_end(rig, fds[i]), "200", "late");
}

static void an_event_reaches_the_desk_and_its_refusal_is_json(void **state)
{
    struct rig *rig = *state;
    const char  event[] = "POST /aa/aael HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 44\r\n\r\n"
                          "{\"domain\":\"d\",\"operation\":\"o\",\"content\":\"c\"}";

    assert_answer(exchange(rig, event), "200", "6  ");
    assert_non_null(strstr(rig->reply, "application/json"));
    assert_answer(get(rig, "/aa/eventlog?runtime_data=x"), "200", "5  x");
    rig->refuses = true;
    assert_answer(exchange(rig, event), "403", "{\"success\":\"false\",\"message\":\"policy says no\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(questions_reach_the_desk_and_answers_the_caller, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(what_is_no_question_never_reaches_the_desk, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_denial_is_forbidden, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_question_that_waits_holds_up_no_other, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_caller_that_left_is_forgotten, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_container_that_takes_all_connections_takes_its_own, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_container_that_asks_all_the_time_waits_for_itself, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_event_reaches_the_desk_and_its_refusal_is_json, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(every_form_of_http_is_answered_or_refused, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(requests_in_a_row_are_answered_in_a_row, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(headers_and_bodies_have_their_bounds, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_slow_body_waits_alone, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(garbage_and_bodies_are_survived, open_rig, close_rig),
    };

    (void) signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
