#include "tests/harness/test.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest/init/reaper.h"

struct seen {
    struct loop *loop;
    unsigned     n, wanted;
    int          codes[4];
};

static void on_ended(void *owner, pid_t pid, int status)
{
    struct seen *seen = owner;

    assert_true(pid > 0 && WIFEXITED(status));
    seen->codes[seen->n++] = WEXITSTATUS(status);
    if (seen->n == seen->wanted)
        loop_stop(seen->loop);
}

static pid_t child(int code)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(code);
    assert_true(pid > 0);
    return pid;
}

static void tells_of_each_child_once(void **state)
{
    AUTO(loop) struct loop     *loop   = NULL;
    AUTO(reaper) struct reaper *reaper = NULL;
    struct seen                 seen   = { .wanted = 2 };
    struct err                  err;

    (void) state;
    assert_true(loop_new(&loop, &err));
    seen.loop = loop;
    assert_true(reaper_new(loop, &reaper, &err));
    assert_true(reaper_watch(reaper, child(3), on_ended, &seen, &err));
    assert_true(reaper_watch(reaper, child(4), on_ended, &seen, &err));
    assert_true(loop_run(loop, &err));
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.codes[0] + seen.codes[1], 7);
}

static void remembers_one_that_ended_before_it_was_asked_for(void **state)
{
    AUTO(loop) struct loop     *loop   = NULL;
    AUTO(reaper) struct reaper *reaper = NULL;
    struct seen                 seen   = { .wanted = 1 }, late = { .wanted = 2 };
    struct err                  err;

    (void) state;
    assert_true(loop_new(&loop, &err));
    seen.loop = late.loop = loop;
    assert_true(reaper_new(loop, &reaper, &err));
    pid_t early = child(5);
    assert_int_equal(waitid(P_PID, (id_t) early, NULL, WEXITED | WNOWAIT), 0);
    assert_true(reaper_watch(reaper, child(6), on_ended, &seen, &err));
    assert_true(loop_run(loop, &err));
    assert_int_equal(seen.codes[0], 6);
    assert_true(reaper_watch(reaper, early, on_ended, &late, &err));
    assert_int_equal(late.n, 1);
    assert_int_equal(late.codes[0], 5);
}

/* A child with this number; -1 where one may not choose. */
static pid_t child_named(pid_t pid)
{
    struct clone_args args  = { .exit_signal = SIGCHLD, .set_tid = (uint64_t) (uintptr_t) &pid, .set_tid_size = 1 };
    pid_t             child = (pid_t) syscall(SYS_clone3, &args, sizeof args);

    if (child == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
        (void) alarm(60);                        /* likewise */
        for (;;)
            (void) pause();
    }
    return child;
}

static void takes_no_one_for_another_of_its_number(void **state)
{
    AUTO(loop) struct loop     *loop   = NULL;
    AUTO(reaper) struct reaper *reaper = NULL;
    struct seen                 seen   = { .wanted = 1 }, late = { .wanted = 1 };
    int                         status;
    struct err                  err;

    (void) state;
    assert_true(loop_new(&loop, &err));
    seen.loop = late.loop = loop;
    assert_true(reaper_new(loop, &reaper, &err));
    pid_t early = child(5);
    assert_int_equal(waitid(P_PID, (id_t) early, NULL, WEXITED | WNOWAIT), 0);
    assert_true(reaper_watch(reaper, child(6), on_ended, &seen, &err));
    assert_true(loop_run(loop, &err));
    pid_t later = child_named(early);
    if (later < 0)
        skip(); /* its number is taken, or one has to be root */
    assert_int_equal(later, early);
    assert_true(reaper_watch(reaper, later, on_ended, &late, &err));
    assert_int_equal(late.n, 0);
    assert_int_equal(kill(later, SIGKILL), 0);
    assert_int_equal(waitpid(later, &status, 0), later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_of_each_child_once),
        cmocka_unit_test(remembers_one_that_ended_before_it_was_asked_for),
        cmocka_unit_test(takes_no_one_for_another_of_its_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
