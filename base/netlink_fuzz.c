#include "base/netlink.h"

/* Every message and attribute lies inside what was given, and reading comes to an end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_over((struct bytes){ data, size });
    struct err    err;

    while (r.left.len > 0) {
        struct netlink_message m;
        size_t                 before = r.left.len;

        if (!netlink_message_next(&r, &m, &err))
            return 0;
        if (r.left.len >= before || m.body.at < data || m.body.at + m.body.len > data + size)
            __builtin_trap();
        struct reader body = reader_over(m.body);
        while (body.left.len > 0) {
            struct netlink_attribute a;

            if (!netlink_attribute_next(&body, &a, &err))
                break;
            if (a.value.at < m.body.at || a.value.at + a.value.len > m.body.at + m.body.len)
                __builtin_trap();
        }
    }
    return 0;
}
