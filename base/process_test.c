#include <signal.h>

#include "base/file.h"
#include "base/process.h"
#include "tests/harness/test.h"

static void input_goes_in_output_and_exit_code_come_out(void **state)
{
    const char *const          argv[] = { "sh", "-c", "cat; exit 7", NULL };
    AUTO(buffer) struct buffer big = { 0 }, out = { 0 };
    int                        code = 0;
    struct err                 err;

    (void) state;
    memset(buffer_grow(&big, 300000), 'x', 300000); /* more than a pipe holds, both ways at once */
    assert_true(process_run(argv, buffer_bytes(&big), 1 << 20, 10000, &out, &code, &err));
    assert_int_equal(code, 7);
    assert_true(bytes_equal(buffer_bytes(&big), buffer_bytes(&out)));
}

static void output_and_time_are_limited(void **state)
{
    const char *const          endless[] = { "yes", NULL }, *const sleeper[] = { "sleep", "60", NULL };
    AUTO(buffer) struct buffer out = { 0 };
    int                        code;
    struct err                 err;

    (void) state;
    assert_false(process_run(endless, (struct bytes){ 0 }, 100000, 10000, &out, &code, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(process_run(sleeper, (struct bytes){ 0 }, 10, 100, &out, &code, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
}

static void a_missing_program_is_named(void **state)
{
    const char *const        argv[]  = { "no-such-program-here", NULL };
    struct process_options   options = { .argv = argv };
    struct process           p       = NO_PROCESS;
    struct err               err;

    (void) state;
    assert_false(process_start(&options, &p, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "no-such-program-here: no such program in PATH");
    assert_int_equal(p.pid, 0);
}

static void only_the_named_descriptors_are_open_in_the_child(void **state)
{
    const char *const          argv[] = { "sh", "-c", "cd /proc/self/fd; echo *; cat <&7", NULL };
    AUTO(fd) int               seven = NO_FD, result = NO_FD, stray = NO_FD;
    AUTO(buffer) struct buffer out = { 0 };
    struct process             p = NO_PROCESS;
    int                        status, ends[2];
    struct err                 err;

    (void) state;
    assert_true(memory_file("seven", bytes_of_text("passed"), &seven, &err));
    assert_return_code(stray = dup(seven), 0); /* without close-on-exec */
    assert_return_code(pipe(ends), 0);
    result = ends[0];
    struct process_fd      fds[]   = { { ends[1], 1 }, { seven, 7 } };
    struct process_options options = { .argv = argv, .fds = fds, .n_fds = 2 };

    assert_true(process_start(&options, &p, &err));
    assert_return_code(close(ends[1]), 0);
    assert_true(file_read_fd(result, 4096, &out, &err));
    assert_true(process_wait(&p, 10000, &status, &err));
    assert_string_equal(buffer_text(&out), "0 1 2 3 7\npassed"); /* 3 is the shell's own, on the folder it lists */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_goes_in_output_and_exit_code_come_out),
        cmocka_unit_test(output_and_time_are_limited),
        cmocka_unit_test(a_missing_program_is_named),
        cmocka_unit_test(only_the_named_descriptors_are_open_in_the_child),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
