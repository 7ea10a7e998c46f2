/* The q35 chipset, as far as the ACPI tables that QEMU makes depend on it. [ICH9, MCH 3 series datasheets] */
#pragma once

#include "firmware/stage0/machine.h"

#define CHIPSET_MMCONFIG     0xb0000000U
#define CHIPSET_MMCONFIG_END 0xc0000000U

/* Sets up power management and PCI's memory-mapped configuration when there is a q35; else leaves all alone. */
void chipset_open(struct machine *m);

/* Says which memory is cached: what a kernel expects of firmware. Not on SNP and TDX, where it may not. */
void chipset_set_caching(const struct machine *m);
