#include "tests/harness/test.h"

#include "guest/container/limits.h"
#include "guest/container/policy_exec.h"

static struct json_object *read_entry(const char *text)
{
    struct json_object *entry;
    struct err          err;

    if (!json_read(bytes_of_text(text), 1 << 20, &entry, &err))
        fail_msg("%s", err.text);
    return entry;
}

static char id[] = "id", cat[] = "cat", k1[] = "K=1", k2[] = "K=2", l1[] = "L=1", term[] = "TERM=xterm";
static char *const args[] = { id }, *const others[] = { cat };

static bool lists(const struct exec_wish *wish)
{
    AUTO(json) struct json_object *entry = read_entry("{\"exec\":[[\"cat\"],{\"args\":[\"id\"],\"user\":\"5:6\",\"env\":[\"K=1\",\"L=1\"]},{\"args\":[\"id\"],\"cwd\":\"/srv\"}]}");
    struct err                     err;

    assert_true(policy_check_exec(entry, &err));
    return policy_exec_lists(json_object_object_get(entry, "exec"), wish);
}

static void a_row_is_asked_for_whole(void **state)
{
    char *const both[] = { l1, k1 }, *const one[] = { k1 }, *const twice[] = { k1, k1 }, *const other[] = { k2, l1 }, *const more[] = { k1, l1, term };

    (void) state;
    assert_true(lists(&(struct exec_wish){ others, 1 }));
    assert_true(lists(&(struct exec_wish){ args, 1, .user = "5:6", .env = both, .n_env = 2 }));
    assert_true(lists(&(struct exec_wish){ args, 1, .user = "5:6", .env = more, .n_env = 3, .terminal = true }));
    assert_true(lists(&(struct exec_wish){ args, 1, .cwd = "/srv", .user = "" }));
    assert_false(lists(&(struct exec_wish){ args, 1 })); /* as the container's user it is not listed */
    assert_false(lists(&(struct exec_wish){ args, 1, .user = "5:6", .env = more, .n_env = 3 }));
    assert_false(lists(&(struct exec_wish){ args, 1, .user = "5:6", .env = one, .n_env = 1 }));
    assert_false(lists(&(struct exec_wish){ args, 1, .user = "5:6", .env = twice, .n_env = 2 }));
    assert_false(lists(&(struct exec_wish){ args, 1, .user = "5:6", .env = other, .n_env = 2 }));
    assert_false(lists(&(struct exec_wish){ args, 1, .user = "0:0", .env = both, .n_env = 2 }));
    assert_false(lists(&(struct exec_wish){ args, 1, .user = "5:6", .cwd = "/srv" }));
    assert_false(lists(&(struct exec_wish){ others, 1, .user = "5:6" }));
    assert_false(lists(&(struct exec_wish){ others, 1, .env = one, .n_env = 1 }));
}

static void a_terminals_variable_is_nothing_special(void **state)
{
    char *const only[] = { term };

    (void) state;
    assert_false(exec_wish_is_special(&(struct exec_wish){ args, 1, true, .env = only, .n_env = 1 }));
    assert_true(exec_wish_is_special(&(struct exec_wish){ args, 1, false, .env = only, .n_env = 1 }));
    assert_true(lists(&(struct exec_wish){ others, 1, true, .env = only, .n_env = 1 }));
}

static void refuses(const char *row, enum err_kind kind, const char *why)
{
    AUTO(buffer) struct buffer     text  = { 0 };
    AUTO(json) struct json_object *entry = NULL;
    struct err                     err;

    buffer_printf(&text, "{\"exec\":[%s]}", row);
    entry = read_entry(buffer_text(&text));
    assert_false(policy_check_exec(entry, &err));
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
}

static void a_row_that_is_not_understood_is_refused(void **state)
{
    static const char *const users[] = { "root", "5", "5:6:7", "", "app:6" };
    AUTO(buffer) struct buffer many = { 0 };

    (void) state;
    refuses("\"id\"", ERR_MALFORMED, "exec: entry 0: no argv");
    refuses("[]", ERR_MALFORMED, "exec: entry 0: no argv");
    refuses("[1]", ERR_MALFORMED, "entry 0 is not a string");
    refuses("{\"user\":\"5:6\"}", ERR_MALFORMED, "no argv");
    refuses("{\"args\":[\"id\"],\"users\":\"5:6\"}", ERR_MALFORMED, "users");
    refuses("{\"args\":[\"id\"],\"cwd\":\"srv\"}", ERR_MALFORMED, "cwd: an absolute path is wanted");
    refuses("{\"args\":[\"id\"],\"env\":[1]}", ERR_MALFORMED, "env: entry 0 is not a string");
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        AUTO(buffer) struct buffer row = { 0 };

        buffer_printf(&row, "{\"args\":[\"id\"],\"user\":\"%s\"}", users[i]);
        refuses(buffer_text(&row), ERR_MALFORMED, "user: UID:GID is wanted");
    }
    for (int i = 0; i <= POLICY_EXECS_MAX; i++)
        buffer_printf(&many, "%s[\"a\"]", i ? "," : "");
    refuses(buffer_text(&many), ERR_LIMIT, "exec: over 256 argvs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_asked_for_whole),
        cmocka_unit_test(a_terminals_variable_is_nothing_special),
        cmocka_unit_test(a_row_that_is_not_understood_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
