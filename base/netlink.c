#include "base/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    HEADER_LEN    = sizeof(struct nlmsghdr),
    ATTRIBUTE_LEN = sizeof(struct rtattr),
    TYPE_MASK     = 0x3fff,   /* without NLA_F_NESTED and NLA_F_NET_BYTEORDER */
    DATAGRAM_MAX  = 64 << 10, /* the kernel sends at most 32 KiB at once */
    ATTEMPTS      = 5,        /* of a dump during which something changed */
    PATIENCE_S    = 30,       /* the kernel answers at once; this only ends what would hang */
};

/* ---- writing ---- */

static size_t padding(size_t len)
{
    return -len & 3;
}

void netlink_begin(struct buffer *request, uint16_t type, uint16_t flags, struct bytes fixed)
{
    struct nlmsghdr head = { .nlmsg_type = type, .nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags) };

    request->len = 0;
    buffer_append(request, (struct bytes){ (const uint8_t *) &head, sizeof head });
    buffer_append(request, fixed);
    (void) buffer_grow(request, padding(request->len)); /* zeros are what is wanted */
}

void netlink_put(struct buffer *request, uint16_t type, struct bytes value)
{
    struct rtattr head = { .rta_len = (uint16_t) (ATTRIBUTE_LEN + value.len), .rta_type = type };

    if (value.len > UINT16_MAX - ATTRIBUTE_LEN)
        abort(); /* nothing foreign decides on a length here */
    buffer_append(request, (struct bytes){ (const uint8_t *) &head, sizeof head });
    buffer_append(request, value);
    (void) buffer_grow(request, padding(request->len)); /* as above */
}

void netlink_put_u32(struct buffer *request, uint16_t type, uint32_t value)
{
    netlink_put(request, type, (struct bytes){ (const uint8_t *) &value, sizeof value });
}

void netlink_put_text(struct buffer *request, uint16_t type, const char *text)
{
    netlink_put(request, type, (struct bytes){ (const uint8_t *) text, strlen(text) + 1 });
}

size_t netlink_nest(struct buffer *request, uint16_t type)
{
    size_t at = request->len;

    netlink_put(request, type, (struct bytes){ 0 });
    return at;
}

void netlink_end_nest(struct buffer *request, size_t nest)
{
    uint16_t len = (uint16_t) (request->len - nest);

    if (request->len - nest > UINT16_MAX)
        abort(); /* as in netlink_put */
    memcpy(request->at + nest, &len, sizeof len);
}

/* ---- reading ---- */

/* The last of several may come without its padding. */
static void skip_padding(struct reader *r, size_t len)
{
    size_t n = padding(len);

    (void) take(r, n < r->left.len ? n : r->left.len); /* zeros of no meaning */
}

FALLIBLE netlink_message_next(struct reader *r, struct netlink_message *out, struct err *err)
{
    struct netlink_message m = { 0 };

    uint32_t len = take_u32le(r);
    m.type       = take_u16le(r);
    m.flags      = take_u16le(r);
    m.sequence   = take_u32le(r);
    take(r, 4); /* the port of the receiver, which is us */
    if (!reader_ok(r, err))
        return context(err, "netlink message");
    if (len < HEADER_LEN)
        return fail_with(err, ERR_MALFORMED, "netlink message: %u bytes, less than its header", len);
    m.body = take(r, len - HEADER_LEN);
    if (!reader_ok(r, err))
        return context(err, "netlink message");
    skip_padding(r, len);
    *out = m;
    return true;
}

FALLIBLE netlink_attribute_next(struct reader *r, struct netlink_attribute *out, struct err *err)
{
    uint16_t len  = take_u16le(r);
    uint16_t type = take_u16le(r);

    if (!reader_ok(r, err))
        return context(err, "netlink attribute");
    if (len < ATTRIBUTE_LEN)
        return fail_with(err, ERR_MALFORMED, "netlink attribute: %u bytes, less than its header", len);
    struct bytes value = take(r, len - ATTRIBUTE_LEN);
    if (!reader_ok(r, err))
        return context(err, "netlink attribute");
    skip_padding(r, len);
    *out = (struct netlink_attribute){ type & TYPE_MASK, value };
    return true;
}

uint32_t netlink_u32(const struct netlink_attribute *a)
{
    struct reader r = reader_over(a->value);

    return a->value.len == 4 ? take_u32le(&r) : 0;
}

/* ---- the kernel ---- */

FALLIBLE netlink_open(int *fd, struct err *err)
{
    AUTO(fd) int   opened   = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct timeval patience = { .tv_sec = PATIENCE_S };

    if (opened < 0 || setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        return err_os(err, "netlink");
    *fd = TAKE_FD(opened);
    return true;
}

static FALLIBLE send_request(int fd, struct buffer *request, uint16_t more_flags, struct err *err)
{
    struct nlmsghdr    head;
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

    memcpy(&head, request->at, sizeof head);
    head.nlmsg_len = (uint32_t) request->len;
    head.nlmsg_flags |= more_flags;
    head.nlmsg_seq++;
    memcpy(request->at, &head, sizeof head);
    if (sendto(fd, request->at, request->len, 0, (struct sockaddr *) &kernel, sizeof kernel) != (ssize_t) request->len)
        return err_os(err, "netlink: send");
    return true;
}

/* One datagram from the kernel; what other processes may send is passed over. */
static FALLIBLE receive(int fd, struct buffer *datagram, struct err *err)
{
    struct sockaddr_nl from;

    do {
        socklen_t from_len = sizeof from;

        datagram->len = 0;
        uint8_t *at = buffer_grow(datagram, DATAGRAM_MAX);
        ssize_t  n  = recvfrom(fd, at, DATAGRAM_MAX, MSG_TRUNC, (struct sockaddr *) &from, &from_len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(err, "netlink: receive");
        if (n > DATAGRAM_MAX)
            return fail_with(err, ERR_LIMIT, "netlink: a datagram of %zd bytes", n);
        datagram->len = (size_t) n;
    } while (datagram->len == 0 || from.nl_pid != 0);
    return true;
}

static FALLIBLE read_outcome(const struct netlink_message *m, struct err *err)
{
    struct reader r    = reader_over(m->body);
    int32_t       code = (int32_t) take_u32le(&r);

    if (!reader_ok(&r, err))
        return context(err, "netlink answer");
    if (code == 0)
        return true;
    errno = -code;
    return err_os(err, "the kernel refused");
}

static uint32_t sequence_of(const struct buffer *request)
{
    struct nlmsghdr head;

    memcpy(&head, request->at, sizeof head);
    return head.nlmsg_seq;
}

FALLIBLE netlink_change(int fd, struct buffer *request, struct err *err)
{
    AUTO(buffer) struct buffer datagram = { 0 };

    if (!send_request(fd, request, NLM_F_ACK, err))
        return false;
    for (;;) {
        if (!receive(fd, &datagram, err))
            return false;
        struct reader r = reader_over(buffer_bytes(&datagram));
        while (r.left.len > 0) {
            struct netlink_message m;

            if (!netlink_message_next(&r, &m, err))
                return false;
            if (m.sequence == sequence_of(request) && m.type == NLMSG_ERROR)
                return read_outcome(&m, err);
        }
    }
}

enum dump_state { DUMP_GOES_ON, DUMP_IS_OVER, DUMP_IS_STALE };

static FALLIBLE read_dump(struct buffer *datagram, uint32_t sequence, struct buffer *out, enum dump_state *state,
                          struct err *err)
{
    struct reader r = reader_over(buffer_bytes(datagram));

    while (r.left.len > 0) {
        struct reader          before = r;
        struct netlink_message m;

        if (!netlink_message_next(&r, &m, err))
            return false;
        if (m.sequence != sequence)
            continue;
        if (m.type == NLMSG_ERROR)
            return read_outcome(&m, err);
        if (m.flags & NLM_F_DUMP_INTR)
            *state = DUMP_IS_STALE;
        if (m.type == NLMSG_DONE) {
            *state = *state == DUMP_IS_STALE ? DUMP_IS_STALE : DUMP_IS_OVER;
            return true;
        }
        if (out->len > NETLINK_DUMP_MAX - before.left.len)
            return fail_with(err, ERR_LIMIT, "netlink: a dump over %d bytes", NETLINK_DUMP_MAX);
        buffer_append(out, (struct bytes){ before.left.at, before.left.len - r.left.len });
    }
    return true;
}

FALLIBLE netlink_dump(int fd, struct buffer *request, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer datagram = { 0 };
    size_t                     begin    = out->len;

    for (int i = 0; i < ATTEMPTS; i++) {
        enum dump_state state = DUMP_GOES_ON;

        out->len = begin;
        if (!send_request(fd, request, NLM_F_DUMP, err))
            return false;
        while (state == DUMP_GOES_ON)
            if (!receive(fd, &datagram, err) || !read_dump(&datagram, sequence_of(request), out, &state, err))
                return false;
        if (state == DUMP_IS_OVER)
            return true;
    }
    return fail_with(err, ERR_TIMEOUT, "netlink: it changed while it was read, %d times", ATTEMPTS);
}
