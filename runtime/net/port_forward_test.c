/*
 * A pod's namespace, someone in it who connects to 127.0.0.1, and a server at the pod's address in the namespace of this
 * test, where the node is. Needs root; skips without.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "runtime/net/port_forward.h"
#include "tests/harness/test.h"

enum { PORT = 8080, LARGE = 3 << 20 };

static const struct ip_address pod = { 4, { 10, 9, 0, 2 } };

static void ip(const char *words)
{
    const char *const          argv[] = { "/bin/sh", "-ec", words, NULL };
    AUTO(buffer) struct buffer out    = { 0 };
    struct err                 err;
    int                        code = -1;

    assert_true(process_run(argv, (struct bytes){ 0 }, 1 << 20, 60000, &out, &code, &err));
    assert_int_equal(code, 0);
}

static struct sockaddr_in at(const char *address)
{
    struct sockaddr_in out = { .sin_family = AF_INET, .sin_port = htons(PORT) };

    inet_pton(AF_INET, address, &out.sin_addr);
    return out;
}

/* Sends back all that it gets, when it has all of it; one connection after the other. */
static void __attribute__((noreturn)) serve(int listener)
{
    static uint8_t all[LARGE];

    for (;;) {
        int     fd  = accept(listener, NULL, NULL);
        size_t  len = 0;
        ssize_t n;

        while (len < sizeof all && (n = read(fd, all + len, sizeof all - len)) > 0)
            len += (size_t) n;
        for (size_t done = 0; done < len; done += (size_t) n)
            if ((n = write(fd, all + done, len - done)) <= 0)
                _exit(1);
        (void) close(fd); /* only a test's */
    }
}

/* In the pod's namespace: 0 when all came back; 2 when the connection was closed instead. */
static int ask(int namespace, const char *address, size_t len)
{
    static uint8_t     sent[LARGE], came[LARGE];
    struct sockaddr_in to = at(address);
    size_t             n = 0;
    ssize_t            got;

    int fd = setns(namespace, CLONE_NEWNET) == 0 ? socket(AF_INET, SOCK_STREAM, 0) : -1;
    if (fd < 0 || connect(fd, (const struct sockaddr *) &to, sizeof to) < 0)
        return 1;
    memset(sent, 'x', len);
    for (size_t done = 0; done < len; done += (size_t) got)
        if ((got = send(fd, sent + done, len - done, MSG_NOSIGNAL)) <= 0)
            return 2;
    (void) shutdown(fd, SHUT_WR); /* then the server answers */
    while (n < len && (got = read(fd, came + n, len - n)) > 0)
        n += (size_t) got;
    return n == len && memcmp(sent, came, len) == 0 ? 0 : 2;
}

struct rig {
    struct loop       *loop;
    struct loop_source over;
    int                namespace, status;
    pid_t              server;
};

static void on_over(struct loop_source *source, uint32_t events)
{
    struct rig *rig = source->owner;

    (void) events;
    (void) !read(source->fd, &rig->status, sizeof rig->status);
    loop_stop(rig->loop);
}

/* Someone in the pod asks while this process, the node's, forwards. */
static int asked(struct rig *rig, const char *address, size_t len)
{
    struct err err;
    int        ends[2];

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        int status = ask(rig->namespace, address, len);

        _exit(write(ends[1], &status, sizeof status) < 0);
    }
    rig->over = (struct loop_source){ .fd = ends[0], .ready = on_over, .owner = rig };
    assert_true(loop_add(rig->loop, &rig->over, EPOLLIN, &err) && loop_run(rig->loop, &err));
    loop_remove(&rig->over);
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return rig->status;
}

static void what_is_asked_of_localhost_comes_to_the_pods_address(void **state)
{
    AUTO(port_forward) struct port_forward *forward = NULL;
    struct rig                              rig     = { 0 };
    struct sockaddr_in                      there   = at("10.9.0.2");
    struct err                              err;
    char                                    path[64];

    (void) state;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
        skip();
    ip("ip link set lo up");
    rig.namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true(rig.namespace >= 0 && unshare(CLONE_NEWNET) == 0); /* the node's */
    ip("ip link set lo up; ip addr add 10.9.0.2/32 dev lo");
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *) &there, sizeof there) + listen(listener, 8), 0);
    rig.server = fork();
    if (rig.server == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail with this argument */
        serve(listener);
    }
    assert_true(loop_new(&rig.loop, &err));
    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", rig.namespace);
    assert_int_equal(asked(&rig, "127.0.0.1", 5), 1); /* nobody is there yet */
    if (!port_forward_open(rig.loop, path, &pod, &forward, &err)) {
        if (err.kind != ERR_UNSUPPORTED)
            fail_msg("%s", err.text);
        skip();
    }
    assert_int_equal(asked(&rig, "127.0.0.1", 5), 0);
    assert_int_equal(asked(&rig, "127.0.0.1", LARGE), 0);
    assert_int_equal(asked(&rig, "127.0.0.2", 5), 1); /* that one alone */
    assert_int_equal(kill(rig.server, SIGKILL) + close(listener), 0);
    assert_int_equal(waitpid(rig.server, NULL, 0), rig.server);
    assert_int_equal(asked(&rig, "127.0.0.1", 5), 2); /* nobody listens in the guest */
    port_forward_free(TAKE(forward));
    assert_int_equal(asked(&rig, "127.0.0.1", 5), 1); /* as before */
    loop_free(rig.loop);
    assert_int_equal(close(rig.namespace), 0);
}

static void a_namespace_that_is_none_is_said(void **state)
{
    AUTO(loop) struct loop *loop    = NULL;
    struct port_forward    *forward = NULL;
    struct err              err;

    (void) state;
    assert_true(loop_new(&loop, &err));
    assert_false(port_forward_open(loop, "/nonexistent", &pod, &forward, &err));
    assert_string_equal(err.text, "port forwarding: network namespace: No such file or directory");
    assert_false(port_forward_open(loop, "/dev/null", &pod, &forward, &err));
    assert_int_equal(err.kind, ERR_OS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_of_localhost_comes_to_the_pods_address),
        cmocka_unit_test(a_namespace_that_is_none_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
