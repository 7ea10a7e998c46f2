#include "runtime/oci_runtime/container_state.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/harness/test.h"

static void what_was_saved_is_found_until_it_is_removed(void **state)
{
    AUTO(container_state) struct container_state made = { 0 }, found = { 0 }, gone = { 0 };
    AUTO(text) char                             *root = NULL;
    struct err                                   err;

    (void) state;
    assert_true(directory_make_temporary("cloister-state-", &root, &err));
    assert_true(container_state_new(root, "one", "/bundle", &made, &err));
    assert_true(process_mark_of(getpid(), &made.monitor, &err));
    made.annotations = json_tokener_parse("{\"a\":\"b\"}");
    assert_true(container_state_save(&made, &err));
    assert_true(container_state_load(root, "one", &found, &err));
    assert_string_equal(found.bundle, "/bundle");
    assert_string_equal(found.created, made.created);
    assert_int_equal(found.monitor.pid, getpid());
    assert_true(process_mark_lives(&found.monitor));
    assert_true(json_object_equal(found.annotations, made.annotations));
    assert_false(container_state_new(root, "one", "/bundle", &gone, &err));
    assert_string_equal(err.text, "container \"one\" already exists");
    assert_true(container_state_remove(&found, &err));
    assert_false(container_state_load(root, "one", &gone, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "container \"one\" does not exist");
    assert_true(directory_remove(root, &err));
}

static void a_container_whose_monitor_is_gone_is_stopped(void **state)
{
    AUTO(container_state) struct container_state s = { 0 };
    AUTO(text) char                             *root = NULL;
    char                                         status[16];
    struct err                                   err;

    (void) state;
    assert_true(directory_make_temporary("cloister-state-", &root, &err));
    assert_true(container_state_new(root, "one", "/bundle", &s, &err));
    s.monitor = (struct process_mark){ getpid(), 1 }; /* the number is ours, the start time is not */
    assert_string_equal(container_status(&s, status), "stopped");
    AUTO(json) struct json_object *document = container_state_json(&s);
    assert_int_equal(json_object_get_int(json_object_object_get(document, "pid")), 0);
    assert_string_equal(json_object_get_string(json_object_object_get(document, "ociVersion")), "1.0.2");
    assert_true(directory_remove(root, &err));
}

static void an_id_cannot_leave_the_root(void **state)
{
    static const char *const bad[] = { "", ".", "..", "../x", "a/b", "a b", ".hidden" };
    struct container_state   s = { 0 };
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(container_state_new("/nowhere/at/all", bad[i], "/b", &s, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_false(container_state_load("/nowhere/at/all", bad[i], &s, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_is_found_until_it_is_removed),
        cmocka_unit_test(a_container_whose_monitor_is_gone_is_stopped),
        cmocka_unit_test(an_id_cannot_leave_the_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
