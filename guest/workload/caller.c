#include "guest/workload/caller.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"

enum { ANSWER_MAX = 8192, HEADER_LEN = 16, DIAG_LEN = 72, CGROUP_ID = 21, /* INET_DIAG_CGROUP_ID [linux/inet_diag.h] */
       LISTENING = 10 /* TCP_LISTEN [net/tcp_states.h] */ };

struct question {
    struct nlmsghdr         header;
    struct inet_diag_req_v2 body;
};
static_assert(sizeof(struct inet_diag_msg) == DIAG_LEN, "the kernel's struct has no holes");

static FALLIBLE ask(int fd, uint16_t port, uint16_t server_port, struct err *err)
{
    struct question q = {
        .header = { .nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST },
        .body   = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP,
                    .id = { .idiag_sport = htons(port), .idiag_dport = htons(server_port),
                            .idiag_src = { htonl(INADDR_LOOPBACK) }, .idiag_dst = { htonl(INADDR_LOOPBACK) },
                            .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } } },
    };

    return send(fd, &q, sizeof q, 0) == (ssize_t) sizeof q || err_os(err, "ask for the caller's socket");
}

/* The attributes after the fixed part, each padded to four bytes. */
static FALLIBLE find_cgroup(struct reader *r, uint64_t *out, struct err *err)
{
    while (r->left.len >= 4) {
        uint16_t     len   = take_u16le(r);
        uint16_t     type  = take_u16le(r);
        struct bytes value = { 0 };

        if (len < 4)
            return fail_with(err, ERR_MALFORMED, "socket: an attribute of %u bytes", len);
        value = take(r, len - 4U);
        if (type == CGROUP_ID && value.len == 8) {
            struct reader number = reader_over(value);

            *out = take_u64le(&number);
            return reader_done(&number, err);
        }
        (void) take(r, (4U - len % 4U) % 4U < r->left.len ? (4U - len % 4U) % 4U : r->left.len); /* the last may lack it */
        if (!reader_ok(r, err))
            return context(err, "socket");
    }
    return fail_with(err, ERR_UNSUPPORTED, "the kernel does not say whose socket it is");
}

FALLIBLE caller_answer_read(struct bytes answer, uint64_t *out, struct err *err)
{
    struct reader whole = reader_over(answer);
    uint32_t      len   = take_u32le(&whole);
    uint16_t      type  = take_u16le(&whole);
    uint64_t      found;

    (void) take(&whole, 10); /* flags, sequence, port */
    if (!reader_ok(&whole, err) || len < HEADER_LEN || len > answer.len)
        return fail_with(err, ERR_MALFORMED, "socket: an answer of %zu bytes", answer.len);
    struct reader body = take_reader(&whole, len - HEADER_LEN);
    if (type == NLMSG_ERROR) {
        int32_t code = (int32_t) take_u32le(&body);

        if (!reader_ok(&body, err))
            return context(err, "socket");
        return code == -ENOENT ? fail_with(err, ERR_NOT_FOUND, "the caller's socket is gone")
                               : fail_with(err, ERR_UNSUPPORTED, "the kernel does not say whose socket it is (%d)", -code);
    }
    if (type != SOCK_DIAG_BY_FAMILY)
        return fail_with(err, ERR_MALFORMED, "socket: an answer of type %u", type);
    (void) take_u8(&body); /* family */
    uint8_t of_socket = take_u8(&body);
    (void) take(&body, DIAG_LEN - 2);
    if (!reader_ok(&body, err))
        return context(err, "socket");
    if (of_socket == LISTENING) /* the kernel's second best: whoever waits on the port that the caller has left is not the caller */
        return fail_with(err, ERR_NOT_FOUND, "the caller's socket is gone");
    if (!find_cgroup(&body, &found, err))
        return false;
    *out = found;
    return true;
}

FALLIBLE caller_cgroup(uint16_t port, uint16_t server_port, uint64_t *out, struct err *err)
{
    uint8_t      answer[ANSWER_MAX];
    AUTO(fd) int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

    if (fd < 0)
        return err_os(err, "ask for the caller's socket");
    if (!ask(fd, port, server_port, err))
        return false;
    ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT); /* the kernel answers within the request */
    if (n < 0)
        return err_os(err, "the caller's socket");
    return caller_answer_read((struct bytes){ answer, (size_t) n }, out, err);
}
