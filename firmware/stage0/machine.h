/* The machine that stage0 runs on: all its state, and what differs between plain, SNP and TDX. */
#pragma once

#include "firmware/image/hash_table.h"
#include "firmware/stage0/directory.h"
#include "firmware/stage0/layout.h"
#include "firmware/stage0/linux_image.h"
#include "firmware/stage0/sha256.h"

enum { CMDLINE_ROOM = 4096, TABLE_RECIPE_ROOM = LINUX_PARAMS_LEN * 16, E820_ROOM = 1024,
       SCRATCH_ROOM = 4096, BOOT_LOG_LEN = 65536 };

enum tpm_kind { TPM_NONE, TPM_TIS, TPM_CRB };

/*
 * What is measured where; on TDX in the register that stands for the PCR [UEFI 2.11 38.4.1]. PCR 8 stays as it is: the
 * agent extends it by the digest of its initdata, and a broker reads that and nothing else there. [evidence-formats 4.2]
 */
enum boot_pcr { PCR_FIRMWARE = 0, PCR_TABLES = 1, PCR_KERNEL = 4, PCR_INITRD = 9, PCR_CMDLINE = 12 };

/* Lives at STAGE0_STATE; nothing else in stage0 has state. */
struct machine {
    uint8_t              params[LINUX_PARAMS_LEN];
    char                 cmdline[CMDLINE_ROOM];
    uint32_t             kind;             /* STAGE0_PLAIN, _SNP or _TDX */
    bool                 has_q35;          /* its chipset was found and set up */
    sha256_blocks_fn    *sha256;
    enum tpm_kind        tpm;
    uint8_t             *log;              /* BOOT_LOG_LEN bytes, or NULL; boot_log.h */
    size_t               log_len;
    struct kernel_hashes hashes;
    struct memory_map    map;
    struct memory_map    pending;          /* SNP, TDX: RAM that is not ours yet */
    struct linux_image   image;
    struct linux_start   start;
    struct bytes         tables;           /* the ACPI tables in memory */
    struct bytes         hob;              /* TDX: what was measured of the TD HOB */
    uint64_t             shared_bit;       /* TDX: of a guest-physical address */
    uint8_t              rtmr_input[64] __attribute__((aligned(64)));
    struct bytes         files;            /* the directory's entries, inside `directory` */
    uint8_t              directory[4 + DIRECTORY_FILES_MAX * DIRECTORY_ENTRY_LEN];
    uint8_t              scratch[SCRATCH_ROOM] __attribute__((aligned(16)));
    uint8_t              e820[E820_ROOM];
    uint8_t              recipe[TABLE_RECIPE_ROOM];
};
_Static_assert(sizeof(struct machine) <= STAGE0_STATE_END - STAGE0_STATE, "struct machine is too large");

struct cpuid { uint32_t eax, ebx, ecx, edx; };

/* Makes memory for the machine's state and finds out what it runs on. */
struct machine *machine_open(uint32_t kind);
struct cpuid    machine_cpuid(const struct machine *m, uint32_t leaf, uint32_t subleaf);

uint32_t port_in(const struct machine *m, uint16_t port, unsigned width);
void     port_out(const struct machine *m, uint16_t port, unsigned width, uint32_t value);

/*
 * What is not ours yet is pending, in whole units of EFI_UNIT. machine_accept() makes the RAM of a range ours, the units
 * that it touches; it must come before the first access, on a plain machine too, where there is nothing to do.
 */
FALLIBLE machine_open_memory(struct machine *m, struct err *err);
FALLIBLE machine_accept(struct machine *m, uint64_t start, uint64_t end, struct err *err);

/* Before the kernel is entered: takes back what was shared. */
FALLIBLE machine_close(struct machine *m, struct err *err);

/* Shared pages through the mapping that the host can read and write too. */
volatile uint8_t *machine_shared(const struct machine *m, uint64_t gpa);

/* One line `stage0: what`, then the machine is switched off. */
_Noreturn void machine_refuse(const struct machine *m, const char *what);
