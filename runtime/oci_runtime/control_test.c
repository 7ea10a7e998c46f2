#include "runtime/oci_runtime/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/harness/test.h"

static void a_message_and_its_descriptors_arrive_whole(void **state)
{
    AUTO(json) struct json_object *message = json_object_new_object(), *got = NULL;
    int                            ends[2], fds[CONTROL_FDS_MAX], sent[3];
    struct stat                    a, b;
    struct err                     err;

    (void) state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    for (size_t i = 0; i < 3; i++)
        assert_true((sent[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
    json_add_text(message, "do", "exec");
    assert_true(control_send(ends[0], message, sent, 3, &err));
    assert_true(control_receive(ends[1], &got, fds, &err));
    assert_true(json_object_equal(message, got));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fstat(fds[i], &a), 0);
        assert_int_equal(fstat(sent[i], &b), 0);
        assert_int_equal(a.st_rdev, b.st_rdev);
        (void) close(fds[i]), (void) close(sent[i]);
    }
    (void) close(ends[0]);
    json_object_put(TAKE(got));
    assert_false(control_receive(ends[1], &got, fds, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    (void) close(ends[1]);
}

static void what_is_no_object_is_refused_and_its_descriptors_closed(void **state)
{
    static const char *const bad[] = { "[]", "{", "1", "{\"a\":1,\"a\":2}" };
    int                      ends[2], fds[CONTROL_FDS_MAX];
    struct json_object      *got = NULL;
    struct err               err;

    (void) state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(send(ends[0], bad[i], strlen(bad[i]), 0), strlen(bad[i]));
        assert_false(control_receive(ends[1], &got, fds, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(fds[0], NO_FD);
    }
    (void) close(ends[0]), (void) close(ends[1]);
}

/* As long as podman's folders are: over what a socket's address holds. */
static void a_socket_lies_below_a_folder_of_any_length(void **state)
{
    AUTO(text) char *root = NULL;
    AUTO(fd) int     listener = NO_FD, connected = NO_FD, none = NO_FD;
    char             folder[400];
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("cloister-control-", &root, &err));
    (void) snprintf(folder, sizeof folder, "%s/%0100d/%0100d", root, 1, 2);
    assert_true(directory_make(folder, &err));
    assert_false(control_connect(folder, &none, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_true(control_listen(folder, &listener, &err));
    assert_true(control_connect(folder, &connected, &err));
    auto_fd(&listener);
    listener = NO_FD;
    assert_false(control_connect(folder, &none, &err));
    assert_string_equal(err.text, "the container is not running");
    assert_true(directory_remove(root, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_and_its_descriptors_arrive_whole),
        cmocka_unit_test(what_is_no_object_is_refused_and_its_descriptors_closed),
        cmocka_unit_test(a_socket_lies_below_a_folder_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
