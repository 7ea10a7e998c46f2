/* RTMR0 to RTMR2 of a TDX guest that OVMF or stage0 boots directly, from what it is started with. [TDVF 8.3, EDK2] */
#pragma once

#include "firmware/image/tdvf.h"
#include "firmware/measure/td_hob.h"

enum { RTMR_LEN = 48, RTMR_EVENTS_MAX = 64 };

struct rtmr_event {
    unsigned    rtmr; /* 0 to 2 */
    const char *what; /* static text */
    uint8_t     digest[RTMR_LEN];
};

struct rtmr_log {
    struct rtmr_event at[RTMR_EVENTS_MAX]; /* in the order of extension, per register */
    size_t            n;
};

void rtmr_log_add(struct rtmr_log *log, unsigned rtmr, const char *what, struct bytes content); /* adds its SHA-384 */
void rtmr_log_add_digest(struct rtmr_log *log, unsigned rtmr, const char *what, const uint8_t digest[static RTMR_LEN]);
void rtmr_log_replay(const struct rtmr_log *log, unsigned rtmr, uint8_t out[static RTMR_LEN]);

/* QEMU's legacy -kernel path changes the setup header of the kernel that it hands over. */
enum rtmr_kernel { RTMR_KERNEL_AS_FILE, RTMR_KERNEL_PATCHED };

struct rtmr_options {
    const struct tdvf *tdvf;
    uint64_t           memory;      /* bytes */
    struct bytes       acpi_tables; /* etc/acpi/tables; empty: RTMR0 is left out */
    struct bytes       kernel, initrd;
    const char        *append;
    enum rtmr_kernel   kernel_form;
};

/*
 * The events of OVMF before 2025.05 with an empty variable store's Secure Boot variables.
 *
 *   log    events are appended; those of RTMR0 only when ACPI tables are given
 *
 * Fails MALFORMED for a kernel that is no PE image, and as td_hob_build() and acpi_blobs_derive() do.
 */
FALLIBLE rtmr_measure(const struct rtmr_options *options, struct rtmr_log *log, struct err *err);

/* The events of stage0: RTMR0 TD HOB and ACPI blobs (when given), RTMR1 the kernel, RTMR2 command line and initrd. */
FALLIBLE rtmr_measure_stage0(const struct rtmr_options *options, struct rtmr_log *log, struct err *err);
