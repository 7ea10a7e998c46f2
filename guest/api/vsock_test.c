#include "tests/harness/test.h"

#include <errno.h>
#include <sys/socket.h>

#include "guest/api/services.h"
#include "guest/api/vsock.h"

static void each_guest_has_ports_of_its_own(void **state)
{
    (void) state;
    assert_int_equal(vsock_port(VSOCK_CID_MIN, 0), 1024 + 24);
    assert_int_equal(vsock_port(VSOCK_CID_MIN, 3), 1024 + 27);
    assert_int_equal(vsock_port(VSOCK_CID_MIN + 1, 0), 1024 + 32);
    assert_int_equal(vsock_port(VSOCK_CID_MAX, 3), 1024 + 0x7ffffff8U + 3);
}

/* The listener itself is what knows the guest; this machine's own context id is not the one that it waits for. */
static void a_listener_is_bound_where_its_guest_will_look(void **state)
{
    struct err err;
    int        fd = NO_FD;

    (void) state;
    if (!vsock_listen(VSOCK_CID_MAX, 3, &fd, &err)) {
        print_message("skipped: this kernel has no vsock: %s\n", err.text);
        skip();
    }
    int taken = NO_FD;
    assert_false(vsock_listen(VSOCK_CID_MAX, 3, &taken, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_int_equal(close(fd), 0);
}

static void a_unix_socket_has_no_neighbours_to_be_told_from(void **state)
{
    int ends[2];

    (void) state;
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(vsock_is_guest(ends[0], ends[1]));
    assert_false(vsock_is_guest(ends[0], NO_FD));
    (void) close(ends[0]);
    (void) close(ends[1]);
}

static void a_port_that_nobody_has_is_a_defect(void **state)
{
    struct err err;
    int        fd = NO_FD;

    (void) state;
    assert_false(vsock_connect("cloister.other", &fd, &err));
    assert_int_equal(err.kind, ERR_BUG);
    assert_int_equal(fd, NO_FD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_guest_has_ports_of_its_own),
        cmocka_unit_test(a_listener_is_bound_where_its_guest_will_look),
        cmocka_unit_test(a_unix_socket_has_no_neighbours_to_be_told_from),
        cmocka_unit_test(a_port_that_nobody_has_is_a_defect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
