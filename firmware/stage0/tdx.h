/* TDX: talking to TDX module and host by TDCALL, and making memory ours before it is touched. [TDX-ABI 1.5, GHCI 1.5] */
#pragma once

#include "firmware/stage0/machine.h"

enum { TDX_ROOM = 0x20000 }; /* of the ACPI area: mailbox, page tables of waiting CPUs, additional tables, log */

/*
 * The first thing on TDX: finds the bit that marks shared addresses, accepts the pages of struct machine and opens the
 * pages that are shared with the host. Uses the stack only; what is wrong ends the guest.
 */
void tdx_open(void);

/* Accepts RAM that was not added at launch. Fails UNTRUSTED when the host lies. */
FALLIBLE tdx_accept(uint64_t start, uint64_t end, struct err *err);

/* Extends the RTMR that stands for a PCR by the SHA-384 of `digest`, the SHA-256 of what is measured; logs it. */
FALLIBLE tdx_measure(struct machine *m, enum boot_pcr pcr, const uint8_t digest[static SHA256_DIGEST_LEN],
                     struct err *err);
FALLIBLE tdx_separate(struct machine *m, struct err *err); /* RTMR0 and RTMR1 */

/* The last TDX_ROOM bytes of the ACPI area: the log is there before the tables are, the rest once they are linked. */
void     tdx_open_log(struct machine *m);
FALLIBLE tdx_add_tables(struct machine *m, struct err *err);

/* Takes the shared pages back and sends the waiting CPUs to the mailbox. */
FALLIBLE tdx_close(struct machine *m, struct err *err);

uint32_t tdx_port_in(uint16_t port, unsigned width);
void     tdx_port_out(uint16_t port, unsigned width, uint32_t value);

_Noreturn void tdx_terminate(void);
