#include "tests/harness/test.h"

#include "runtime/shim/task.h"

static void a_state_allows_what_engines_may_expect(void **state)
{
    static const struct { enum task_state state; enum task_verb verb; enum err_kind kind; const char *text; } rows[] = {
        { TASK_CREATED, TASK_START, ERR_NONE, NULL },
        { TASK_CREATED, TASK_DELETE, ERR_NONE, NULL },
        { TASK_RUNNING, TASK_EXEC, ERR_NONE, NULL },
        { TASK_RUNNING, TASK_DELETE, ERR_CONFIG, "delete: the process is running" },
        { TASK_RUNNING, TASK_START, ERR_CONFIG, "start: the process is running" },
        { TASK_STOPPED, TASK_KILL, ERR_NOT_FOUND, "process already finished" },
        { TASK_STOPPED, TASK_DELETE, ERR_NONE, NULL },
        { TASK_DELETING, TASK_DELETE, ERR_CONFIG, "delete: the process is being deleted" },
        { TASK_CREATING, TASK_KILL, ERR_CONFIG, "kill: the process is being created" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = { 0 };

        assert_int_equal(task_may(rows[i].state, rows[i].verb, &err), rows[i].kind == ERR_NONE);
        if (rows[i].text) {
            assert_int_equal(err.kind, rows[i].kind);
            assert_string_equal(err.text, rows[i].text);
        }
    }
}

/* Whatever the state, no verb but these two leads anywhere once a process has stopped. */
static void nothing_leads_back_from_stopped(void **state)
{
    (void) state;
    for (int verb = 0; verb < TASK_VERBS; verb++) {
        struct err err;

        assert_int_equal(task_may(TASK_STOPPED, (enum task_verb) verb, &err), verb == TASK_DELETE);
        assert_false(task_may(TASK_DELETING, (enum task_verb) verb, &err));
    }
}

static void states_have_the_numbers_of_the_protocol(void **state)
{
    (void) state;
    assert_int_equal(task_status(TASK_CREATED), 1);
    assert_int_equal(task_status(TASK_RUNNING), 2);
    assert_int_equal(task_status(TASK_STOPPING), 2); /* until its end is told */
    assert_int_equal(task_status(TASK_STOPPED), 3);
}

static void ids_that_a_guest_does_not_take_become_hashes(void **state)
{
    char out[GUEST_ID_MAX + 1];
    char longest[GUEST_ID_MAX + 2];

    (void) state;
    guest_id_of("web-1", out);
    assert_string_equal(out, "web-1");
    guest_id_of("", out);
    assert_string_equal(out, "");
    guest_id_of("Web_1", out);
    assert_string_equal(out, "93f4c8d00cea1ca113701de612decc533c06cc9d174b903afbf42f4c0e48f5e0");
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    guest_id_of(longest, out);
    assert_string_not_equal(out, longest);
    longest[GUEST_ID_MAX] = 0;
    guest_id_of(longest, out);
    assert_string_equal(out, longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_allows_what_engines_may_expect),
        cmocka_unit_test(nothing_leads_back_from_stopped),
        cmocka_unit_test(states_have_the_numbers_of_the_protocol),
        cmocka_unit_test(ids_that_a_guest_does_not_take_become_hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
