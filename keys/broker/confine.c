#include "keys/broker/confine.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/auto.h"

#define ALLOWED(X)                                                                                                      \
    /* memory */                                                                                                        \
    X(brk) X(mmap) X(munmap) X(mremap) X(madvise) X(mlock) X(munlock)                                                   \
    /* files: the store, its journals, and what a reload reads */                                                       \
    X(access) X(close) X(faccessat) X(faccessat2) X(fchmod) X(fchown) X(fcntl) X(fdatasync) X(fstat) X(fsync)           \
    X(flock) X(ftruncate) X(getcwd) X(getdents64) X(ioctl) X(lseek) X(lstat) X(newfstatat) X(open) X(openat) X(pread64)          \
    X(preadv) X(pwrite64) X(pwritev) X(read) X(readlink) X(readlinkat) X(readv) X(rename) X(stat) X(statfs)             \
    X(fstatfs) X(statx) X(umask) X(unlink) X(unlinkat) X(write) X(writev)                                               \
    /* sockets: peers, and the servers of databases, key stores, collateral */                                          \
    X(accept) X(accept4) X(bind) X(connect) X(getpeername) X(getsockname) X(getsockopt) X(listen) X(recvfrom)           \
    X(recvmmsg) X(recvmsg) X(sendfile) X(sendmmsg) X(sendmsg) X(sendto) X(setsockopt) X(shutdown) X(socket) X(socketpair)\
    /* waiting */                                                                                                       \
    X(clock_nanosleep) X(epoll_create1) X(epoll_ctl) X(epoll_pwait) X(epoll_wait) X(eventfd2) X(futex) X(nanosleep)     \
    X(pipe2) X(poll) X(ppoll) X(pselect6) X(restart_syscall) X(select) X(signalfd4) X(timerfd_create)                   \
    X(timerfd_gettime) X(timerfd_settime)                                                                               \
    /* threads; clone below */                                                                                          \
    X(rseq) X(set_robust_list)                                                                                          \
    /* time, chance, self */                                                                                            \
    X(clock_getres) X(clock_gettime) X(exit) X(exit_group) X(getegid) X(geteuid) X(getgid) X(getpid) X(getppid)         \
    X(getrandom) X(getrlimit) X(getrusage) X(gettid) X(gettimeofday) X(getuid) X(prlimit64) X(rt_sigaction)             \
    X(rt_sigprocmask) X(rt_sigreturn) X(sched_getaffinity) X(sched_yield) X(sigaltstack) X(sysinfo) X(tgkill) X(time)   \
    X(uname)

/* What our own code and our libraries never do: an attempt is not ours. */
#define DEADLY(X)                                                                                                       \
    X(execve) X(execveat) X(fork) X(vfork) X(process_vm_readv) X(process_vm_writev) X(init_module) X(finit_module)      \
    X(kexec_load) X(mount) X(pivot_root) X(setns) X(unshare) X(bpf) X(userfaultfd) X(keyctl) X(open_by_handle_at)

/* A sanitized build looks for leaks at its end, with a thread that stops the others. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZER(X) X(clone) X(ptrace) X(wait4) X(prctl) X(mprotect) X(kill) X(arch_prctl) X(tkill) X(getdents)
#endif
#endif
#ifndef SANITIZER
#define SANITIZER(X) X(mprotect) /* OpenSSL's secure heap guards its pages */
#endif

DEFINE_AUTO(filter, scmp_filter_ctx, seccomp_release)

FALLIBLE confine(struct err *err)
{
#define NUMBER(name) SCMP_SYS(name),
    static const int allowed[] = { ALLOWED(NUMBER) SANITIZER(NUMBER) };
    static const int deadly[]  = { DEADLY(NUMBER) };
#undef NUMBER
    AUTO(filter) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int                          code   = filter ? 0 : -ENOMEM;

    for (size_t i = 0; code == 0 && i < sizeof allowed / sizeof *allowed; i++)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    if (code == 0) /* threads, and no processes */
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    if (code == 0) /* its flags are out of a filter's sight: libc then takes clone */
        code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    for (size_t i = 0; code == 0 && i < sizeof deadly / sizeof *deadly; i++)
        code = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    if (code == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        code = -errno;
    if (code == 0)
        code = seccomp_load(filter);
    if (code != 0) {
        errno = -code;
        return err_os(err, "confine the broker");
    }
    return true;
}
