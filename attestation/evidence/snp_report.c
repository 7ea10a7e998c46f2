#include "attestation/evidence/snp_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

enum { ECDSA_P384_SHA384 = 1, POLICY_MUST_BE_ONE_BIT = 17, POLICY_RESERVED_FROM_BIT = 26, KEY_INFO_RESERVED_FROM_BIT = 5 };

const char *snp_product_name(enum snp_product product)
{
    static const char *const names[N_SNP_PRODUCTS] = {
        [SNP_PRODUCT_UNKNOWN] = "unknown", [SNP_MILAN] = "Milan", [SNP_GENOA] = "Genoa", [SNP_TURIN] = "Turin"
    };

    return product < N_SNP_PRODUCTS ? names[product] : names[SNP_PRODUCT_UNKNOWN];
}

enum snp_product snp_product_by_name(const char *name)
{
    for (enum snp_product p = SNP_MILAN; p < N_SNP_PRODUCTS; p++)
        if (strcasecmp(name, snp_product_name(p)) == 0)
            return p;
    return SNP_PRODUCT_UNKNOWN;
}

bool snp_tcb_read(struct bytes at, bool is_turin_layout, struct snp_tcb *out)
{
    const uint8_t *b = at.at;

    if (at.len != 8)
        return false;
    if (is_turin_layout) {
        *out = (struct snp_tcb){ .fmc = b[0], .bootloader = b[1], .tee = b[2], .snp = b[3], .microcode = b[7] };
        return !b[4] && !b[5] && !b[6];
    }
    *out = (struct snp_tcb){ .bootloader = b[0], .tee = b[1], .snp = b[6], .microcode = b[7] };
    return !b[2] && !b[3] && !b[4] && !b[5];
}

void snp_tcb_write(const struct snp_tcb *tcb, bool is_turin_layout, uint8_t out[static 8])
{
    struct writer w = writer_over(out, 8);

    if (is_turin_layout)
        put_u8(&w, tcb->fmc);
    put_u8(&w, tcb->bootloader);
    put_u8(&w, tcb->tee);
    if (is_turin_layout)
        put_u8(&w, tcb->snp);
    put_zeros(&w, is_turin_layout ? 3 : 4);
    if (!is_turin_layout)
        put_u8(&w, tcb->snp);
    put_u8(&w, tcb->microcode);
}

bool snp_tcb_at_least(const struct snp_tcb *a, const struct snp_tcb *b)
{
    return a->fmc >= b->fmc && a->bootloader >= b->bootloader && a->tee >= b->tee && a->snp >= b->snp &&
           a->microcode >= b->microcode;
}

bool snp_tcb_equal(const struct snp_tcb *a, const struct snp_tcb *b)
{
    return snp_tcb_at_least(a, b) && snp_tcb_at_least(b, a);
}

/* The root key's product; Siena and Bergamo (models 0xa0 to 0xaf) have Genoa's. [SNP spec note 1.4] */
static enum snp_product product_by_cpuid(uint8_t family, uint8_t model)
{
    if (family == 0x19 && model <= 0x0f)
        return SNP_MILAN;
    if (family == 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf)))
        return SNP_GENOA;
    if (family == 0x1a && model <= 0x11)
        return SNP_TURIN;
    return SNP_PRODUCT_UNKNOWN;
}

/* Version 2 has no CPUID: only Turin can be told, by its short CHIP_ID. */
static enum snp_product product_by_chip_id(struct bytes chip_id)
{
    struct reader r    = reader_over(chip_id);
    struct bytes  head = take(&r, SNP_TURIN_CHIP_ID_LEN);

    return !r.failed && !bytes_are_zero(head) && bytes_are_zero(r.left) ? SNP_TURIN : SNP_PRODUCT_UNKNOWN;
}

/* The fields in the order of the report, and what is only needed to judge their format. */
struct layout {
    struct snp_report r;
    uint32_t          algorithm, key_info;
    struct bytes      current_tcb, reported_tcb, committed_tcb, launch_tcb;
    struct bytes      reserved_4c, reserved_cpuid, reserved_1eb, reserved_1ef, reserved_end, signature_tail;
};

static struct snp_firmware take_firmware(struct reader *in)
{
    struct snp_firmware f;

    f.build = take_u8(in);
    f.minor = take_u8(in);
    f.major = take_u8(in);
    return f;
}

static FALLIBLE read_signature(struct reader *in, struct layout *l, struct err *err)
{
    l->r.signature_r  = take(in, SNP_SIGNATURE_INTEGER_LEN);
    l->r.signature_s  = take(in, SNP_SIGNATURE_INTEGER_LEN);
    l->signature_tail = take(in, 512 - 2 * SNP_SIGNATURE_INTEGER_LEN);
    return reader_done(in, err);
}

/* 0x188 to the end of the signed part, and the signature. */
static FALLIBLE read_second_half(struct reader *in, struct layout *l, struct err *err)
{
    struct snp_report *r = &l->r;

    r->cpuid_family       = take_u8(in);
    r->cpuid_model        = take_u8(in);
    r->cpuid_stepping     = take_u8(in);
    l->reserved_cpuid     = take(in, 21);
    r->chip_id            = take(in, SNP_CHIP_ID_LEN);
    l->committed_tcb      = take(in, 8);
    r->current_firmware   = take_firmware(in);
    l->reserved_1eb       = take(in, 1);
    r->committed_firmware = take_firmware(in);
    l->reserved_1ef       = take(in, 1);
    l->launch_tcb         = take(in, 8);
    r->launch_mitigations  = take_u64le(in);
    r->current_mitigations = take_u64le(in);
    l->reserved_end       = take(in, 152);
    return read_signature(in, l, err);
}

static FALLIBLE read_fields(struct bytes raw, struct layout *l, struct err *err)
{
    struct reader      in = reader_over(raw);
    struct snp_report *r  = &l->r;

    r->version           = take_u32le(&in);
    r->guest_svn         = take_u32le(&in);
    r->policy            = take_u64le(&in);
    r->family_id         = take(&in, SNP_ID_LEN);
    r->image_id          = take(&in, SNP_ID_LEN);
    r->vmpl              = take_u32le(&in);
    l->algorithm         = take_u32le(&in);
    l->current_tcb       = take(&in, 8);
    r->platform_info     = take_u64le(&in);
    l->key_info          = take_u32le(&in);
    l->reserved_4c       = take(&in, 4);
    r->report_data       = take(&in, SNP_REPORT_DATA_LEN);
    r->measurement       = take(&in, SNP_MEASUREMENT_LEN);
    r->host_data         = take(&in, SNP_HOST_DATA_LEN);
    r->id_key_digest     = take(&in, SNP_KEY_DIGEST_LEN);
    r->author_key_digest = take(&in, SNP_KEY_DIGEST_LEN);
    r->report_id         = take(&in, 32);
    r->report_id_ma      = take(&in, 32);
    l->reported_tcb      = take(&in, 8);
    return read_second_half(&in, l, err);
}

static bool defective(enum snp_report_defect what, enum snp_report_defect *defect, struct err *err, const char *fmt, ...)
    PRINTF_LIKE(4);

static bool defective(enum snp_report_defect what, enum snp_report_defect *defect, struct err *err, const char *fmt, ...)
{
    char    text[160];
    va_list ap;

    if (defect)
        *defect = what;
    va_start(ap, fmt);
    (void) vsnprintf(text, sizeof text, fmt, ap); /* every text fits; a cut one would do */
    va_end(ap);
    return fail_with(err, what == DEFECT_SNP_VERSION ? ERR_UNSUPPORTED : ERR_MALFORMED, "SNP report: %s", text);
}

static FALLIBLE check_reserved(const struct layout *l, enum snp_report_defect *d, struct err *err)
{
    const struct snp_report *r = &l->r;
    const struct {
        uint32_t     offset;
        struct bytes field;
    } reserved[] = {
        { 0x4c, l->reserved_4c },   { 0x18b, l->reserved_cpuid }, { 0x1eb, l->reserved_1eb },
        { 0x1ef, l->reserved_1ef }, { 0x208, l->reserved_end },
    };

    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (!bytes_are_zero(reserved[i].field))
            return defective(DEFECT_SNP_RESERVED, d, err, "reserved bytes at %#x are not zero", reserved[i].offset);
    if (r->version < 3 && (r->cpuid_family || r->cpuid_model || r->cpuid_stepping))
        return defective(DEFECT_SNP_RESERVED, d, err, "version %u has CPUID bytes at 0x188", r->version);
    if (r->version < 5 && (r->launch_mitigations || r->current_mitigations))
        return defective(DEFECT_SNP_RESERVED, d, err, "version %u has mitigation bits at 0x1f8", r->version);
    if (!bytes_are_zero(l->signature_tail))
        return defective(DEFECT_SNP_SIGNATURE_TAIL, d, err, "bytes at 0x330, behind the signature, are not zero");
    return true;
}

static FALLIBLE check_bits(struct layout *l, enum snp_report_defect *d, struct err *err)
{
    struct snp_report *r           = &l->r;
    uint32_t           signing_key = l->key_info >> 2 & 7;

    if (l->algorithm != ECDSA_P384_SHA384)
        return defective(DEFECT_SNP_ALGORITHM, d, err, "SIGNATURE_ALGO is %u, wanted 1", l->algorithm);
    if (!(r->policy >> POLICY_MUST_BE_ONE_BIT & 1) || r->policy >> POLICY_RESERVED_FROM_BIT)
        return defective(DEFECT_SNP_POLICY_BITS, d, err, "POLICY is %#llx, wanted bit 17 and none above 25",
                         (unsigned long long) r->policy);
    if (l->key_info >> KEY_INFO_RESERVED_FROM_BIT ||
        (signing_key != SNP_SIGNED_BY_VCEK && signing_key != SNP_SIGNED_BY_VLEK && signing_key != SNP_UNSIGNED))
        return defective(DEFECT_SNP_KEY_BITS, d, err, "KEY_INFO is %#x", l->key_info);
    if (r->vmpl > 3 && r->vmpl != SNP_VMPL_HOST)
        return defective(DEFECT_SNP_VMPL_RANGE, d, err, "VMPL is %#x", r->vmpl);
    r->author_key_en = l->key_info & 1;
    r->mask_chip_key = l->key_info >> 1 & 1;
    r->signing_key   = (enum snp_signing_key) signing_key;
    return true;
}

/* An unknown product's TCB is read as Milan's, and its reserved bytes are left to whoever learns the product. */
static FALLIBLE check_tcbs(struct layout *l, enum snp_report_defect *d, struct err *err)
{
    struct snp_report *r = &l->r;
    const struct {
        const char     *name;
        struct bytes    from;
        struct snp_tcb *to;
    } tcbs[] = {
        { "CURRENT_TCB", l->current_tcb, &r->current_tcb },
        { "REPORTED_TCB", l->reported_tcb, &r->reported_tcb },
        { "COMMITTED_TCB", l->committed_tcb, &r->committed_tcb },
        { "LAUNCH_TCB", l->launch_tcb, &r->launch_tcb },
    };
    bool is_unknown = r->has_cpuid && r->product == SNP_PRODUCT_UNKNOWN;

    for (size_t i = 0; i < sizeof tcbs / sizeof *tcbs; i++)
        if (!snp_tcb_read(tcbs[i].from, r->is_turin_layout, tcbs[i].to) && !is_unknown)
            return defective(DEFECT_SNP_TCB_RESERVED, d, err, "%s has a reserved byte set", tcbs[i].name);
    return true;
}

static FALLIBLE check_product(struct layout *l, enum snp_report_defect *d, struct err *err)
{
    struct snp_report *r = &l->r;

    r->has_cpuid       = r->version >= 3;
    r->has_mitigations = r->version >= 5;
    r->product = r->has_cpuid ? product_by_cpuid(r->cpuid_family, r->cpuid_model) : product_by_chip_id(r->chip_id);
    r->is_turin_layout = r->product == SNP_TURIN;
    if (r->product == SNP_TURIN && product_by_chip_id(r->chip_id) != SNP_TURIN && !bytes_are_zero(r->chip_id))
        return defective(DEFECT_SNP_CHIP_ID_TAIL, d, err, "Turin's CHIP_ID has bytes set after the first 8");
    return check_tcbs(l, d, err);
}

FALLIBLE snp_report_parse(struct bytes raw, struct snp_report *out, enum snp_report_defect *defect, struct err *err)
{
    struct layout l = { 0 };
    struct reader whole;

    if (raw.len != SNP_REPORT_LEN)
        return defective(DEFECT_SNP_LENGTH, defect, err, "%zu bytes, wanted %d", raw.len, SNP_REPORT_LEN);
    if (!read_fields(raw, &l, err)) /* cannot fail at this length */
        return defective(DEFECT_SNP_LENGTH, defect, err, "fields do not fill the report");
    if (l.r.version < 2 || l.r.version > 5)
        return defective(DEFECT_SNP_VERSION, defect, err, "version %u, wanted 2 to 5", l.r.version);
    if (!check_bits(&l, defect, err) || !check_reserved(&l, defect, err) || !check_product(&l, defect, err))
        return false;

    whole           = reader_over(raw);
    l.r.raw         = raw;
    l.r.signed_part = take(&whole, SNP_REPORT_SIGNED_LEN);
    *out            = l.r;
    return reader_ok(&whole, err);
}
