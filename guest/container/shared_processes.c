#include "guest/container/shared_processes.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "guest/init/pod_init.h"

static void on_ended(void *owner, pid_t pid, int status)
{
    struct shared_processes *shared = owner;

    (void) pid;
    (void) status; /* everything in the namespace ended with it: each container tells its own end */
    shared->first = 0;
}

/* As fork, in namespaces of its own: all that could show it something of the guest. */
static pid_t fork_apart(void)
{
    return (pid_t) syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL, NULL);
}

/* A program of its own: a copy of this process would have in its memory what this one has. */
static void __attribute__((noreturn)) become(const char *program, int report)
{
    static const char *const argv[] = { POD_INIT_NAME, NULL }, *const environment[] = { NULL };
    sigset_t                 none;
    int                      why;

    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail with these arguments */
    (void) execve(program, (char *const *) (uintptr_t) argv, (char *const *) (uintptr_t) environment);
    why = errno;
    _exit(write(report, &why, sizeof why) < 0 ? 126 : 127);
}

/* Returns when the child runs its program, or could not. */
static FALLIBLE start(const char *program, pid_t *out, struct err *err)
{
    AUTO(fd) int report_in = NO_FD, report_out = NO_FD;
    int          ends[2], why = 0;
    pid_t        pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_os(err, "shared processes");
    report_in  = ends[0];
    report_out = ends[1];
    pid        = fork_apart();
    if (pid < 0)
        return err_os(err, "shared processes");
    if (pid == 0)
        become(program, report_out);
    (void) close(TAKE_FD(report_out)); /* ours; the child holds its own */
    if (read(report_in, &why, sizeof why) == (ssize_t) sizeof why) {
        errno = why;
        return err_os(err, "shared processes: %s", program); /* the reaper takes what is left of it */
    }
    *out = pid;
    return true;
}

FALLIBLE shared_processes_open(struct shared_processes *shared, struct reaper *reaper, const char *program,
                               char path[static SHARED_PROCESSES_PATH_MAX], struct err *err)
{
    if (shared->first == 0) {
        pid_t pid;

        if (!start(program, &pid, err))
            return false;
        shared->first = pid;
        if (!reaper_watch(reaper, pid, on_ended, shared, err)) {
            shared->first = 0;
            (void) kill(pid, SIGKILL); /* not reaped yet: the number is still its own */
            return context(err, "shared processes");
        }
    }
    if (shared->first == 0)
        return fail_with(err, ERR_OS, "shared processes: their first process ended at once");
    (void) snprintf(path, SHARED_PROCESSES_PATH_MAX, "/proc/%d/ns/pid", shared->first); /* fits */
    return true;
}
