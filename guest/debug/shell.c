#include "guest/debug/shell.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "base/file.h"

enum { CONSOLES_MAX = 256 };

static const char greeting[] = SHELL_GREETING "a shell of the guest's root; when it ends, the guest does\n";

/* /dev/console itself is no terminal that a shell could control. The last that the kernel names is it. */
static FALLIBLE open_terminal(int *out, struct err *err)
{
    AUTO(buffer) struct buffer names = { 0 };
    char                       path[CONSOLES_MAX + 8];

    if (!file_read("/sys/class/tty/console/active", CONSOLES_MAX, &names, err))
        return false;
    while (names.len > 0 && names.at[names.len - 1] == '\n')
        names.len--;
    const uint8_t *space = names.len ? memrchr(names.at, ' ', names.len) : NULL;
    size_t         begin = space ? (size_t) (space - names.at) + 1 : 0;
    (void) snprintf(path, sizeof path, "/dev/%.*s", (int) (names.len - begin), (const char *) names.at + begin); /* fits */
    *out = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return *out >= 0 || err_os(err, "open %s", path);
}

/* The shell's end is the machine's. */
static const char script[] = "/bin/busybox setsid -c /bin/busybox sh; /bin/busybox sync; /bin/busybox poweroff -f";

/*
 * Another program takes the place of the agent's copy that this is: who looks at the guest's memory sees the agent as it is in any
 * guest. PID 1's signals are blocked for its loop, which is not here.
 */
static void __attribute__((noreturn)) become_shell(int terminal)
{
    static const char *const argv[]        = { "sh", "-c", script, NULL };
    static const char *const environment[] = { "PATH=/bin", "HOME=/", "TERM=linux", "PS1=guest# ", NULL };
    sigset_t                 none;

    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail with these arguments */
    (void) signal(SIGPIPE, SIG_DFL);              /* likewise */
    if (dup2(terminal, 0) >= 0 && dup2(terminal, 1) >= 0 && dup2(terminal, 2) >= 0 && write(1, greeting, sizeof greeting - 1) >= 0)
        (void) execve("/bin/busybox", (char *const *) (uintptr_t) argv, (char *const *) (uintptr_t) environment); /* never written */
    sync();
    (void) reboot(RB_POWER_OFF);
    _exit(1);
}

FALLIBLE shell_start(struct err *err)
{
    AUTO(fd) int terminal = NO_FD;

    if (!open_terminal(&terminal, err))
        return context(err, "shell");
    pid_t pid = fork();
    if (pid < 0)
        return err_os(err, "shell");
    if (pid == 0)
        become_shell(terminal);
    return true;
}
