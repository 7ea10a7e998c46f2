/*
 * The simulated platform: a process on the host that plays the AMD secure processor for one VM. It is fed with the
 * very bytes that QEMU is given, computes the launch digest by the real algorithm, and signs byte-exact SNP reports
 * under a development key. IT PROTECTS NOTHING: the host that runs it holds the key. [SNP-ABI 7.3, 8.17.2]
 */
#pragma once

#include "base/process.h"
#include "runtime/vmm/vm.h"

#define SIMULATED_CPU_MODEL "EPYC-v4"

struct simulated_platform_options {
    struct bytes firmware, kernel, initrd; /* borrowed: what QEMU was given */
    const char  *append;
    unsigned     cpus;
    uint8_t      host_data[32];            /* digest of the initdata */
    const char  *key_directory;            /* see development_root_folder() */
};

/*
 * Starts the process that serves `port_fd` (our end; taken, also on failure). It ends with the VM or with us.
 * Fails as snp_launch_measure() does; NOT_FOUND, OS, MALFORMED when the development key cannot be read.
 */
FALLIBLE simulated_platform_start(const struct simulated_platform_options *options, int port_fd_take,
                                  struct process *out, struct err *err);
