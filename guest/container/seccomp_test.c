#include "tests/harness/test.h"

#include <sys/socket.h>

#include "guest/container/seccomp.h"

static struct json_object *profile;

static int make(void **state)
{
    (void) state;
    profile = seccomp_profile();
    return 0;
}

static int drop(void **state)
{
    (void) state;
    json_object_put(profile);
    return 0;
}

/* The number of rules that allow `name`, and the last of them. */
static unsigned rules_for(const char *name, struct json_object **last)
{
    struct json_object *rules = json_object_object_get(profile, "syscalls");
    unsigned            n     = 0;

    for (size_t i = 0; i < json_object_array_length(rules); i++) {
        struct json_object *rule  = json_object_array_get_idx(rules, i);
        struct json_object *names = json_object_object_get(rule, "names");

        for (size_t j = 0; j < json_object_array_length(names); j++)
            if (strcmp(json_object_get_string(json_object_array_get_idx(names, j)), name) == 0 &&
                strcmp(json_object_get_string(json_object_object_get(rule, "action")), "SCMP_ACT_ALLOW") == 0) {
                n++;
                *last = rule;
            }
    }
    return n;
}

static void denies_by_default(void **state)
{
    (void) state;
    assert_string_equal(json_object_get_string(json_object_object_get(profile, "defaultAction")), "SCMP_ACT_ERRNO");
    assert_int_equal(json_object_get_int(json_object_object_get(profile, "defaultErrnoRet")), 1);
}

static void what_reaches_the_kernel_or_the_agent_is_in_no_rule(void **state)
{
    static const char *const never[] = {
        "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "init_module", "finit_module", "delete_module",
        "kexec_load", "kexec_file_load", "bpf", "perf_event_open", "ptrace", "process_vm_readv", "process_vm_writev",
        "io_uring_setup", "io_uring_enter", "keyctl", "add_key", "request_key", "userfaultfd", "open_by_handle_at",
        "reboot", "swapon", "settimeofday", "clock_settime", "iopl", "ioperm", "syslog", "acct", "quotactl", "clone3",
        "fsopen", "fsmount", "move_mount", "open_tree", "mount_setattr", "pidfd_getfd", "modify_ldt", "vhangup",
    };
    struct json_object *rule;

    (void) state;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (rules_for(never[i], &rule) != 0)
            fail_msg("%s is allowed", never[i]);
}

static void sockets_are_allowed_by_family_only(void **state)
{
    struct json_object *rules = json_object_object_get(profile, "syscalls");
    unsigned            n     = 0;

    (void) state;
    for (size_t i = 0; i < json_object_array_length(rules); i++) {
        struct json_object *rule  = json_object_array_get_idx(rules, i);
        struct json_object *names = json_object_object_get(rule, "names");
        struct json_object *args  = json_object_object_get(rule, "args");

        if (strcmp(json_object_get_string(json_object_array_get_idx(names, 0)), "socket") != 0)
            continue;
        assert_non_null(args);
        struct json_object *one = json_object_array_get_idx(args, 0);
        assert_string_equal(json_object_get_string(json_object_object_get(one, "op")), "SCMP_CMP_EQ");
        assert_int_not_equal(json_object_get_int(json_object_object_get(one, "value")), AF_VSOCK);
        assert_int_not_equal(json_object_get_int(json_object_object_get(one, "value")), AF_ALG);
        n++;
    }
    assert_int_equal(n, 4);
}

static void clone_is_allowed_without_new_namespaces_only(void **state)
{
    struct json_object *rule = NULL;

    (void) state;
    assert_int_equal(rules_for("clone", &rule), 1);
    struct json_object *one = json_object_array_get_idx(json_object_object_get(rule, "args"), 0);
    assert_string_equal(json_object_get_string(json_object_object_get(one, "op")), "SCMP_CMP_MASKED_EQ");
    assert_int_equal(json_object_get_int64(json_object_object_get(one, "value")), 0x7E020080);
    assert_int_equal(json_object_get_int64(json_object_object_get(one, "valueTwo")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(denies_by_default, make, drop),
        cmocka_unit_test_setup_teardown(what_reaches_the_kernel_or_the_agent_is_in_no_rule, make, drop),
        cmocka_unit_test_setup_teardown(sockets_are_allowed_by_family_only, make, drop),
        cmocka_unit_test_setup_teardown(clone_is_allowed_without_new_namespaces_only, make, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
