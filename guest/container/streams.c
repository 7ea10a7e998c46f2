#include "guest/container/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static FALLIBLE open_output(struct streams *streams, int which, const struct streams_options *o, int fd_take,
                            struct err *err)
{
    struct output_options options = { .loop = o->loop, .is_denied = !o->output, .more = o->more, .owner = o->owner };

    return output_open(&streams->outputs[which], &options, fd_take, err);
}

FALLIBLE streams_open(struct streams *streams, const struct streams_options *options, int theirs[static 3],
                      struct err *err)
{
    int fds[2];

    for (int i = 0; i < STREAMS; i++) {
        if (pipe2(fds, O_CLOEXEC) < 0)
            return err_os(err, "output");
        theirs[1 + i] = fds[1];
        if (!open_output(streams, i, options, fds[0], err))
            return false;
        if (fchown(fds[1], options->uid, options->gid) < 0)
            return err_os(err, "output");
    }
    if (!options->input) {
        theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return theirs[0] >= 0 || err_os(err, "/dev/null");
    }
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_os(err, "input");
    theirs[0] = fds[0];
    return input_open(&streams->input, options->loop, fds[1], err) &&
           (fchown(fds[0], options->uid, options->gid) == 0 || err_os(err, "input"));
}

FALLIBLE streams_listen(struct streams *streams, const char *path, struct err *err)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    AUTO(fd) int       fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_os(err, "terminal");
    if (strlen(path) >= sizeof at.sun_path)
        return fail_with(err, ERR_LIMIT, "terminal: the path of its socket is over %zu bytes", sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    (void) unlink(path); /* of an earlier process in the same place */
    if (bind(fd, (const struct sockaddr *) &at, sizeof at) < 0 || listen(fd, 1) < 0)
        return err_os(err, "terminal");
    streams->console = TAKE_FD(fd);
    return true;
}

/* One message with one descriptor; crun has ended, so it is here or never comes. */
static FALLIBLE receive(int from, int *out, struct err *err)
{
    union {
        struct cmsghdr header;
        char           room[CMSG_SPACE(sizeof(int))];
    } control;
    char            text[128];
    struct iovec    piece   = { text, sizeof text };
    struct msghdr   message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control,
                                .msg_controllen = sizeof control };

    if (recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
        return err_os(err, "terminal");
    struct cmsghdr *came = CMSG_FIRSTHDR(&message);
    if (!came || came->cmsg_level != SOL_SOCKET || came->cmsg_type != SCM_RIGHTS ||
        came->cmsg_len != CMSG_LEN(sizeof(int)))
        return fail_with(err, ERR_BUG, "crun handed over no terminal");
    memcpy(out, CMSG_DATA(came), sizeof *out);
    return true;
}

FALLIBLE streams_take_terminal(struct streams *streams, const struct streams_options *options, struct err *err)
{
    AUTO(fd) int listening = TAKE_FD(streams->console);
    AUTO(fd) int peer      = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    int          reading;

    if (peer < 0)
        return err_os(err, "terminal");
    if (!receive(peer, &streams->terminal, err))
        return false;
    reading = fcntl(streams->terminal, F_DUPFD_CLOEXEC, 3);
    if (reading < 0)
        return err_os(err, "terminal");
    if (!open_output(streams, STREAM_STDOUT, options, reading, err))
        return false;
    if (!options->input)
        return true;
    int writing = fcntl(streams->terminal, F_DUPFD_CLOEXEC, 3);
    return writing < 0 ? err_os(err, "terminal") : input_open(&streams->input, options->loop, writing, err);
}

FALLIBLE streams_resize(struct streams *streams, uint32_t columns, uint32_t rows, struct err *err)
{
    if (columns == 0 || columns > UINT16_MAX || rows == 0 || rows > UINT16_MAX)
        return fail_with(err, ERR_MALFORMED, "terminal: no size: %u by %u", columns, rows);
    if (streams->terminal < 0)
        return fail_with(err, ERR_CONFIG, "the process has no terminal");
    struct winsize size = { .ws_col = (unsigned short) columns, .ws_row = (unsigned short) rows };
    return ioctl(streams->terminal, TIOCSWINSZ, &size) == 0 || err_os(err, "terminal");
}

void streams_close(struct streams *streams)
{
    for (int i = 0; i < STREAMS; i++)
        output_close(&streams->outputs[i]);
    input_close(&streams->input);
    auto_fd(&streams->terminal);
    auto_fd(&streams->console);
    *streams = NO_STREAMS;
}
