/* TDX TCB info, version 3: which component versions of one platform family are how good. [PCS v4 TCB info; tdx.md 2.4] */
#pragma once

#include "attestation/verifier/pck.h"
#include "attestation/verifier/tcb_status.h"

enum {
    TCB_COMPONENTS = 16, TCB_LEVELS_MAX = 64, TDX_MODULES_MAX = 16, MODULE_LEVELS_MAX = 32,
    MRSIGNERSEAM_LEN = 48, SEAM_ATTRIBUTES_LEN = 8
};

struct tcb_level {
    uint8_t             sgx[TCB_COMPONENTS], tdx[TCB_COMPONENTS];
    uint16_t            pcesvn;
    enum tcb_status     status;
    int64_t             date;
    struct json_object *advisories; /* NULL or a checked array, borrowed from the document */
};

/* A level of a TDX module or of a quoting enclave. */
struct isv_level {
    uint16_t            isv_svn;
    enum tcb_status     status; /* UpToDate, OutOfDate or Revoked */
    int64_t             date;
    struct json_object *advisories;
};

struct isv_levels {
    struct isv_level at[MODULE_LEVELS_MAX]; /* highest first */
    size_t           n;
};

struct tdx_module {
    uint8_t           version; /* of an identity "TDX_xx" */
    uint8_t           mrsigner[MRSIGNERSEAM_LEN], attributes[SEAM_ATTRIBUTES_LEN], mask[SEAM_ATTRIBUTES_LEN];
    struct isv_levels levels;
};

struct tcb_info {
    struct json_object *document; /* owned: advisories point into it */
    char                id[16];
    uint8_t             fmspc[PCK_FMSPC_LEN], pceid[PCK_PCEID_LEN];
    int64_t             issued, next_update;
    uint32_t            evaluation_number;
    struct tdx_module   module; /* "tdxModule": of versions before module identities; without levels */
    struct tdx_module   modules[TDX_MODULES_MAX];
    size_t              n_modules;
    struct tcb_level    levels[TCB_LEVELS_MAX]; /* highest first, whatever the document's order */
    size_t              n_levels;
};

void tcb_info_free(struct tcb_info *t);
static inline void auto_tcb_info(struct tcb_info *t) { tcb_info_free(t); }

/*
 * Reads the signed object; its signature must have been verified before. An id other than "TDX" is read as well:
 * the caller compares it.
 *
 *   out    zeroed before; yours, release with AUTO(tcb_info)
 *
 * Fails MALFORMED for a missing or odd member, UNSUPPORTED for another version, LIMIT for too many levels.
 */
FALLIBLE tcb_info_read(struct bytes body, struct tcb_info *out, struct err *err);

/* Members that QE identities share with TCB info. */
FALLIBLE isv_levels_read(struct json_object *from, struct isv_levels *out, struct err *err);
FALLIBLE validity_read(struct json_object *from, int64_t *issued, int64_t *next_update, uint32_t *evaluation_number,
                       struct err *err);
FALLIBLE hex_member_read(struct json_object *from, const char *name, uint8_t *out, size_t len, struct err *err);
