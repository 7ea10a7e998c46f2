/* A running QEMU: started, watched, ended; nothing of it is left behind. */
#pragma once

#include "base/process.h"
#include "runtime/vmm/vm.h"

/*
 * Starts QEMU. Our ends of the descriptors in `config` stay ours. The process is killed with us.
 *
 *   words_fd   gets what QEMU says on standard output and error; borrowed
 *
 * When we are root and KVM is not used, QEMU runs as nobody.
 *
 * Fails NOT_FOUND when QEMU is not installed (with the way out), CONFIG, OS.
 */
FALLIBLE qemu_start(const struct vm_config *config, int words_fd, struct process *out, struct err *err);
