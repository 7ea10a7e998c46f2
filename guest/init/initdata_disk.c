#include "guest/init/initdata_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/auto.h"
#include "keys/api/initdata.h"

#define MAGIC "initdata"

enum { HEADER_LEN = 16 };

static bool is_whole_disk(const char *name)
{
    return (strncmp(name, "vd", 2) == 0 || strncmp(name, "sd", 2) == 0) && name[2] >= 'a' && name[2] <= 'z' &&
           name[3] == 0;
}

/* Reads exactly `len` bytes from the start; a disk that is shorter gives what it has. */
static FALLIBLE read_front(int fd, const char *name, size_t len, struct buffer *out, struct err *err)
{
    uint8_t *at   = buffer_grow(out, len);
    size_t   have = 0;

    while (have < len) {
        ssize_t n = pread(fd, at + have, len - have, (off_t) have);

        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return err_os(err, "disk %s", name);
        if (n > 0)
            have += (size_t) n;
    }
    out->len -= len - have;
    return true;
}

/* `is_it` says whether the disk has the magic; then `text` holds what was on it. */
static FALLIBLE look_at(int directory_fd, const char *name, bool *is_it, struct buffer *text, struct err *err)
{
    AUTO(buffer) struct buffer front = { 0 };
    AUTO(buffer) struct buffer disk  = { 0 };
    AUTO(fd) int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    *is_it = false;
    if (fd < 0)
        return err_os(err, "disk %s", name);
    if (!read_front(fd, name, HEADER_LEN, &front, err))
        return false;
    if (front.len < HEADER_LEN || memcmp(front.at, MAGIC, strlen(MAGIC)) != 0)
        return true;

    size_t wanted = initdata_disk_len(buffer_bytes(&front));
    *is_it        = true;
    if (!read_front(fd, name, wanted > 0 ? wanted : HEADER_LEN, &disk, err))
        return false;
    return initdata_disk_read(buffer_bytes(&disk), text, err);
}

FALLIBLE initdata_disk_find(const char *directory, struct buffer *text, struct err *err)
{
    AUTO(dir) DIR             *devices = opendir(directory);
    AUTO(buffer) struct buffer only    = { 0 };
    unsigned                   n = 0, n_found = 0;

    if (!devices)
        return err_os(err, "initdata: %s", directory);
    for (struct dirent *entry; (entry = readdir(devices));) {
        AUTO(buffer) struct buffer found = { 0 };
        bool                       is_it;

        if (!is_whole_disk(entry->d_name))
            continue;
        if (++n > BLOCK_DEVICES_MAX)
            return fail_with(err, ERR_LIMIT, "over %d disks", BLOCK_DEVICES_MAX);
        if (!look_at(dirfd(devices), entry->d_name, &is_it, &found, err))
            return false;
        if (!is_it)
            continue;
        if (++n_found > 1)
            return fail_with(err, ERR_MALFORMED, "two disks hold initdata");
        buffer_append(&only, buffer_bytes(&found));
    }
    if (n_found == 0)
        return fail_with(err, ERR_NOT_FOUND, "no disk holds initdata");
    buffer_append(text, buffer_bytes(&only));
    return true;
}
