/*
 * The process that talks to registries: TLS, HTTP, logins. It runs as nobody and holds no key of an image; what it
 * gives to the keeper is checked there by digest. Serves fetcher.proto on a socket pair.
 */
#pragma once

#include "guest/api/connection.h"
#include "guest/registry/fetcher.pb-c.h"

extern const struct ttrpc_service fetcher_service;

/* Serves until the other end is closed. Returns the exit code of the process. */
int fetcher_run(int control_fd_take);
