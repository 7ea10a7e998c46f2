#include "tests/harness/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keys/broker/confine.h"

/* A sanitized build's leak checker needs a process of its own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAKES_A_PROCESS
#endif
#endif
#ifndef MAKES_A_PROCESS
#define MAKES_A_PROCESS makes_a_process,
#endif

/* Runs `call` confined in a child; waitpid's status. */
static int confined(int (*call)(void))
{
    pid_t      child = fork();
    int        status;
    struct err err;

    assert_true(child >= 0);
    if (child == 0)
        _exit(confine(&err) ? call() : 99);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int reads_and_writes(void)
{
    char byte;
    int  fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    return fd >= 0 && write(fd, "x", 1) == 1 && read(fd, &byte, 1) == 0 && close(fd) == 0 ? 7 : 1;
}

static int runs_a_program(void)
{
    (void) execl("/bin/true", "true", (char *) NULL); /* comes back only if it fails */
    return 1;
}

static int changes_its_user(void) { return syscall(SYS_setuid, 0) == -1 && errno == EPERM ? 7 : 1; }
static void *ends(void *owner) { return owner; }

static int makes_a_thread(void)
{
    pthread_t thread;
    char      here;
    void     *same = NULL;

    return pthread_create(&thread, NULL, ends, &here) == 0 && pthread_join(thread, &same) == 0 && same == &here ? 7 : 1;
}

__attribute__((unused)) static int makes_a_process(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == -1 && errno == EPERM ? 7 : 1; }
static int makes_a_folder(void) { return syscall(SYS_mkdir, "/tmp/never", 0700) == -1 && errno == EPERM ? 7 : 1; }
static int lifts_it(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 1 : 7; }

static void allows_what_serving_needs(void **state)
{
    int status = confined(reads_and_writes);

    (void) state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    status = confined(makes_a_thread);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void ends_a_process_that_runs_a_program(void **state)
{
    int status = confined(runs_a_program);

    (void) state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void refuses_the_rest(void **state)
{
    int (*const CALLS[])(void) = { changes_its_user, makes_a_folder, MAKES_A_PROCESS lifts_it };

    (void) state;
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        int status = confined(CALLS[i]);

        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allows_what_serving_needs),
        cmocka_unit_test(ends_a_process_that_runs_a_program),
        cmocka_unit_test(refuses_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
