/*
 * The process that holds keys: it binds the initdata to the guest's own report, attests, asks the broker for image
 * keys, and turns an image into a root directory. PID 1 talks to it over a socket; the host never does. While nobody wants
 * anything it rests (resting.h).
 */
#pragma once

#include "guest/agent/keeper.pb-c.h"
#include "guest/api/services.h"
#include "guest/init/cmdline.h"

extern const struct ttrpc_service keeper_service;

struct keeper_options {
    enum cmdline_tee tee;
    int              control_fd; /* stream socket to PID 1; taken */
    int              tunnel_fd;  /* for tunnel_connect; taken */
    int              fetcher_fd; /* to the process that talks to registries; taken */
    int              mounter_fd; /* for mounter_mount; NO_FD: the host lent no image disk; taken */
    int              layers_fd;  /* for layer_mounts_ask; taken */
    int              opener_fd;  /* to the one that opens volumes; taken; NO_FD: there is none */
    int              blobs_fd;   /* the port of that name; taken */
    int              report_fd;  /* likewise, of the simulated platform; NO_FD on others; taken */
};

/* Serves PID 1 until its socket closes. Returns the process's exit code. */
int keeper_run(struct keeper_options *options);
