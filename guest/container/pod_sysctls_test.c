#include "tests/harness/test.h"

#include "base/file.h"
#include "guest/container/pod_sysctls.h"

static struct json_object *read_entry(const char *text)
{
    struct json_object *entry;
    struct err          err;

    if (!json_read(bytes_of_text(text), 1 << 16, &entry, &err))
        fail_msg("%s", err.text);
    return entry;
}

static const struct pod_sysctls usual = { .rows = { { "net.ipv4.ping_group_range", "0 2147483647" } }, .n = 1 };

static const char *difference(const char *entry_text, const struct sysctl *asked)
{
    AUTO(json) struct json_object *entry = read_entry(entry_text);
    const struct pod_sysctls       rows  = { .rows = { *asked }, .n = 1 };
    const char                    *name  = pod_sysctls_difference(entry, &rows);

    if (name)
        assert_string_equal(name, asked->name);
    return name;
}

static void the_host_asks_for_what_is_listed_with_its_value(void **state)
{
    static const char list[] = "{\"sysctls\":{\"net.core.somaxconn\":\"1024\",\"net.ipv4.ping_group_range\":\"1 0\"}}";

    (void) state;
    assert_null(difference(list, &(struct sysctl){ "net.core.somaxconn", "1024" }));
    assert_non_null(difference(list, &(struct sysctl){ "net.core.somaxconn", "1025" }));
    assert_non_null(difference(list, &(struct sysctl){ "net.ipv4.ip_forward", "1" }));
    assert_non_null(difference("{}", &(struct sysctl){ "net.core.somaxconn", "1024" }));
    assert_null(difference("{}", &usual.rows[0]));
    assert_non_null(difference(list, &usual.rows[0])); /* the owner wants another value */
}

static void policys_are_set_though_the_host_does_not_ask(void **state)
{
    AUTO(json) struct json_object *granted = read_entry("{\"net.core.somaxconn\":\"1024\",\"kernel.shm_rmid_forced\":\"1\"}"), *part = json_object_new_object();
    AUTO(json) struct json_object *none = json_object_new_object();
    struct pod_sysctls             all;

    (void) state;
    pod_sysctls_join(granted, NULL, &all);
    assert_int_equal(all.n, 2);
    pod_sysctls_join(granted, &usual, &all);
    assert_int_equal(all.n, 3);
    pod_sysctls_add(&all, part);
    assert_string_equal(json_object_to_json_string_ext(part, JSON_C_TO_STRING_PLAIN), "{\"sysctl\":{\"kernel.shm_rmid_forced\":\"1\"}}");
    pod_sysctls_join(NULL, &usual, &all);
    pod_sysctls_add(&all, none);
    assert_string_equal(json_object_to_json_string_ext(none, JSON_C_TO_STRING_PLAIN), "{}");
}

static void the_networks_are_written(void **state)
{
    AUTO(text) char           *root = NULL, *folder = NULL, *file = NULL;
    AUTO(buffer) struct buffer text = { 0 };
    const struct pod_sysctls   good = { .rows = { { "net.ipv4.conf.eth0/1.x", "7" }, { "kernel.sem", "1" } }, .n = 2 };
    const struct pod_sysctls   none = { .rows = { { "net.ipv4.conf.eth0/1.y", "7" } }, .n = 1 };
    struct err                 err;

    (void) state;
    assert_true(directory_make_temporary("sysctls-", &root, &err));
    assert_true(asprintf(&folder, "%s/net/ipv4/conf/eth0.1", root) > 0 && asprintf(&file, "%s/x", folder) > 0);
    assert_true(directory_make(folder, &err) && file_write(file, bytes_of_text("0"), 0600, &err));
    assert_true(pod_sysctls_write(&good, root, &err));
    assert_true(file_read(file, 16, &text, &err));
    assert_string_equal(buffer_text(&text), "7");
    assert_false(pod_sysctls_write(&none, root, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "sysctl net.ipv4.conf.eth0/1.y: the guest's kernel has none of that name");
    assert_true(directory_remove(root, &err));
}

static void refuses(const char *entry_text, enum err_kind kind, const char *why)
{
    AUTO(json) struct json_object *entry = read_entry(entry_text);
    struct err                     err;

    assert_false(pod_sysctls_check_entry(entry, &err));
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
}

static void what_is_no_pods_is_no_policy_and_no_request(void **state)
{
    const struct pod_sysctls twice = { .rows = { { "net.a", "1" }, { "net.b", "1" }, { "net.a", "1" } }, .n = 3 }, foreign = { .rows = { { "vm.x", "1" } }, .n = 1 };
    struct err               err;

    (void) state;
    refuses("{\"sysctls\":[]}", ERR_MALFORMED, "\"sysctls\": object wanted, found array");
    refuses("{\"sysctls\":{\"net.a\":1}}", ERR_MALFORMED, "sysctls: the value of net.a is not a string");
    refuses("{\"sysctls\":{\"vm.swappiness\":\"1\"}}", ERR_UNSUPPORTED, "sysctls: sysctl vm.swappiness: it is the whole kernel's");
    assert_false(pod_sysctls_check(&twice, &err));
    assert_string_equal(err.text, "sysctl net.a comes twice");
    assert_false(pod_sysctls_check(&foreign, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
}

static void bounds_a_policys(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };

    (void) state;
    buffer_printf(&text, "{\"sysctls\":{");
    for (int i = 0; i <= SYSCTLS_MAX; i++)
        buffer_printf(&text, "%s\"net.a%d\":\"1\"", i ? "," : "", i);
    buffer_printf(&text, "}}");
    refuses(buffer_text(&text), ERR_LIMIT, "sysctls: over 32 entries");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_asks_for_what_is_listed_with_its_value),
        cmocka_unit_test(policys_are_set_though_the_host_does_not_ask),
        cmocka_unit_test(the_networks_are_written),
        cmocka_unit_test(what_is_no_pods_is_no_policy_and_no_request),
        cmocka_unit_test(bounds_a_policys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
