#include "attestation/evidence/tdx_quote.h"

enum {
    CERTIFICATION_PCK_CHAIN = 5, CERTIFICATION_QE_REPORT = 6, /* [TDX-DCAP A.3.9] */
    BODY_10_LEN = 584, BODY_15_LEN = 648, BODY_15_EXTENDED_LEN = 885,
};

/* 93 9A 72 33 F7 9C 4C A9 94 0A 0D B3 95 7F 06 07: Intel's quoting enclave. [TDX-DCAP A.3.1] */
static const uint8_t intel_qe_vendor[16] = { 0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                             0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07 };

struct sgx_report sgx_report_take(struct reader *r)
{
    struct sgx_report s = { 0 };
    struct reader     whole;

    s.whole       = take(r, TDX_SGX_REPORT_LEN);
    whole         = reader_over(s.whole);
    s.cpu_svn     = take(&whole, 16);
    s.misc_select = take(&whole, 4);
    take(&whole, 28); /* reserved */
    s.attributes  = take(&whole, 16);
    s.mrenclave   = take(&whole, 32);
    take(&whole, 32); /* reserved */
    s.mrsigner    = take(&whole, 32);
    take(&whole, 96); /* reserved */
    s.isv_prod_id = take_u16le(&whole);
    s.isv_svn     = take_u16le(&whole);
    take(&whole, 60); /* reserved */
    s.report_data = take(&whole, 64);
    return s;
}

/* Version 5 names the type and size of its body; in version 4 it is always a TD report 1.0. */
static FALLIBLE body_type_read(struct reader *r, uint16_t version, enum td_body_type *type, uint32_t *size,
                               struct err *err)
{
    static const uint32_t sizes[] = {
        [TD_BODY_10] = BODY_10_LEN, [TD_BODY_15] = BODY_15_LEN, [TD_BODY_15_EXTENDED] = BODY_15_EXTENDED_LEN,
    };

    if (version == 4) {
        *type = TD_BODY_10;
        *size = BODY_10_LEN;
        return true;
    }
    uint16_t named = take_u16le(r);
    uint32_t given = take_u32le(r);

    if (!reader_ok(r, err))
        return context(err, "TDX quote body descriptor");
    if (named < TD_BODY_10 || named > TD_BODY_15_EXTENDED)
        return fail_with(err, ERR_UNSUPPORTED, "TDX quote: body type %u", named);
    if (given != sizes[named])
        return fail_with(err, ERR_MALFORMED, "TDX quote: body type %u has %u bytes, found %u", named, sizes[named],
                         given);
    *type = (enum td_body_type) named;
    *size = given;
    return true;
}

static FALLIBLE body_read(struct reader r, struct td_body *b, struct err *err)
{
    b->tee_tcb_svn     = take(&r, TDX_SVN_LEN);
    b->mrseam          = take(&r, TDX_MR_LEN);
    b->mrsignerseam    = take(&r, TDX_MR_LEN);
    b->seam_attributes = take(&r, 8);
    b->td_attributes   = take_u64le(&r);
    b->xfam            = take_u64le(&r);
    b->mrtd            = take(&r, TDX_MR_LEN);
    b->mrconfigid      = take(&r, TDX_MR_LEN);
    b->mrowner         = take(&r, TDX_MR_LEN);
    b->mrownerconfig   = take(&r, TDX_MR_LEN);
    for (size_t i = 0; i < TDX_RTMRS; i++)
        b->rtmr[i] = take(&r, TDX_MR_LEN);
    b->report_data = take(&r, 64);
    if (b->type != TD_BODY_10) {
        b->tee_tcb_svn2 = take(&r, TDX_SVN_LEN);
        b->mrservicetd  = take(&r, TDX_MR_LEN);
    }
    if (b->type == TD_BODY_15_EXTENDED)
        take(&r, BODY_15_EXTENDED_LEN - BODY_15_LEN); /* VM, device and service-TD identities: no rule uses them yet */
    return reader_done(&r, err) || context(err, "TDX quote body");
}

/* QE report, its signature, its authentication data, and the PCK chain that signs it. [TDX-DCAP A.3.11] */
static FALLIBLE certification_read(struct reader r, struct tdx_quote *q, struct err *err)
{
    q->qe_report           = sgx_report_take(&r);
    q->qe_report_signature = take(&r, 64);
    q->qe_auth             = take(&r, take_u16le(&r));
    uint16_t type          = take_u16le(&r);
    q->pck_chain           = take(&r, take_u32le(&r));

    if (!reader_done(&r, err))
        return context(err, "TDX quote: QE certification");
    if (type != CERTIFICATION_PCK_CHAIN)
        return fail_with(err, ERR_UNSUPPORTED, "TDX quote: certification type %u; only 5, a PCK chain, is", type);

    while (q->pck_chain.len > 0 && q->pck_chain.at[q->pck_chain.len - 1] == 0)
        q->pck_chain.len--;
    if (q->pck_chain.len == 0)
        return fail_with(err, ERR_MALFORMED, "TDX quote: empty PCK chain");
    return true;
}

static FALLIBLE signature_read(struct reader r, struct tdx_quote *q, struct err *err)
{
    q->signature         = take(&r, 64);
    q->attestation_key   = take(&r, 64);
    uint16_t      type   = take_u16le(&r);
    struct reader nested = take_reader(&r, take_u32le(&r));

    if (!reader_done(&r, err))
        return context(err, "TDX quote: signature data");
    if (type != CERTIFICATION_QE_REPORT)
        return fail_with(err, ERR_UNSUPPORTED, "TDX quote: outer certification type %u; it must be 6", type);
    return certification_read(nested, q, err);
}

FALLIBLE tdx_quote_parse(struct bytes whole, struct tdx_quote *out, struct err *err)
{
    struct tdx_quote q    = { 0 };
    struct reader    r    = reader_over(whole);
    uint32_t         size = 0;

    if (whole.len > TDX_QUOTE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "TDX quote of %zu bytes; at most %d are allowed", whole.len,
                         TDX_QUOTE_LEN_MAX);
    if (!tdx_header_read(&r, &q.header, err))
        return false;
    if (!bytes_equal(q.header.qe_vendor, BYTES_OF(intel_qe_vendor)))
        return fail_with(err, ERR_UNSUPPORTED, "TDX quote: QE vendor is not Intel");
    if (!body_type_read(&r, q.header.version, &q.body.type, &size, err))
        return false;

    struct reader body      = take_reader(&r, size);
    q.signed_part           = (struct bytes){ whole.at, whole.len - r.left.len };
    struct reader signature = take_reader(&r, take_u32le(&r));
    q.trailing              = take_rest(&r);

    if (!reader_ok(&r, err))
        return context(err, "TDX quote");
    if (!body_read(body, &q.body, err) || !signature_read(signature, &q, err))
        return false;
    *out = q;
    return true;
}
