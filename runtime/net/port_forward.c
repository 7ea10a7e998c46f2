#include "runtime/net/port_forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BACKLOG = 16, ROUNDS = 16 }; /* of one event, so that one connection does not hold up the others */

struct connection;

struct end {
    struct loop_source source;
    struct connection *of;
    bool               is_connected, has_eof, is_shut; /* eof: of what it sends; shut: nothing more is sent to it */
    size_t             at, n; /* what it sent and the other end does not have yet */
    uint8_t            block[PORT_FORWARD_BLOCK];
};

struct connection {
    struct connection   *next;
    struct port_forward *all;
    struct end           ends[2]; /* the engine's, the guest's */
};

struct port_forward {
    struct loop       *loop;
    struct loop_source listener;
    int                map, program, link;
    struct in_addr     address;
    struct connection *connections;
    size_t             n;
};

/* ---- one connection ---- */

static void drop(struct connection *c)
{
    struct connection **at = &c->all->connections;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->all->n--;
    for (size_t i = 0; i < 2; i++) {
        loop_remove(&c->ends[i].source);
        auto_fd(&c->ends[i].source.fd);
    }
    free(c);
}

static bool would_wait(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* False when the connection is over. */
static bool move(struct end *from, struct end *to)
{
    for (int i = 0; i < ROUNDS && from->is_connected && to->is_connected; i++) {
        if (from->n == 0 && !from->has_eof) {
            ssize_t got = read(from->source.fd, from->block, sizeof from->block);

            if (got < 0)
                return would_wait();
            from->has_eof = got == 0;
            from->at      = 0;
            from->n       = (size_t) got;
        }
        if (from->n == 0)
            break;
        ssize_t sent = send(to->source.fd, from->block + from->at, from->n, MSG_NOSIGNAL);
        if (sent < 0)
            return would_wait();
        from->at += (size_t) sent;
        from->n -= (size_t) sent;
    }
    if (from->n == 0 && from->has_eof && !to->is_shut) {
        (void) shutdown(to->source.fd, SHUT_WR); /* fails for one that is gone, which is seen when it is read */
        to->is_shut = true;
    }
    return true;
}

/* One for which there is nothing to wait is taken off: epoll would tell of its end for ever. */
static FALLIBLE wait_for(struct end *e, uint32_t events, struct err *err)
{
    if (events == 0) {
        loop_remove(&e->source);
        return true;
    }
    return e->source.loop ? loop_change(&e->source, events, err) : loop_add(e->of->all->loop, &e->source, events, err);
}

static FALLIBLE go_on(struct connection *c, struct err *err)
{
    for (size_t i = 0; i < 2; i++) {
        struct end *e      = &c->ends[i], *other = &c->ends[1 - i];
        bool        reads  = e->is_connected && other->is_connected && e->n == 0 && !e->has_eof;
        bool        writes = !e->is_connected || other->n > 0;

        if (!wait_for(e, (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u), err))
            return false;
    }
    return true;
}

static void on_end(struct loop_source *source, uint32_t events)
{
    struct end        *e     = source->owner;
    struct connection *c     = e->of;
    int                why   = 0;
    socklen_t          len   = sizeof why;
    struct err         err;

    (void) events;
    if (!e->is_connected && (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0 || why != 0)) {
        drop(c); /* nobody listens there */
        return;
    }
    e->is_connected = true;
    if (!move(&c->ends[0], &c->ends[1]) || !move(&c->ends[1], &c->ends[0]) || (c->ends[0].is_shut && c->ends[1].is_shut) || !go_on(c, &err))
        drop(c);
}

/* The port that the engine asked for is that of its socket's near end. */
static FALLIBLE dial(const struct port_forward *f, int engine, int *out, struct err *err)
{
    AUTO(fd) int       fd  = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in to  = { 0 };
    socklen_t          len = sizeof to;

    if (fd < 0 || getsockname(engine, (struct sockaddr *) &to, &len) < 0)
        return err_os(err, "port forwarding");
    to.sin_addr = f->address;
    if (connect(fd, (const struct sockaddr *) &to, sizeof to) < 0 && errno != EINPROGRESS)
        return err_os(err, "port forwarding");
    *out = TAKE_FD(fd);
    return true;
}

static void on_connection(struct loop_source *source, uint32_t events)
{
    struct port_forward *f    = source->owner;
    AUTO(fd) int         near = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), far = NO_FD;
    struct connection   *c;
    struct err           err;

    (void) events;
    if (near < 0 || f->n == PORT_FORWARD_MAX || !dial(f, near, &far, &err))
        return; /* who asked sees it closed */
    c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->all                  = f;
    c->next                 = f->connections;
    f->connections          = c;
    c->ends[0].is_connected = true;
    c->ends[0].source       = (struct loop_source){ .fd = TAKE_FD(near), .ready = on_end, .owner = &c->ends[0] };
    c->ends[1].source       = (struct loop_source){ .fd = TAKE_FD(far), .ready = on_end, .owner = &c->ends[1] };
    c->ends[0].of = c->ends[1].of = c;
    f->n++;
    if (!go_on(c, &err))
        drop(c);
}

/* ---- the program in the namespace ---- */

static int bpf(int command, union bpf_attr *attributes)
{
    return (int) syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static FALLIBLE bpf_failed(const char *what, struct err *err)
{
    if (errno == EINVAL || errno == ENOSYS || errno == EPERM)
        return fail_with(err, ERR_UNSUPPORTED, "port forwarding: this kernel takes no BPF programs for sockets (%s)", what);
    return err_os(err, "port forwarding: %s", what);
}

static FALLIBLE make_map(int listener, int *out, struct err *err)
{
    union bpf_attr make = { .map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = sizeof(uint32_t), .value_size = sizeof(uint64_t), .max_entries = 1 };
    uint32_t       key   = 0;
    uint64_t       value = (uint64_t) listener;

    *out = bpf(BPF_MAP_CREATE, &make);
    union bpf_attr put = { .map_fd = (uint32_t) *out, .key = (uintptr_t) &key, .value = (uintptr_t) &value, .flags = BPF_ANY };
    return (*out >= 0 && bpf(BPF_MAP_UPDATE_ELEM, &put) == 0) || bpf_failed("map", err);
}

#define LOAD(to, field) \
    { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (to), .src_reg = BPF_REG_6, .off = offsetof(struct bpf_sk_lookup, field) }
#define UNLESS(reg, value, to) { .code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = (reg), .imm = (int) (value), .off = (to) }
#define COPY(to, from) { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from) }
#define SET(to, value) { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value) }
#define CALL(function) { .code = BPF_JMP | BPF_CALL, .imm = (function) }

/* Whatever is not TCP to 127.0.0.1 is looked up as ever; jumps lead to the last two rows. */
static FALLIBLE load_program(int map, int *out, struct err *err)
{
    const struct bpf_insn rows[] = {
        COPY(BPF_REG_6, BPF_REG_1),
        LOAD(BPF_REG_2, family),    UNLESS(BPF_REG_2, AF_INET, 18),
        LOAD(BPF_REG_2, protocol),  UNLESS(BPF_REG_2, IPPROTO_TCP, 16),
        LOAD(BPF_REG_2, local_ip4), UNLESS(BPF_REG_2, htonl(INADDR_LOOPBACK), 14),
        { .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .off = -4, .imm = 0 }, /* the map's key */
        COPY(BPF_REG_2, BPF_REG_10), { .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -4 },
        { .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map }, { 0 },
        CALL(BPF_FUNC_map_lookup_elem),
        { .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .imm = 0, .off = 7 },
        COPY(BPF_REG_7, BPF_REG_0), COPY(BPF_REG_1, BPF_REG_6), COPY(BPF_REG_2, BPF_REG_0), SET(BPF_REG_3, 0), CALL(BPF_FUNC_sk_assign),
        COPY(BPF_REG_1, BPF_REG_7), CALL(BPF_FUNC_sk_release),
        SET(BPF_REG_0, SK_PASS), { .code = BPF_JMP | BPF_EXIT },
    };
    union bpf_attr load = { .prog_type = BPF_PROG_TYPE_SK_LOOKUP, .expected_attach_type = BPF_SK_LOOKUP, .insns = (uintptr_t) rows,
                            .insn_cnt = sizeof rows / sizeof *rows, .license = (uintptr_t) "Apache-2.0" };

    *out = bpf(BPF_PROG_LOAD, &load);
    return *out >= 0 || bpf_failed("program", err);
}

static FALLIBLE attach(struct port_forward *f, int namespace, struct err *err)
{
    union bpf_attr link = { .link_create = { .target_fd = (uint32_t) namespace, .attach_type = BPF_SK_LOOKUP } };

    if (!make_map(f->listener.fd, &f->map, err) || !load_program(f->map, &f->program, err))
        return false;
    link.link_create.prog_fd = (uint32_t) f->program;
    f->link                  = bpf(BPF_LINK_CREATE, &link);
    return f->link >= 0 || bpf_failed("link", err);
}

/* Its own port does not matter. */
static FALLIBLE listen_inside(int theirs, int *out, struct err *err)
{
    AUTO(fd) int             ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd = NO_FD;
    const struct sockaddr_in any  = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    if (ours < 0 || setns(theirs, CLONE_NEWNET) < 0)
        return err_os(err, "port forwarding: network namespace");
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_good = fd >= 0 && bind(fd, (const struct sockaddr *) &any, sizeof any) == 0 && listen(fd, BACKLOG) == 0;
    if (!is_good)
        (void) err_os(err, "port forwarding: listener"); /* the failure is returned below */
    if (setns(ours, CLONE_NEWNET) < 0)
        abort(); /* nothing may go on in a pod's namespace */
    *out = TAKE_FD(fd);
    return is_good;
}

FALLIBLE port_forward_open(struct loop *loop, const char *path, const struct ip_address *address, struct port_forward **out, struct err *err)
{
    AUTO(port_forward) struct port_forward *f      = calloc(1, sizeof *f);
    AUTO(fd) int                            theirs = open(path, O_RDONLY | O_CLOEXEC);

    if (!f)
        abort();
    *f = (struct port_forward){ .loop = loop, .listener = { .fd = NO_FD, .ready = on_connection, .owner = f }, .map = NO_FD, .program = NO_FD,
                                .link = NO_FD };
    memcpy(&f->address, address->at, sizeof f->address);
    if (theirs < 0)
        return err_os(err, "port forwarding: network namespace");
    if (!listen_inside(theirs, &f->listener.fd, err) || !attach(f, theirs, err) || !loop_add(loop, &f->listener, EPOLLIN, err))
        return false;
    *out = TAKE(f);
    return true;
}

void port_forward_free(struct port_forward *f)
{
    if (!f)
        return;
    while (f->connections)
        drop(f->connections);
    loop_remove(&f->listener);
    auto_fd(&f->link);
    auto_fd(&f->program);
    auto_fd(&f->map);
    auto_fd(&f->listener.fd);
    free(f);
}
