/* What the AMD security processor says of itself: SNP_PLATFORM_STATUS through /dev/sev. [SNP-ABI 8.3; linux/psp-sev.h] */
#pragma once

#include "base/bytes.h"

enum { SNP_STATUS_LEN = 32 };

struct snp_status {
    unsigned api_major, api_minor, build, n_guests;
    bool     is_initialised, has_rmp;
    uint64_t current_tcb, reported_tcb;
};

/* Reads the 32 bytes of the answer. Fails MALFORMED for another length. */
FALLIBLE snp_status_read(struct bytes raw, struct snp_status *out, struct err *err);

/* Asks the device. Fails NOT_FOUND without it, OS where it does not open or answer (it takes CAP_SYS_ADMIN). */
FALLIBLE snp_status_ask(const char *device, struct snp_status *out, struct err *err);
