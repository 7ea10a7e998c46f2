/* The hand-off block that QEMU writes into a TD: which memory there is. Measured into RTMR0 by OVMF. [PI 1.8 III-5] */
#pragma once

#include "firmware/image/tdvf.h"

enum { TD_HOB_LEN_MAX = 8192 };

/*
 * Builds the block for a q35 guest of `memory` bytes, as QEMU does.
 *
 *   out    appended
 *
 * Fails NOT_FOUND for an image without a TD_HOB section, MALFORMED when a section does not lie in RAM, LIMIT when the
 * block would not fit.
 */
FALLIBLE td_hob_build(const struct tdvf *tdvf, uint64_t memory, struct buffer *out, struct err *err);

/* The part that OVMF measures: all but the end marker. */
struct bytes td_hob_measured(const struct buffer *hob);
