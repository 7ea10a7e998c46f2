#include "keys/ocicrypt/key_file.h"

#include <errno.h>
#include <fcntl.h>

#include "base/auto.h"
#include "keys/ocicrypt/limits.h"

FALLIBLE key_file_read(const char *path, struct secret *out, struct err *err)
{
    AUTO(fd) int               fd    = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    AUTO(secret) struct secret found = { 0 };
    size_t                     len   = 0;

    if (fd < 0)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "no key file %s: make one with "
                                           "`openssl rand -out %s %d`", path, path, ENC_KEY_LEN) :
                                 err_os(err, "open the key file %s", path);
    if (!secret_new(ENC_KEY_LEN + 1, &found, err)) /* one more, to see that there is none */
        return false;
    while (len < found.len) {
        ssize_t n = read(fd, found.held + len, found.len - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(err, "read the key file %s", path);
        if (n == 0)
            break;
        len += (size_t) n;
    }
    if (len != ENC_KEY_LEN)
        return fail_with(err, ERR_CONFIG, "key file %s has %s than %d bytes; make a new one with "
                         "`openssl rand -out FILE %d`", path, len < ENC_KEY_LEN ? "fewer" : "more", ENC_KEY_LEN,
                         ENC_KEY_LEN);
    return secret_copy((struct bytes){ found.held, ENC_KEY_LEN }, out, err);
}
