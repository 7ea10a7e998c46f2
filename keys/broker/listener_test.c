#include "tests/harness/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "keys/broker/listener.h"

static void listens_on_the_port_that_it_names(void **state)
{
    static const char *const WHERE[] = { "127.0.0.1:0", "[::1]:0" };

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(fd) int fd = NO_FD, again = NO_FD;
        char         address[LISTENER_ADDRESS_MAX], second[LISTENER_ADDRESS_MAX];
        struct err   err;

        if (!listener_open(WHERE[i], "guests", &fd, address, &err)) {
            assert_int_equal(i, 1); /* no IPv6 here */
            continue;
        }
        assert_int_not_equal(atoi(strrchr(address, ':') + 1), 0);
        assert_false(listener_open(address, "guests", &again, second, &err)); /* it is taken */
        assert_int_equal(err.kind, ERR_OS);
    }
}

static void refuses_what_is_no_address(void **state)
{
    static const char *const WRONG[] = { "", "127.0.0.1", "localhost:80", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                                         "127.0.0.1:-1", "::1:80", "[::1]", "[127.0.0.1]:80", "1.2.3.4.5:80" };

    (void) state;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        AUTO(fd) int fd = NO_FD;
        char         address[LISTENER_ADDRESS_MAX];
        struct err   err;

        assert_false(listener_open(WRONG[i], "guests", &fd, address, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
    }
}

static void knows_what_only_this_machine_reaches(void **state)
{
    static const struct { const char *address; bool is_loopback; } ROWS[] = {
        { "127.0.0.1:80", true }, { "127.9.8.7:0", true }, { "[::1]:80", true },
        { "0.0.0.0:80", false }, { "[::]:80", false }, { "128.0.0.1:80", false }, { "10.0.0.127:80", false }, { "[::ffff:127.0.0.1]:80", false },
        { "[fe80::1]:80", false }, { "localhost:80", false }, { "127.0.0.1", false }, { "", false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_int_equal(listener_is_loopback(ROWS[i].address), ROWS[i].is_loopback);
}

/* In a child that was given `fd` as systemd gives it; 0 when it took that socket, 1 when it opened another, 2 refused. */
static int takes(int given, const char *names, const char *wanted, bool is_for_us)
{
    pid_t child = fork();
    int   status;

    assert_true(child >= 0);
    if (child == 0) {
        char       pid[16], address[LISTENER_ADDRESS_MAX];
        int        fd = NO_FD;
        struct err err;

        (void) snprintf(pid, sizeof pid, "%d", (int) getpid() + !is_for_us); /* fits */
        if (dup2(given, 4) != 4 || setenv("LISTEN_PID", pid, 1) != 0 || setenv("LISTEN_FDS", "2", 1) != 0 ||
            setenv("LISTEN_FDNAMES", names, 1) != 0)
            _exit(9);
        if (!listener_open("127.0.0.1:0", wanted, &fd, address, &err))
            _exit(err.kind == ERR_CONFIG ? 2 : 9);
        _exit(fd == 4 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void takes_the_socket_that_systemd_passed_by_its_name(void **state)
{
    AUTO(fd) int given = NO_FD, idle = socket(AF_INET, SOCK_STREAM, 0);
    char         address[LISTENER_ADDRESS_MAX];
    struct err   err;

    (void) state;
    assert_true(listener_open("127.0.0.1:0", "guests", &given, address, &err));
    assert_int_equal(takes(given, "administrators:guests", "guests", true), 0);
    assert_int_equal(takes(given, "administrators:other", "guests", true), 1);
    assert_int_equal(takes(given, "administrators:guests", "guests", false), 1);
    assert_int_equal(takes(idle, "administrators:guests", "guests", true), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listens_on_the_port_that_it_names),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(knows_what_only_this_machine_reaches),
        cmocka_unit_test(takes_the_socket_that_systemd_passed_by_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
