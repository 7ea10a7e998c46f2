/* What a relying party accepts of true TDX evidence. The zero state plus tdx_policy_default is the strict default. */
#pragma once

#include "attestation/evidence/tdx_quote.h"
#include "attestation/verifier/pck.h"
#include "attestation/verifier/tcb_status.h"
#include "attestation/verifier/verdict.h"

/* Fields that may have a list of accepted values: X(NAME, "json name", length). */
#define TDX_POLICY_FIELDS(X)                        \
    X(MRTD,              "mrtd",              48)   \
    X(MRSEAM,            "mrseam",            48)   \
    X(MRCONFIGID,        "mrconfigid",        48)   \
    X(MROWNER,           "mrowner",           48)   \
    X(MROWNERCONFIG,     "mrownerconfig",     48)   \
    X(RTMR0,             "rtmr0",             48)   \
    X(RTMR1,             "rtmr1",             48)   \
    X(RTMR2,             "rtmr2",             48)   \
    X(RTMR3,             "rtmr3",             48)   \
    X(MRSERVICETD,       "mrservicetd",       48)   \
    X(REPORT_DATA,       "report_data",       64)   \
    X(XFAM,              "xfam",              8)    \
    X(FMSPC,             "fmspc",             6)    \
    X(PPID,              "ppid",              16)   \
    X(PLATFORM_INSTANCE, "platform_instance", 16)

#define TDX_FIELD_ENUM(name, json, len) TDX_FIELD_##name,
enum tdx_field { TDX_POLICY_FIELDS(TDX_FIELD_ENUM) N_TDX_FIELDS };
#undef TDX_FIELD_ENUM

enum { TDX_POLICY_LEN_MAX = 1 << 20, TDX_POLICY_VALUES_MAX = 1024 };

struct tdx_values {
    bool          given;  /* an empty list that is given accepts nothing */
    struct buffer values; /* each of the field's length, one behind the other */
};

struct tdx_policy {
    bool              status[N_TCB_STATUSES]; /* accepted; Revoked never is */
    struct advisories advisories;             /* tolerated with a status other than UpToDate */
    uint32_t          minimum_evaluation_number;
    bool              allow_mixed_evaluation_numbers;
    bool              allow_trailing_bytes; /* non-zero ones, behind the quote */
    bool              allow_debug;
    bool              allow_sept_ve; /* SEPT_VE_DISABLE clear, as Azure has it */
    bool              allow_migratable;
    bool              allow_extra_separators; /* in the event log: firmware older than 2024 has two in RTMR0 */
    uint64_t          td_attributes; /* bits allowed beyond the default's */
    struct tdx_values field[N_TDX_FIELDS];
};

/* UpToDate only, no debugging, SEPT_VE_DISABLE, not migratable, no service TD. [tdx.md 1.7, 2.9] */
void tdx_policy_default(struct tdx_policy *out);
void tdx_policy_free(struct tdx_policy *p);
static inline void auto_tdx_policy(struct tdx_policy *p) { tdx_policy_free(p); }

/*
 * Reads a policy document over the defaults; docs/attestation.md lists its members.
 *
 *   out    as tdx_policy_default left it; release with AUTO(tdx_policy), also after a failure
 *
 * Fails MALFORMED for text that is not JSON, CONFIG for an unknown member or a value that does not fit.
 */
FALLIBLE tdx_policy_read(struct bytes text, struct tdx_policy *out, struct err *err);

/* Adds one accepted value; `value` has the field's length. */
void tdx_policy_add(struct tdx_policy *p, enum tdx_field field, struct bytes value);

/* Compares attributes and identities of the TD, in the order of tdx.md 2.9. */
void tdx_policy_check(const struct tdx_policy *p, const struct td_body *body, const struct pck_extension *pck,
                      struct appraisal *a);
