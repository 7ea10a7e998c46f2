#include "runtime/vmm/jail.h"
#include "tests/harness/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"

static const int allowed[] = { SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(exit_group) };

struct inmate {
    pid_t pid;
    int   to, from;
    int   its_to, its_from; /* numbers in the child */
};

/* A sanitizer's _exit makes other system calls first, and so does its call of any function that does not return. */
static void leave(int code)
{
    (void) syscall(SYS_exit_group, code);
}

/* Enters, says 'i', and obeys: 'o' opens a file, 'x' leaves with 7. */
static void __attribute__((noreturn)) live(int in, int out, pid_t parent)
{
    const int         fds[] = { in, out };
    const struct jail jail  = { parent, fds, 2, allowed, sizeof allowed / sizeof *allowed };
    struct err        err;
    char              order = 0;

    if (!jail_enter(&jail, &err)) {
        dprintf(STDERR_FILENO, "%s\n", err.text);
        _exit(1);
    }
    if (write(out, "i", 1) != 1 || read(in, &order, 1) != 1)
        leave(2);
    if (order == 'o')
        leave(open("/dev/null", O_RDONLY) >= 0 ? 3 : 4);
    leave(7);
    for (;;) /* not reached: what leaves does not return */
        leave(8);
}

static struct inmate jailed(void)
{
    int           down[2], up[2];
    char          said;
    struct inmate it;

    assert_int_equal(pipe2(down, O_CLOEXEC), 0);
    assert_int_equal(pipe2(up, O_CLOEXEC), 0);
    pid_t parent = getpid();
    it = (struct inmate){ fork(), down[1], up[0], down[0], up[1] };
    assert_true(it.pid >= 0);
    if (it.pid == 0)
        live(down[0], up[1], parent);
    (void) close(down[0]);
    (void) close(up[1]);
    if (read(it.from, &said, 1) != 1)
        fail_msg("the jail was not entered");
    return it;
}

static int end(struct inmate *it, char order)
{
    int status;

    assert_int_equal(write(it->to, &order, 1), 1);
    assert_int_equal(waitpid(it->pid, &status, 0), it->pid);
    (void) close(it->to);
    (void) close(it->from);
    return status;
}

static void proc_file(pid_t pid, const char *name, struct buffer *out)
{
    char       path[64];
    struct err err;

    (void) snprintf(path, sizeof path, "/proc/%d/%s", pid, name); /* fits */
    if (!file_read(path, 1 << 16, out, &err))
        fail_msg("%s", err.text);
}

static void has(struct buffer *text, const char *part)
{
    if (!strstr(buffer_text(text), part))
        fail_msg("wanted \"%s\" in:\n%s", part, buffer_text(text));
}

static void the_kernel_says_that_nothing_is_left(void **state)
{
    AUTO(buffer) struct buffer status = { 0 }, limits = { 0 };
    struct inmate              it = jailed();

    (void) state;
    proc_file(it.pid, "status", &status);
    proc_file(it.pid, "limits", &limits);
    has(&status, "\nSeccomp:\t2\n");
    has(&status, "\nNoNewPrivs:\t1\n");
    has(&status, "\nCapEff:\t0000000000000000\n");
    has(&status, "\nCapPrm:\t0000000000000000\n");
    has(&limits, "Max core file size        0                    0 ");
    has(&limits, "Max open files            64                   64 ");
    if (geteuid() == 0) {
        has(&status, "\nCapBnd:\t0000000000000000\n");
        has(&status, "\nUid:\t65534\t65534\t65534\t65534\n");
        has(&status, "\nGid:\t65534\t65534\t65534\t65534\n");
        has(&status, "\nGroups:\t \n");
    }
    assert_int_equal(WEXITSTATUS(end(&it, 'x')), 7);
}

static void only_the_named_descriptors_stay_open(void **state)
{
    AUTO(fd) int      other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct inmate     it    = jailed();
    char              path[64];
    DIR              *fds;
    size_t            n = 0;

    (void) state;
    assert_true(other >= 0);
    (void) snprintf(path, sizeof path, "/proc/%d/fd", it.pid); /* fits */
    fds = opendir(path);
    for (const struct dirent *e = fds ? readdir(fds) : NULL; e; e = readdir(fds)) {
        int fd = atoi(e->d_name);

        if (e->d_name[0] != '.' && fd > STDERR_FILENO && ++n && fd != it.its_to && fd != it.its_from)
            fail_msg("descriptor %d is open", fd);
    }
    if (fds) { /* root's to look into a process that cannot be dumped */
        (void) closedir(fds);
        assert_true(n == 2 || geteuid() != 0);
    }
    assert_int_equal(WEXITSTATUS(end(&it, 'x')), 7);
}

static void another_system_call_is_the_end(void **state)
{
    struct inmate it     = jailed();
    int           status = end(&it, 'o');

    (void) state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_says_that_nothing_is_left),
        cmocka_unit_test(only_the_named_descriptors_stay_open),
        cmocka_unit_test(another_system_call_is_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
