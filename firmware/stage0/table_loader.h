/*
 * QEMU's recipe for ACPI tables, etc/table-loader: which files to fetch, where they point to each other, what to
 * sum up. All of it is the host's choice; it is bounded to one area of memory. [QEMU bios-linker-loader]
 */
#pragma once

#include "base/bytes.h"

enum { LOADER_ENTRY_LEN = 128, LOADER_ENTRIES_MAX = 1024, LOADER_FILES_MAX = 16, LOADER_NAME_LEN = 56,
       LOADER_TPM_LOG_LEN = 65536 };

/* How the recipe's files are read: into `into`, at most `room` bytes; `len` becomes the file's whole length. */
typedef bool loader_fetch_fn(void *owner, const char *name, uint8_t *into, size_t room, size_t *len, struct err *err);

struct table_loader {
    uint8_t         *area;     /* where the tables go */
    size_t           area_len;
    uint64_t         area_gpa; /* the same place in guest-physical addresses */
    loader_fetch_fn *fetch;
    void            *owner;
};

/*
 * Carries the recipe out.
 *
 *   rsdp       the guest-physical address of etc/acpi/rsdp; 0 when the recipe has none
 *   tpm_log    that of etc/tpm/log, of LOADER_TPM_LOG_LEN bytes; 0 when the recipe has none of that size
 *
 * Fails MALFORMED, LIMIT when the area or a count does not suffice, UNSUPPORTED for a step that we do not know.
 * Steps that would tell the host our addresses are left out: nothing that we start needs them.
 */
FALLIBLE table_loader_run(const struct table_loader *loader, struct bytes recipe, uint64_t *rsdp, uint64_t *tpm_log,
                          struct err *err);
