#include "guest/container/user.h"

#include <string.h>

/* First line: what is wanted; then passwd, a line "--", and group. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char           wanted[256];
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    struct user    user = { 0 };
    struct err     err;

    if (!line || (size_t) (line - data) >= sizeof wanted || memchr(data, 0, (size_t) (line - data)))
        return 0;
    memcpy(wanted, data, (size_t) (line - data));
    wanted[line - data] = 0;
    struct bytes   files = { line + 1, size - (size_t) (line - data) - 1 };
    const uint8_t *cut   = files.len ? memmem(files.at, files.len, "\n--\n", 4) : NULL;
    struct bytes   first = { files.at, cut ? (size_t) (cut - files.at) : files.len };
    struct bytes   second = { cut ? cut + 4 : NULL, cut ? files.len - first.len - 4 : 0 };

    if (user_find(wanted, first, second, &user, &err) &&
        (user.uid == UINT32_MAX || user.gid == UINT32_MAX || user.home[0] != '/' || user.n_groups > USER_GROUPS_MAX))
        __builtin_trap();
    return 0;
}
