/* Whose connection it is: the kernel keeps with each socket the control group that made it. [sock_diag(7)] */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/*
 * The control group of the socket on 127.0.0.1 with local port `port` whose peer is 127.0.0.1 port `server_port`. The
 * number is that of its directory in cgroup2's file system (st_ino).
 *
 * Fails NOT_FOUND when there is none any more, UNSUPPORTED where the kernel does not tell, OS.
 */
FALLIBLE caller_cgroup(uint16_t port, uint16_t server_port, uint64_t *out, struct err *err);

/* Reads the kernel's answer, a netlink message. Fails as above, MALFORMED. */
FALLIBLE caller_answer_read(struct bytes answer, uint64_t *out, struct err *err);
