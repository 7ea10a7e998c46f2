#include "guest/init/sysctls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/auto.h"

const struct sysctl_row sysctl_rows[] = {
    { "kernel/modules_disabled", "1", false },  /* what the initrd carried is loaded: nothing else, ever */
    { "kernel/kexec_load_disabled", "1", true },
    { "kernel/unprivileged_bpf_disabled", "1", true },
    { "kernel/io_uring_disabled", "2", true },
    { "kernel/dmesg_restrict", "1", true },
    { "kernel/kptr_restrict", "2", false },
    { "kernel/perf_event_paranoid", "3", true },
    { "kernel/sysrq", "0", true },
    { "kernel/core_pattern", "|/nowhere", false }, /* no core is written: memory holds what must not be stored */
    { "fs/suid_dumpable", "0", false },
    { "fs/protected_hardlinks", "1", false },
    { "fs/protected_symlinks", "1", false },
    { "user/max_user_namespaces", "0", true },
    { "vm/unprivileged_userfaultfd", "0", true },
};
const size_t n_sysctl_rows = sizeof sysctl_rows / sizeof *sysctl_rows;

static FALLIBLE write_row(int root_fd, const struct sysctl_row *row, struct err *err)
{
    AUTO(fd) int fd = openat(root_fd, row->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT && row->may_be_absent)
        return true;
    if (fd < 0 || write(fd, row->value, strlen(row->value)) < 0)
        return err_os(err, "sysctl %s", row->path);
    return true;
}

FALLIBLE sysctls_write(const char *root, struct err *err)
{
    AUTO(fd) int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root_fd < 0)
        return err_os(err, "sysctls");
    for (size_t i = 0; i < n_sysctl_rows; i++)
        if (!write_row(root_fd, &sysctl_rows[i], err))
            return false;
    return true;
}
