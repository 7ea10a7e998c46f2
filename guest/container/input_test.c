#include "tests/harness/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "guest/container/input.h"

struct rig {
    struct loop *loop;
    struct input input;
    int          reader;
    unsigned     n_done;
    bool         was_good;
    struct err   why;
};

static void on_done(void *owner, const struct err *why)
{
    struct rig *rig = owner;

    rig->n_done++;
    rig->was_good = why == NULL;
    if (why)
        rig->why = *why;
    loop_stop(rig->loop);
}

static void open_rig(struct rig *rig)
{
    int        fds[2];
    struct err err;

    *rig = (struct rig){ 0 };
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_true(loop_new(&rig->loop, &err));
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    rig->reader = fds[0];
    assert_true(input_open(&rig->input, rig->loop, fds[1], &err));
}

static void close_rig(struct rig *rig)
{
    input_close(&rig->input);
    loop_free(rig->loop);
    auto_fd(&rig->reader);
}

static void what_fits_is_written_at_once_and_eof_closes(void **state)
{
    struct rig rig;
    char       got[16];
    struct err err;

    (void) state;
    open_rig(&rig);
    assert_true(input_write(&rig.input, bytes_of_text("hello"), true, on_done, &rig, &err));
    assert_int_equal(rig.n_done, 1);
    assert_true(rig.was_good);
    assert_int_equal(read(rig.reader, got, sizeof got), 5);
    assert_int_equal(read(rig.reader, got, sizeof got), 0);
    assert_false(input_write(&rig.input, bytes_of_text("x"), false, on_done, &rig, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "standard input is closed");
    close_rig(&rig);
}

static void what_does_not_fit_waits_for_the_reader(void **state)
{
    AUTO(buffer) struct buffer large = { 0 };
    struct rig                 rig;
    struct err                 err;
    int                        status;

    (void) state;
    open_rig(&rig);
    buffer_grow(&large, 200000);
    assert_true(input_write(&rig.input, buffer_bytes(&large), false, on_done, &rig, &err));
    assert_int_equal(rig.n_done, 0);
    assert_false(input_write(&rig.input, bytes_of_text("x"), false, on_done, &rig, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    pid_t pid = fork();
    if (pid == 0) {
        char   piece[4096];
        size_t n = 0;

        while (n < 200000) {
            ssize_t got = read(rig.reader, piece, sizeof piece);
            n += got > 0 ? (size_t) got : 0;
        }
        _exit(0);
    }
    assert_true(loop_run(rig.loop, &err));
    assert_true(rig.was_good);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close_rig(&rig);
}

static void a_reader_that_is_gone_is_told(void **state)
{
    struct rig rig;
    struct err err;

    (void) state;
    open_rig(&rig);
    auto_fd(&rig.reader);
    rig.reader = NO_FD;
    assert_true(input_write(&rig.input, bytes_of_text("x"), false, on_done, &rig, &err));
    assert_int_equal(rig.n_done, 1);
    assert_false(rig.was_good);
    assert_string_equal(rig.why.text, "the container does not read its input");
    close_rig(&rig);
}

static void closing_tells_the_write_that_goes_on(void **state)
{
    AUTO(buffer) struct buffer large = { 0 };
    struct rig                 rig;
    struct err                 err;

    (void) state;
    open_rig(&rig);
    buffer_grow(&large, 200000);
    assert_true(input_write(&rig.input, buffer_bytes(&large), false, on_done, &rig, &err));
    input_close(&rig.input);
    assert_int_equal(rig.n_done, 1);
    assert_string_equal(rig.why.text, "the container is gone");
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_written_at_once_and_eof_closes),
        cmocka_unit_test(what_does_not_fit_waits_for_the_reader),
        cmocka_unit_test(a_reader_that_is_gone_is_told),
        cmocka_unit_test(closing_tells_the_write_that_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
