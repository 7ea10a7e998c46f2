#include "tests/harness/test.h"

#include "guest/container/privileges.h"

static struct json_object *read_entry(const char *text)
{
    struct json_object *entry;
    struct err          err;

    if (!json_read(bytes_of_text(text), 1 << 16, &entry, &err))
        fail_msg("%s", err.text);
    return entry;
}

static void capabilities_are(const char *entry_text, const char *wanted)
{
    AUTO(json) struct json_object *entry = read_entry(entry_text);
    struct err                     err;

    assert_true(privileges_check(entry, &err));
    struct privileges              p    = privileges_of(entry);
    AUTO(json) struct json_object *list = privileges_capabilities(&p);
    assert_string_equal(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN), wanted);
}

static void root_keeps_what_is_listed_and_else_the_default(void **state)
{
    (void) state;
    capabilities_are("{}", "[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FSETID\",\"CAP_FOWNER\",\"CAP_SETGID\",\"CAP_SETUID\","
                           "\"CAP_SETPCAP\",\"CAP_NET_BIND_SERVICE\",\"CAP_KILL\",\"CAP_SETFCAP\"]");
    capabilities_are("{\"capabilities\":[]}", "[]");
    capabilities_are("{\"capabilities\":[\"CAP_NET_BIND_SERVICE\",\"CAP_CHOWN\",\"CAP_CHOWN\"]}", "[\"CAP_CHOWN\",\"CAP_NET_BIND_SERVICE\"]");
}

static void groups_are_added_once(void **state)
{
    AUTO(json) struct json_object *entry = read_entry("{\"groups\":[5,7,7,8,4294967294]}");
    struct privileges              p     = privileges_of(entry);
    struct user                    user  = { .uid = 1, .gid = 5, .groups = { 8 }, .n_groups = 1 };
    struct err                     err;

    (void) state;
    assert_true(privileges_check(entry, &err) && privileges_apply(&p, &user, &err));
    assert_int_equal(user.n_groups, 3);
    assert_int_equal(user.groups[0], 8);
    assert_int_equal(user.groups[1], 7);
    assert_int_equal(user.groups[2], 4294967294);
    user.n_groups = USER_GROUPS_MAX;
    user.groups[1] = user.groups[2] = 9;
    assert_false(privileges_apply(&p, &user, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void root_is_refused_where_it_may_not_be(void **state)
{
    AUTO(json) struct json_object *entry = read_entry("{\"not_root\":true}");
    struct privileges              p     = privileges_of(entry);
    struct user                    root  = { .uid = 0 }, other = { .uid = 1 };
    struct err                     err;

    (void) state;
    assert_true(privileges_check(entry, &err) && privileges_apply(&p, &other, &err));
    assert_false(privileges_apply(&p, &root, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "policy wants a user other than root in this container, and the image has none");
}

static void what_is_not_understood_is_no_policy(void **state)
{
    static const struct { const char *entry, *why; } rows[] = {
        { "{\"not_root\":1}", "not_root: not a boolean" },
        { "{\"capabilities\":[\"CAP_SYS_ADMIN\"]}", "capabilities: entry 0 is none that a container can have" },
        { "{\"capabilities\":[\"CAP_CHOWN\",7]}", "capabilities: entry 1 is none that a container can have" },
        { "{\"capabilities\":[\"CHOWN\"]}", "capabilities: entry 0 is none that a container can have" },
        { "{\"groups\":[-1]}", "groups: entry 0 is no group's number" },
        { "{\"groups\":[4294967295]}", "groups: entry 0 is no group's number" },
        { "{\"groups\":[\"7\"]}", "groups: entry 0 is no group's number" },
        { "{\"groups\":[1.5]}", "groups: entry 0 is no group's number" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(json) struct json_object *entry = read_entry(rows[i].entry);
        struct err                     err;

        assert_false(privileges_check(entry, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, rows[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_keeps_what_is_listed_and_else_the_default),
        cmocka_unit_test(groups_are_added_once),
        cmocka_unit_test(root_is_refused_where_it_may_not_be),
        cmocka_unit_test(what_is_not_understood_is_no_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
