/* A running QEMU: started, watched, ended; nothing of it is left behind. */
#pragma once

#include "base/process.h"
#include "runtime/vmm/vm.h"

/*
 * Starts QEMU. Our ends of the descriptors in `config` stay ours. The process is killed with us.
 *
 *   words_fd   gets what QEMU says on standard output and error; borrowed
 *
 * It can gain no privilege and no capability, dumps no core, has exactly the descriptors of its command line, and its own
 * -sandbox. When we are root it runs as nobody, with KVM in the group of /dev/kvm; for SNP as root, for /dev/sev.
 *
 * Fails NOT_FOUND when QEMU is not installed (with the way out), CONFIG, OS.
 */
FALLIBLE qemu_start(const struct vm_config *config, int words_fd, struct process *out, struct err *err);
