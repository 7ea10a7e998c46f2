/* QEMU's fw_cfg device, by DMA: the only way by which stage0 takes bytes from the host. [QEMU fw_cfg] */
#pragma once

#include "firmware/stage0/machine.h"

enum {
    FW_CFG_KERNEL_LEN = 0x08, FW_CFG_INITRD_LEN = 0x0b, FW_CFG_KERNEL = 0x11, FW_CFG_INITRD = 0x12,
    FW_CFG_CMDLINE_LEN = 0x14, FW_CFG_CMDLINE = 0x15, FW_CFG_SETUP_LEN = 0x17, FW_CFG_SETUP = 0x18
};

/* Finds the device and reads the list of its files. Fails NOT_FOUND without a fw_cfg that can do DMA. */
FALLIBLE fw_cfg_open(struct machine *m, struct err *err);

/* Reads `len` bytes of an item into private memory. */
FALLIBLE fw_cfg_read(const struct machine *m, uint16_t key, uint8_t *into, size_t len, struct err *err);
FALLIBLE fw_cfg_read_u32(const struct machine *m, uint16_t key, uint32_t *out, struct err *err);

/* Reads a whole file of at most `room` bytes; NOT_FOUND when the host offers none, LIMIT when it is longer. */
FALLIBLE fw_cfg_read_file(const struct machine *m, const char *name, uint8_t *into, size_t room, size_t *len,
                          struct err *err);
