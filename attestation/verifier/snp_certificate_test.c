/* Certificates taken apart and put together again with one part exchanged. Signatures are the chain's matter. */
#include "tests/harness/test.h"

#include "attestation/verifier/der.h"
#include "attestation/verifier/snp_chain.h"
#include "base/text.h"
#include "tests/harness/vectors.h"

/* The parts of a certificate, each whole with its tag. */
enum part { VERSION, SERIAL, INNER_ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS, OUTER_ALGORITHM, SIGNATURE, N_PARTS };

struct parts { struct bytes at[N_PARTS]; };

static struct buffer vcek, vlek, ask, turin, ark;

static int open_files(void **state)
{
    (void) state;
    vcek  = own_vector("amd-snp/vek/siena-v5-lunal.vcek.der");
    vlek  = own_vector("amd-snp/vek/milan-v3-vlek-aws-trustee.vlek.der");
    ask   = own_vector("amd-snp/synthetic/ca-milan-ask.der");
    ark   = own_vector("amd-snp/synthetic/ca-milan-ark.der");
    turin = own_vector("amd-snp/synthetic/vcek-turin-good.der");
    return 0;
}

static int close_files(void **state)
{
    (void) state;
    buffer_free(&vcek);
    buffer_free(&vlek);
    buffer_free(&ask);
    buffer_free(&ark);
    buffer_free(&turin);
    return 0;
}

static struct bytes take_whole(struct reader *r)
{
    struct bytes before = r->left;
    uint8_t      tag;

    (void) take_der_any(r, &tag); /* only to step over it */
    assert_false(r->failed);
    return (struct bytes){ before.at, before.len - r->left.len };
}

static struct parts apart(const struct buffer *der)
{
    struct reader outer = reader_over(buffer_bytes(der));
    struct reader r     = take_der_reader(&outer, DER_SEQUENCE);
    struct reader tbs   = take_der_reader(&r, DER_SEQUENCE);
    struct parts  p;

    for (enum part i = VERSION; i <= EXTENSIONS; i++)
        p.at[i] = take_whole(&tbs);
    p.at[OUTER_ALGORITHM] = take_whole(&r);
    p.at[SIGNATURE]       = take_whole(&r);
    return p;
}

/* DER with a length in the long form of two bytes, or the short one. */
static void append_der(struct buffer *out, uint8_t tag, struct bytes content)
{
    uint8_t head[4] = { tag, (uint8_t) content.len };
    size_t  n       = 2;

    if (content.len >= 0x100) {
        head[1] = 0x82;
        head[2] = (uint8_t) (content.len >> 8);
        head[3] = (uint8_t) content.len;
        n       = 4;
    } else if (content.len >= 0x80) {
        head[1] = 0x81;
        head[2] = (uint8_t) content.len;
        n       = 3;
    }
    buffer_append(out, (struct bytes){ head, n });
    buffer_append(out, content);
}

static struct buffer together(const struct parts *p)
{
    AUTO(buffer) struct buffer tbs = { 0 }, whole = { 0 };
    struct buffer              out = { 0 };

    for (enum part i = VERSION; i <= EXTENSIONS; i++)
        buffer_append(&tbs, p->at[i]);
    append_der(&whole, DER_SEQUENCE, buffer_bytes(&tbs));
    buffer_append(&whole, p->at[OUTER_ALGORITHM]);
    buffer_append(&whole, p->at[SIGNATURE]);
    append_der(&out, DER_SEQUENCE, buffer_bytes(&whole));
    return out;
}

enum role { ROOT, ASK, ASVK, VCEK_GENOA, VCEK_TURIN, VLEK_MILAN };

static bool fits(const struct snp_certificate *c, enum role role, struct appraisal *a)
{
    switch (role) {
    case ROOT:       return snp_certificate_is_root(c, a);
    case ASK:        return snp_certificate_is_intermediate(c, false, SNP_MILAN, a);
    case ASVK:       return snp_certificate_is_intermediate(c, true, SNP_MILAN, a);
    case VCEK_GENOA: return snp_certificate_is_vek(c, false, SNP_GENOA, a);
    case VCEK_TURIN: return snp_certificate_is_vek(c, false, SNP_TURIN, a);
    case VLEK_MILAN: return snp_certificate_is_vek(c, true, SNP_MILAN, a);
    default:         return false;
    }
}

/* The reason why these bytes are not a certificate of this role; OK when they are. */
static enum verdict_reason judge(struct bytes der, enum role role)
{
    AUTO(heap) uint8_t    *exact = exact_copy(der.at, der.len);
    struct snp_certificate c;
    struct verdict         v;
    struct appraisal       a = appraisal_start(&v, NULL);

    if (snp_certificate_read((struct bytes){ exact, der.len }, "certificate", &c, &a) && fits(&c, role, &a))
        return REASON_OK;
    return v.reason;
}

static enum verdict_reason judge_with(const struct buffer *base, enum part part, struct bytes replacement, enum role role)
{
    struct parts               p = apart(base);
    AUTO(buffer) struct buffer made = { 0 };

    p.at[part] = replacement;
    made       = together(&p);
    return judge(buffer_bytes(&made), role);
}

static void put_together_unchanged_they_are_what_they_were(void **state)
{
    const struct buffer *const all[] = { &vcek, &vlek, &ask, &ark, &turin };

    (void) state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct parts               p    = apart(all[i]);
        AUTO(buffer) struct buffer made = together(&p);

        assert_true(bytes_equal(buffer_bytes(&made), buffer_bytes(all[i])));
    }
    assert_int_equal(judge(buffer_bytes(&vcek), VCEK_GENOA), REASON_OK);
    assert_int_equal(judge(buffer_bytes(&vlek), VLEK_MILAN), REASON_OK);
    assert_int_equal(judge(buffer_bytes(&turin), VCEK_TURIN), REASON_OK);
    assert_int_equal(judge(buffer_bytes(&ask), ASK), REASON_OK);
    assert_int_equal(judge(buffer_bytes(&ark), ROOT), REASON_OK);
}

static void no_certificate_serves_in_another_role(void **state)
{
    (void) state;
    assert_int_equal(judge(buffer_bytes(&ask), ROOT), REASON_SNP_CERTIFICATE_ISSUER);
    assert_int_equal(judge(buffer_bytes(&ask), ASVK), REASON_SNP_CERTIFICATE_SUBJECT);
    assert_int_equal(judge(buffer_bytes(&ask), VCEK_GENOA), REASON_SNP_CERTIFICATE_SUBJECT);
    assert_int_equal(judge(buffer_bytes(&ark), ASK), REASON_SNP_CERTIFICATE_USE);
    assert_int_equal(judge(buffer_bytes(&vcek), ROOT), REASON_SNP_CERTIFICATE_KEY);
    assert_int_equal(judge(buffer_bytes(&vcek), ASK), REASON_SNP_CERTIFICATE_KEY);
    assert_int_equal(judge(buffer_bytes(&vcek), VLEK_MILAN), REASON_SNP_CERTIFICATE_SUBJECT);
    assert_int_equal(judge(buffer_bytes(&vcek), VCEK_TURIN), REASON_SNP_VEK_FIELD);
    assert_int_equal(judge(buffer_bytes(&turin), VCEK_GENOA), REASON_SNP_VEK_FIELD);
    assert_int_equal(judge(buffer_bytes(&vlek), VCEK_GENOA), REASON_SNP_CERTIFICATE_SUBJECT);
}

static void every_truncation_is_malformed(void **state)
{
    (void) state;
    for (size_t len = 0; len < vcek.len; len++)
        assert_int_equal(judge((struct bytes){ vcek.at, len }, VCEK_GENOA), REASON_SNP_CERTIFICATE_MALFORMED);
}

#define BYTES(...) ((struct bytes){ (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) })

static void each_part_has_its_reason(void **state)
{
    const struct { enum part part; struct bytes with; enum verdict_reason reason; } rows[] = {
        { VERSION, BYTES(0xa0, 3, 2, 1, 1), REASON_SNP_CERTIFICATE_VERSION },       /* version 2 */
        { VERSION, { NULL, 0 }, REASON_SNP_CERTIFICATE_VERSION },                   /* version 1 */
        { VERSION, BYTES(0xa0, 4, 2, 2, 0, 2), REASON_SNP_CERTIFICATE_MALFORMED },  /* not minimal */
        { SERIAL, BYTES(4, 1, 0), REASON_SNP_CERTIFICATE_MALFORMED },
        { INNER_ALGORITHM, BYTES(0x30, 0), REASON_SNP_CERTIFICATE_ALGORITHM },
        { OUTER_ALGORITHM, BYTES(0x30, 0), REASON_SNP_CERTIFICATE_ALGORITHM },
        { VALIDITY, BYTES(0x30, 0), REASON_SNP_CERTIFICATE_MALFORMED },
        { SUBJECT, BYTES(0x30, 0), REASON_SNP_CERTIFICATE_SUBJECT },                /* no common name */
        { KEY, BYTES(0x30, 0), REASON_SNP_CERTIFICATE_KEY },
        { EXTENSIONS, { NULL, 0 }, REASON_SNP_VEK_FIELD },                          /* none at all */
        { EXTENSIONS, BYTES(0xa3, 2, 0x30, 0), REASON_SNP_VEK_FIELD },
        { EXTENSIONS, BYTES(0xa3, 3, 0x30, 1, 0), REASON_SNP_CERTIFICATE_MALFORMED },
        { EXTENSIONS, BYTES(0xa3, 4, 0x30, 2, 0x30, 0), REASON_SNP_CERTIFICATE_MALFORMED },
        { SIGNATURE, BYTES(3, 2, 1, 0), REASON_SNP_CERTIFICATE_MALFORMED },         /* unused bits */
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum verdict_reason reason = judge_with(&vcek, rows[i].part, rows[i].with, VCEK_GENOA);

        if (reason != rows[i].reason)
            fail_msg("row %zu: %s", i, reason_code(reason));
    }
}

static void both_ways_to_write_the_algorithm_are_the_same(void **state)
{
    size_t                     n    = 0;
    AUTO(buffer) struct buffer amds = { 0 };
    struct parts               with, without = apart(&ask);
    struct err                 err;

    (void) state;
    assert_true(snp_der_of(snp_amd_roots(&n)[1].ark, "CERTIFICATE", SNP_CERTIFICATE_LEN_MAX, &amds, &err));
    with = apart(&amds);
    assert_true(snp_algorithm_is_pss(with.at[INNER_ALGORITHM]) && snp_algorithm_is_pss(without.at[INNER_ALGORITHM]));
    assert_int_not_equal(with.at[INNER_ALGORITHM].len, without.at[INNER_ALGORITHM].len);
    assert_int_equal(judge_with(&ask, OUTER_ALGORITHM, with.at[INNER_ALGORITHM], ASK), REASON_OK);
}

/* One extension: OID content, critical or not, value. */
struct extension { struct bytes oid; bool critical; struct bytes value; };

static void append_extension(struct buffer *out, const struct extension *e)
{
    AUTO(buffer) struct buffer one = { 0 };

    append_der(&one, DER_OID, e->oid);
    if (e->critical)
        append_der(&one, DER_BOOLEAN, BYTES(0xff));
    append_der(&one, DER_OCTET_STRING, e->value);
    append_der(out, DER_SEQUENCE, buffer_bytes(&one));
}

/* `base` with these extensions instead of its own (`only`), or behind them. */
static enum verdict_reason judge_extended(const struct buffer *base, bool only, const struct extension *e, size_t n,
                                          enum role role)
{
    AUTO(buffer) struct buffer all = { 0 }, sequence = { 0 }, wrapped = { 0 };
    struct reader              r   = reader_over(apart(base).at[EXTENSIONS]);
    struct reader              wrapper = take_der_reader(&r, DER_CONTEXT_3);

    if (!only)
        buffer_append(&all, take_der(&wrapper, DER_SEQUENCE));
    for (size_t i = 0; i < n; i++)
        append_extension(&all, &e[i]);
    append_der(&sequence, DER_SEQUENCE, buffer_bytes(&all));
    append_der(&wrapped, DER_CONTEXT_3, buffer_bytes(&sequence));
    return judge_with(base, EXTENSIONS, buffer_bytes(&wrapped), role);
}

#define AMD(...)  BYTES(0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, __VA_ARGS__)
#define KEY_USAGE BYTES(0x55, 0x1d, 0x0f)
#define BASIC     BYTES(0x55, 0x1d, 0x13)

static void each_extension_more_has_its_reason(void **state)
{
    const struct { struct extension e; enum verdict_reason reason; } rows[] = {
        { { BYTES(0x2a, 3), true, BYTES(5, 0) }, REASON_SNP_CERTIFICATE_EXTENSION },
        { { BYTES(0x2a, 3), false, BYTES(5, 0) }, REASON_OK },
        { { AMD(3, 1), false, BYTES(2, 1, 4) }, REASON_SNP_CERTIFICATE_EXTENSION }, /* repeated */
        { { AMD(3, 10), true, BYTES(2, 1, 4) }, REASON_SNP_CERTIFICATE_EXTENSION }, /* unknown, critical */
        { { AMD(5), false, BYTES(0x16, 1, 'x') }, REASON_SNP_VEK_FIELD },           /* CSP_ID beside HWID */
        { { AMD(3, 9), false, BYTES(2, 1, 0) }, REASON_SNP_VEK_FIELD },             /* FMC on Genoa */
        { { KEY_USAGE, true, BYTES(3, 2, 2, 4) }, REASON_SNP_CERTIFICATE_USE },
        { { KEY_USAGE, true, BYTES(3, 2, 1, 2) }, REASON_SNP_CERTIFICATE_USE },
        { { KEY_USAGE, true, BYTES(3, 2, 7, 0x80) }, REASON_OK },
        { { KEY_USAGE, true, BYTES(3, 3, 7, 0x80, 0x80) }, REASON_OK },
        { { KEY_USAGE, true, BYTES(3, 1, 0) }, REASON_SNP_CERTIFICATE_MALFORMED },
        { { KEY_USAGE, true, BYTES(3, 2, 8, 4) }, REASON_SNP_CERTIFICATE_MALFORMED },
        { { KEY_USAGE, true, BYTES(4, 2, 0, 4) }, REASON_SNP_CERTIFICATE_MALFORMED },
        { { BASIC, true, BYTES(0x30, 3, 1, 1, 0xff) }, REASON_SNP_CERTIFICATE_USE },
        { { BASIC, true, BYTES(0x30, 3, 1, 1, 0x01) }, REASON_SNP_CERTIFICATE_MALFORMED },
        { { BASIC, true, BYTES(0x30, 0) }, REASON_OK },
        { { BASIC, true, BYTES(0x30, 3, 4, 1, 0) }, REASON_SNP_CERTIFICATE_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum verdict_reason reason = judge_extended(&vcek, false, &rows[i].e, 1, VCEK_GENOA);

        if (reason != rows[i].reason)
            fail_msg("row %zu: %s", i, reason_code(reason));
    }
}

static void too_many_extensions_are_refused(void **state)
{
    uint8_t          oids[40][2];
    struct extension many[40];

    (void) state;
    for (size_t i = 0; i < 40; i++) {
        oids[i][0] = 0x2a;
        oids[i][1] = (uint8_t) i;
        many[i]    = (struct extension){ BYTES_OF(oids[i]), false, BYTES(5, 0) };
    }
    assert_int_equal(judge_extended(&vcek, true, many, 32, VCEK_GENOA), REASON_SNP_VEK_FIELD);
    assert_int_equal(judge_extended(&vcek, true, many, 33, VCEK_GENOA), REASON_SNP_CERTIFICATE_EXTENSION);
}

static void values_of_amds_extensions_have_one_form(void **state)
{
    static const uint8_t hwid[66] = { 4, 64, 1 }, short_hwid[63] = { 1 }, not_wrapped[66] = { 5, 64, 1 };
    const struct { struct extension e; enum verdict_reason reason; } rows[] = {
        { { AMD(3, 1), false, BYTES(2, 1, 4) }, REASON_SNP_VEK_FIELD }, /* others are missing */
        { { AMD(3, 1), false, BYTES(2, 2, 0, 0x80) }, REASON_SNP_VEK_FIELD },
        { { AMD(3, 2), false, BYTES(2, 2, 1, 0) }, REASON_SNP_VEK_FIELD },
        { { AMD(3, 3), false, BYTES(2, 1, 0x80) }, REASON_SNP_VEK_FIELD },
        { { AMD(3, 8), false, BYTES(2, 1, 4, 0) }, REASON_SNP_VEK_FIELD },
        { { AMD(3, 9), false, BYTES(4, 1, 4) }, REASON_SNP_VEK_FIELD },
        { { AMD(3, 4), false, BYTES(2, 0) }, REASON_SNP_VEK_FIELD },
        { { AMD(1), false, BYTES(2, 2, 0, 1) }, REASON_SNP_VEK_FIELD },
        { { AMD(2), false, BYTES(0x0c, 1, 'x') }, REASON_SNP_VEK_FIELD },
        { { AMD(2), false, BYTES(0x16, 0) }, REASON_SNP_VEK_FIELD },
        { { AMD(5), false, BYTES(0x16, 1, '\n') }, REASON_SNP_VEK_FIELD },
        { { AMD(4), false, BYTES_OF(short_hwid) }, REASON_SNP_VEK_FIELD },
        { { AMD(4), false, BYTES_OF(hwid) }, REASON_SNP_VEK_FIELD },
        { { AMD(4), false, BYTES_OF(not_wrapped) }, REASON_SNP_VEK_FIELD },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(judge_extended(&vcek, true, &rows[i].e, 1, VCEK_GENOA), rows[i].reason);
}

static void a_wrapped_hwid_is_the_same_hwid(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("amd-snp/synthetic/vcek-milan-hwid-wrapped.der");
    struct snp_certificate     c;
    struct verdict             v;
    struct appraisal           a = appraisal_start(&v, NULL);

    (void) state;
    assert_true(snp_certificate_read(buffer_bytes(&file), "VEK", &c, &a));
    assert_true(snp_certificate_is_vek(&c, false, SNP_MILAN, &a));
    assert_int_equal(c.vek.hwid.len, 64);
}

/* An RSA key with a modulus of `len` bytes that starts with `first`, and this exponent. */
static enum verdict_reason judge_rsa(size_t len, uint8_t first, struct bytes exponent, uint8_t algorithm_end)
{
    AUTO(buffer) struct buffer key = { 0 }, sequence = { 0 }, bits = { 0 }, info = { 0 }, whole = { 0 };
    const uint8_t              algorithm[] = { 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, algorithm_end, 5, 0 };
    AUTO(heap) uint8_t        *modulus     = calloc(1, len + 1);

    assert_non_null(modulus);
    modulus[1] = first;
    append_der(&key, DER_INTEGER, (struct bytes){ modulus, len + 1 });
    append_der(&key, DER_INTEGER, exponent);
    append_der(&sequence, DER_SEQUENCE, buffer_bytes(&key));
    buffer_append(&bits, BYTES(0));
    buffer_append(&bits, buffer_bytes(&sequence));
    buffer_append(&info, BYTES_OF(algorithm));
    append_der(&info, DER_BIT_STRING, buffer_bytes(&bits));
    append_der(&whole, DER_SEQUENCE, buffer_bytes(&info));
    return judge_with(&ask, KEY, buffer_bytes(&whole), ASK);
}

static void rsa_keys_have_4096_bits_and_the_usual_exponent(void **state)
{
    (void) state;
    assert_int_equal(judge_rsa(512, 0x80, BYTES(1, 0, 1), 1), REASON_OK);
    assert_int_equal(judge_rsa(256, 0x80, BYTES(1, 0, 1), 1), REASON_SNP_CERTIFICATE_KEY);
    assert_int_equal(judge_rsa(1024, 0x80, BYTES(1, 0, 1), 1), REASON_SNP_CERTIFICATE_KEY);
    assert_int_equal(judge_rsa(512, 0x7f, BYTES(1, 0, 1), 1), REASON_SNP_CERTIFICATE_KEY);
    assert_int_equal(judge_rsa(512, 0x80, BYTES(3), 1), REASON_SNP_CERTIFICATE_KEY);
    assert_int_equal(judge_rsa(512, 0x80, BYTES(1, 0, 1), 10), REASON_SNP_CERTIFICATE_KEY); /* an RSA-PSS key */
}

static void intermediates_are_cas_with_path_length_0(void **state)
{
    const struct extension basic = { BASIC, true, BYTES(0x30, 6, 1, 1, 0xff, 2, 1, 0) };
    const struct extension no_ca = { BASIC, true, BYTES(0x30, 0) };
    const struct extension wide  = { BASIC, true, BYTES(0x30, 6, 1, 1, 0xff, 2, 1, 1) };
    const struct extension open  = { BASIC, true, BYTES(0x30, 3, 1, 1, 0xff) };
    const struct extension use   = { KEY_USAGE, true, BYTES(3, 2, 2, 4) };
    const struct extension other = { KEY_USAGE, true, BYTES(3, 2, 7, 0x80) };

    (void) state;
    assert_int_equal(judge_extended(&ask, true, (const struct extension[]){ basic, use }, 2, ASK), REASON_OK);
    assert_int_equal(judge_extended(&ask, true, (const struct extension[]){ no_ca, use }, 2, ASK), REASON_SNP_CERTIFICATE_USE);
    assert_int_equal(judge_extended(&ask, true, (const struct extension[]){ wide, use }, 2, ASK), REASON_SNP_CERTIFICATE_USE);
    assert_int_equal(judge_extended(&ask, true, (const struct extension[]){ open, use }, 2, ASK), REASON_SNP_CERTIFICATE_USE);
    assert_int_equal(judge_extended(&ask, true, (const struct extension[]){ basic, other }, 2, ASK), REASON_SNP_CERTIFICATE_USE);
    assert_int_equal(judge_extended(&ask, true, &basic, 1, ASK), REASON_SNP_CERTIFICATE_USE);
    assert_int_equal(judge_extended(&ark, true, (const struct extension[]){ open, use }, 2, ROOT), REASON_OK);
    assert_int_equal(judge_extended(&ark, true, (const struct extension[]){ no_ca, use }, 2, ROOT), REASON_SNP_CERTIFICATE_USE);
    assert_int_equal(judge_extended(&ark, true, (const struct extension[]){ open, other }, 2, ROOT), REASON_SNP_CERTIFICATE_USE);
    assert_int_equal(judge_extended(&ark, true, &open, 1, ROOT), REASON_SNP_CERTIFICATE_USE);
}

static void a_point_off_the_curve_is_no_key(void **state)
{
    struct parts               p    = apart(&vcek);
    AUTO(buffer) struct buffer key  = { 0 }, made = { 0 };
    EVP_PKEY                  *none = NULL;
    struct snp_certificate     c;
    struct verdict             v;
    struct appraisal           a = appraisal_start(&v, NULL);

    (void) state;
    buffer_append(&key, p.at[KEY]);
    key.at[key.len - 1] ^= 1;
    p.at[KEY] = buffer_bytes(&key);
    made      = together(&p);
    assert_true(snp_certificate_read(buffer_bytes(&made), "VEK", &c, &a));
    assert_false(snp_certificate_key(&c, "VEK", &none, &a));
    assert_int_equal(v.reason, REASON_SNP_CERTIFICATE_KEY);
}

static void names_are_read_in_one_way(void **state)
{
    const struct { struct bytes name; bool ok; } rows[] = {
        { BYTES(0x30, 11, 0x31, 9, 0x30, 7, 6, 3, 0x55, 4, 3, 0x0c, 0), true },
        { BYTES(0x30, 11, 0x31, 9, 0x30, 7, 6, 3, 0x55, 4, 3, 0x13, 0), true },
        { BYTES(0x30, 11, 0x31, 9, 0x30, 7, 6, 3, 0x55, 4, 3, 0x1e, 0), false },    /* BMPString */
        { BYTES(0x30, 11, 0x31, 9, 0x30, 7, 6, 3, 0x55, 4, 4, 0x0c, 0), false },    /* no common name */
        { BYTES(0x30, 12, 0x31, 10, 0x30, 7, 6, 3, 0x55, 4, 3, 0x0c, 0, 5), false }, /* two in a set */
        { BYTES(0x30, 22, 0x31, 9, 0x30, 7, 6, 3, 0x55, 4, 3, 0x0c, 0, 0x31, 9, 0x30, 7, 6, 3, 0x55, 4, 3, 0x0c, 0), false },
        { BYTES(0x31, 0), false },
    };
    struct bytes out;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (snp_common_name(rows[i].name, &out) != rows[i].ok)
            fail_msg("row %zu", i);
    assert_int_equal(snp_product_of_name(bytes_of_text("SEV-Milan"), "SEV-"), SNP_MILAN);
    assert_int_equal(snp_product_of_name(bytes_of_text("SEV-milan"), "SEV-"), SNP_PRODUCT_UNKNOWN);
    assert_int_equal(snp_product_of_name(bytes_of_text("SEV-Milan2"), "SEV-"), SNP_PRODUCT_UNKNOWN);
    assert_int_equal(snp_product_of_name(bytes_of_text("SEV"), "SEV-"), SNP_PRODUCT_UNKNOWN);
}

static void der_and_pem_give_the_same_bytes(void **state)
{
    AUTO(buffer) struct buffer pem = { 0 }, base64 = { 0 };
    struct err                 err;

    (void) state;
    base64_append(&base64, buffer_bytes(&vcek), BASE64_STANDARD);
    buffer_append_text(&pem, "-----BEGIN CERTIFICATE-----\n");
    for (size_t at = 0; at < base64.len; at += 64)
        buffer_printf(&pem, "%.*s\n", (int) (base64.len - at < 64 ? base64.len - at : 64), (const char *) base64.at + at);
    buffer_append_text(&pem, "-----END CERTIFICATE-----\n");

    const struct { struct bytes given; const char *label; size_t most; bool ok; enum err_kind kind; } rows[] = {
        { buffer_bytes(&vcek), "CERTIFICATE", 8192, true, ERR_NONE },
        { buffer_bytes(&pem), "CERTIFICATE", 8192, true, ERR_NONE },
        { buffer_bytes(&pem), "X509 CRL", 8192, false, ERR_MALFORMED },
        { buffer_bytes(&pem), "CERTIFICATE", 100, false, ERR_LIMIT },
        { buffer_bytes(&vcek), "CERTIFICATE", 100, false, ERR_LIMIT },
        { { pem.at, pem.len - 4 }, "CERTIFICATE", 8192, false, ERR_MALFORMED },
        { { NULL, 0 }, "CERTIFICATE", 8192, false, ERR_MALFORMED },
        { bytes_of_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), "CERTIFICATE", 8192, false, ERR_MALFORMED },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer out = { 0 };

        assert_int_equal(snp_der_of(rows[i].given, rows[i].label, rows[i].most, &out, &err), rows[i].ok);
        if (rows[i].ok)
            assert_true(bytes_equal(buffer_bytes(&out), buffer_bytes(&vcek)));
        else
            assert_int_equal(err.kind, rows[i].kind);
    }
}

static void a_vek_has_a_key_of_p384(void **state)
{
    struct snp_certificate c;
    struct verdict         v;
    struct appraisal       a = appraisal_start(&v, NULL);

    (void) state;
    assert_true(snp_certificate_read(buffer_bytes(&turin), "VEK", &c, &a));
    assert_true(snp_certificate_is_vek(&c, false, SNP_TURIN, &a));
    c.key_kind = SNP_KEY_RSA_4096;
    assert_false(snp_certificate_is_vek(&c, false, SNP_TURIN, &a));
    assert_int_equal(v.reason, REASON_SNP_CERTIFICATE_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_together_unchanged_they_are_what_they_were),
        cmocka_unit_test(no_certificate_serves_in_another_role),
        cmocka_unit_test(every_truncation_is_malformed),
        cmocka_unit_test(each_part_has_its_reason),
        cmocka_unit_test(both_ways_to_write_the_algorithm_are_the_same),
        cmocka_unit_test(each_extension_more_has_its_reason),
        cmocka_unit_test(too_many_extensions_are_refused),
        cmocka_unit_test(values_of_amds_extensions_have_one_form),
        cmocka_unit_test(a_wrapped_hwid_is_the_same_hwid),
        cmocka_unit_test(rsa_keys_have_4096_bits_and_the_usual_exponent),
        cmocka_unit_test(intermediates_are_cas_with_path_length_0),
        cmocka_unit_test(a_point_off_the_curve_is_no_key),
        cmocka_unit_test(names_are_read_in_one_way),
        cmocka_unit_test(der_and_pem_give_the_same_bytes),
        cmocka_unit_test(a_vek_has_a_key_of_p384),
    };

    return cmocka_run_group_tests(tests, open_files, close_files);
}
