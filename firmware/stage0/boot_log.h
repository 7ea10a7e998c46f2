/* The log of what was measured, in TCG's crypto-agile format, for TPM and TDX alike. [TCG PFP 1.05, 10.4.5] */
#pragma once

#include "firmware/stage0/machine.h"

enum { BOOT_LOG_SEPARATOR = 4, BOOT_LOG_EVENT_TAG = 6 };

/*
 * Appends an event; the first one names the algorithms. Without room for a log (m->log NULL) nothing is done.
 *
 *   index      PCR, or 1 + RTMR
 *   digests    as TPM2_PCR_Event answers: u32 count, then u16 algorithm and digest each, big-endian
 *
 * Fails MALFORMED, UNSUPPORTED for an algorithm that we do not know, LIMIT when the log is full.
 */
FALLIBLE boot_log_add(struct machine *m, unsigned index, uint32_t type, struct bytes event, struct reader digests,
                      struct err *err);
