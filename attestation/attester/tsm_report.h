/*
 * Evidence from configfs-tsm, the kernel's one door to SEV-SNP reports and TDX quotes since Linux 6.7.
 * [Linux Documentation/ABI/testing/configfs-tsm-report; tdx.md 4; snp.md 2]
 */
#pragma once

#include "attestation/attester/attester.h"

enum { TSM_BLOB_LEN_MAX = 128 * 1024, TSM_ATTEMPTS = 8 };

struct tsm_options {
    const char *root;  /* NULL: /sys/kernel/config/tsm/report */
    const char *entry; /* a directory below `root` that exists already; NULL makes one per request and removes it */
    const char *ccel;  /* NULL: /sys/firmware/acpi/tables/data/CCEL; a file that is missing gives an empty event log */
    const char *rtmr3; /* NULL: /sys/devices/virtual/misc/tdx_guest/measurements/rtmr3:sha384, Linux 6.16 and later; without it no register */
};

/*
 * Opens the door and asks which TEE is behind it.
 *
 *   options    borrowed for the call; NULL for all defaults
 *   out        yours, release with AUTO(attester)
 *
 * Fails NOT_FOUND where the kernel has no TSM provider, UNSUPPORTED for a provider that is neither SNP nor TDX.
 *
 * Each request: one write of 64 bytes, generation read before and after the blobs, a few more attempts when another
 * request came between or the host was busy. The report is refused unless it is well formed and carries the report
 * data that was asked for: the host sits on the path.
 */
FALLIBLE tsm_attester_open(const struct tsm_options *options, struct attester **out, struct err *err);
