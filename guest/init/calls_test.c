#include "tests/harness/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "guest/init/calls.h"

/* Runs `check` in a child that was confined; its exit code 0 is success. */
static void in_child(bool (*check)(void))
{
    struct err err;
    int        status;
    pid_t      pid = fork();

    if (pid == 0)
        _exit(calls_confine(&err) ? !check() : 2);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool is_refused(long result)
{
    return result == -1 && errno == EPERM;
}

static bool makes_no_process_and_runs_no_program(void)
{
    static char *const none[] = { NULL };

    return is_refused(fork()) && is_refused(syscall(SYS_vfork)) && is_refused(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)) &&
           syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS && is_refused(execve("/bin/true", none, none)) &&
           is_refused(syscall(SYS_execveat, -1, "/bin/true", none, none, 0));
}

static bool changes_no_file(void)
{
    return is_refused(open("/dev/null", O_WRONLY | O_CLOEXEC)) && is_refused(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) &&
           is_refused(open("/dev/null", O_RDONLY | O_CREAT | O_CLOEXEC, 0600)) && is_refused(unlink("/tmp/none")) &&
           is_refused(rename("/tmp/none", "/tmp/other")) && is_refused(mkdir("/tmp/none", 0700)) && is_refused(chmod("/tmp", 01777)) &&
           is_refused(symlink("a", "/tmp/none")) && is_refused(syscall(SYS_open, "/dev/null", O_RDONLY));
}

static bool touches_no_other_process(void)
{
    return is_refused(kill(getppid(), 0)) && is_refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)) &&
           is_refused(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0)) && is_refused(syscall(SYS_pidfd_open, getpid(), 0));
}

static bool gets_no_more_of_the_kernel(void)
{
    return is_refused(socket(AF_VSOCK, SOCK_STREAM, 0)) && is_refused(socket(AF_PACKET, SOCK_RAW, 0)) && is_refused(socket(AF_ALG, SOCK_SEQPACKET, 0)) &&
           is_refused(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL)) && is_refused(unshare(CLONE_NEWUSER)) && is_refused(syscall(SYS_bpf, 0, NULL, 0)) &&
           is_refused(syscall(SYS_io_uring_setup, 1, NULL)) && is_refused(syscall(SYS_keyctl, 0)) && is_refused(syscall(SYS_userfaultfd, 0)) &&
           is_refused(syscall(SYS_ioctl, 0, 0, 0)) && is_refused(syscall(SYS_memfd_create, "x", 0));
}

static bool makes_no_code(void)
{
    size_t page = (size_t) 4096;
    void  *data = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return data != MAP_FAILED && is_refused(mprotect(data, page, PROT_READ | PROT_EXEC)) &&
           mmap(NULL, page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EPERM;
}

static void *add_one(void *to)
{
    ++*(int *) to;
    return NULL;
}

static bool still_works(void)
{
    static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
    AUTO(fd) int     file = open("/dev/null", O_RDONLY | O_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC);
    pthread_t        thread;
    int              n = 0;
    char             byte;

    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        AUTO(fd) int fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0 && errno == EPERM)
            return false;
    }
    return file >= 0 && read(file, &byte, 1) == 0 && epoll >= 0 && pthread_create(&thread, NULL, add_one, &n) == 0 && pthread_join(thread, NULL) == 0 && n == 1;
}

/* ---- who puts disks in place ---- */

static void in_disks_child(bool (*check)(void))
{
    struct err err;
    int        status;
    pid_t      pid = fork();

    if (pid == 0)
        _exit(calls_confine_disks(&err) ? !check() : 2);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool runs_nothing_and_makes_no_thread(void)
{
    static char *const none[] = { NULL };

    return is_refused(fork()) && is_refused(execve("/bin/true", none, none)) && is_refused(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0)) &&
           is_refused(kill(getppid(), 0)) && is_refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static bool has_no_file_and_no_socket_of_its_own(void)
{
    return is_refused(socket(AF_UNIX, SOCK_STREAM, 0)) && is_refused(socket(AF_INET, SOCK_STREAM, 0)) && is_refused(connect(0, NULL, 0)) &&
           is_refused(open("/dev/null", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) && is_refused(open("/dev/null", O_WRONLY | O_TRUNC | O_CLOEXEC)) &&
           is_refused(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) && is_refused(unlink("/tmp/none")) && is_refused(rename("/tmp/none", "/tmp/other")) &&
           is_refused(chmod("/tmp", 01777)) && is_refused(symlink("a", "/tmp/none")) && is_refused(chroot("/")) && is_refused(syscall(SYS_mknodat, -1, "a", 0, 0));
}

/* Refused before the kernel looks whether it may: without a filter these fail with other words. */
static bool mounts_nothing_that_runs_as_another(void)
{
    static const unsigned long no[] = { 0, MS_NOSUID, MS_NODEV, MS_RDONLY, MS_NOSUID | MS_NODEV | MS_BIND, MS_NOSUID | MS_NODEV | MS_MOVE,
                                        MS_NOSUID | MS_NODEV | MS_REMOUNT, MS_NOSUID | MS_NODEV | MS_SHARED };

    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (!is_refused(mount("/nowhere", "/nowhere", "erofs", no[i], NULL)))
            return false;
    return is_refused(umount2("/nowhere", 0)) && is_refused(syscall(SYS_fsopen, "erofs", 0)) && is_refused(syscall(SYS_move_mount, -1, "", -1, "", 0)) &&
           is_refused(syscall(SYS_open_tree, -1, "/", 0)) && is_refused(syscall(SYS_pivot_root, "/", "/")) && is_refused(unshare(CLONE_NEWNS)) &&
           is_refused(ioctl(0, DM_VERSION, NULL)) && is_refused(ioctl(0, DM_REMOVE_ALL, NULL)) && is_refused(ioctl(0, DM_TARGET_MSG, NULL)) &&
           is_refused(ioctl(0, TIOCSTI, "x"));
}

/* Nobody's descriptor, nowhere: these reach the kernel, which says so. */
static bool puts_disks_in_place(void)
{
    uint64_t     len;
    AUTO(fd) int file = open("/dev/null", O_RDWR | O_CLOEXEC);

    return file >= 0 && write(file, "x", 1) == 1 && ioctl(-1, BLKGETSIZE64, &len) < 0 && errno == EBADF && ioctl(-1, DM_TABLE_LOAD, &len) < 0 && errno == EBADF &&
           mount("/nowhere", "/nowhere", "erofs", MS_NOSUID | MS_NODEV | MS_RDONLY, NULL) < 0 && (errno == ENOENT || geteuid() != 0) &&
           umount2("/nowhere", MNT_DETACH) < 0 && (errno == ENOENT || geteuid() != 0) && access("/nowhere", F_OK) < 0 && errno == ENOENT;
}

static void who_puts_disks_in_place_runs_nothing_and_makes_no_thread(void **state) { (void) state; in_disks_child(runs_nothing_and_makes_no_thread); }
static void who_puts_disks_in_place_has_no_file_and_no_socket_of_its_own(void **state) { (void) state; in_disks_child(has_no_file_and_no_socket_of_its_own); }
static void who_puts_disks_in_place_mounts_nothing_that_runs_as_another(void **state) { (void) state; in_disks_child(mounts_nothing_that_runs_as_another); }
static void putting_disks_in_place_still_works(void **state) { (void) state; in_disks_child(puts_disks_in_place); }

static void a_helper_makes_no_process_and_runs_no_program(void **state) { (void) state; in_child(makes_no_process_and_runs_no_program); }
static void a_helper_changes_no_file(void **state) { (void) state; in_child(changes_no_file); }
static void a_helper_touches_no_other_process(void **state) { (void) state; in_child(touches_no_other_process); }
static void a_helper_gets_no_more_of_the_kernel(void **state) { (void) state; in_child(gets_no_more_of_the_kernel); }
static void a_helper_makes_no_code(void **state) { (void) state; in_child(makes_no_code); }
static void what_helpers_do_still_works(void **state) { (void) state; in_child(still_works); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_helper_makes_no_process_and_runs_no_program),
        cmocka_unit_test(a_helper_changes_no_file),
        cmocka_unit_test(a_helper_touches_no_other_process),
        cmocka_unit_test(a_helper_gets_no_more_of_the_kernel),
        cmocka_unit_test(a_helper_makes_no_code),
        cmocka_unit_test(what_helpers_do_still_works),
        cmocka_unit_test(who_puts_disks_in_place_runs_nothing_and_makes_no_thread),
        cmocka_unit_test(who_puts_disks_in_place_has_no_file_and_no_socket_of_its_own),
        cmocka_unit_test(who_puts_disks_in_place_mounts_nothing_that_runs_as_another),
        cmocka_unit_test(putting_disks_in_place_still_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
