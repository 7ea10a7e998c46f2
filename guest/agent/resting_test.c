#include "tests/harness/test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/agent/resting.h"

/* What each of these does with the one byte that woke it. */
struct desk {
    int fd, out_fd; /* to be read; to tell how many bytes were held, and the first of them */
};

static bool serve(void *owner, struct bytes held, struct buffer *left)
{
    const struct desk *desk = owner;
    char               asked;
    uint32_t           seen[2] = { (uint32_t) held.len, held.len ? held.at[0] : 0 };

    if (read(desk->fd, &asked, 1) != 1)
        return false; /* the other end is closed */
    if (write(desk->out_fd, seen, sizeof seen) != sizeof seen || asked == 'x')
        _exit(7);
    memset(buffer_grow(left, asked == '0' ? 0 : 100000), asked, asked == '0' ? 0 : 100000); /* more than a pipe takes */
    return true;
}

struct rig {
    int        asks, desk_fd, seen, out_fd;
    struct desk desk;
};

static void rig_open(struct rig *r)
{
    int asks[2], seen[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, asks), 0);
    assert_int_equal(pipe(seen), 0);
    *r      = (struct rig){ asks[0], asks[1], seen[0], seen[1], { 0 } };
    r->desk = (struct desk){ r->desk_fd, r->out_fd };
}

static void auto_rig(struct rig *r)
{
    (void) close(r->asks);
    (void) close(r->desk_fd);
    (void) close(r->seen);
    (void) close(r->out_fd);
}

static void assert_seen(const struct rig *r, uint32_t len, char first)
{
    uint32_t seen[2];

    assert_int_equal(read(r->seen, seen, sizeof seen), sizeof seen);
    assert_int_equal(seen[0], len);
    assert_int_equal(seen[1], first);
}

static void each_one_has_what_the_one_before_left(void **state)
{
    AUTO(rig) struct rig r;
    struct err           err;

    (void) state;
    rig_open(&r);
    assert_int_equal(write(r.asks, "ab0c", 4), 4); /* all before the first wakes: each takes one */
    assert_int_equal(shutdown(r.asks, SHUT_WR), 0);
    assert_true(resting_run(r.desk_fd, serve, &r.desk, &err));
    assert_seen(&r, 0, 0);
    assert_seen(&r, 100000, 'a');
    assert_seen(&r, 100000, 'b');
    assert_seen(&r, 0, 0);
}

static void one_that_ends_otherwise_ends_it_all(void **state)
{
    AUTO(rig) struct rig r;
    struct err           err;

    (void) state;
    rig_open(&r);
    assert_int_equal(write(r.asks, "ax", 2), 2);
    assert_false(resting_run(r.desk_fd, serve, &r.desk, &err));
    assert_string_equal(err.text, "the one that was awake ended, status 0x700");
}

static bool leave_too_much(void *owner, struct bytes held, struct buffer *left)
{
    (void) owner;
    (void) held;
    (void) buffer_grow(left, RESTING_HELD_MAX + 1);
    return true;
}

static void what_is_held_is_bounded(void **state)
{
    AUTO(rig) struct rig r;
    struct err           err;

    (void) state;
    rig_open(&r);
    assert_int_equal(write(r.asks, "a", 1), 1);
    assert_false(resting_run(r.desk_fd, leave_too_much, NULL, &err));
    assert_string_equal(err.text, "8388609 bytes are to be held");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_one_has_what_the_one_before_left),
        cmocka_unit_test(one_that_ends_otherwise_ends_it_all),
        cmocka_unit_test(what_is_held_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
