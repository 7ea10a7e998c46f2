#include "tests/harness/test.h"

#include <signal.h>
#include <sys/wait.h>

#include "runtime/shim/record.h"

static const char text[] = "{\"shim\":{\"pid\":10,\"start\":20},\"vmm\":{\"pid\":30,\"start\":40},\"platform\":{\"pid\":0,\"start\":0},"
                           "\"network\":\"/run/netns/a\"}";

static void reads_what_it_writes(void **state)
{
    struct record              wanted = { { 10, 20 }, { 30, 40 }, { 0, 0 }, "/run/netns/a" }, read = { 0 };
    AUTO(buffer) struct buffer wire   = { 0 };
    struct err                 err;

    (void) state;
    record_write(&wanted, &wire);
    assert_string_equal(buffer_text(&wire), text);
    assert_true(record_read(buffer_bytes(&wire), &read, &err));
    assert_int_equal(read.vmm.pid, 30);
    assert_int_equal(read.vmm.start, 40);
    assert_int_equal(read.shim.pid, 10);
    assert_string_equal(read.network, "/run/netns/a");
}

static void every_truncation_is_refused_and_leaves_out_alone(void **state)
{
    (void) state;
    for (size_t len = 0; len + 1 < sizeof text; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(text, len);
        struct record       read  = { .vmm.pid = 7 };
        struct err          err;

        assert_false(record_read((struct bytes){ exact, len }, &read, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(read.vmm.pid, 7);
    }
}

static void refuses_numbers_that_are_none(void **state)
{
    static const char *const rows[] = {
        "{\"shim\":{\"pid\":-1,\"start\":1},\"vmm\":{\"pid\":0,\"start\":0},\"platform\":{\"pid\":0,\"start\":0}}",
        "{\"shim\":{\"pid\":2147483648,\"start\":1},\"vmm\":{\"pid\":0,\"start\":0},\"platform\":{\"pid\":0,\"start\":0}}",
        "{\"shim\":{\"pid\":\"1\",\"start\":1},\"vmm\":{\"pid\":0,\"start\":0},\"platform\":{\"pid\":0,\"start\":0}}",
        "{\"shim\":7,\"vmm\":{\"pid\":0,\"start\":0},\"platform\":{\"pid\":0,\"start\":0}}",
        "{\"shim\":{\"pid\":1,\"start\":1},\"vmm\":{\"pid\":0,\"start\":0},\"platform\":{\"pid\":0,\"start\":0},\"network\":7}",
        "{\"shim\":{\"pid\":1,\"start\":1},\"vmm\":{\"pid\":0,\"start\":0},\"platform\":{\"pid\":0,\"start\":0}}",
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct record read;
        struct err    err;

        assert_false(record_read(bytes_of_text(rows[i]), &read, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    AUTO(buffer) struct buffer wire = { 0 };
    struct record              read;
    struct err                 err;

    (void) state;
    buffer_printf(&wire, "{\"shim\":{\"pid\":1,\"start\":1},\"vmm\":{\"pid\":0,\"start\":0},\"platform\":{\"pid\":0,\"start\":0},"
                         "\"network\":\"/%0*d\"}", RECORD_NETWORK_MAX - 1, 0);
    assert_false(record_read(buffer_bytes(&wire), &read, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "state: network: over 511 bytes");
}

#define MARKS "{\"shim\":{\"pid\":1,\"start\":1},\"vmm\":{\"pid\":0,\"start\":0},\"platform\":{\"pid\":0,\"start\":0},\"network\":\"\""

static void the_group_of_a_vm_is_kept_with_what_was_made_for_it(void **state)
{
    static const struct { const char *text; enum err_kind kind; } bad[] = {
        { MARKS ",\"cgroup\":1}", ERR_MALFORMED },
        { MARKS ",\"cgroup\":{\"path\":\"/a/../b\",\"hierarchies\":[]}}", ERR_MALFORMED },
        { MARKS ",\"cgroup\":{\"path\":\"/a\"}}", ERR_MALFORMED },
        { MARKS ",\"cgroup\":{\"path\":\"/a\",\"hierarchies\":[1]}}", ERR_MALFORMED },
        { MARKS ",\"cgroup\":{\"path\":\"/a\",\"hierarchies\":[{\"mount\":\"/m\",\"made\":-1}]}}", ERR_MALFORMED },
        { MARKS ",\"cgroup\":{\"path\":\"/a\",\"hierarchies\":[{},{},{},{},{},{},{},{},{}]}}", ERR_LIMIT },
    };
    struct record              record = { .cgroup = { .path = "/kubepods/pod1/abc", .at = { { "/sys/fs/cgroup/memory", 1 }, { "/sys/fs/cgroup/unified", 3 } }, .n = 2 } };
    struct record              read   = { 0 };
    AUTO(buffer) struct buffer wire   = { 0 };
    struct err                 err;

    (void) state;
    record_write(&record, &wire);
    if (!record_read(buffer_bytes(&wire), &read, &err))
        fail_msg("%s", err.text);
    assert_string_equal(read.cgroup.path, "/kubepods/pod1/abc");
    assert_int_equal(read.cgroup.n, 2);
    assert_string_equal(read.cgroup.at[1].mount, "/sys/fs/cgroup/unified");
    assert_int_equal(read.cgroup.at[1].made, 3);
    assert_true(record_read(bytes_of_text(MARKS "}"), &read, &err)); /* of an older shim */
    assert_int_equal(read.cgroup.n, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (record_read(bytes_of_text(bad[i].text), &read, &err))
            fail_msg("read %s", bad[i].text);
        assert_int_equal(err.kind, bad[i].kind);
    }
}

static void a_name_cannot_forge_a_start_time(void **state)
{
    static const char odd[] = "77 (a) R 1 1) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
    static const char dead[] = "77 (a) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
    uint64_t          start = 0;
    struct err        err;

    (void) state;
    assert_true(process_stat_read(bytes_of_text(odd), &start, &err));
    assert_int_equal(start, 4242);
    assert_false(process_stat_read(bytes_of_text(dead), &start, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_false(process_stat_read(bytes_of_text("77 (a) S 1 2"), &start, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static void kills_that_process_and_no_other(void **state)
{
    struct process_mark mark, other;
    struct err          err;
    int                 status;
    pid_t               child = fork();

    (void) state;
    if (child == 0)
        for (;;)
            (void) pause();
    assert_true(process_mark_of(child, &mark, &err));
    other = mark;
    other.start++;
    assert_true(process_mark_lives(&mark));
    assert_false(process_mark_lives(&other));
    assert_false(process_mark_await(&mark, 1));
    assert_true(process_mark_await(&other, -1)); /* a number that was used again: that process is over */
    process_mark_kill(&other);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    process_mark_kill(&mark);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_false(process_mark_lives(&mark));
    process_mark_kill(&(struct process_mark){ 0 });
    process_mark_kill(&(struct process_mark){ 1, 0 }); /* never the first process of a system */
}

static void a_pod_has_one_directory_and_no_other_has_it(void **state)
{
    char       a[RECORD_PATH_MAX], b[RECORD_PATH_MAX], c[RECORD_PATH_MAX], long_root[128];
    struct err err;

    (void) state;
    assert_true(record_directory("/run/cloister", "/c.sock", "k8s.io", "s1", a, &err));
    assert_true(record_directory("/run/cloister", "/c.sock", "k8s.io", "s1", b, &err));
    assert_string_equal(a, b);
    assert_true(record_directory("/run/cloister", "/d.sock", "k8s.io", "s1", b, &err));
    assert_string_not_equal(a, b);
    assert_true(record_directory("/run/cloister", "/c.sock", "moby", "s1", c, &err));
    assert_string_not_equal(a, c);
    memset(long_root, 'a', sizeof long_root - 1);
    long_root[sizeof long_root - 1] = 0;
    assert_false(record_directory(long_root, "", "a", "b", a, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(every_truncation_is_refused_and_leaves_out_alone),
        cmocka_unit_test(refuses_numbers_that_are_none),
        cmocka_unit_test(a_path_that_is_too_long_is_refused),
        cmocka_unit_test(the_group_of_a_vm_is_kept_with_what_was_made_for_it),
        cmocka_unit_test(a_name_cannot_forge_a_start_time),
        cmocka_unit_test(kills_that_process_and_no_other),
        cmocka_unit_test(a_pod_has_one_directory_and_no_other_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
