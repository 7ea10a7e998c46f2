#include "tests/harness/test.h"

#include "guest/container/hidden_paths.h"
#include "guest/container/limits.h"

static struct json_object *read_entry(const char *text)
{
    struct json_object *entry;
    struct err          err;

    if (!json_read(bytes_of_text(text), 1 << 16, &entry, &err))
        fail_msg("%s", err.text);
    return entry;
}

static char ls[] = "/bin/ls", tmp[] = "/tmp", kcore[] = "/proc/kcore", cpu[] = "/sys/devices/system/cpu/cpu0/thermal_throttle";
static char *const masked[] = { ls, kcore, cpu };
static char *const fixed[]  = { tmp };

static bool holds(struct json_object *linux_part, const char *name, const char *path)
{
    struct json_object *list = json_object_object_get(linux_part, name);
    size_t              n    = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++)
        n += strcmp(json_object_get_string(json_object_array_get_idx(list, i)), path) == 0;
    assert_in_range(n, 0, 1); /* never twice */
    return n == 1;
}

static void the_guests_list_is_there_whatever_is_asked(void **state)
{
    AUTO(json) struct json_object *none = json_object_new_object(), *all = json_object_new_object(), *entry = read_entry("{\"a\":[\"/etc/x\",\"/proc/kcore\"],\"b\":[\"/etc/y\"]}");
    const struct hidden_paths      asked = { masked, 3, fixed, 1 };

    (void) state;
    hidden_paths_add(none, NULL, NULL, NULL);
    assert_true(holds(none, "maskedPaths", kcore) && holds(none, "maskedPaths", "/sys/firmware") && holds(none, "readonlyPaths", "/proc/sys"));
    assert_false(holds(none, "maskedPaths", ls));
    hidden_paths_add(all, json_object_object_get(entry, "a"), json_object_object_get(entry, "b"), &asked);
    assert_true(holds(all, "maskedPaths", kcore) && holds(all, "maskedPaths", "/sys/firmware") && holds(all, "maskedPaths", ls));
    assert_true(holds(all, "maskedPaths", "/etc/x") && holds(all, "maskedPaths", cpu) && holds(all, "readonlyPaths", "/proc/sys"));
    assert_true(holds(all, "readonlyPaths", "/etc/y") && holds(all, "readonlyPaths", tmp));
}

static void the_host_hides_of_the_image_what_the_entry_lists(void **state)
{
    AUTO(json) struct json_object *empty = read_entry("{}"), *first = read_entry("{\"masked_paths\":[\"/bin/ls\"]}"),
                                  *both = read_entry("{\"masked_paths\":[\"/bin/ls\"],\"readonly_paths\":[\"/tmp\"]}"), *crossed = read_entry("{\"masked_paths\":[\"/bin/ls\",\"/tmp\"]}");
    const struct hidden_paths      asked = { masked, 3, fixed, 1 }, kernels = { masked + 1, 2, NULL, 0 };
    const char                    *path  = "";

    (void) state;
    assert_null(hidden_paths_difference(empty, &kernels, &path));
    assert_string_equal(hidden_paths_difference(empty, &asked, &path), "masked path");
    assert_string_equal(path, ls);
    assert_string_equal(hidden_paths_difference(first, &asked, &path), "read-only path");
    assert_string_equal(path, tmp);
    assert_string_equal(hidden_paths_difference(crossed, &asked, &path), "read-only path");
    assert_null(hidden_paths_difference(both, &asked, &path));
}

static void what_leads_out_of_proc_is_not_the_kernels(void **state)
{
    static const char *const theirs[] = { "/proc/self", "/proc/self/root/etc/shadow", "/proc/thread-self/cwd", "/proc/1/root/etc", "/proc/12", "/proc", "/sys", "/etc/proc/x", "/procx/y" };

    (void) state;
    assert_true(hidden_path_is_kernels("/proc/selfish"));
    assert_true(hidden_path_is_kernels("/proc/interrupts"));
    assert_true(hidden_path_is_kernels("/sys/firmware"));
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        assert_false(hidden_path_is_kernels(theirs[i]));
}

static void refuses(const char *entry_text, enum err_kind kind, const char *why)
{
    AUTO(json) struct json_object *entry = read_entry(entry_text);
    struct err                     err;

    assert_false(hidden_paths_check_entry(entry, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, why);
}

static void paths_have_one_form(void **state)
{
    static const char *const bad[] = { "", "/", "a", "/a/", "/a//b", "/a/../b", "/./a" };
    char                    *many[HIDDEN_PATHS_MAX + 1];
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *const               one[] = { (char *) (uintptr_t) bad[i] }; /* only read */
        const struct hidden_paths a = { one, 1, NULL, 0 }, b = { NULL, 0, one, 1 };

        assert_false(hidden_paths_check(&a, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_non_null(strstr(err.text, "masked path: path "));
        assert_false(hidden_paths_check(&b, &err));
        assert_non_null(strstr(err.text, "read-only path: path "));
    }
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = ls;
    assert_true(hidden_paths_check(&(struct hidden_paths){ many, HIDDEN_PATHS_MAX, NULL, 0 }, &err));
    assert_false(hidden_paths_check(&(struct hidden_paths){ many, HIDDEN_PATHS_MAX + 1, NULL, 0 }, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    refuses("{\"masked_paths\":\"/a\"}", ERR_MALFORMED, "\"masked_paths\": array wanted, found string");
    refuses("{\"masked_paths\":[1]}", ERR_MALFORMED, "masked_paths: entry 0 is not a string");
    refuses("{\"readonly_paths\":[\"/a\",\"b\"]}", ERR_MALFORMED,
            "readonly_paths: entry 1: path b: wanted an absolute path below / without empty, . and .. components");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guests_list_is_there_whatever_is_asked),
        cmocka_unit_test(the_host_hides_of_the_image_what_the_entry_lists),
        cmocka_unit_test(what_leads_out_of_proc_is_not_the_kernels),
        cmocka_unit_test(paths_have_one_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
