#include "runtime/oci_runtime/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Through a descriptor of the folder, since a socket's address has room for 107 bytes only. */
static FALLIBLE address_of(const char *directory, int *directory_fd, struct sockaddr_un *out, struct err *err)
{
    *directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*directory_fd < 0)
        return err_os(err, "%s", directory);
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    (void) snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/control", *directory_fd); /* fits */
    return true;
}

FALLIBLE control_listen(const char *directory, int *fd, struct err *err)
{
    AUTO(fd) int       directory_fd = NO_FD, s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;

    if (!address_of(directory, &directory_fd, &address, err))
        return false;
    if (s < 0 || bind(s, (struct sockaddr *) &address, sizeof address) < 0 || listen(s, 64) < 0)
        return err_os(err, "%s/control", directory);
    *fd = TAKE_FD(s);
    return true;
}

FALLIBLE control_connect(const char *directory, int *fd, struct err *err)
{
    AUTO(fd) int       directory_fd = NO_FD, s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;
    int                room = CONTROL_LEN_MAX;

    if (!address_of(directory, &directory_fd, &address, err))
        return false;
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) < 0)
        return err_os(err, "socket");
    if (connect(s, (struct sockaddr *) &address, sizeof address) < 0)
        return errno == ECONNREFUSED || errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "the container is not running")
                                                        : err_os(err, "%s/control", directory);
    *fd = TAKE_FD(s);
    return true;
}

FALLIBLE control_send(int fd, struct json_object *message, const int *fds, size_t n_fds, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    union { struct cmsghdr align; uint8_t at[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)]; } beside = { 0 };

    json_write(message, &text);
    struct iovec  piece = { text.at, text.len };
    struct msghdr whole = { .msg_iov = &piece, .msg_iovlen = 1 };
    if (n_fds > 0) {
        whole.msg_control    = beside.at;
        whole.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *head = CMSG_FIRSTHDR(&whole);
        *head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * n_fds) };
        memcpy(CMSG_DATA(head), fds, sizeof(int) * n_fds);
    }
    if (text.len > CONTROL_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "a request over %d bytes", CONTROL_LEN_MAX);
    return sendmsg(fd, &whole, MSG_NOSIGNAL) == (ssize_t) text.len || err_os(err, "send");
}

static void take_fds(struct msghdr *whole, int fds[static CONTROL_FDS_MAX])
{
    size_t n = 0;

    for (struct cmsghdr *head = CMSG_FIRSTHDR(whole); head; head = CMSG_NXTHDR(whole, head)) {
        size_t len = head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS ? head->cmsg_len - CMSG_LEN(0) : 0;

        for (size_t at = 0; at + sizeof(int) <= len; at += sizeof(int)) {
            int fd;

            memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
            if (n < CONTROL_FDS_MAX)
                fds[n++] = fd;
            else
                (void) close(fd); /* there is no place for it */
        }
    }
}

FALLIBLE control_receive(int fd, struct json_object **out, int fds[static CONTROL_FDS_MAX], struct err *err)
{
    AUTO(heap) uint8_t            *text    = malloc(CONTROL_LEN_MAX + 1);
    AUTO(json) struct json_object *message = NULL;
    union { struct cmsghdr align; uint8_t at[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)]; } beside = { 0 };
    struct iovec  piece = { text, CONTROL_LEN_MAX + 1 };
    struct msghdr whole = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = beside.at, .msg_controllen = sizeof beside };
    ssize_t       n;

    if (!text)
        abort();
    for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
        fds[i] = NO_FD;
    while ((n = recvmsg(fd, &whole, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    if (n <= 0)
        return n == 0 || errno == ECONNRESET ? fail_with(err, ERR_NOT_FOUND, "the other end is gone") : err_os(err, "receive");
    take_fds(&whole, fds);
    if (json_read((struct bytes){ text, (size_t) n }, CONTROL_LEN_MAX, &message, err) && json_object_is_type(message, json_type_object)) {
        *out = TAKE(message);
        return true;
    }
    for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
        auto_fd(&fds[i]);
    return fail_with(err, ERR_MALFORMED, "a message that is no JSON object");
}

FALLIBLE control_ask(const char *directory, struct json_object *request, struct json_object **answer, struct err *err)
{
    AUTO(json) struct json_object *received = NULL;
    AUTO(fd) int                   fd       = NO_FD;
    int                            none[CONTROL_FDS_MAX];
    struct json_object            *why;

    if (!control_connect(directory, &fd, err) || !control_send(fd, request, NULL, 0, err) ||
        !control_receive(fd, &received, none, err))
        return false;
    if (json_object_object_get_ex(received, "error", &why))
        return fail_with(err, ERR_CONFIG, "%.200s", json_object_get_string(why));
    if (answer)
        *answer = TAKE(received);
    return true;
}
