#include "tests/harness/test.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "guest/container/late_signals.h"

/* A process that gets its handler when it is told to, and then ends with 9 by it. */
struct rig {
    struct loop        *loop;
    struct late_signals late;
    pid_t               pid;
    int                 go, ready; /* ends of pipes */
};

static void on_signal(int number)
{
    (void) number;
    _exit(9);
}

static void be_the_process(int go, int ready, void (*handler)(int))
{
    char byte;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing */
    if (write(ready, "r", 1) != 1 || read(go, &byte, 1) != 1 || signal(SIGTERM, handler) == SIG_ERR || write(ready, "r", 1) != 1)
        _exit(1);
    for (;;)
        (void) pause();
}

static struct rig *rig_new(void (*handler)(int))
{
    struct rig *r = calloc(1, sizeof *r);
    int         go[2], ready[2];
    char        byte;
    struct err  err;

    assert_non_null(r);
    assert_true(loop_new(&r->loop, &err));
    assert_int_equal(pipe(go) + pipe(ready), 0);
    r->pid = fork();
    if (r->pid == 0)
        be_the_process(go[0], ready[1], handler);
    (void) close(go[0]);
    (void) close(ready[1]);
    r->go    = go[1];
    r->ready = ready[0];
    assert_int_equal(read(r->ready, &byte, 1), 1);
    late_signals_begin(&r->late, r->loop, r->pid);
    return r;
}

static void auto_rig(struct rig **rig)
{
    struct rig *r = *rig;

    late_signals_end(&r->late);
    (void) kill(r->pid, SIGKILL);
    (void) waitpid(r->pid, NULL, 0);
    (void) close(r->go);
    (void) close(r->ready);
    loop_free(r->loop);
    free(r);
}

static void get_handler(struct rig *r)
{
    char byte;

    assert_int_equal(write(r->go, "g", 1), 1);
    assert_int_equal(read(r->ready, &byte, 1), 1);
}

static void on_look(struct loop_source *source, uint32_t events)
{
    uint64_t n;

    (void) events;
    if (read(source->fd, &n, sizeof n) > 0)
        loop_stop(source->owner);
}

/* Runs the loop until no signal waits any more. */
static void settle(struct rig *r)
{
    struct loop_source look = { .fd = NO_FD, .ready = on_look, .owner = r->loop };
    struct err         err;

    assert_true(loop_timer_fd(5, 5, &look.fd, &err) && loop_add(r->loop, &look, EPOLLIN, &err));
    while (r->late.waiting != 0)
        assert_true(loop_run(r->loop, &err));
    loop_remove(&look);
    auto_fd(&look.fd);
}

/* As the first of a PID namespace it would have survived the signal itself, which is not sent here. */
static void a_signal_before_the_handler_comes_when_it_is_there(void **state)
{
    AUTO(rig) struct rig *r = rig_new(on_signal);
    int                   status;

    (void) state;
    late_signals_keep(&r->late, SIGTERM);
    late_signals_keep(&r->late, SIGTERM);
    assert_int_not_equal(r->late.waiting, 0);
    get_handler(r);
    settle(r);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    assert_int_equal(r->late.timer.fd, NO_FD);
}

static void one_that_is_then_ignored_is_dropped(void **state)
{
    AUTO(rig) struct rig *r = rig_new(SIG_IGN);

    (void) state;
    late_signals_keep(&r->late, SIGTERM);
    get_handler(r);
    settle(r);
    assert_int_equal(kill(r->pid, 0), 0);
}

static void what_was_handled_or_cannot_be_is_not_kept(void **state)
{
    AUTO(rig) struct rig *r = rig_new(on_signal);
    static const int      never[] = { SIGKILL, SIGSTOP, SIGCONT, SIGCHLD, SIGWINCH, 0, 65 };

    (void) state;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        late_signals_keep(&r->late, (uint32_t) never[i]);
        assert_int_equal(r->late.waiting, 0);
    }
    get_handler(r);
    late_signals_keep(&r->late, SIGTERM); /* it has been delivered */
    assert_int_equal(r->late.waiting, 0);
}

static void only_the_first_seconds_count(void **state)
{
    AUTO(rig) struct rig *r = rig_new(on_signal);

    (void) state;
    late_signals_keep(&r->late, SIGTERM);
    r->late.started_ms -= LATE_SIGNALS_MS + 1;
    settle(r);
    late_signals_keep(&r->late, SIGTERM);
    assert_int_equal(r->late.waiting, 0);
    assert_int_equal(r->late.timer.fd, NO_FD);
}

static void reads_what_the_kernel_writes_and_nothing_less(void **state)
{
    static const char text[] = "Name:\ta\\nSigCgt:\tffffffffffffffff\nSigIgn:\t0000000000000001\nSigCgt:\t0000000003807a27\n";
    uint64_t          caught = 0, ignored = 0;

    (void) state;
    assert_true(late_signals_read(bytes_of_text(text), &caught, &ignored));
    assert_int_equal(caught, 0x3807a27);
    assert_int_equal(ignored, 1);
    for (size_t len = 0; len < sizeof text - 2; len++) {
        uint8_t *exact = malloc(len ? len : 1);

        memcpy(exact, text, len);
        assert_false(late_signals_read((struct bytes){ exact, len }, &caught, &ignored));
        free(exact);
    }
    assert_false(late_signals_read(bytes_of_text("\nSigCgt:\t00000000000G0000\nSigIgn:\t0000000000000000\n"), &caught, &ignored));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_before_the_handler_comes_when_it_is_there),
        cmocka_unit_test(one_that_is_then_ignored_is_dropped),
        cmocka_unit_test(what_was_handled_or_cannot_be_is_not_kept),
        cmocka_unit_test(only_the_first_seconds_count),
        cmocka_unit_test(reads_what_the_kernel_writes_and_nothing_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
