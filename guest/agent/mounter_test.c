#include "tests/harness/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "guest/agent/mounter.h"

static const struct image_disk disk = { .hex = "0123456789abcdef", .n_blocks = 2, .n_tree_blocks = 1 };

/* The keeper's end, and the one that the mounter would have. */
struct rig {
    int keepers, mounters;
};

static void auto_rig(struct rig *r)
{
    auto_fd(&r->keepers);
    auto_fd(&r->mounters);
}

static struct rig rig_open(void)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    return (struct rig){ ends[0], ends[1] };
}

/* Answers lie in the socket before they are asked for: one thread is enough. */
static void answer(const struct rig *r, const struct err *with)
{
    assert_int_equal(send(r->mounters, with, sizeof *with, 0), sizeof *with);
}

static FALLIBLE ask(const struct rig *r, size_t key_len, struct err *err)
{
    static const uint8_t       key[64] = { 9 };
    AUTO(secret) struct secret secret  = { 0 };

    *err = (struct err){ 0 };
    if (key_len > 0)
        assert_true(secret_copy((struct bytes){ key, key_len }, &secret, err));
    return mounter_mount(r->keepers, &disk, &secret, err);
}

static void what_the_mounter_says_is_what_is_told(void **state)
{
    AUTO(rig) struct rig r    = rig_open();
    struct err           fine = { 0 }, refused = { .kind = ERR_UNTRUSTED, .text = "its blocks" }, err;

    (void) state;
    answer(&r, &fine);
    assert_true(ask(&r, 64, &err));
    answer(&r, &refused);
    assert_false(ask(&r, 0, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "its blocks");
    assert_false(ask(&r, 32, &err));
    assert_int_equal(err.kind, ERR_BUG);
}

/* The other's answer comes after all, and says yes: it is not taken for one to the next order, and the mounter sees the end. */
static void assert_no_more_is_believed(const struct rig *r)
{
    char       order[1024];
    struct err fine = { 0 }, err;
    ssize_t    n;

    (void) !send(r->mounters, &fine, sizeof fine, MSG_NOSIGNAL);
    assert_false(ask(r, 0, &err));
    assert_int_equal(err.kind, ERR_OS);
    while ((n = recv(r->mounters, order, sizeof order, MSG_DONTWAIT)) > 0)
        ;
    assert_int_equal(n, 0);
}

static void an_answer_that_comes_too_late_is_no_answer(void **state)
{
    AUTO(rig) struct rig r = rig_open();
    struct err           err;

    (void) state;
    assert_int_equal(fcntl(r.keepers, F_SETFL, O_NONBLOCK), 0); /* no patience at all */
    assert_false(ask(&r, 64, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_string_equal(err.text, "the mounter of image disks is gone");
    assert_no_more_is_believed(&r);
}

static void nor_is_one_of_another_length(void **state)
{
    AUTO(rig) struct rig r = rig_open();
    struct err           err;

    (void) state;
    assert_int_equal(send(r.mounters, "yes", 3, 0), 3);
    assert_false(ask(&r, 64, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_no_more_is_believed(&r);
}

/* A tester who is root makes no devices on this machine. */
static bool has_no_device_mapper(void)
{
    if (geteuid() == 0 && access("/dev/mapper/control", F_OK) == 0 &&
        (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("tmpfs", "/dev/mapper", "tmpfs", 0, NULL) < 0))
        return false;
    return access("/dev/mapper/control", R_OK | W_OK) < 0;
}

/* Where no such disk is: it says why, takes the next order, and ends with the keeper. */
static void the_mounter_serves_until_the_keeper_is_gone(void **state)
{
    AUTO(rig) struct rig r = rig_open();
    struct err           err;
    int                  status;
    pid_t                pid = fork();

    (void) state;
    if (pid == 0) {
        auto_fd(&r.keepers);
        _exit(has_no_device_mapper() ? mounter_run(r.mounters) : 77);
    }
    assert_true(pid > 0);
    auto_fd(&r.mounters);
    r.mounters = NO_FD;
    for (int i = 0; i < 2; i++) {
        assert_false(ask(&r, 64, &err));
        assert_true(err.kind == ERR_NOT_FOUND || err.kind == ERR_OS);
        assert_string_not_equal(err.text, "the mounter of image disks is gone");
    }
    auto_fd(&r.keepers);
    r.keepers = NO_FD;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_mounter_says_is_what_is_told),
        cmocka_unit_test(an_answer_that_comes_too_late_is_no_answer),
        cmocka_unit_test(nor_is_one_of_another_length),
        cmocka_unit_test(the_mounter_serves_until_the_keeper_is_gone),
    };
    struct err err;

    return secret_heap_open(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
