#include "guest/init/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/dm-ioctl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { X32_BIT = 0x40000000 };

static const int allowed[] = {
    /* descriptors that it has, and what of its own it may wait for */
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_close, SYS_fcntl, SYS_dup, SYS_lseek, SYS_fstat, SYS_newfstatat,
    SYS_poll, SYS_ppoll, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_wait, SYS_epoll_pwait, SYS_eventfd2, SYS_pipe2,
    SYS_timerfd_create, SYS_timerfd_settime,
    /* sockets, once there is one: see below */
    SYS_socketpair, SYS_connect, SYS_accept4, SYS_bind, SYS_listen, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
    SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_shutdown,
    /* memory, signals, threads, who and when it is */
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack,
    SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_sched_yield, SYS_sched_getaffinity, SYS_gettid, SYS_getpid, SYS_getuid, SYS_geteuid,
    SYS_getgid, SYS_getegid, SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep, SYS_pause, SYS_gettimeofday, SYS_time, SYS_getrandom, SYS_uname,
    SYS_sysinfo, SYS_restart_syscall, SYS_exit, SYS_exit_group,
};

/* Calls that are allowed when these bits of an argument have this value. */
static const struct condition { int call; unsigned argument; uint32_t mask, value; } conditions[] = {
    { SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0 }, /* resolv.conf; what its user may read */
    { SYS_mmap, 2, PROT_EXEC, 0 },
    { SYS_mprotect, 2, PROT_EXEC, 0 },
    { SYS_clone, 0, CLONE_THREAD, CLONE_THREAD }, /* libcurl looks up names in a thread */
    { SYS_socket, 0, UINT32_MAX, AF_UNIX },
    { SYS_socket, 0, UINT32_MAX, AF_INET },
    { SYS_socket, 0, UINT32_MAX, AF_INET6 },
    { SYS_socket, 0, UINT32_MAX, AF_NETLINK }, /* to ask whose a connection is, and for one's addresses */
};

static const int disks_allowed[] = {
    /* disks, and the file systems on them */
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_close, SYS_fcntl, SYS_lseek, SYS_fstat, SYS_newfstatat,
    SYS_getdents64, SYS_fadvise64, SYS_fsync, SYS_syncfs, SYS_access, SYS_faccessat, SYS_readlink, SYS_readlinkat, SYS_mkdir, SYS_rmdir,
    SYS_getxattr, SYS_fgetxattr, SYS_lgetxattr, SYS_listxattr, SYS_flistxattr, SYS_llistxattr, SYS_fsetxattr,
    /* its socket, and what it waits for */
    SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_shutdown, SYS_setsockopt, SYS_poll, SYS_ppoll, SYS_epoll_create1, SYS_epoll_ctl,
    SYS_epoll_wait, SYS_epoll_pwait, SYS_eventfd2, SYS_timerfd_create, SYS_timerfd_settime,
    /* memory, signals, who and when it is */
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_futex,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_gettid, SYS_getpid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_clock_gettime,
    SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_time, SYS_getrandom, SYS_uname, SYS_sysinfo, SYS_restart_syscall, SYS_exit,
    SYS_exit_group,
};

enum { MOUNT_CHANGES = MS_REMOUNT | MS_BIND | MS_MOVE | MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED };

static const struct condition disks_conditions[] = {
    { SYS_openat, 2, O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY), 0 },
    { SYS_mmap, 2, PROT_EXEC, 0 },
    { SYS_mprotect, 2, PROT_EXEC, 0 },
    { SYS_mount, 3, MOUNT_CHANGES | MS_NOSUID | MS_NODEV, MS_NOSUID | MS_NODEV },
    { SYS_umount2, 1, UINT32_MAX, MNT_DETACH },
    { SYS_ioctl, 1, UINT32_MAX, DM_DEV_CREATE },
    { SYS_ioctl, 1, UINT32_MAX, DM_DEV_REMOVE },
    { SYS_ioctl, 1, UINT32_MAX, DM_DEV_RENAME },
    { SYS_ioctl, 1, UINT32_MAX, DM_DEV_SUSPEND },
    { SYS_ioctl, 1, UINT32_MAX, DM_TABLE_LOAD },
    { SYS_ioctl, 1, UINT32_MAX, DM_TABLE_CLEAR },
    { SYS_ioctl, 1, UINT32_MAX, BLKGETSIZE64 },
    { SYS_ioctl, 1, UINT32_MAX, BLKFLSBUF },
};

struct table {
    const int              *allowed;
    size_t                  n_allowed;
    const struct condition *conditions;
    size_t                  n_conditions;
};

enum { PER_CONDITION = 6, ROWS_MAX = 96, CONDITIONS_MAX = 16, FILTER_MAX = 16 + 2 * ROWS_MAX + PER_CONDITION * CONDITIONS_MAX };

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
_Static_assert(COUNT(allowed) <= ROWS_MAX && COUNT(disks_allowed) <= ROWS_MAX, "they fit into a filter");
_Static_assert(COUNT(conditions) <= CONDITIONS_MAX && COUNT(disks_conditions) <= CONDITIONS_MAX, "these too");

static const struct table of_helpers = { allowed, COUNT(allowed), conditions, COUNT(conditions) };
static const struct table of_disks   = { disks_allowed, COUNT(disks_allowed), disks_conditions, COUNT(disks_conditions) };

struct filter {
    struct sock_filter at[FILTER_MAX];
    unsigned short     n;
};

static void add(struct filter *f, struct sock_filter row)
{
    f->at[f->n++] = row;
}

static void load(struct filter *f, size_t offset)
{
    add(f, (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t) offset));
}

/* What follows is passed over unless the word is `value`. */
static void unless_equal_skip(struct filter *f, uint32_t value, uint8_t n)
{
    add(f, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n));
}

static void decide(struct filter *f, uint32_t action)
{
    add(f, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, action));
}

/* Low halves of arguments are what the kernel takes of them, all being of 32 bits. */
static void add_condition(struct filter *f, const struct condition *c)
{
    load(f, offsetof(struct seccomp_data, nr));
    unless_equal_skip(f, (uint32_t) c->call, PER_CONDITION - 2); /* to the next condition */
    load(f, offsetof(struct seccomp_data, args) + c->argument * sizeof(uint64_t));
    add(f, (struct sock_filter) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, c->mask));
    unless_equal_skip(f, c->value, 1);
    decide(f, SECCOMP_RET_ALLOW);
}

static void compose(const struct table *table, struct filter *f)
{
    load(f, offsetof(struct seccomp_data, arch));
    add(f, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
    decide(f, SECCOMP_RET_KILL_PROCESS);
    load(f, offsetof(struct seccomp_data, nr));
    add(f, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
    decide(f, SECCOMP_RET_KILL_PROCESS);
    for (size_t i = 0; i < table->n_allowed; i++) {
        unless_equal_skip(f, (uint32_t) table->allowed[i], 1);
        decide(f, SECCOMP_RET_ALLOW);
    }
    unless_equal_skip(f, SYS_clone3, 1); /* its flags are out of sight: libraries fall back to clone */
    decide(f, SECCOMP_RET_ERRNO | ENOSYS);
    for (size_t i = 0; i < table->n_conditions; i++)
        add_condition(f, &table->conditions[i]);
    decide(f, SECCOMP_RET_ERRNO | EPERM);
}

static FALLIBLE confine(const struct table *table, struct err *err)
{
    struct filter     filter = { .n = 0 };
    struct sock_fprog program;

    compose(table, &filter);
    program = (struct sock_fprog){ filter.n, filter.at };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return err_os(err, "system calls");
    return true;
}

FALLIBLE calls_confine(struct err *err)
{
    return confine(&of_helpers, err);
}

FALLIBLE calls_confine_disks(struct err *err)
{
    return confine(&of_disks, err);
}
