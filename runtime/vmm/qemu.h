/* The driver of QEMU. [QEMU 7.2 or later; 9.1 for SNP, 10.1 for TDX] */
#pragma once

#include "runtime/vmm/vm.h"

/*
 * It can gain no privilege and no capability, dumps no core, has exactly the descriptors of its command line, and its own
 * -sandbox. When we are root it runs as nobody, with KVM in the group of /dev/kvm; for SNP as root, for /dev/sev.
 */
vm_start_fn qemu_start;
