#include "guest/agent/layer_mounts.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "guest/init/overlay.h"

enum { TIMEOUT_S = 120 };

struct order {
    unsigned upper, n_lower;
    unsigned lower[OCI_LAYERS_MAX]; /* the top first */
};

union fd_room {
    struct cmsghdr align;
    char           room[CMSG_SPACE(sizeof(int))];
};

static FALLIBLE obey(const struct layer_mounts *mounts, const struct order *order, int *mount_fd, struct err *err)
{
    char        upper[LAYER_PATH_MAX], work[LAYER_PATH_MAX], paths[OCI_LAYERS_MAX][LAYER_PATH_MAX];
    const char *lower[OCI_LAYERS_MAX];

    if (order->n_lower == 0 || order->n_lower > OCI_LAYERS_MAX)
        return fail_with(err, ERR_LIMIT, "overlay: %u layers", order->n_lower);
    for (unsigned i = 0; i < order->n_lower; i++) {
        layer_store_path(mounts->folder, order->lower[i], paths[i]);
        lower[i] = paths[i];
    }
    layer_store_path(mounts->folder, order->upper, upper);
    layer_store_work_path(mounts->folder, order->upper, work);
    return overlay_make(&(struct overlay){ lower, order->n_lower, upper, work }, mount_fd, err);
}

/* The descriptor goes with it, when there is one. */
static bool answer_send(int control_fd, struct err *answer, int mount_fd)
{
    union fd_room control = { .room = { 0 } };
    struct iovec  part    = { answer, sizeof *answer };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

    if (mount_fd >= 0) {
        message.msg_control    = &control;
        message.msg_controllen = sizeof control;

        struct cmsghdr *head = CMSG_FIRSTHDR(&message);

        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type  = SCM_RIGHTS;
        head->cmsg_len   = CMSG_LEN(sizeof mount_fd);
        memcpy(CMSG_DATA(head), &mount_fd, sizeof mount_fd);
    }
    return sendmsg(control_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t) sizeof *answer;
}

static void on_order(struct loop_source *source, uint32_t events)
{
    const struct layer_mounts *mounts   = source->owner;
    AUTO(fd) int               mount_fd = NO_FD; /* ours goes at once: with the keeper's last one the overlay ends */
    struct order               order;
    struct err                 answer = { 0 };

    (void) events;
    ssize_t n = recv(source->fd, &order, sizeof order, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n == (ssize_t) sizeof order) {
        (void) !obey(mounts, &order, &mount_fd, &answer); /* the answer says it */
        if (answer_send(source->fd, &answer, mount_fd))
            return;
    }
    loop_remove(source); /* the keeper is gone, or it is not what it was */
    (void) close(source->fd);
    source->fd = NO_FD;
}

FALLIBLE layer_mounts_serve(struct layer_mounts *mounts, struct loop *loop, const char *folder, int control_fd, struct err *err)
{
    mounts->folder = folder;
    mounts->source = (struct loop_source){ .fd = control_fd, .ready = on_order, .owner = mounts };
    if (loop_add(loop, &mounts->source, EPOLLIN, err))
        return true;
    auto_fd(&mounts->source.fd);
    mounts->source.fd = NO_FD;
    return false;
}

static bool answer_receive(int control_fd, struct err *answer, int *mount_fd)
{
    union fd_room control;
    struct iovec  part    = { answer, sizeof *answer };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    ssize_t       n       = recvmsg(control_fd, &message, MSG_CMSG_CLOEXEC);

    struct cmsghdr *head = n >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof *mount_fd))
        memcpy(mount_fd, CMSG_DATA(head), sizeof *mount_fd);
    return n == (ssize_t) sizeof *answer;
}

FALLIBLE layer_mounts_ask(int control_fd, unsigned upper, const unsigned *lower, size_t n_lower, int *root_fd, struct err *err)
{
    static const struct timeval patience = { .tv_sec = TIMEOUT_S };
    struct order                order    = { .upper = upper, .n_lower = (unsigned) n_lower };
    AUTO(fd) int                mount_fd = NO_FD;
    struct err                  answer   = { 0 };

    if (n_lower > OCI_LAYERS_MAX)
        return fail_with(err, ERR_LIMIT, "overlay: %zu layers", n_lower);
    memcpy(order.lower, lower, n_lower * sizeof *lower);
    if (setsockopt(control_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        send(control_fd, &order, sizeof order, MSG_NOSIGNAL) != (ssize_t) sizeof order ||
        !answer_receive(control_fd, &answer, &mount_fd)) {
        (void) shutdown(control_fd, SHUT_RDWR); /* an answer that comes late would be taken for that to the next order */
        return fail_with(err, ERR_OS, "PID 1 makes no overlay");
    }
    answer.text[sizeof answer.text - 1] = 0;
    if (answer.kind != ERR_NONE) {
        *err = answer;
        return false;
    }
    *root_fd = TAKE_FD(mount_fd);
    return *root_fd >= 0 || fail_with(err, ERR_BUG, "an overlay without a descriptor");
}
