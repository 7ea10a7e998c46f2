#include "runtime/vmm/qemu.h"

#include <unistd.h>

#include "runtime/vmm/qemu_command.h"

enum { NOBODY = 65534 };

FALLIBLE qemu_start(const struct vm_config *config, int words_fd, struct process *out, struct err *err)
{
    AUTO(qemu_command) struct qemu_command command = { 0 };
    static const char *const               environment[] = { "PATH=/usr/bin:/bin", NULL };

    if (!qemu_command_build(config, &command, err))
        return false;
    command.fds[command.n_fds++] = (struct process_fd){ words_fd, STDOUT_FILENO };
    command.fds[command.n_fds++] = (struct process_fd){ words_fd, STDERR_FILENO };

    struct process_options options = {
        .argv         = (const char *const *) command.argv,
        .environment  = environment,
        .fds          = command.fds,
        .n_fds        = command.n_fds,
        .new_group    = true, /* Ctrl-C is for us to pass on */
        .dies_with_us = true,
        .user         = geteuid() == 0 && config->accel != ACCEL_KVM ? NOBODY : 0,
    };

    if (process_start(&options, out, err))
        return true;
    if (err->kind == ERR_NOT_FOUND)
        return fail_with(err, ERR_NOT_FOUND, "qemu-system-x86_64 is not in PATH; install it: apt-get install qemu-system-x86");
    return context(err, "start the VM");
}
