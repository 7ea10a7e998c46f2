/*
 * Azure's HCL report: what the paravisor of a confidential VM leaves in NV index 0x01400001 of its vTPM. A hardware
 * report whose report data is the hash of JSON claims, which name the vTPM's keys. [tpm.md 6.1]
 */
#pragma once

#include "attestation/evidence/tpm_hash.h"

enum { HCL_REPORT_LEN_MAX = 16 * 1024, HCL_SNP_REPORT_LEN = 1184, HCL_TD_REPORT_LEN = 1024 };

enum hcl_kind { HCL_SNP = 2, HCL_TDX = 4 };

struct hcl_report {
    uint32_t               version; /* 1 or 2 */
    enum hcl_kind          kind;
    struct bytes           hardware; /* SNP report, or TDREPORT */
    const struct tpm_hash *hash;     /* of the claims, in the hardware report's report data */
    struct bytes           claims;   /* JSON, exactly as hashed */
};

/*
 * Reads one report; `whole`, which may be padded with zeros, must outlive `out`.
 *
 * Fails MALFORMED for sizes that do not fit each other, UNSUPPORTED for another kind of report, LIMIT.
 */
FALLIBLE hcl_report_parse(struct bytes whole, struct hcl_report *out, struct err *err);

/* A TDREPORT: only the same processor can check its MAC, but its parts must agree. [tdx.md 1.6] */
struct td_report {
    struct bytes report_data;               /* 64 bytes */
    struct bytes tee_tcb_info, td_info;     /* 239 and 512 bytes */
    struct bytes tcb_info_hash, info_hash;  /* SHA-384 of these two */
    struct bytes mrtd;
    struct bytes rtmr[4];
};

FALLIBLE td_report_parse(struct bytes whole, struct td_report *out, struct err *err);
