#include "attestation/evidence/hcl_report.h"

enum { HCL_SIGNATURE = 0x414c4348, HARDWARE_AREA_LEN = 1184, DATA_HEADER_LEN = 20, REQUEST_REPORT = 2, DATA_VERSION = 1 };
enum { TD_REPORT_TYPE = 0x81, TEE_TCB_INFO_LEN = 239, TD_INFO_LEN = 512 };

static const struct tpm_hash *hash_of_type(uint32_t type)
{
    static const uint16_t hashes[] = { [1] = TPM_SHA256, [2] = TPM_SHA384, [3] = TPM_SHA512 };

    return type >= 1 && type <= 3 ? tpm_hash_by_id(hashes[type]) : NULL;
}

/* The 32 bytes in front: "HCLA", version, size of the whole, request type, status. */
static FALLIBLE header_read(struct reader *r, struct hcl_report *h, uint32_t *size, struct err *err)
{
    uint32_t signature = take_u32le(r);
    h->version         = take_u32le(r);
    *size              = take_u32le(r);
    uint32_t request   = take_u32le(r);
    uint32_t status    = take_u32le(r);
    take(r, 12); /* reserved */

    if (!reader_ok(r, err))
        return false;
    if (signature != HCL_SIGNATURE)
        return fail_with(err, ERR_MALFORMED, "signature %#x", signature);
    if ((h->version != 1 && h->version != 2) || request != REQUEST_REPORT || status != 0)
        return fail_with(err, ERR_UNSUPPORTED, "version %u, request %u, status %u", h->version, request, status);
    return true;
}

FALLIBLE hcl_report_parse(struct bytes whole, struct hcl_report *out, struct err *err)
{
    struct hcl_report h    = { 0 };
    struct reader     r    = reader_over(whole);
    uint32_t          size = 0;

    if (whole.len > HCL_REPORT_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "HCL report of %zu bytes; at most %d are allowed", whole.len,
                         HCL_REPORT_LEN_MAX);
    if (!header_read(&r, &h, &size, err))
        return context(err, "HCL report");
    struct reader hardware  = take_reader(&r, HARDWARE_AREA_LEN);
    uint32_t      data_size = take_u32le(&r);
    uint32_t      version   = take_u32le(&r);
    uint32_t      kind      = take_u32le(&r);
    uint32_t      hash      = take_u32le(&r);
    uint32_t      n         = take_u32le(&r);
    h.claims                = take(&r, n);

    if (!reader_ok(&r, err))
        return context(err, "HCL report");
    if (version != DATA_VERSION || (kind != HCL_SNP && kind != HCL_TDX) || !hash_of_type(hash))
        return fail_with(err, ERR_UNSUPPORTED, "HCL report: data version %u, kind %u, hash %u", version, kind, hash);
    if (data_size < DATA_HEADER_LEN || data_size - DATA_HEADER_LEN != n || size != r.offset)
        return fail_with(err, ERR_MALFORMED, "HCL report: sizes %u and %u do not fit %u bytes of claims", size, data_size,
                         n);
    h.kind     = (enum hcl_kind) kind;
    h.hash     = hash_of_type(hash);
    h.hardware = take(&hardware, h.kind == HCL_SNP ? HCL_SNP_REPORT_LEN : HCL_TD_REPORT_LEN);
    if (!reader_ok(&hardware, err))
        return context(err, "HCL report");
    if (!bytes_are_zero(take_rest(&hardware)) || !bytes_are_zero(take_rest(&r)))
        return fail_with(err, ERR_MALFORMED, "HCL report: padding is not zero");
    *out = h;
    return true;
}

FALLIBLE td_report_parse(struct bytes whole, struct td_report *out, struct err *err)
{
    struct td_report t    = { 0 };
    struct reader    r    = reader_over(whole);
    uint8_t          type = take_u8(&r);

    take(&r, 31); /* subtype, version, reserved, CPUSVN */
    t.tcb_info_hash = take(&r, 48);
    t.info_hash     = take(&r, 48);
    t.report_data   = take(&r, 64);
    take(&r, 64); /* reserved, MAC */
    t.tee_tcb_info = take(&r, TEE_TCB_INFO_LEN);
    take(&r, 17); /* reserved */
    t.td_info = take(&r, TD_INFO_LEN);
    if (!reader_done(&r, err))
        return context(err, "TDREPORT");
    if (type != TD_REPORT_TYPE)
        return fail_with(err, ERR_UNSUPPORTED, "TDREPORT: type %#x", type);

    struct reader info = reader_over(t.td_info);

    take(&info, 16); /* attributes, XFAM */
    t.mrtd = take(&info, 48);
    take(&info, 144); /* MRCONFIGID, MROWNER, MROWNERCONFIG */
    for (size_t i = 0; i < 4; i++)
        t.rtmr[i] = take(&info, 48);
    if (!reader_ok(&info, err))
        return context(err, "TDREPORT");
    *out = t;
    return true;
}
