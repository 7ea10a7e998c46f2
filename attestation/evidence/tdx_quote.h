/* Intel TDX quotes, version 4 and 5, with TD report bodies 1.0, 1.5 and 1.5-extended. [TDX-DCAP A.3, A.4] */
#pragma once

#include "attestation/evidence/tdx_header.h"

enum {
    TDX_QUOTE_LEN_MAX  = 128 * 1024, /* the largest buffer that Linux gives to a quote */
    TDX_SVN_LEN        = 16,
    TDX_MR_LEN         = 48,
    TDX_RTMRS          = 4,
    TDX_SGX_REPORT_LEN = 384,
};

/* An SGX enclave report: in a TDX quote it is the quoting enclave's. [TDX-DCAP A.3.10] */
struct sgx_report {
    struct bytes whole; /* the 384 signed bytes */
    struct bytes cpu_svn, misc_select, attributes, mrenclave, mrsigner;
    uint16_t     isv_prod_id, isv_svn;
    struct bytes report_data; /* 64 bytes */
};

enum td_body_type { TD_BODY_10 = 2, TD_BODY_15 = 3, TD_BODY_15_EXTENDED = 4 };

/* What the TDX module measured and was told about the TD. [TDX-DCAP A.3.2] */
struct td_body {
    enum td_body_type type;
    struct bytes      tee_tcb_svn, mrseam, mrsignerseam, seam_attributes;
    uint64_t          td_attributes, xfam;
    struct bytes      mrtd, mrconfigid, mrowner, mrownerconfig;
    struct bytes      rtmr[TDX_RTMRS];
    struct bytes      report_data;
    struct bytes      tee_tcb_svn2, mrservicetd; /* empty in a body 1.0 */
};

struct tdx_quote {
    struct tdx_header header;
    struct td_body    body;
    struct bytes      signed_part;         /* all that `signature` covers */
    struct bytes      signature;           /* r, s: 64 bytes, big endian */
    struct bytes      attestation_key;     /* x, y: 64 bytes, big endian */
    struct sgx_report qe_report;
    struct bytes      qe_report_signature; /* r, s */
    struct bytes      qe_auth;
    struct bytes      pck_chain;           /* PEM text, without the zero bytes that end it */
    struct bytes      trailing;            /* behind the quote: padding of the driver's buffer, signed by nobody */
};

/*
 * Reads one quote.
 *
 *   whole    must outlive `out`, whose views borrow from it
 *   out      written only on success
 *
 * Fails LIMIT over TDX_QUOTE_LEN_MAX; UNSUPPORTED for a version, key type, TEE, body or certification type that
 * we do not verify; MALFORMED when lengths do not fit each other.
 */
FALLIBLE tdx_quote_parse(struct bytes whole, struct tdx_quote *out, struct err *err);

/* Reads the 384 bytes of an SGX report off the front of `r`; the caller asks `r` whether they were there. */
struct sgx_report sgx_report_take(struct reader *r);
