#include "runtime/cli/timeline.h"
#include "tests/harness/test.h"

static void print(const struct timeline *timeline, const struct sandbox_times *times, char *text, size_t len)
{
    FILE *to = fmemopen(text, len, "w");

    assert_non_null(to);
    timeline_print(timeline, times, to);
    assert_int_equal(fclose(to), 0);
}

static void the_guests_clock_is_placed_by_the_end_of_attest(void **state)
{
    char                       boot_name[] = "boot", attest_name[] = "attest";
    Agent__TimelineEvent       boot = AGENT__TIMELINE_EVENT__INIT, attest = AGENT__TIMELINE_EVENT__INIT;
    Agent__TimelineEvent      *events[] = { &boot, &attest };
    Agent__GetTimelineResponse response = AGENT__GET_TIMELINE_RESPONSE__INIT;
    struct timeline            timeline = { 0 };
    struct sandbox_times       times    = { .begin_ms = 1000, .launch_ms = 1100, .ready_ms = 5000 };
    char                       text[1024] = { 0 };

    (void) state;
    boot.phase = boot_name, boot.begin_ms = 100, boot.end_ms = 300;
    attest.phase = attest_name, attest.begin_ms = 300, attest.end_ms = 1500;
    response.events   = events;
    response.n_events = 2;
    timeline_add_guest(&timeline, &response);
    timeline_mark(&timeline, TIMELINE_STARTED, 6000);
    timeline_mark(&timeline, TIMELINE_EXITED, 6250);
    print(&timeline, &times, text, sizeof text);
    assert_string_equal(text, "timeline     begins      lasts\n"
                              "  launch           0 ms  +100 ms\n"
                              "  firmware       100 ms  +2400 ms\n"
                              "  boot          2600 ms  +200 ms\n"
                              "  attest        2800 ms  +1200 ms\n"
                              "  workload      5000 ms  +250 ms\n");
}

static void a_guests_words_and_numbers_are_bounded(void **state)
{
    char                       name[] = "\x1b[31mATTEST-averylongphasename";
    Agent__TimelineEvent       event  = AGENT__TIMELINE_EVENT__INIT;
    Agent__TimelineEvent      *events[100];
    Agent__GetTimelineResponse response = AGENT__GET_TIMELINE_RESPONSE__INIT;
    struct timeline            timeline = { 0 };

    (void) state;
    event.phase    = name;
    event.begin_ms = 10;
    event.end_ms   = 5;
    for (size_t i = 0; i < 100; i++)
        events[i] = &event;
    response.events   = events;
    response.n_events = 100;
    timeline_add_guest(&timeline, &response);
    assert_int_equal(timeline.n_guest, TIMELINE_EVENTS_MAX);
    assert_string_equal(timeline.guest[0].phase, "maverylongphase");
    assert_int_equal(timeline.guest[0].end_ms, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guests_clock_is_placed_by_the_end_of_attest),
        cmocka_unit_test(a_guests_words_and_numbers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
