#include "guest/container/seccomp.h"

#include <errno.h>
#include <sys/socket.h>

/* x86-64 names; libseccomp passes over those that it does not know yet. */
static const char *const allowed[] = {
    "accept", "accept4", "access", "alarm", "arch_prctl", "bind", "brk", "capget", "capset", "chdir", "chmod", "chown",
    "clock_getres", "clock_gettime", "clock_nanosleep", "close", "close_range", "connect", "copy_file_range", "creat",
    "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group",
    "faccessat", "faccessat2", "fadvise64", "fallocate", "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchmodat2",
    "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr",
    "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "futex", "futex_requeue", "futex_wait", "futex_waitv",
    "futex_wake", "futimesat", "getcpu", "getcwd", "getdents", "getdents64", "getegid", "geteuid", "getgid",
    "getgroups", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom",
    "getresgid", "getresuid", "getrlimit", "get_robust_list", "getrusage", "getsid", "getsockname", "getsockopt",
    "get_thread_area", "gettid", "gettimeofday", "getuid", "getxattr", "inotify_add_watch", "inotify_init",
    "inotify_init1", "inotify_rm_watch", "io_cancel", "ioctl", "io_destroy", "io_getevents", "io_pgetevents",
    "ioprio_get", "ioprio_set", "io_setup", "io_submit", "kill", "landlock_add_rule", "landlock_create_ruleset",
    "landlock_restrict_self", "lchown", "lgetxattr", "link", "linkat", "listen", "listxattr", "llistxattr",
    "lremovexattr", "lseek", "lsetxattr", "lstat", "madvise", "membarrier", "memfd_create", "memfd_secret", "mincore",
    "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mprotect", "mq_getsetattr",
    "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "mremap", "mseal", "msgctl", "msgget",
    "msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat",
    "open", "openat", "openat2", "pause", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc",
    "pkey_free", "pkey_mprotect", "poll", "ppoll", "prctl", "pread64", "preadv", "preadv2", "prlimit64", "pselect6",
    "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "recvfrom", "recvmmsg",
    "recvmsg", "remap_file_pages", "removexattr", "rename", "renameat", "renameat2", "restart_syscall", "rmdir",
    "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_tgsigqueueinfo", "sched_getaffinity", "sched_getattr", "sched_getparam",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getscheduler", "sched_rr_get_interval",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "select",
    "semctl", "semget", "semop", "semtimedop", "sendfile", "sendmmsg", "sendmsg", "sendto", "setfsgid", "setfsuid",
    "setgid", "setgroups", "setitimer", "setpgid", "setpriority", "setregid", "setresgid", "setresuid", "setreuid",
    "setrlimit", "set_robust_list", "setsid", "setsockopt", "set_thread_area", "set_tid_address", "setuid",
    "setxattr", "shmat", "shmctl", "shmdt", "shmget", "shutdown", "sigaltstack", "signalfd", "signalfd4",
    "socketpair", "splice", "stat", "statfs", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs",
    "sysinfo", "tee", "tgkill", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
    "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime", "times", "tkill", "truncate", "umask",
    "uname", "unlink", "unlinkat", "utime", "utimensat", "utimes", "vfork", "vmsplice", "wait4", "waitid", "write",
    "writev",
};

/* Address families that reach no further than the guest's own network stack. */
static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

/* CLONE_NEW*: time, cgroup, uts, ipc, user, pid, net and mount namespaces. */
#define CLONE_NEW_ANY 0x7E020080ULL

static const unsigned long long personalities[] = { 0, 8, 0x20000, 0x20008, 0xffffffff };

static struct json_object *rule(const char *const *names, size_t n, const char *action)
{
    struct json_object *out  = json_object_new_object();
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < n; i++)
        json_object_array_add(list, json_object_new_string(names[i]));
    json_add(out, "names", list);
    json_add_text(out, "action", action);
    return out;
}

/* `mask` and `value`: SCMP_CMP_MASKED_EQ compares argument 0 under the mask; with mask 0 it must be the value. */
static struct json_object *rule_on_argument(const char *name, unsigned long long mask, unsigned long long value)
{
    struct json_object *out  = rule(&name, 1, "SCMP_ACT_ALLOW");
    struct json_object *args = json_object_new_array();
    struct json_object *one  = json_object_new_object();

    json_add(one, "index", json_object_new_int(0));
    json_add(one, "value", json_object_new_uint64(mask ? mask : value));
    if (mask)
        json_add(one, "valueTwo", json_object_new_uint64(value));
    json_add_text(one, "op", mask ? "SCMP_CMP_MASKED_EQ" : "SCMP_CMP_EQ");
    json_object_array_add(args, one);
    json_add(out, "args", args);
    return out;
}

/* clone3 keeps its flags where a filter cannot see them: ENOSYS makes libraries fall back to clone. */
static struct json_object *refuse_clone3(void)
{
    static const char *const name = "clone3";
    struct json_object      *out  = rule(&name, 1, "SCMP_ACT_ERRNO");

    json_add(out, "errnoRet", json_object_new_int(ENOSYS));
    return out;
}

struct json_object *seccomp_profile(void)
{
    struct json_object *out           = json_object_new_object();
    struct json_object *architectures = json_object_new_array();
    struct json_object *rules         = json_object_new_array();

    json_object_array_add(architectures, json_object_new_string("SCMP_ARCH_X86_64"));
    json_add_text(out, "defaultAction", "SCMP_ACT_ERRNO");
    json_add(out, "defaultErrnoRet", json_object_new_int(EPERM));
    json_add(out, "architectures", architectures);
    json_object_array_add(rules, rule(allowed, sizeof allowed / sizeof *allowed, "SCMP_ACT_ALLOW"));
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        json_object_array_add(rules, rule_on_argument("socket", 0, (unsigned long long) families[i]));
    for (size_t i = 0; i < sizeof personalities / sizeof *personalities; i++)
        json_object_array_add(rules, rule_on_argument("personality", 0, personalities[i]));
    json_object_array_add(rules, rule_on_argument("clone", CLONE_NEW_ANY, 0));
    json_object_array_add(rules, refuse_clone3());
    json_add(out, "syscalls", rules);
    return out;
}
