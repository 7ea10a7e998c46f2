#include "tests/harness/test.h"

#include "guest/api/sysctl.h"

static void takes_what_is_a_pods(void **state)
{
    static const struct sysctl good[] = {
        { "net.core.somaxconn", "1024" }, { "net.ipv4.conf.eth0/100.rp_filter", "0" }, { "net.ipv4.tcp_rmem", "4096\t131072 6291456" },
        { "kernel.shm_rmid_forced", "1" }, { "kernel.shmmax", "1" }, { "kernel.msgmax", "65536" }, { "kernel.sem", "250 32000 32 128" },
        { "fs.mqueue.msg_max", "100" },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!sysctl_check(&good[i], &err))
            fail_msg("%s", err.text);
    assert_true(sysctl_is_of_network(&good[0]));
    assert_false(sysctl_is_of_network(&good[3]));
}

static void refuses(const char *name, const char *value, enum err_kind kind, const char *why)
{
    struct sysctl bad = { name, value };
    struct err    err;

    assert_false(sysctl_check(&bad, &err));
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
}

static void refuses_the_rest_by_name(void **state)
{
    static const char *const foreign[] = { "vm.swappiness", "kernel.core_pattern", "kernel.modules_disabled", "kernel.semaphore", "kernel.sem.x", "fs.file-max", "fs.mqueue",
                                           "net", "net.core.bpf_jit_harden", "kernel.dmesg_restrict", "user.max_user_namespaces" };
    static const char *const names[]   = { "", "net.", ".net.x", "net..x", "net./.x", "net.//.x", "net/../kernel", "net.x/", "net.X", "net.a b", "net.\xc3\xa4" };
    char                     longer[SYSCTL_NAME_MAX + 2] = "net.", value[SYSCTL_VALUE_MAX + 2];

    (void) state;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        refuses(foreign[i], "1", ERR_UNSUPPORTED, "it is the whole kernel's");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        refuses(names[i], "1", ERR_MALFORMED, "wanted names");
    memset(longer + 4, 'a', sizeof longer - 5);
    longer[sizeof longer - 1] = 0;
    refuses(longer, "1", ERR_LIMIT, "a name over 127");
    refuses("net.x", "", ERR_LIMIT, "a value of 1 to 255");
    memset(value, '1', sizeof value);
    value[sizeof value - 1] = 0;
    refuses("net.x", value, ERR_LIMIT, "a value of 1 to 255");
    refuses("net.x", "1\n2", ERR_MALFORMED, "printable");
}

static void a_slash_is_a_dot_in_a_component(void **state)
{
    char path[SYSCTL_NAME_MAX + 1];

    (void) state;
    sysctl_path("net.ipv4.conf.eth0/100.rp_filter", path);
    assert_string_equal(path, "net/ipv4/conf/eth0.100/rp_filter");
}

static void what_engines_always_send_is_usual_with_that_value_only(void **state)
{
    (void) state;
    assert_true(sysctl_is_usual(&(struct sysctl){ "net.ipv4.ip_unprivileged_port_start", "0" }));
    assert_true(sysctl_is_usual(&(struct sysctl){ "net.ipv4.ping_group_range", "0 2147483647" }));
    assert_false(sysctl_is_usual(&(struct sysctl){ "net.ipv4.ip_unprivileged_port_start", "1" }));
    assert_false(sysctl_is_usual(&(struct sysctl){ "net.ipv4.ip_forward", "0" }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_a_pods),
        cmocka_unit_test(refuses_the_rest_by_name),
        cmocka_unit_test(a_slash_is_a_dot_in_a_component),
        cmocka_unit_test(what_engines_always_send_is_usual_with_that_value_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
