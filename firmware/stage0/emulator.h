/*
 * For tests: libunicorn's CPU with memory that has a state per page, fw_cfg, and a serial port. It runs stage0.bin from
 * the first instruction after paging is on: private memory lies at its address, the host's view of the first GiB at
 * STAGE0_SHARED_VIEW. What is special about SNP and TDX is in snp_emulator_test.c and tdx_emulator_test.c.
 */
#pragma once

#include <unicorn/unicorn.h>

#include "firmware/image/hash_table.h"
#include "firmware/stage0/layout.h"
#include "tests/harness/test.h"

enum { RAM_LEN = 64 << 20, PAGE = 4096, N_PAGES = RAM_LEN / PAGE, LARGE = 2 << 20, SERIAL_MAX = 4096 };
enum { KERNEL_LEN = 2048, SETUP_LEN = 1024, INITRD_LEN = 200000, FILES_MAX = 8 };
enum { LOW_END = (48 << 20) - 3 * PAGE, HIGH_START = (48 << 20) + 2 * PAGE }; /* RAM in no whole units, with a hole */
#define CMDLINE "qqqqq"
#define CMDLINE_LAZY "q accept_memory=lazy q"

enum page_state { HELD_BY_HOST, SHARED, PRIVATE, OURS };

/* What a host can do wrong on either platform. */
enum fault { NO_FAULT, MOVING, DMA_ERROR_BIT, DIRECTORY_HUGE, KERNEL_LONGER_THAN_MEMORY, KERNEL_OF_OTHER_CONTENT };

struct emulated_file { char name[56]; uint8_t *at; uint32_t len; };

struct emulator {
    uc_engine           *uc;
    enum fault           fault;
    const char          *cmdline;
    uint8_t             *ram;
    enum page_state      state[N_PAGES];
    bool                 is_large[N_PAGES / 512]; /* the host gave it as one page of 2 MiB */
    struct emulated_file file[FILES_MAX];
    size_t               n_files;
    struct kernel_hashes hashes; /* of the files, before a fault changes one */
    uint8_t              directory[4 + 64 * FILES_MAX];
    const uint8_t       *item;
    uint32_t             item_len, item_at, dma_high, config_address;
    char                 serial[SERIAL_MAX];
    size_t               serial_len;
    bool                 entered, terminated;
    const char          *violation;
};

/* Reads stage0's image and symbols from where the environment says; main() calls it. */
bool     emulator_load(struct err *err);
uint64_t emulator_symbol(const char *name);
uint8_t *emulator_image(void); /* STAGE0_IMAGE_LEN bytes, for a launcher to patch */

void emulator_new(struct emulator *e, enum fault fault, const char *cmdline); /* with the three files of a boot */
void emulator_start(struct emulator *e, uint32_t kind);  /* no more files; the CPU is made */
void emulator_free(struct emulator *e);

void     emulator_add_file(struct emulator *e, const char *name, uint8_t *content_take, uint32_t len);
uint8_t *emulator_new_bytes(size_t len, uint8_t fill);

/* Calls `hook` when the CPU comes to a symbol; it may set RIP. */
typedef void emulator_hook_fn(uc_engine *uc, uint64_t at, uint32_t size, void *user);
void emulator_on(struct emulator *e, const char *name, emulator_hook_fn *hook, void *user);

/* Until the kernel is entered, the guest ends itself, or a rule is broken, which fails the test. */
void emulator_run(struct emulator *e, unsigned lie);
void emulator_violate(struct emulator *e, const char *what);

uint64_t emulator_reg(struct emulator *e, int which);
void     emulator_set_reg(struct emulator *e, int which, uint64_t value);
uint64_t load_le(const uint8_t *at, size_t width);
void     store_le(uint8_t *at, size_t width, uint64_t value);

void     emulator_port_write(struct emulator *e, uint16_t port, uint32_t value);
uint32_t emulator_port_read(struct emulator *e, uint16_t port, uint64_t width);

/* Gives pages to the guest or takes them: what they held is gone. */
void emulator_set_state(struct emulator *e, uint64_t gpa, size_t n, enum page_state state);

/*
 * All that the kernel is told to be RAM is ours but what it is told to accept itself, of which nothing is ours; command line
 * and initrd are there. Returns the page of parameters.
 */
const uint8_t *emulator_check_handover(struct emulator *e);
size_t         emulator_count_ours(const struct emulator *e); /* pages */
