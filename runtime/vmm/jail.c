#include "runtime/vmm/jail.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"

enum { DESCRIPTORS_MAX = 64, CAPABILITIES = 64 };

DEFINE_AUTO(filter, scmp_filter_ctx, seccomp_release)

static FALLIBLE drop_rights(pid_t parent, struct err *err)
{
    struct __user_cap_header_struct header  = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct   none[2] = { { 0 } };
    const struct rlimit             no_core = { 0, 0 }, few = { DESCRIPTORS_MAX, DESCRIPTORS_MAX };

    for (unsigned long c = 0; c < CAPABILITIES; c++)
        if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EINVAL && errno != EPERM) /* no such one; not ours to drop */
            return err_os(err, "capabilities");
    if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(JAIL_USER) < 0 || setuid(JAIL_USER) < 0))
        return err_os(err, "become nobody");
    if (syscall(SYS_capset, &header, none) < 0)
        return err_os(err, "capabilities");
    if (setrlimit(RLIMIT_CORE, &no_core) < 0 || setrlimit(RLIMIT_NOFILE, &few) < 0)
        return err_os(err, "limits");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_os(err, "no new privileges");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) /* after the change of user, which forgets it */
        return err_os(err, "end with the parent");
    return getppid() == parent || fail_with(err, ERR_OS, "the parent has ended");
}

static bool is_kept(const struct jail *jail, unsigned fd)
{
    for (size_t i = 0; i < jail->n_fds; i++)
        if (jail->fds[i] == (int) fd)
            return true;
    return false;
}

/* From 3 up, in the gaps between those that stay. */
static FALLIBLE close_others(const struct jail *jail, struct err *err)
{
    unsigned highest = STDERR_FILENO;

    for (size_t i = 0; i < jail->n_fds; i++)
        if (jail->fds[i] > (int) highest)
            highest = (unsigned) jail->fds[i];
    for (unsigned fd = STDERR_FILENO + 1; fd < highest; fd++)
        if (!is_kept(jail, fd))
            (void) close((int) fd); /* not open is what we want */
    return syscall(SYS_close_range, highest + 1, ~0U, 0) == 0 || err_os(err, "close descriptors");
}

static FALLIBLE filter_system_calls(const struct jail *jail, struct err *err)
{
    AUTO(filter) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);

    if (!filter)
        return fail_with(err, ERR_OS, "system call filter");
    for (size_t i = 0; i < jail->n_system_calls; i++) {
        int failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, jail->system_calls[i], 0);

        if (failed) {
            errno = -failed;
            return err_os(err, "system call filter");
        }
    }
    int failed = seccomp_load(filter);

    errno = -failed;
    return failed == 0 || err_os(err, "system call filter");
}

FALLIBLE jail_enter(const struct jail *jail, struct err *err)
{
    return (close_others(jail, err) && drop_rights(jail->parent, err) && filter_system_calls(jail, err)) || context(err, "jail");
}
