/* rtnetlink: requests written, answers read attribute by attribute, and the socket between. [netlink(7), rtnetlink(7)] */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"

/* ---- writing: a request is one message in a buffer of its own ---- */

/*
 *   flags   besides NLM_F_REQUEST
 *   fixed   the structure that precedes the attributes: ifinfomsg, tcmsg, …
 */
void   netlink_begin(struct buffer *request, uint16_t type, uint16_t flags, struct bytes fixed);
void   netlink_put(struct buffer *request, uint16_t type, struct bytes value); /* aborts beyond 64 KiB */
void   netlink_put_u32(struct buffer *request, uint16_t type, uint32_t value);
void   netlink_put_text(struct buffer *request, uint16_t type, const char *text); /* with its terminating zero */
size_t netlink_nest(struct buffer *request, uint16_t type); /* what is put from here on lies inside, until … */
void   netlink_end_nest(struct buffer *request, size_t nest);

/* ---- reading ---- */

struct netlink_message {
    uint16_t     type, flags;
    uint32_t     sequence;
    struct bytes body; /* borrows */
};

struct netlink_attribute {
    uint16_t     type;  /* without the flags in its two upper bits */
    struct bytes value; /* borrows */
};

/* Both take the next one off a reader in which something is left. Fail MALFORMED. */
FALLIBLE netlink_message_next(struct reader *r, struct netlink_message *out, struct err *err);
FALLIBLE netlink_attribute_next(struct reader *r, struct netlink_attribute *out, struct err *err);

uint32_t netlink_u32(const struct netlink_attribute *a); /* 0 when the value is not of 4 bytes */

/* ---- the kernel ---- */

enum { NETLINK_DUMP_MAX = 4 << 20 }; /* bytes of one dump: some 20,000 routes */

FALLIBLE netlink_open(int *fd, struct err *err); /* in the network namespace of the caller, now and later */

/* Sends and waits for the kernel's word. Fails OS with the kernel's errno. */
FALLIBLE netlink_change(int fd, struct buffer *request, struct err *err);

/* Appends the answer's messages as they came, without the last that says that it is over. Fails OS, LIMIT, MALFORMED. */
FALLIBLE netlink_dump(int fd, struct buffer *request, struct buffer *out, struct err *err);
