#include "guest/init/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/auto.h"
#include "base/file.h"

static int is_module(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static FALLIBLE load(int directory_fd, const char *name, struct err *err)
{
    AUTO(fd) int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return err_os(err, "module %s", name);
    if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != ENODEV && errno != EEXIST)
        return err_os(err, "module %s", name);
    return true;
}

FALLIBLE modules_load(const char *directory, struct err *err)
{
    AUTO(fd) int    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent **entries      = NULL;
    bool            is_good      = true;

    if (directory_fd < 0)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "modules: no %s", directory)
                               : err_os(err, "modules: %s", directory);
    int n = scandir(directory, &entries, is_module, alphasort);
    if (n < 0)
        return err_os(err, "modules: %s", directory);
    if (n > MODULES_MAX)
        is_good = fail_with(err, ERR_LIMIT, "modules: over %d", MODULES_MAX);
    for (int i = 0; i < n; i++) {
        is_good = is_good && load(directory_fd, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    return is_good;
}

void modules_forget(const char *directory)
{
    struct err unheard; /* what stays costs memory, and no more */

    (void) !directory_remove(directory, &unheard);
}
