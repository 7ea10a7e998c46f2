#include "tests/harness/test.h"

#include "base/file.h"
#include "guest/container/cgroup.h"

/* A folder plays the kernel's: the same files, the same texts. */
static const struct { const char *name, *text; } files[] = {
    { "memory.current", "5242880\n" },
    { "memory.max", "max\n" },
    { "memory.stat", "anon 1\ninactive_file_x 7\ninactive_file 4096\n" },
    { "memory.events", "low 0\noom 3\noom_kill 2\n" },
    { "cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\n" },
    { "pids.current", "4\n" },
    { "pids.max", "4096\n" },
    { "cpu.max", "max 100000\n" },
};

static int open_group(void **state)
{
    char      *folder = NULL;
    struct err err;

    assert_true(directory_make_temporary("group", &folder, &err));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        AUTO(text) char *path = NULL;

        assert_true(asprintf(&path, "%s/%s", folder, files[i].name) > 0);
        assert_true(file_write(path, bytes_of_text(files[i].text), 0644, &err));
    }
    *state = folder;
    return 0;
}

static int close_group(void **state)
{
    struct err err;

    assert_true(directory_remove(*state, &err));
    free(*state);
    return 0;
}

static void reads_what_the_kernel_counts(void **state)
{
    struct cgroup_stats s;
    struct err          err;

    assert_true(cgroup_stats_read(*state, &s, &err));
    assert_int_equal(s.memory_bytes, 5242880);
    assert_int_equal(s.memory_limit_bytes, 0);
    assert_int_equal(s.memory_inactive_file_bytes, 4096);
    assert_int_equal(s.out_of_memory_kills, 2);
    assert_int_equal(s.cpu_usage_us, 30);
    assert_int_equal(s.cpu_user_us, 20);
    assert_int_equal(s.cpu_system_us, 10);
    assert_int_equal(s.processes, 4);
    assert_int_equal(s.processes_limit, 4096);
    assert_false(cgroup_stats_read("/nonexistent", &s, &err));
    assert_int_equal(err.kind, ERR_OS);
}

static void expect_file(const char *folder, const char *name, const char *wanted)
{
    AUTO(text) char           *path = NULL;
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    assert_true(file_read(path, 100, &text, &err));
    assert_memory_equal(buffer_text(&text), wanted, strlen(wanted));
}

static void writes_limits_in_the_kernels_words(void **state)
{
    struct err err;

    assert_true(cgroup_limits_write(*state, &(struct cgroup_limits){ 64 << 20, 50000, 100000 }, &err));
    expect_file(*state, "memory.max", "67108864");
    expect_file(*state, "cpu.max", "50000 100000");
    assert_true(cgroup_limits_write(*state, &(struct cgroup_limits){ 0 }, &err));
    expect_file(*state, "memory.max", "max");
    expect_file(*state, "cpu.max", "max");
}

static void refuses_limits_under_which_nothing_runs(void **state)
{
    static const struct { struct cgroup_limits limits; const char *text; } rows[] = {
        { { 4096, 0, 0 }, "memory limit: under 1048576 bytes nothing runs" },
        { { 0, 1000, 0 }, "CPU limit: quota and period go together" },
        { { 0, 0, 1000 }, "CPU limit: quota and period go together" },
        { { 0, 1000, 999 }, "CPU limit: periods are 1000 to 1000000 microseconds, quotas at least 1000" },
        { { 0, 999, 1000 }, "CPU limit: periods are 1000 to 1000000 microseconds, quotas at least 1000" },
        { { 0, 1000, 1000001 }, "CPU limit: periods are 1000 to 1000000 microseconds, quotas at least 1000" },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(cgroup_limits_check(&rows[i].limits, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_string_equal(err.text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_the_kernel_counts, open_group, close_group),
        cmocka_unit_test_setup_teardown(writes_limits_in_the_kernels_words, open_group, close_group),
        cmocka_unit_test(refuses_limits_under_which_nothing_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
