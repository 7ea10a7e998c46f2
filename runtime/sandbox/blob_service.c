#include "runtime/sandbox/blob_service.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/sandbox/guest_cache.h"

#define BLOB_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK)

struct blob_service {
    struct ttrpc_connection *connection;
    int                      layout_fd; /* NO_FD: none */
    int                      more_fd;   /* a second directory, or NO_FD */
    struct guest_cache       cache;     /* folder NO_FD: none */
    bool                   (*may_read)(void *owner, const char *digest); /* NULL: all */
    void                   (*kept)(void *owner, const char *digest); /* or NULL */
    void                    *owner;     /* of these two */
    int                      blob_fd;             /* the blob last asked for stays open: reads come in sequence */
    char                     path[BLOB_PATH_LEN]; /* of blob_fd */
};

/* From the layouts, else from the cache. */
static FALLIBLE find_blob(const struct blob_service *service, const char *digest, const char *path, int *out,
                          struct err *err)
{
    const int folders[] = { service->layout_fd, service->more_fd };

    if (service->may_read && !service->may_read(service->owner, digest))
        return fail_with(err, ERR_NOT_FOUND, "%s is not of an image of this pod", digest);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        *out = folders[i] >= 0 ? openat(folders[i], path, BLOB_FLAGS) : NO_FD;
        if (*out >= 0)
            return true;
        if (folders[i] >= 0 && errno != ENOENT)
            return err_os(err, "open %s", digest);
    }
    if (service->cache.folder_fd >= 0)
        return guest_cache_get(&service->cache, digest, out, err);
    return fail_with(err, ERR_NOT_FOUND, service->layout_fd >= 0 ? "%s is not in the image layout" : "no cache: no %s", digest);
}

static FALLIBLE open_blob(struct blob_service *service, const char *digest, struct err *err)
{
    char        path[BLOB_PATH_LEN];
    struct stat at;

    if (!blob_path(digest, path, err))
        return false;
    if (service->blob_fd >= 0 && strcmp(path, service->path) == 0)
        return true;

    AUTO(fd) int fd = NO_FD;

    if (!find_blob(service, digest, path, &fd, err))
        return false;
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

static FALLIBLE write_blob(struct blob_service *service, const Blobs__WriteRequest *request, struct err *err)
{
    if (service->cache.folder_fd < 0)
        return fail_with(err, ERR_UNSUPPORTED, "this host keeps nothing");
    if (request->data.len > TRANSFER_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "%zu bytes at once", request->data.len);
    if (service->may_read && !service->may_read(service->owner, request->digest))
        return fail_with(err, ERR_DENIED, "%.80s is not of an image of this pod", request->digest);
    if (!guest_cache_put(&service->cache, request->digest, request->offset, request->size,
                         (struct bytes){ request->data.data, request->data.len }, err))
        return false;
    if (service->kept && request->offset + request->data.len == request->size)
        service->kept(service->owner, request->digest);
    return true;
}

static void serve_write(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    Blobs__WriteResponse response = BLOBS__WRITE_RESPONSE__INIT;
    struct err           err;

    if (write_blob(owner, (const Blobs__WriteRequest *) message, &err))
        ttrpc_answer(pending, &response.base);
    else
        ttrpc_refuse(pending, &err);
}

/* A guest that breaks the protocol or goes away just gets no more blobs; the VM's own end is seen elsewhere. */
static void connection_closed(void *owner, const struct err *why)
{
    (void) owner;
    (void) why;
}

static FALLIBLE open_folders(struct blob_service *service, const struct blob_service_options *options, struct err *err)
{
    if (options->layout) {
        service->layout_fd = open(options->layout, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (service->layout_fd < 0)
            return err_os(err, "open %s", options->layout);
    }
    if (options->more) /* one that is not there has no blobs */
        service->more_fd = open(options->more, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return !options->cache || guest_cache_open(options->cache, options->cache_max, &service->cache, err) ||
           context(err, "cache");
}

FALLIBLE blob_service_new(struct loop *loop, const struct blob_service_options *options, int fd_take,
                          struct blob_service **out, struct err *err)
{
    static const struct ttrpc_row    rows[]  = { { "Read", serve_read }, { "Write", serve_write } };
    AUTO(fd) int                     fd      = fd_take;
    AUTO(blob_service) struct blob_service *service = calloc(1, sizeof *service);

    if (!service)
        abort();
    service->layout_fd = service->more_fd = service->blob_fd = NO_FD;
    service->cache     = NO_GUEST_CACHE;
    service->may_read  = options->may_read;
    service->kept      = options->kept;
    service->owner     = options->owner;

    struct ttrpc_connection_options serving = { .loop = loop, .service = &blobs_service, .rows = rows, .n_rows = 2,
                                                .closed = connection_closed, .owner = service };

    if (!open_folders(service, options, err))
        return false;
    if (!ttrpc_connection_new(&serving, TAKE_FD(fd), &service->connection, err))
        return context(err, "serve blobs");
    *out = TAKE(service);
    return true;
}

void blob_service_free(struct blob_service *service)
{
    if (!service)
        return;
    ttrpc_connection_free(service->connection);
    auto_fd(&service->blob_fd);
    auto_fd(&service->layout_fd);
    auto_fd(&service->more_fd);
    guest_cache_close(&service->cache);
    free(service);
}
