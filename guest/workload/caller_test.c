#include "tests/harness/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/workload/caller.h"

enum { HEADER_LEN = 16, DIAG_LEN = 72, CGROUP_ID = 21, OTHER = 15 };

/* The kernel's answer: header, the fixed part, one attribute of another kind, the control group. */
static size_t answer(uint8_t *into, size_t room, uint64_t cgroup)
{
    struct writer w = writer_over(into, room);

    put_u32le(&w, HEADER_LEN + DIAG_LEN + 8 + 12);
    put_u16le(&w, SOCK_DIAG_BY_FAMILY);
    put_zeros(&w, 10 + DIAG_LEN);
    put_u16le(&w, 5); /* one byte, and three of padding */
    put_u16le(&w, OTHER);
    put_zeros(&w, 4);
    put_u16le(&w, 12);
    put_u16le(&w, CGROUP_ID);
    put_u64le(&w, cgroup);
    assert_false(w.failed);
    return w.len;
}

static bool read_answer(const uint8_t *from, size_t len, uint64_t *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from, len);

    return caller_answer_read((struct bytes){ exact, len }, out, err);
}

static void finds_the_control_group(void **state)
{
    uint8_t    bytes[200];
    uint64_t   cgroup = 0;
    struct err err;

    (void) state;
    assert_true(read_answer(bytes, answer(bytes, sizeof bytes, 0x123456789aULL), &cgroup, &err));
    assert_int_equal(cgroup, 0x123456789aULL);
}

static void rejects_every_truncation_and_leaves_out_alone(void **state)
{
    uint8_t    bytes[200];
    size_t     whole  = answer(bytes, sizeof bytes, 5);
    uint64_t   cgroup = 77;
    struct err err;

    (void) state;
    for (size_t len = 0; len < whole; len++) {
        assert_false(read_answer(bytes, len, &cgroup, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(cgroup, 77);
    }
}

static void refuses_one_defect_at_a_time(void **state)
{
    static const struct { size_t at; uint8_t byte; enum err_kind kind; const char *why; } rows[] = {
        { 4, 99, ERR_MALFORMED, "socket: an answer of type 99" },
        { HEADER_LEN + 1, 10, ERR_NOT_FOUND, "the caller's socket is gone" },
        { HEADER_LEN + DIAG_LEN, 3, ERR_MALFORMED, "socket: an attribute of 3 bytes" },
        { HEADER_LEN + DIAG_LEN + 8 + 2, OTHER, ERR_UNSUPPORTED, "the kernel does not say whose socket it is" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t    bytes[200];
        size_t     len    = answer(bytes, sizeof bytes, 5);
        uint64_t   cgroup = 77;
        struct err err;

        bytes[rows[i].at] = rows[i].byte;
        assert_false(read_answer(bytes, len, &cgroup, &err));
        assert_string_equal(err.text, rows[i].why);
        assert_int_equal(err.kind, rows[i].kind);
    }
}

static void says_what_the_kernel_refused(void **state)
{
    static const struct { int code; enum err_kind kind; } rows[] = { { -ENOENT, ERR_NOT_FOUND }, { -EOPNOTSUPP, ERR_UNSUPPORTED } };

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        uint8_t       bytes[36] = { 0 };
        struct writer w         = writer_over(bytes, sizeof bytes);
        uint64_t      cgroup;
        struct err    err;

        put_u32le(&w, sizeof bytes);
        put_u16le(&w, NLMSG_ERROR);
        put_zeros(&w, 10);
        put_u32le(&w, (uint32_t) rows[i].code);
        assert_false(read_answer(bytes, sizeof bytes, &cgroup, &err));
        assert_int_equal(err.kind, rows[i].kind);
    }
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in at  = { 0 };
    socklen_t          len = sizeof at;

    assert_int_equal(getsockname(fd, (struct sockaddr *) &at, &len), 0);
    return ntohs(at.sin_port);
}

/* The HTTP server asks as nobody, without any right, and is told the same as PID 1. */
static void the_kernel_tells_it_to_nobody_too(void **state)
{
    struct sockaddr_in at       = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    AUTO(fd) int       listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t           ours = 0, theirs = 0;
    int                status;
    struct err         err;

    (void) state;
    assert_true(bind(listener, (struct sockaddr *) &at, sizeof at) == 0 && listen(listener, 1) == 0);
    at.sin_port = htons(port_of(listener));
    assert_int_equal(connect(client, (struct sockaddr *) &at, sizeof at), 0);
    if (geteuid() != 0 || !caller_cgroup(port_of(client), port_of(listener), &ours, &err))
        skip(); /* nothing to give up, or a kernel that does not tell */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool same = setresuid(65534, 65534, 65534) == 0 && caller_cgroup(port_of(client), port_of(listener), &theirs, &err) && theirs == ours;

        _exit(same ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int socket_at(struct sockaddr_in *at)
{
    socklen_t len = sizeof *at;
    int       on  = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                bind(fd, (const struct sockaddr *) at, sizeof *at) == 0 && getsockname(fd, (struct sockaddr *) at, &len) == 0);
    return fd;
}

/* A request whose sender has hung up is still read. Another container may wait for connections on the port that it came from. */
static void who_waits_on_the_port_of_a_caller_that_is_gone_is_not_the_caller(void **state)
{
    struct sockaddr_in server = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, port = server;
    AUTO(fd) int       web = socket_at(&server), caller = socket_at(&port), bystander = NO_FD;
    struct linger      at_once = { .l_onoff = 1 };
    uint64_t           cgroup  = 77;
    struct err         err;

    (void) state;
    assert_true(listen(web, 1) == 0 && connect(caller, (const struct sockaddr *) &server, sizeof server) == 0);
    if (!caller_cgroup(ntohs(port.sin_port), ntohs(server.sin_port), &cgroup, &err))
        skip(); /* a kernel that does not tell */
    cgroup    = 77;
    bystander = socket_at(&port);
    assert_true(listen(bystander, 1) == 0 && setsockopt(caller, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    auto_fd(&caller);
    caller = NO_FD;
    assert_false(caller_cgroup(ntohs(port.sin_port), ntohs(server.sin_port), &cgroup, &err));
    assert_int_equal(cgroup, 77);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_control_group),
        cmocka_unit_test(rejects_every_truncation_and_leaves_out_alone),
        cmocka_unit_test(refuses_one_defect_at_a_time),
        cmocka_unit_test(says_what_the_kernel_refused),
        cmocka_unit_test(the_kernel_tells_it_to_nobody_too),
        cmocka_unit_test(who_waits_on_the_port_of_a_caller_that_is_gone_is_not_the_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
