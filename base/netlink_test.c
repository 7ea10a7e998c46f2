#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>

#include "tests/harness/test.h"
#include "base/netlink.h"

/* A message of type 16 with a body of 4 bytes and one attribute of type 3 with 5 bytes, as netlink(7) lays it out. */
static const uint8_t good[] = { 32, 0, 0, 0, 16, 0, 2, 0, 7, 0, 0, 0, 0, 0, 0, 0,
                                0xaa, 0xbb, 0xcc, 0xdd, 9, 0, 3, 0x80, 'e', 't', 'h', '0', 0, 0, 0, 0 };

static bool read_whole(const uint8_t *from, size_t len, struct netlink_attribute *out, struct err *err)
{
    struct reader          r = reader_over((struct bytes){ from, len });
    struct netlink_message m;

    if (!netlink_message_next(&r, &m, err))
        return false;
    assert_int_equal(m.type, 16);
    assert_int_equal(m.sequence, 7);
    struct reader body = reader_over(m.body);
    assert_int_equal(take_u8(&body), 0xaa);
    take(&body, 3);
    return netlink_attribute_next(&body, out, err);
}

static void reads_a_message_and_its_attribute(void **state)
{
    AUTO(heap) uint8_t      *exact = exact_copy(good, sizeof good);
    struct netlink_attribute a;
    struct err               err;

    (void) state;
    assert_true(read_whole(exact, sizeof good, &a, &err));
    assert_int_equal(a.type, 3); /* its flag of nesting is gone */
    assert_int_equal(a.value.len, 5);
    assert_string_equal((const char *) a.value.at, "eth0");
    assert_int_equal(netlink_u32(&a), 0); /* not four bytes */
}

static void rejects_every_truncation(void **state)
{
    (void) state;
    for (size_t len = 0; len < sizeof good; len++) {
        AUTO(heap) uint8_t      *exact = exact_copy(good, len);
        struct netlink_attribute a     = { .type = 99 };
        struct err               err;

        assert_false(read_whole(exact, len, &a, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(a.type, 99);
    }
}

static void rejects_lengths_below_their_headers(void **state)
{
    uint8_t                  bad[sizeof good];
    struct netlink_attribute a;
    struct err               err;

    (void) state;
    memcpy(bad, good, sizeof bad);
    bad[0] = 15;
    assert_false(read_whole(bad, sizeof bad, &a, &err));
    assert_string_equal(err.text, "netlink message: 15 bytes, less than its header");
    memcpy(bad, good, sizeof bad);
    bad[20] = 3;
    assert_false(read_whole(bad, sizeof bad, &a, &err));
    assert_string_equal(err.text, "netlink attribute: 3 bytes, less than its header");
}

static void writes_nested_attributes_as_the_kernel_lays_them_out(void **state)
{
    AUTO(buffer) struct buffer request = { 0 };
    static const uint8_t       fixed[] = { 1, 2, 3, 4 };
    static const uint8_t       wanted[] = { 1, 2, 3, 4, 16, 0, 5, 0, 10, 0, 6, 0, 'e', 't', 'h', '1', '2', 0, 0, 0 };

    (void) state;
    netlink_begin(&request, 20, 0, BYTES_OF(fixed));
    size_t nest = netlink_nest(&request, 5);
    netlink_put_text(&request, 6, "eth12");
    netlink_end_nest(&request, nest);
    assert_int_equal(request.len, 16 + sizeof wanted);
    assert_memory_equal(request.at + 16, wanted, sizeof wanted);
}

static void the_kernel_answers_and_refuses(void **state)
{
    AUTO(buffer) struct buffer request = { 0 }, dump = { 0 };
    AUTO(fd) int               fd      = NO_FD;
    struct ifinfomsg           all     = { 0 };
    struct netlink_message     m;
    struct err                 err;

    (void) state;
    if (unshare(CLONE_NEWNET) < 0)
        skip(); /* only root may */
    assert_true(netlink_open(&fd, &err));
    netlink_begin(&request, RTM_GETLINK, 0, (struct bytes){ (const uint8_t *) &all, sizeof all });
    assert_true(netlink_dump(fd, &request, &dump, &err));
    struct reader r = reader_over(buffer_bytes(&dump));
    assert_true(netlink_message_next(&r, &m, &err)); /* the loopback of a new namespace */
    assert_int_equal(m.type, RTM_NEWLINK);
    all.ifi_index = 12345;
    netlink_begin(&request, RTM_NEWLINK, 0, (struct bytes){ (const uint8_t *) &all, sizeof all });
    netlink_put_u32(&request, IFLA_MTU, 1500);
    assert_false(netlink_change(fd, &request, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_int_equal(err.os_errno, ENODEV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_message_and_its_attribute),
        cmocka_unit_test(rejects_every_truncation),
        cmocka_unit_test(rejects_lengths_below_their_headers),
        cmocka_unit_test(writes_nested_attributes_as_the_kernel_lays_them_out),
        cmocka_unit_test(the_kernel_answers_and_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
