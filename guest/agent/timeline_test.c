#include "tests/harness/test.h"

#include "guest/agent/timeline.h"

static void the_clock_goes_forward(void **state)
{
    uint64_t before = timeline_now_ms();

    (void) state;
    assert_true(before > 0);
    assert_true(timeline_now_ms() >= before);
}

static void keeps_the_first_events_when_it_is_full(void **state)
{
    struct timeline timeline = { 0 };

    (void) state;
    for (uint64_t i = 0; i < TIMELINE_MAX + 3; i++)
        timeline_add(&timeline, "pull", i, i + 1, "web");
    assert_int_equal(timeline.n, TIMELINE_MAX);
    assert_int_equal(timeline.events[TIMELINE_MAX - 1].begin_ms, TIMELINE_MAX - 1);
    assert_string_equal(timeline.events[0].container, "web");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_goes_forward),
        cmocka_unit_test(keeps_the_first_events_when_it_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
