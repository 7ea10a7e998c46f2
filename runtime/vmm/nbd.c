#include "runtime/vmm/nbd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/file.h"

#define NBD_MAGIC         0x4e42444d41474943ULL /* "NBDMAGIC" */
#define OPTION_MAGIC      0x49484156454f5054ULL /* "IHAVEOPT" */
#define OPTION_REPLY      0x0003e889045565a9ULL
#define REQUEST_MAGIC     0x25609513U
#define SIMPLE_REPLY      0x67446698U
#define REPLY_ACK         1U
#define REPLY_INFO        3U
#define REPLY_UNSUPPORTED 0x80000001U

enum { FIXED_NEWSTYLE = 1, NO_ZEROES = 2 };
enum { OPTION_EXPORT_NAME = 1, OPTION_ABORT = 2, OPTION_INFO = 6, OPTION_GO = 7 };
enum { INFO_EXPORT = 0, INFO_BLOCK_SIZE = 3 };
enum { HAS_FLAGS = 1, SEND_FLUSH = 4, SEND_FUA = 8 };
enum { REQUEST_FUA = 1, SECTOR = 512, PAGE = 4096, REPLY_ROOM = 64 };

/* ---- what the peer says ---- */

FALLIBLE nbd_request_read(struct bytes head, struct nbd_request *out, struct err *err)
{
    struct reader      r     = reader_over(head);
    uint32_t           magic = take_u32be(&r);
    uint16_t           flags = take_u16be(&r), command = take_u16be(&r);
    struct nbd_request found = { .cookie = take_u64be(&r), .offset = take_u64be(&r), .len = take_u32be(&r) };

    if (!reader_done(&r, err))
        return context(err, "NBD request");
    if (magic != REQUEST_MAGIC)
        return fail_with(err, ERR_MALFORMED, "NBD request: no magic");
    if (command > NBD_FLUSH || (flags & ~REQUEST_FUA) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "NBD request: command %u, flags %#x", command, flags);
    if (found.len > NBD_BLOCK_MAX)
        return fail_with(err, ERR_LIMIT, "NBD request: %u bytes", found.len);
    found.command    = (enum nbd_command) command;
    found.is_durable = (flags & REQUEST_FUA) != 0;
    *out             = found;
    return true;
}

FALLIBLE nbd_option_read(struct bytes head, uint32_t *option, uint32_t *len, struct err *err)
{
    struct reader r     = reader_over(head);
    uint64_t      magic = take_u64be(&r);
    uint32_t      which = take_u32be(&r), more = take_u32be(&r);

    if (!reader_done(&r, err))
        return context(err, "NBD option");
    if (magic != OPTION_MAGIC)
        return fail_with(err, ERR_MALFORMED, "NBD option: no magic");
    if (more > NBD_OPTION_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "NBD option: %u bytes", more);
    *option = which;
    *len    = more;
    return true;
}

/* ---- the connection ---- */

/* `*is_over` when the peer hung up before the first byte. */
static FALLIBLE receive(int fd, uint8_t *into, size_t len, bool *is_over, struct err *err)
{
    if (is_over)
        *is_over = false;
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, into + got, len - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 && got == 0 && is_over) {
            *is_over = true;
            return true;
        }
        if (n <= 0)
            return n < 0 ? err_os(err, "NBD") : fail_with(err, ERR_MALFORMED, "NBD: the peer went in the middle of a message");
        got += (size_t) n;
    }
    return true;
}

static FALLIBLE reply(int fd, uint32_t option, uint32_t type, struct bytes what, struct err *err)
{
    uint8_t       room[REPLY_ROOM];
    struct writer w = writer_over(room, sizeof room);

    put_u64be(&w, OPTION_REPLY);
    put_u32be(&w, option);
    put_u32be(&w, type);
    put_u32be(&w, (uint32_t) what.len);
    put(&w, what);
    return writer_ok(&w, err) && write_all(fd, writer_bytes(&w), err);
}

static FALLIBLE tell_export(int fd, uint32_t option, const struct nbd_export *export, struct err *err)
{
    uint8_t       about[12], blocks[14];
    struct writer a = writer_over(about, sizeof about), b = writer_over(blocks, sizeof blocks);

    put_u16be(&a, INFO_EXPORT);
    put_u64be(&a, export->len);
    put_u16be(&a, HAS_FLAGS | SEND_FLUSH | SEND_FUA);
    put_u16be(&b, INFO_BLOCK_SIZE);
    put_u32be(&b, SECTOR);
    put_u32be(&b, PAGE);
    put_u32be(&b, NBD_BLOCK_MAX);
    return reply(fd, option, REPLY_INFO, writer_bytes(&a), err) && reply(fd, option, REPLY_INFO, writer_bytes(&b), err) &&
           reply(fd, option, REPLY_ACK, (struct bytes){ 0 }, err);
}

static FALLIBLE greet(int fd, struct err *err)
{
    uint8_t       hello[18], answer[4];
    struct writer w = writer_over(hello, sizeof hello);

    put_u64be(&w, NBD_MAGIC);
    put_u64be(&w, OPTION_MAGIC);
    put_u16be(&w, FIXED_NEWSTYLE | NO_ZEROES);
    if (!write_all(fd, writer_bytes(&w), err) || !receive(fd, answer, sizeof answer, NULL, err))
        return false;
    struct reader r = reader_over(BYTES_OF(answer));
    return take_u32be(&r) == (FIXED_NEWSTYLE | NO_ZEROES) || fail_with(err, ERR_UNSUPPORTED, "NBD: the peer is of another time");
}

/* `*goes` when the export is agreed on; both false when the peer takes leave. The name of the export says nothing: there is one. */
static FALLIBLE negotiate(int fd, const struct nbd_export *export, bool *goes, struct err *err)
{
    uint8_t  head[NBD_OPTION_HEAD_LEN], what[NBD_OPTION_LEN_MAX];
    uint32_t option, len;
    bool     is_over;

    for (*goes = false; !*goes;) {
        if (!receive(fd, head, sizeof head, &is_over, err))
            return false;
        if (is_over)
            return true;
        if (!nbd_option_read(BYTES_OF(head), &option, &len, err) || !receive(fd, what, len, NULL, err))
            return false;
        *goes = option == OPTION_GO;
        if (option == OPTION_ABORT)
            return reply(fd, option, REPLY_ACK, (struct bytes){ 0 }, err);
        if (option == OPTION_GO || option == OPTION_INFO ? !tell_export(fd, option, export, err)
                                                         : !reply(fd, option, REPLY_UNSUPPORTED, (struct bytes){ 0 }, err))
            return false;
    }
    return true;
}

static FALLIBLE answer(int fd, uint64_t cookie, enum nbd_error error, struct bytes data, struct err *err)
{
    uint8_t       head[16];
    struct writer w = writer_over(head, sizeof head);

    put_u32be(&w, SIMPLE_REPLY);
    put_u32be(&w, (uint32_t) error);
    put_u64be(&w, cookie);
    return write_all(fd, writer_bytes(&w), err) && (error != NBD_OK || write_all(fd, data, err));
}

static FALLIBLE serve_one(int fd, const struct nbd_export *export, const struct nbd_request *request, uint8_t *block, struct err *err)
{
    bool           is_inside = request->offset <= export->len && request->len <= export->len - request->offset;
    enum nbd_error error     = NBD_EINVAL;
    size_t         n_data    = 0;

    switch (request->command) {
    case NBD_READ:
        if (is_inside)
            error = export->read(export->owner, request->offset, block, request->len);
        n_data = request->len;
        break;
    case NBD_WRITE: /* what is to be written comes in any case */
        if (!receive(fd, block, request->len, NULL, err))
            return false;
        if (is_inside)
            error = export->write(export->owner, request->offset, (struct bytes){ block, request->len }, request->is_durable);
        break;
    case NBD_FLUSH:
        error = export->flush(export->owner);
        break;
    case NBD_DISCONNECT:
        break;
    }
    return answer(fd, request->cookie, error, (struct bytes){ block, n_data }, err);
}

FALLIBLE nbd_serve(int fd, const struct nbd_export *export, struct err *err)
{
    AUTO(heap) uint8_t *block = malloc(NBD_BLOCK_MAX);
    uint8_t             head[NBD_REQUEST_LEN];
    struct nbd_request  request;
    bool                goes, is_over;

    if (!block)
        abort();
    if (!greet(fd, err) || !negotiate(fd, export, &goes, err))
        return false;
    while (goes) {
        if (!receive(fd, head, sizeof head, &is_over, err))
            return false;
        if (is_over)
            return true;
        if (!nbd_request_read(BYTES_OF(head), &request, err))
            return false;
        goes = request.command != NBD_DISCONNECT;
        if (goes && !serve_one(fd, export, &request, block, err))
            return false;
    }
    return true;
}
