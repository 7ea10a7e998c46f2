/* Identity of Intel's TD quoting enclave, version 2. [PCS v4 enclave identity; tdx.md 2.4] */
#pragma once

#include "attestation/verifier/tcb_info.h"

struct qe_identity {
    struct json_object *document; /* owned: advisories point into it */
    char                id[16];
    int64_t             issued, next_update;
    uint32_t            evaluation_number;
    uint8_t             misc_select[4], misc_select_mask[4]; /* as stored in a report */
    uint8_t             attributes[16], attributes_mask[16];
    uint8_t             mrsigner[32];
    uint16_t            isv_prod_id;
    struct isv_levels   levels;
};

void qe_identity_free(struct qe_identity *q);
static inline void auto_qe_identity(struct qe_identity *q) { qe_identity_free(q); }

/*
 * Reads the signed object; its signature must have been verified before. An id other than "TD_QE" is read as well:
 * the caller compares it.
 *
 *   out    zeroed before; yours, release with AUTO(qe_identity)
 */
FALLIBLE qe_identity_read(struct bytes body, struct qe_identity *out, struct err *err);
