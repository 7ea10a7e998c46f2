#include "runtime/sandbox/blob_service.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define BLOB_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK)

struct blob_service {
    struct ttrpc_connection *connection;
    int                      layout_fd;
    int                      more_fd;             /* a second directory, or NO_FD */
    bool                   (*may_read)(void *owner, const char *digest); /* NULL: all */
    void                    *guard;               /* its owner */
    int                      blob_fd;             /* the blob last asked for stays open: reads come in sequence */
    char                     path[BLOB_PATH_LEN]; /* of blob_fd */
};

FALLIBLE blob_path(const char *digest, char path[static BLOB_PATH_LEN], struct err *err)
{
    if (strncmp(digest, "sha256:", 7) != 0 || strlen(digest) != 7 + 64 ||
        strspn(digest + 7, "0123456789abcdef") != 64)
        return fail_with(err, ERR_MALFORMED, "blob digest");
    (void) snprintf(path, BLOB_PATH_LEN, "blobs/sha256/%s", digest + 7); /* the length was checked */
    return true;
}

static FALLIBLE open_blob(struct blob_service *service, const char *digest, struct err *err)
{
    char        path[BLOB_PATH_LEN];
    struct stat at;

    if (!blob_path(digest, path, err))
        return false;
    if (service->blob_fd >= 0 && strcmp(path, service->path) == 0)
        return true;

    if (service->may_read && !service->may_read(service->guard, digest))
        return fail_with(err, ERR_NOT_FOUND, "%s is not of an image of this pod", digest);

    AUTO(fd) int fd = openat(service->layout_fd, path, BLOB_FLAGS);

    if (fd < 0 && errno == ENOENT && service->more_fd >= 0)
        fd = openat(service->more_fd, path, BLOB_FLAGS);
    if (fd < 0)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "%s is not in the image layout", digest)
                               : err_os(err, "open %s", digest);
    if (fstat(fd, &at) < 0 || !S_ISREG(at.st_mode))
        return fail_with(err, ERR_NOT_FOUND, "%s is not a file in the image layout", digest);
    auto_fd(&service->blob_fd);
    service->blob_fd = TAKE_FD(fd);
    memcpy(service->path, path, sizeof path);
    return true;
}

static FALLIBLE read_blob(struct blob_service *service, const Blobs__ReadRequest *request, struct buffer *out,
                          uint64_t *size, struct err *err)
{
    struct stat at;
    ssize_t     n;

    if (!open_blob(service, request->digest, err))
        return false;
    if (request->length == 0 || request->length > TRANSFER_LEN_MAX || request->offset > INT64_MAX)
        return fail_with(err, ERR_LIMIT, "%u bytes at offset %llu", request->length,
                         (unsigned long long) request->offset);
    if (fstat(service->blob_fd, &at) < 0)
        return err_os(err, "read %s", request->digest);
    n = pread(service->blob_fd, buffer_grow(out, request->length), request->length, (off_t) request->offset);
    if (n < 0)
        return err_os(err, "read %s", request->digest);
    out->len = (size_t) n;
    *size    = (uint64_t) at.st_size;
    return true;
}

static void serve_read(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    const Blobs__ReadRequest  *request  = (const Blobs__ReadRequest *) message;
    Blobs__ReadResponse        response = BLOBS__READ_RESPONSE__INIT;
    AUTO(buffer) struct buffer piece    = { 0 };
    struct err                 err;

    if (!read_blob(owner, request, &piece, &response.size, &err)) {
        ttrpc_refuse(pending, &err);
        return;
    }
    response.data = (ProtobufCBinaryData){ piece.len, piece.at };
    ttrpc_answer(pending, &response.base);
}

/* A guest that breaks the protocol or goes away just gets no more blobs; the VM's own end is seen elsewhere. */
static void connection_closed(void *owner, const struct err *why)
{
    (void) owner;
    (void) why;
}

FALLIBLE blob_service_new(struct loop *loop, int layout_fd_take, int fd_take, struct blob_service **out,
                          struct err *err)
{
    static const struct ttrpc_row    rows[]  = { { "Read", serve_read } };
    AUTO(blob_service) struct blob_service *service = calloc(1, sizeof *service);

    if (!service)
        abort();
    service->layout_fd = layout_fd_take;
    service->more_fd   = NO_FD;
    service->blob_fd   = NO_FD;

    struct ttrpc_connection_options options = { .loop = loop, .service = &blobs_service, .rows = rows, .n_rows = 1,
                                                .closed = connection_closed, .owner = service };

    if (!ttrpc_connection_new(&options, fd_take, &service->connection, err))
        return context(err, "serve blobs");
    *out = TAKE(service);
    return true;
}

void blob_service_add(struct blob_service *service, int layout_fd_take)
{
    auto_fd(&service->more_fd);
    service->more_fd = layout_fd_take;
}

void blob_service_guard(struct blob_service *service, bool (*may_read)(void *owner, const char *digest), void *owner)
{
    service->may_read = may_read;
    service->guard    = owner;
}

void blob_service_free(struct blob_service *service)
{
    if (!service)
        return;
    ttrpc_connection_free(service->connection);
    auto_fd(&service->blob_fd);
    auto_fd(&service->layout_fd);
    auto_fd(&service->more_fd);
    free(service);
}
