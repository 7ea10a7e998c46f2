#include "runtime/vmm/shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runtime/vmm/jail.h"
#include "runtime/vmm/nbd.h"

/* What goes with a descriptor from the pod's process to the server. */
struct put_message {
    struct shelf_row row;
};

/* ---- the server: slots ---- */

static void take_in(struct shelf_slots *s, const struct shelf_row *row, int fd_take)
{
    AUTO(fd) int fd   = fd_take;
    size_t       free = shelf_find(&s->directory, "");

    if (free == SHELF_SLOTS || shelf_find(&s->directory, row->name) != SHELF_SLOTS)
        return; /* the guest says that it is missing */
    s->directory.rows[free] = *row;
    s->fds[free]            = TAKE_FD(fd);
}

/* All that was put so far. */
static void take_what_came(struct shelf_slots *s)
{
    for (;;) {
        struct put_message message;
        struct iovec       what = { &message, sizeof message };
        union { struct cmsghdr head; uint8_t room[CMSG_SPACE(sizeof(int))]; } ancillary;
        struct msghdr      m   = { .msg_iov = &what, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary };
        ssize_t            n   = recvmsg(s->control_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        struct cmsghdr    *c   = n == (ssize_t) sizeof message ? CMSG_FIRSTHDR(&m) : NULL;
        int                fd;

        if (n < 0 && errno == EINTR)
            continue;
        if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof fd))
            return;
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
        take_in(s, &message.row, fd);
    }
}

/* The slot that holds all of it, or SHELF_SLOTS. `at` becomes the place in the slot. */
static size_t slot_of(const struct shelf_slots *s, uint64_t *at, uint64_t len)
{
    uint64_t part = *at / SHELF_SLOT_LEN;

    *at %= SHELF_SLOT_LEN;
    if (part == 0 || part > SHELF_SLOTS)
        return SHELF_SLOTS;
    const struct shelf_row *row = &s->directory.rows[part - 1];
    return *row->name && *at <= row->len && len <= row->len - *at ? (size_t) part - 1 : SHELF_SLOTS;
}

/* The first block; zeros behind it, where the kernel looks for partitions. */
static int read_directory(struct shelf_slots *s, uint64_t at, uint8_t *into, uint32_t len)
{
    uint8_t block[SHELF_DIRECTORY_LEN];
    size_t  n = at >= sizeof block ? 0 : len < sizeof block - at ? len : sizeof block - (size_t) at;

    if (len > SHELF_SLOT_LEN - at)
        return NBD_EINVAL;
    take_what_came(s);
    shelf_directory_write(&s->directory, block);
    if (n > 0)
        memcpy(into, block + at, n);
    memset(into + n, 0, len - n);
    return NBD_OK;
}

int shelf_read(void *slots, uint64_t at, uint8_t *into, uint32_t len)
{
    struct shelf_slots *s = slots;

    if (at < SHELF_SLOT_LEN)
        return read_directory(s, at, into, len);
    size_t slot = slot_of(s, &at, len);
    if (slot == SHELF_SLOTS)
        return NBD_EINVAL;
    for (uint32_t got = 0; got < len;) {
        ssize_t n = pread(s->fds[slot], into + got, len - got, (off_t) (at + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NBD_EIO;
        got += (uint32_t) n;
    }
    return NBD_OK;
}

static int error_of_write(void)
{
    return errno == EBADF || errno == EPERM ? NBD_EPERM : errno == ENOSPC || errno == EDQUOT ? NBD_ENOSPC : NBD_EIO;
}

int shelf_write(void *slots, uint64_t at, struct bytes what, bool is_durable)
{
    struct shelf_slots *s    = slots;
    size_t              slot = slot_of(s, &at, what.len);

    if (slot == SHELF_SLOTS)
        return NBD_EINVAL;
    while (what.len > 0) {
        ssize_t n = pwrite(s->fds[slot], what.at, what.len, (off_t) at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_of_write(); /* EBADF: opened for reading */
        what.at += n;
        what.len -= (size_t) n;
        at += (uint64_t) n;
    }
    s->is_dirty[slot] = true;
    return !is_durable || fdatasync(s->fds[slot]) == 0 ? NBD_OK : NBD_EIO;
}

int shelf_flush(void *slots)
{
    struct shelf_slots *s     = slots;
    int                 error = NBD_OK;

    for (size_t i = 0; i < SHELF_SLOTS; i++) {
        if (s->is_dirty[i] && fdatasync(s->fds[i]) < 0)
            error = NBD_EIO;
        s->is_dirty[i] = false;
    }
    return error;
}

/* ---- the server's process ---- */

static enum nbd_error serve_read(void *owner, uint64_t at, uint8_t *into, uint32_t len)
{
    return (enum nbd_error) shelf_read(owner, at, into, len);
}

static enum nbd_error serve_write(void *owner, uint64_t at, struct bytes what, bool is_durable)
{
    return (enum nbd_error) shelf_write(owner, at, what, is_durable);
}

static enum nbd_error serve_flush(void *owner)
{
    return (enum nbd_error) shelf_flush(owner);
}

static const int system_calls[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(fdatasync), SCMP_SYS(recvmsg),
    SCMP_SYS(close), SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    SCMP_SYS(futex), SCMP_SYS(getpid), SCMP_SYS(exit_group),
};

static void __attribute__((noreturn)) serve(int hypervisor_fd, int control_fd, pid_t parent)
{
    static struct shelf_slots slots;
    const int                 kept[] = { hypervisor_fd, control_fd };
    const struct jail         jail   = { parent, kept, 2, system_calls, sizeof system_calls / sizeof *system_calls };
    const struct nbd_export   export = { SHELF_LEN, serve_read, serve_write, serve_flush, &slots };
    struct err                err;
    sigset_t                  none;

    slots.control_fd = control_fd;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR || !jail_enter(&jail, &err))
        _exit(1);
    _exit(nbd_serve(hypervisor_fd, &export, &err) ? 0 : 1); /* when the VM is gone, there is no one to serve */
}

FALLIBLE shelf_start(struct shelf *out, int *hypervisor_fd, struct err *err)
{
    AUTO(fd) int served = NO_FD, theirs = NO_FD, ours = NO_FD, control = NO_FD;
    int          ends[2];
    pid_t        parent = getpid(), pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "shelf");
    served = ends[0];
    theirs = ends[1];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "shelf");
    control = ends[0];
    ours    = ends[1];
    pid     = fork();
    if (pid < 0)
        return err_os(err, "shelf");
    if (pid == 0)
        serve(served, control, parent);
    *out           = (struct shelf){ { pid, (int) syscall(SYS_pidfd_open, pid, 0) }, TAKE_FD(ours) };
    *hypervisor_fd = TAKE_FD(theirs);
    return true;
}

/* ---- who puts disks there ---- */

static FALLIBLE len_of(int fd, uint64_t *out, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_os(err, "shelf");
    *out = S_ISREG(st.st_mode) ? (uint64_t) st.st_size : 0;
    if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, out) < 0)
        return err_os(err, "shelf");
    *out -= *out % SHELF_SECTOR;
    if (*out == 0)
        return fail_with(err, ERR_MALFORMED, "shelf: an empty disk, or none");
    return *out <= SHELF_SLOT_LEN || fail_with(err, ERR_LIMIT, "shelf: a disk over %llu bytes", SHELF_SLOT_LEN);
}

FALLIBLE shelf_put(const struct shelf *shelf, const char *name, int fd, struct err *err)
{
    struct put_message message = { 0 };
    struct iovec       what    = { &message, sizeof message };
    union { struct cmsghdr head; uint8_t room[CMSG_SPACE(sizeof(int))]; } ancillary = { .room = { 0 } };
    struct msghdr      m = { .msg_iov = &what, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary };
    struct cmsghdr    *c = CMSG_FIRSTHDR(&m);

    if (shelf->control_fd < 0)
        return fail_with(err, ERR_CONFIG, "the VM was started without room for disks: its policy named none");
    if (strlen(name) > SHELF_NAME_MAX)
        return fail_with(err, ERR_LIMIT, "shelf: name \"%.40s\"", name);
    if (!len_of(fd, &message.row.len, err))
        return false;
    memcpy(message.row.name, name, strlen(name) + 1);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type  = SCM_RIGHTS;
    c->cmsg_len   = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(shelf->control_fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t) sizeof message || err_os(err, "shelf");
}

void shelf_free(struct shelf *shelf)
{
    process_kill(&shelf->server);
    auto_fd(&shelf->control_fd);
    *shelf = NO_SHELF;
}
