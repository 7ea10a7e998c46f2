#include "guest/init/pod_init.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "guest/init/rights.h"

/*
 * /proc/1/root and /proc/1/cwd of its namespace would lead containers to the guest's own files, if the kernel ever let
 * them follow those. A move, since the first file system of a guest cannot be pivoted.
 */
static FALLIBLE leave_files(struct err *err)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=0555") < 0 || chdir("/proc") < 0 ||
        mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return err_os(err, "leave the guest's files");
    return true;
}

void pod_init_run(void)
{
    static const int none[1] = { -1 };
    struct err       err;

    (void) signal(SIGCHLD, SIG_IGN); /* cannot fail for this signal: from here on the kernel reaps */
    while (waitpid(-1, NULL, WNOHANG) > 0) /* who ended before */
        ;
    rights_close_all_but(none, 0);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        (void) close(fd); /* one that is not open is fine */
    if (!leave_files(&err) || !rights_become_nobody(&err))
        _exit(1);
    for (;;)
        (void) pause(); /* returns for a signal only */
}
