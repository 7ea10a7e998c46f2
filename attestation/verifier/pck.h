/* What a PCK certificate says of its platform: the SGX extension. [tdx.md 2.3; PCK-CERT 1.5] */
#pragma once

#include "base/bytes.h"

enum { PCK_COMPONENTS = 16, PCK_FMSPC_LEN = 6, PCK_PCEID_LEN = 2, PCK_PPID_LEN = 16, PCK_INSTANCE_LEN = 16 };

enum pck_flag { PCK_FLAG_ABSENT, PCK_FLAG_FALSE, PCK_FLAG_TRUE };

struct pck_extension {
    uint8_t       ppid[PCK_PPID_LEN];
    uint8_t       components[PCK_COMPONENTS]; /* SGX TCB component SVNs */
    uint16_t      pcesvn;
    uint8_t       cpusvn[16];
    uint8_t       pceid[PCK_PCEID_LEN];
    uint8_t       fmspc[PCK_FMSPC_LEN];
    uint8_t       sgx_type; /* 0 standard, 1 scalable, 2 scalable with integrity */
    bool          has_instance; /* the Platform CA's certificates name instance and configuration */
    uint8_t       instance[PCK_INSTANCE_LEN];
    enum pck_flag dynamic_platform, cached_keys, smt_enabled;
};

/*
 * Reads the extension's value.
 *
 *   out    written only on success; owns nothing and borrows nothing
 *
 * Fails MALFORMED when an entry is missing, repeated, unknown or out of range.
 */
FALLIBLE pck_extension_read(struct bytes value, struct pck_extension *out, struct err *err);
