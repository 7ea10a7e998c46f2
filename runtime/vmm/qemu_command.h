/* QEMU's command line, built from the typed configuration in one place. [QEMU 7.2 qemu-system-x86_64(1)] */
#pragma once

#include "base/process.h"
#include "runtime/vmm/vm.h"

enum { QEMU_ARGS_MAX = 256, QEMU_FDS_MAX = 64 };

/* The zero state is empty; release with AUTO(qemu_command). */
struct qemu_command {
    char             *argv[QEMU_ARGS_MAX + 1]; /* owned, NULL-terminated */
    size_t            n_args;
    struct process_fd fds[QEMU_FDS_MAX];       /* which descriptor of ours QEMU gets under which number */
    size_t            n_fds;
};

/* Fails CONFIG as vm_config_check does; UNSUPPORTED for a TEE that this driver cannot launch. */
FALLIBLE qemu_command_build(const struct vm_config *config, struct qemu_command *out, struct err *err);
void     qemu_command_free(struct qemu_command *command);

static inline void auto_qemu_command(struct qemu_command *command) { qemu_command_free(command); }
