/*
 * The server's side of the network block device protocol, as much of it as QEMU needs to have a disk from another
 * process: fixed newstyle negotiation of one export, then read, write and flush, one after the other.
 * [NBD, doc/proto.md]
 */
#pragma once

#include "base/bytes.h"

enum { NBD_BLOCK_MAX = 256 << 10 /* bytes of one request */, NBD_REQUEST_LEN = 28, NBD_OPTION_HEAD_LEN = 16, NBD_OPTION_LEN_MAX = 4096 };

enum nbd_command { NBD_READ = 0, NBD_WRITE = 1, NBD_DISCONNECT = 2, NBD_FLUSH = 3 };
enum nbd_error { NBD_OK = 0, NBD_EPERM = 1, NBD_EIO = 5, NBD_EINVAL = 22, NBD_ENOSPC = 28 };

struct nbd_request {
    enum nbd_command command;
    bool             is_durable; /* of a write: answered when it is on the disk */
    uint64_t         cookie, offset;
    uint32_t         len;
};

/* Reads the 28 bytes of a request. Fails MALFORMED, UNSUPPORTED for a command or a flag that was not offered, LIMIT. */
FALLIBLE nbd_request_read(struct bytes head, struct nbd_request *out, struct err *err);

/* An option's head: its number and the length of what follows. Fails MALFORMED, LIMIT. */
FALLIBLE nbd_option_read(struct bytes head, uint32_t *option, uint32_t *len, struct err *err);

struct nbd_export {
    uint64_t len; /* bytes */
    /* Each does all of it, or tells why not. */
    enum nbd_error (*read)(void *owner, uint64_t at, uint8_t *into, uint32_t len);
    enum nbd_error (*write)(void *owner, uint64_t at, struct bytes what, bool is_durable);
    enum nbd_error (*flush)(void *owner);
    void *owner;
};

/* Serves the peer on a connected socket until it goes. Fails as above, and OS. */
FALLIBLE nbd_serve(int fd, const struct nbd_export *export, struct err *err);
