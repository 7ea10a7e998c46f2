/* MRTD of a TDX guest: what the TDX module accumulates while QEMU adds the firmware's pages. [TDX-MODULE MRTD] */
#pragma once

#include "firmware/image/tdvf.h"

enum { MRTD_LEN = 48, MRTD_MEMORY_MAX = 64 << 20 };

/*
 * KVM since 6.16 adds a page and extends MRTD by it before the next one; kernels before that, out of tree, added all
 * pages of a region and then extended. The order of the records differs, so does MRTD.
 */
enum mrtd_order { MRTD_PAGE_BY_PAGE, MRTD_REGION_BY_REGION };

/* Fails LIMIT for sections over MRTD_MEMORY_MAX: they would be added page by page. */
FALLIBLE mrtd_measure(const struct tdvf *tdvf, enum mrtd_order order, uint8_t out[static MRTD_LEN], struct err *err);
