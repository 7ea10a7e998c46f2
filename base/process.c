#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { FDS_MAX = 32 };

/* The full path of `name` by PATH. */
static FALLIBLE find_program(const char *name, char **out, struct err *err)
{
    const char *path = getenv("PATH");

    if (strchr(name, '/')) {
        *out = strdup(name);
        return *out || fail_with(err, ERR_LIMIT, "out of memory");
    }
    for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
        size_t     len   = strcspn(at, ":");
        AUTO(text) char *whole = NULL;

        if (asprintf(&whole, "%.*s/%s", (int) len, at, name) < 0)
            abort();
        if (access(whole, X_OK) == 0) {
            *out = TAKE(whole);
            return true;
        }
        at += len + (at[len] == ':');
    }
    return fail_with(err, ERR_NOT_FOUND, "%s: no such program in PATH", name);
}

/* Moves descriptors to their numbers; first above all targets, so that none is overwritten before its turn. */
static bool place_fds(const struct process_options *o)
{
    int highest = 2;
    int moved[FDS_MAX];

    for (size_t i = 0; i < o->n_fds; i++)
        if (o->fds[i].theirs > highest)
            highest = o->fds[i].theirs;
    for (size_t i = 0; i < o->n_fds; i++)
        if ((moved[i] = fcntl(o->fds[i].ours, F_DUPFD, highest + 1)) < 0)
            return false;
    for (size_t i = 0; i < o->n_fds; i++)
        if (dup2(moved[i], o->fds[i].theirs) < 0)
            return false;
    for (int fd = 3; fd <= highest; fd++) {
        bool is_wanted = false;

        for (size_t i = 0; i < o->n_fds; i++)
            is_wanted |= o->fds[i].theirs == fd;
        if (!is_wanted)
            (void) close(fd); /* not open is what we want */
    }
    return syscall(SYS_close_range, (unsigned) highest + 1, ~0U, 0) == 0;
}

/* What no program that we start needs. The bounding set is root's to empty; others have nothing in it to gain. */
static bool confine(void)
{
    const struct rlimit no_core = { 0, 0 }, descriptors = { CONFINED_FDS_MAX, CONFINED_FDS_MAX };

    for (unsigned long c = 0; c < 64; c++)
        if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EINVAL && errno != EPERM) /* not a capability; not root */
            return false;
    return setrlimit(RLIMIT_CORE, &no_core) == 0 && setrlimit(RLIMIT_NOFILE, &descriptors) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0;
}

/* After fork: only async-signal-safe calls. Tells the parent errno through `report` when it fails. */
static void __attribute__((noreturn)) become(const struct process_options *o, const char *program, pid_t parent,
                                             int report)
{
    sigset_t            none;
    struct process_fd   with_report[FDS_MAX];
    struct process_options all = *o;
    int                 why;

    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail with these arguments */
    for (size_t i = 0; i < o->n_fds; i++)
        with_report[i] = o->fds[i];
    int slot = 3;

    for (size_t i = 0; i < o->n_fds; i++)
        if (o->fds[i].theirs >= slot)
            slot = o->fds[i].theirs + 1;
    with_report[o->n_fds] = (struct process_fd){ report, slot };
    all.fds               = with_report;
    all.n_fds             = o->n_fds + 1;
    if ((o->new_group && setpgid(0, 0) < 0) || (o->directory && chdir(o->directory) < 0) ||
        (o->confined && !confine()) ||
        (o->user && (setgroups(0, NULL) < 0 || setgid(o->group ? o->group : o->user) < 0 || setuid(o->user) < 0)) ||
        (o->dies_with_us && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)) || !place_fds(&all) ||
        fcntl(slot, F_SETFD, FD_CLOEXEC) < 0)
        _exit(127);
    (void) execve(program, (char *const *) o->argv, o->environment ? (char *const *) o->environment : environ);
    why = errno;
    if (write(slot, &why, sizeof why) < 0)
        _exit(126);
    _exit(127);
}

FALLIBLE process_start(const struct process_options *o, struct process *out, struct err *err)
{
    AUTO(text) char *program   = NULL;
    AUTO(fd) int     report_in = NO_FD, report_out = NO_FD;
    int              pipe_fds[2], why = 0;
    pid_t            parent = getpid(), pid;
    struct process   started = NO_PROCESS;

    if (o->n_fds >= FDS_MAX)
        return fail_with(err, ERR_BUG, "start %s: %zu descriptors", o->argv[0], o->n_fds);
    if (!find_program(o->argv[0], &program, err))
        return false;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_os(err, "start %s", o->argv[0]);
    report_in  = pipe_fds[0];
    report_out = pipe_fds[1];
    pid        = fork();
    if (pid < 0)
        return err_os(err, "start %s", o->argv[0]);
    if (pid == 0)
        become(o, program, parent, report_out);
    (void) close(TAKE_FD(report_out)); /* ours; the child holds its own */
    started.pid   = pid;
    started.pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
    if (started.pidfd < 0 || read(report_in, &why, sizeof why) == (ssize_t) sizeof why) {
        errno = why ? why : errno;
        (void) (errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "%s: no such program", program)
                                : err_os(err, "start %s", program)); /* the failure is returned below */
        process_kill(&started);
        return false;
    }
    *out = started;
    return true;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

FALLIBLE process_wait(struct process *p, int timeout_ms, int *status, struct err *err)
{
    int64_t       until = now_ms() + timeout_ms;
    struct pollfd ended = { .fd = p->pidfd, .events = POLLIN };

    for (;;) {
        int64_t left = timeout_ms < 0 ? -1 : until - now_ms();
        int     n    = poll(&ended, 1, left < 0 && timeout_ms >= 0 ? 0 : (int) left);

        if (n > 0)
            break;
        if (n == 0)
            return fail_with(err, ERR_TIMEOUT, "process %d runs on after %d ms", p->pid, timeout_ms);
        if (errno != EINTR)
            return err_os(err, "wait for process %d", p->pid);
    }
    if (waitpid(p->pid, status, 0) < 0)
        return err_os(err, "wait for process %d", p->pid);
    (void) close(p->pidfd); /* only a handle */
    *p = NO_PROCESS;
    return true;
}

int process_exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void process_signal(const struct process *p, int signal_number)
{
    if (p->pid > 0)
        (void) syscall(SYS_pidfd_send_signal, p->pidfd, signal_number, NULL, 0); /* gone already is fine */
}

void process_kill(struct process *p)
{
    if (p->pid <= 0)
        return;
    if (p->pidfd >= 0) {
        process_signal(p, SIGKILL);
        (void) close(p->pidfd); /* only a handle */
    } else {
        (void) kill(p->pid, SIGKILL); /* our own child, not yet reaped: the number is still its own */
    }
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *p = NO_PROCESS;
}

struct exchange {
    struct bytes   input;
    int            to, from; /* non-blocking; closed and NO_FD when done */
    struct buffer *out;
    size_t         most;
};

/* Moves what can be moved now. */
static FALLIBLE exchange_step(struct exchange *x, struct err *err)
{
    uint8_t block[16384];
    ssize_t n;

    if (x->to >= 0) {
        n = x->input.len > 0 ? write(x->to, x->input.at, x->input.len) : 0;
        if (n > 0) {
            x->input.at += n;
            x->input.len -= (size_t) n;
        }
        if (x->input.len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            (void) close(TAKE_FD(x->to)); /* a child that does not read its input decides its own exit code */
    }
    n = read(x->from, block, sizeof block);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR || err_os(err, "read");
    if (n == 0) {
        (void) close(TAKE_FD(x->from)); /* only read from */
        return true;
    }
    if ((size_t) n > x->most)
        return fail_with(err, ERR_LIMIT, "output over its limit");
    x->most -= (size_t) n;
    buffer_append(x->out, (struct bytes){ block, (size_t) n });
    return true;
}

static FALLIBLE exchange_run(struct exchange *x, int64_t until, struct err *err)
{
    while (x->from >= 0) {
        struct pollfd fds[2] = { { .fd = x->from, .events = POLLIN }, { .fd = x->to, .events = POLLOUT } };
        int64_t       left   = until - now_ms();

        if (left <= 0)
            return fail_with(err, ERR_TIMEOUT, "not done in time");
        if (poll(fds, 2, (int) left) < 0 && errno != EINTR)
            return err_os(err, "poll");
        if (!exchange_step(x, err))
            return false;
    }
    return true;
}

FALLIBLE process_run(const char *const *argv, struct bytes input, size_t most, int timeout_ms, struct buffer *out,
                     int *exit_code, struct err *err)
{
    AUTO(process) struct process p     = NO_PROCESS;
    AUTO(fd) int                 in0   = NO_FD, in1 = NO_FD, out0 = NO_FD, out1 = NO_FD;
    int64_t                      until = now_ms() + timeout_ms;
    int                          in[2], output[2], status = 0;

    if (pipe2(in, O_CLOEXEC) < 0)
        return err_os(err, "pipe");
    in0 = in[0];
    in1 = in[1];
    if (pipe2(output, O_CLOEXEC) < 0)
        return err_os(err, "pipe");
    out0 = output[0];
    out1 = output[1];

    struct process_fd      fds[]   = { { in0, 0 }, { out1, 1 } };
    struct process_options options = { .argv = argv, .fds = fds, .n_fds = 2, .dies_with_us = true };

    if (fcntl(in1, F_SETFL, O_NONBLOCK) < 0 || fcntl(out0, F_SETFL, O_NONBLOCK) < 0)
        return err_os(err, "pipe");
    if (!process_start(&options, &p, err))
        return false;
    (void) close(TAKE_FD(in0));  /* the child's ends */
    (void) close(TAKE_FD(out1));

    struct exchange x        = { input, TAKE_FD(in1), TAKE_FD(out0), out, most };
    void (*before)(int)      = signal(SIGPIPE, SIG_IGN);
    bool            was_done = exchange_run(&x, until, err);

    (void) signal(SIGPIPE, before); /* put back what was there */
    auto_fd(&x.to);
    auto_fd(&x.from);
    if (!was_done)
        return context(err, argv[0]);
    int64_t left = until - now_ms();

    if (!process_wait(&p, left > 0 ? (int) left : 0, &status, err))
        return context(err, argv[0]);
    *exit_code = process_exit_code(status);
    return true;
}
