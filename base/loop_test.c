#include <sys/epoll.h>

#include "base/loop.h"
#include "tests/harness/test.h"

struct pair { struct loop_source a, b; int n_served; };

/* Whichever comes first removes the other from the batch being served. */
static void serve_one(struct loop_source *source, uint32_t events)
{
    struct pair *pair = source->owner;

    (void) events;
    pair->n_served++;
    struct loop *loop = source->loop;
    loop_remove(&pair->a);
    loop_remove(&pair->b);
    loop_stop(loop);
}

static void a_source_removed_in_a_batch_is_not_served(void **state)
{
    AUTO(loop) struct loop *loop = NULL;
    int                     one[2], two[2];
    struct err              err;

    (void) state;
    assert_true(loop_new(&loop, &err));
    assert_return_code(pipe(one), 0);
    assert_return_code(pipe(two), 0);
    assert_int_equal(write(one[1], "x", 1), 1);
    assert_int_equal(write(two[1], "x", 1), 1);
    struct pair pair = { .a = { .fd = one[0], .ready = serve_one }, .b = { .fd = two[0], .ready = serve_one } };
    pair.a.owner = pair.b.owner = &pair;
    assert_true(loop_add(loop, &pair.a, EPOLLIN, &err));
    assert_true(loop_add(loop, &pair.b, EPOLLIN, &err));
    assert_true(loop_run(loop, &err));
    assert_int_equal(pair.n_served, 1);
    for (int i = 0; i < 2; i++)
        assert_return_code(close(one[i]) | close(two[i]), 0);
}

static void stop_on_tick(struct loop_source *source, uint32_t events)
{
    (void) events;
    loop_stop(source->loop);
}

static void a_timer_fires(void **state)
{
    AUTO(loop) struct loop *loop = NULL;
    AUTO(fd) int            fd   = NO_FD;
    struct err              err;

    (void) state;
    assert_true(loop_new(&loop, &err));
    assert_true(loop_timer_fd(1, 0, &fd, &err));
    struct loop_source tick = { .fd = fd, .ready = stop_on_tick };

    assert_true(loop_add(loop, &tick, EPOLLIN, &err));
    assert_true(loop_run(loop, &err));
    loop_remove(&tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_removed_in_a_batch_is_not_served),
        cmocka_unit_test(a_timer_fires),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
