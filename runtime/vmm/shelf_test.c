#include "tests/harness/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/file.h"
#include "runtime/vmm/nbd.h"
#include "runtime/vmm/shelf.h"

enum { DISK_LEN = 8192, OPTION_GO = 7, OPTION_OTHER = 8, OPTION_REPLY_LEN = 20 };

/* A client of the protocol, as far as the hypervisor is one. */
struct client {
    struct shelf shelf;
    int          fd;
};

static void get(int fd, void *into, size_t len)
{
    if (len > 0) /* a stream is waited for even to give nothing */
        assert_int_equal(recv(fd, into, len, MSG_WAITALL), len);
}

static uint32_t u32_at(const uint8_t *at)
{
    struct reader r = reader_over((struct bytes){ at, 4 });

    return take_u32be(&r);
}

static void say_option(const struct client *c, uint32_t option)
{
    uint8_t       wire[16 + 6];
    struct writer w = writer_over(wire, sizeof wire);
    struct err    err;

    put_u64be(&w, 0x49484156454f5054ULL);
    put_u32be(&w, option);
    put_u32be(&w, 6);
    put_zeros(&w, 6); /* no name, no wishes */
    assert_true(write_all(c->fd, writer_bytes(&w), &err));
}

static uint32_t hear_reply(const struct client *c, uint8_t body[static 64])
{
    uint8_t head[OPTION_REPLY_LEN];

    get(c->fd, head, sizeof head);
    get(c->fd, body, u32_at(head + 16));
    return u32_at(head + 12);
}

static struct client connect_client(void)
{
    struct client  c;
    uint8_t        hello[18], body[64];
    static uint8_t answer[4] = { 0, 0, 0, 3 };
    struct err     err;

    assert_true(shelf_start(&c.shelf, &c.fd, &err));
    get(c.fd, hello, sizeof hello);
    assert_memory_equal(hello, "NBDMAGICIHAVEOPT", 16);
    assert_true(write_all(c.fd, BYTES_OF(answer), &err));
    say_option(&c, OPTION_OTHER);
    assert_int_equal(hear_reply(&c, body), 0x80000001U);
    say_option(&c, OPTION_GO);
    assert_int_equal(hear_reply(&c, body), 3);
    assert_int_equal(body[2 + 1], 2); /* 2^49 bytes */
    assert_int_equal(hear_reply(&c, body), 3);
    assert_int_equal(hear_reply(&c, body), 1);
    return c;
}

static uint32_t ask(const struct client *c, enum nbd_command command, uint16_t flags, uint64_t at, const uint8_t *data, uint8_t *into, uint32_t len)
{
    uint8_t       wire[NBD_REQUEST_LEN], head[16];
    struct writer w = writer_over(wire, sizeof wire);
    struct err    err;

    put_u32be(&w, 0x25609513);
    put_u16be(&w, flags);
    put_u16be(&w, (uint16_t) command);
    put_u64be(&w, 77);
    put_u64be(&w, at);
    put_u32be(&w, len);
    assert_true(write_all(c->fd, writer_bytes(&w), &err));
    if (data)
        assert_true(write_all(c->fd, (struct bytes){ data, len }, &err));
    get(c->fd, head, sizeof head);
    assert_int_equal(u32_at(head), 0x67446698);
    assert_int_equal(head[15], 77);
    if (u32_at(head + 4) == NBD_OK && into)
        get(c->fd, into, len);
    return u32_at(head + 4);
}

static int disk_of(uint8_t filler, int flags)
{
    uint8_t    content[DISK_LEN];
    char       path[32];
    struct err err;
    int        fd = memfd_create("disk", MFD_CLOEXEC);

    memset(content, filler, sizeof content);
    assert_true(fd >= 0 && write_all(fd, BYTES_OF(content), &err));
    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, flags | O_CLOEXEC);
    assert_true(again >= 0);
    (void) close(fd);
    return again;
}

static void close_client(struct client *c)
{
    (void) close(c->fd);
    shelf_free(&c->shelf);
}

static void what_is_put_later_is_there(void **state)
{
    struct client          c = connect_client();
    struct shelf_directory d;
    uint8_t                block[SHELF_DIRECTORY_LEN];
    struct err             err;
    int                    first = disk_of('a', O_RDONLY), second = disk_of('b', O_RDONLY);

    (void) state;
    assert_int_equal(ask(&c, NBD_READ, 0, 0, NULL, block, sizeof block), NBD_OK);
    assert_true(shelf_directory_read(BYTES_OF(block), &d, &err));
    assert_int_equal(shelf_find(&d, "img-a"), SHELF_SLOTS);
    assert_true(shelf_put(&c.shelf, "img-a", first, &err));
    assert_true(shelf_put(&c.shelf, "img-b", second, &err));
    assert_int_equal(ask(&c, NBD_READ, 0, 0, NULL, block, sizeof block), NBD_OK);
    assert_true(shelf_directory_read(BYTES_OF(block), &d, &err));
    assert_int_equal(shelf_find(&d, "img-b"), 1);
    assert_int_equal(d.rows[1].len, DISK_LEN);
    assert_int_equal(ask(&c, NBD_READ, 0, shelf_slot_at(1) + 4096, NULL, block, sizeof block), NBD_OK);
    assert_int_equal(block[0], 'b');
    assert_int_equal(ask(&c, NBD_READ, 0, 4096, NULL, block, sizeof block), NBD_OK);
    assert_true(bytes_are_zero(BYTES_OF(block)));
    (void) close(first);
    (void) close(second);
    close_client(&c);
}

static void nothing_beyond_a_disk_is_given(void **state)
{
    static const struct { uint64_t at; uint32_t len; } outside[] = {
        { SHELF_SLOT_LEN + DISK_LEN, 512 }, { SHELF_SLOT_LEN + DISK_LEN - 512, 1024 }, { 2 * SHELF_SLOT_LEN, 512 },
        { SHELF_LEN - 512, 512 },           { SHELF_LEN, 512 },                         { UINT64_MAX - 511, 512 },
        { SHELF_SLOT_LEN - 512, 1024 },
    };
    struct client c = connect_client();
    uint8_t       block[1024];
    struct err    err;
    int           fd = disk_of('a', O_RDONLY);

    (void) state;
    assert_true(shelf_put(&c.shelf, "img-a", fd, &err));
    assert_int_equal(ask(&c, NBD_READ, 0, 0, NULL, block, 512), NBD_OK);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        assert_int_equal(ask(&c, NBD_READ, 0, outside[i].at, NULL, block, outside[i].len), NBD_EINVAL);
    (void) close(fd);
    close_client(&c);
}

static void only_what_was_given_for_writing_is_written(void **state)
{
    struct client c = connect_client();
    uint8_t       block[512], news[512];
    struct err    err;
    int           kept = disk_of('k', O_RDONLY), open_fd = disk_of('w', O_RDWR);

    (void) state;
    memset(news, 'n', sizeof news);
    assert_true(shelf_put(&c.shelf, "img-a", kept, &err));
    assert_true(shelf_put(&c.shelf, "vol-w", open_fd, &err));
    assert_int_equal(ask(&c, NBD_READ, 0, 0, NULL, block, 512), NBD_OK);
    assert_int_equal(ask(&c, NBD_WRITE, 0, shelf_slot_at(0), news, NULL, 512), NBD_EPERM);
    assert_int_equal(ask(&c, NBD_WRITE, 0, 0, news, NULL, 512), NBD_EINVAL);
    assert_int_equal(ask(&c, NBD_WRITE, 1, shelf_slot_at(1) + 512, news, NULL, 512), NBD_OK);
    assert_int_equal(ask(&c, NBD_FLUSH, 0, 0, NULL, NULL, 0), NBD_OK);
    assert_int_equal(pread(open_fd, block, 512, 512), 512);
    assert_memory_equal(block, news, 512);
    assert_int_equal(pread(kept, block, 512, 0), 512);
    assert_int_equal(block[0], 'k');
    (void) close(kept);
    (void) close(open_fd);
    close_client(&c);
}

static void what_is_no_disk_is_refused(void **state)
{
    struct client c     = connect_client();
    struct shelf  none  = NO_SHELF;
    int           empty = memfd_create("empty", MFD_CLOEXEC), pipe_ends[2];
    struct err    err;

    (void) state;
    assert_int_equal(pipe(pipe_ends), 0);
    assert_false(shelf_put(&c.shelf, "img-a", empty, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(shelf_put(&c.shelf, "img-a", pipe_ends[0], &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(shelf_put(&c.shelf, "a-name-over-twenty-letters", empty, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(shelf_put(&none, "img-a", empty, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    (void) close(empty);
    (void) close(pipe_ends[0]);
    (void) close(pipe_ends[1]);
    close_client(&c);
}

static void a_peer_that_breaks_the_protocol_is_left(void **state)
{
    static uint8_t noise[NBD_REQUEST_LEN] = { 1, 2, 3 };
    struct client  c = connect_client();
    uint8_t        byte;
    struct err     err;

    (void) state;
    assert_true(write_all(c.fd, BYTES_OF(noise), &err));
    assert_int_equal(recv(c.fd, &byte, 1, 0), 0);
    close_client(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_later_is_there),
        cmocka_unit_test(nothing_beyond_a_disk_is_given),
        cmocka_unit_test(only_what_was_given_for_writing_is_written),
        cmocka_unit_test(what_is_no_disk_is_refused),
        cmocka_unit_test(a_peer_that_breaks_the_protocol_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
