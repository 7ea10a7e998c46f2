/* SEV-SNP: talking to the host through the GHCB, and making memory ours before it is touched. [GHCB 2.03, SNP-ABI] */
#pragma once

#include "firmware/stage0/machine.h"

/*
 * The first thing on SNP: checks the CPUID page, agrees on the protocol, validates the pages of struct machine and
 * opens the pages that are shared with the host. Uses the stack only; what is wrong ends the guest.
 */
void snp_open(void);

/* Makes RAM ours that the launch and snp_open() have left to the host. Fails UNTRUSTED when the host lies. */
FALLIBLE snp_accept(struct machine *m, uint64_t start, uint64_t end, struct err *err);

/* Takes the shared pages back, and leaves the kernel what it needs to find secrets and CPUID page. */
FALLIBLE snp_close(struct machine *m, struct err *err);

struct cpuid snp_cpuid(uint32_t leaf, uint32_t subleaf); /* from the page that the security processor checked */

uint32_t snp_port_in(uint16_t port, unsigned width);
void     snp_port_out(uint16_t port, unsigned width, uint32_t value);

_Noreturn void snp_terminate(void);
