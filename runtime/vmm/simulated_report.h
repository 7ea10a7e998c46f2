/* An SNP attestation report as the secure processor would lay it out, signed with a development VCEK. [SNP-ABI table 23] */
#pragma once

#include "keys/api/development_root.h"

enum { SNP_REPORT_LEN = 1184, SNP_REPORT_DATA_LEN = 64 };

struct simulated_guest {
    uint8_t measurement[48];
    uint8_t host_data[32];
    uint8_t report_id[32]; /* random, once per VM */
};

FALLIBLE simulated_report_sign(const struct simulated_guest *guest, const uint8_t report_data[static SNP_REPORT_DATA_LEN],
                               const struct development_root *platform, uint8_t report[static SNP_REPORT_LEN],
                               struct err *err);

/* The table of an extended report: VCEK, ASK, ARK as DER. Appended. [SNP-ABI GHCB 4.1.8.1] */
void simulated_certificates(const struct development_root *platform, struct buffer *out);
