/* Sockets that listen: opened here, or handed over by systemd under a name. [sd_listen_fds(3)] */
#pragma once

#include "base/auto.h"
#include "base/err.h"

enum { LISTENER_ADDRESS_MAX = 80 };

/* Whether it is ADDRESS:PORT. Fails CONFIG. */
FALLIBLE listener_address_check(const char *address, struct err *err);

/* Whether only this machine reaches "127.0.0.1:8443" or "[::1]:8443"; false for what is no address. */
bool listener_is_loopback(const char *address);

/*
 * `where` is "127.0.0.1:8443" or "[::1]:0": numbers only, nothing is resolved. A socket that systemd passed as `name`
 * is taken instead.
 *
 *   address    "127.0.0.1:8443", with the port really taken
 *
 * Fails CONFIG for an address that it cannot read or a passed socket that does not listen, OS.
 */
FALLIBLE listener_open(const char *where, const char *name, int *fd, char address[static LISTENER_ADDRESS_MAX],
                       struct err *err);
