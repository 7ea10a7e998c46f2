#include "runtime/vmm/qemu.h"

#include <sys/stat.h>
#include <unistd.h>

#include "runtime/vmm/jail.h"
#include "runtime/vmm/qemu_command.h"

/* The group that may open /dev/kvm; 0 when there is no such device, or it is root's. */
static gid_t group_of_kvm(void)
{
    struct stat at;

    return stat("/dev/kvm", &at) == 0 ? at.st_gid : 0;
}

/*
 * Nobody, where we are root. With KVM that takes a group with the right to /dev/kvm, and nothing else is needed but
 * /dev/sev, which SNP's launch opens; where neither is open to that group, QEMU stays root, without a capability to gain.
 */
static uid_t user_for(const struct vm_config *config)
{
    if (geteuid() != 0)
        return 0;
    return config->accel != ACCEL_KVM || (group_of_kvm() != 0 && config->tee != TEE_SNP) ? JAIL_USER : 0;
}

bool qemu_start(const struct vm_config *config, int words_fd, struct process *out, struct err *err)
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
        .user         = user_for(config),
        .group        = config->accel == ACCEL_KVM ? group_of_kvm() : 0,
        .confined     = true,
    };

    if (process_start(&options, out, err))
        return true;
    if (err->kind == ERR_NOT_FOUND)
        return fail_with(err, ERR_NOT_FOUND, "qemu-system-x86_64 is not in PATH; install it: apt-get install qemu-system-x86");
    return context(err, "start the VM");
}
