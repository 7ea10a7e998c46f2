#include "attestation/verifier/snp_certificate.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "attestation/verifier/der.h"
#include "attestation/verifier/p384.h"
#include "attestation/verifier/pem.h"
#include "base/text.h"

/* AlgorithmIdentifier of RSASSA-PSS with its parameters; AMD writes the default trailer field or leaves it out. */
#define PSS_SHA384_MGF1_SHA384_SALT_48(outer_len, inner_len)                                                          \
    0x30, outer_len, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, inner_len, 0xa0, 0x0f,   \
    0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, \
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, \
    0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x30
static const uint8_t pss_plain[]   = { PSS_SHA384_MGF1_SHA384_SALT_48(0x41, 0x34) };
static const uint8_t pss_trailer[] = { PSS_SHA384_MGF1_SHA384_SALT_48(0x46, 0x39), 0xa3, 0x03, 0x02, 0x01, 0x01 };

/* SubjectPublicKeyInfo of an uncompressed P-384 point, up to the point's 0x04. */
static const uint8_t p384_prefix[] = { 0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
                                       0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00 };
static const uint8_t rsa_algorithm[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
static const uint8_t oid_common_name[] = { 0x55, 0x04, 0x03 };
static const uint8_t oid_amd[]         = { 0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01 };

enum {
    X509_V3 = 2, P384_POINT_LEN = 97, RSA_4096_LEN = 512, RSA_EXPONENT = 65537, EXTENSIONS_MAX = 32, TAG_IA5 = 0x16,
    HWID_LEN = 64, TURIN_HWID_LEN = 8
};

bool snp_algorithm_is_pss(struct bytes algorithm)
{
    return bytes_equal(algorithm, BYTES_OF(pss_plain)) || bytes_equal(algorithm, BYTES_OF(pss_trailer));
}

bool snp_pss_signed(EVP_PKEY *key, struct bytes message, struct bytes signature)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx  = EVP_MD_CTX_new();
    EVP_PKEY_CTX            *pctx = NULL; /* owned by ctx */

    if (ctx && EVP_DigestVerifyInit(ctx, &pctx, EVP_sha384(), NULL, key) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, EVP_sha384()) == 1 &&
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, SHA384_LEN) == 1 &&
        EVP_DigestVerify(ctx, signature.at, signature.len, message.at, message.len) == 1)
        return true;
    ERR_clear_error();
    return false;
}

FALLIBLE snp_der_of(struct bytes given, const char *label, size_t len_max, struct buffer *out, struct err *err)
{
    static const char dashes[] = "-----";
    struct reader     r        = reader_over(given);

    if (bytes_equal(take(&r, sizeof dashes - 1), bytes_of_text(dashes))) {
        if (!pem_read_one(given, label, out, err))
            return false;
        given = buffer_bytes(out);
    } else
        buffer_append(out, given);
    if (given.len == 0)
        return fail_with(err, ERR_MALFORMED, "empty");
    if (given.len > len_max)
        return fail_with(err, ERR_LIMIT, "%zu bytes; at most %zu are allowed", given.len, len_max);
    return true;
}

bool snp_common_name(struct bytes name, struct bytes *out)
{
    struct reader outer = reader_over(name);
    struct reader names = take_der_reader(&outer, DER_SEQUENCE);
    struct err    err;
    size_t        n = 0;

    while (!names.failed && names.left.len > 0) {
        struct reader set  = take_der_reader(&names, DER_SET);
        struct reader part = take_der_reader(&set, DER_SEQUENCE);
        struct bytes  oid  = take_der(&part, DER_OID);
        uint8_t       tag  = 0;
        struct bytes  text = take_der_any(&part, &tag);

        if (!reader_done(&set, &err) || !reader_done(&part, &err))
            return false;
        if (!bytes_equal(oid, BYTES_OF(oid_common_name)))
            continue;
        if (tag != DER_UTF8 && tag != DER_PRINTABLE)
            return false;
        *out = text;
        n++;
    }
    return reader_done(&names, &err) && reader_done(&outer, &err) && n == 1;
}

enum snp_product snp_product_of_name(struct bytes common_name, const char *prefix)
{
    struct bytes head = bytes_of_text(prefix);

    if (common_name.len < head.len || memcmp(common_name.at, head.at, head.len) != 0)
        return SNP_PRODUCT_UNKNOWN;

    struct bytes tail = { common_name.at + head.len, common_name.len - head.len };

    for (enum snp_product p = SNP_MILAN; p < N_SNP_PRODUCTS; p++)
        if (bytes_equal(tail, bytes_of_text(snp_product_name(p))))
            return p;
    return SNP_PRODUCT_UNKNOWN;
}

/* AMD's extensions by the last one or two bytes of their OID. */
enum vek_extension {
    VEK_STRUCT_VERSION, VEK_PRODUCT, VEK_BL, VEK_TEE, VEK_SNP, VEK_SPL4, VEK_SPL5, VEK_SPL6, VEK_SPL7, VEK_UCODE, VEK_FMC,
    VEK_HWID, VEK_CSP, N_VEK_EXTENSIONS
};

static const struct {
    uint8_t     len, suffix[2];
    const char *name;
} vek_extensions[N_VEK_EXTENSIONS] = {
    [VEK_STRUCT_VERSION] = { 1, { 1 }, "structVersion" }, [VEK_PRODUCT] = { 1, { 2 }, "product" },
    [VEK_BL]   = { 2, { 3, 1 }, "blSPL" },   [VEK_TEE]   = { 2, { 3, 2 }, "teeSPL" },
    [VEK_SNP]  = { 2, { 3, 3 }, "snpSPL" },  [VEK_SPL4]  = { 2, { 3, 4 }, "spl4" },
    [VEK_SPL5] = { 2, { 3, 5 }, "spl5" },    [VEK_SPL6]  = { 2, { 3, 6 }, "spl6" },
    [VEK_SPL7] = { 2, { 3, 7 }, "spl7" },    [VEK_UCODE] = { 2, { 3, 8 }, "ucodeSPL" },
    [VEK_FMC]  = { 2, { 3, 9 }, "fmcSPL" },  [VEK_HWID]  = { 1, { 4 }, "HWID" },
    [VEK_CSP]  = { 1, { 5 }, "CSP_ID" },
};

static enum vek_extension vek_extension_of(struct bytes oid)
{
    struct reader r      = reader_over(oid);
    struct bytes  prefix = take(&r, sizeof oid_amd);

    if (!bytes_equal(prefix, BYTES_OF(oid_amd)))
        return N_VEK_EXTENSIONS;
    for (unsigned i = 0; i < N_VEK_EXTENSIONS; i++)
        if (bytes_equal(r.left, (struct bytes){ vek_extensions[i].suffix, vek_extensions[i].len }))
            return (enum vek_extension) i;
    return N_VEK_EXTENSIONS;
}

static bool spl_read(struct bytes value, uint8_t *out)
{
    struct reader r      = reader_over(value);
    uint64_t      number = take_der_u64(&r, DER_INTEGER, UINT8_MAX);
    struct err    err;

    *out = (uint8_t) number;
    return reader_done(&r, &err);
}

static bool ia5_read(struct bytes value, size_t len_max, struct bytes *out)
{
    struct reader r    = reader_over(value);
    uint8_t       tag  = 0;
    struct bytes  text = take_der_any(&r, &tag);
    struct err    err;

    if (!reader_done(&r, &err) || tag != TAG_IA5 || text.len == 0 || text.len > len_max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x20 || text.at[i] > 0x7e)
            return false;
    *out = text;
    return true;
}

/* Raw, or wrapped once more as an OCTET STRING, as some issuance of AMD has it. [snp.md 2.2] */
static bool hwid_read(struct bytes value, struct bytes *out)
{
    struct reader r     = reader_over(value);
    struct bytes  inner = { 0 };
    struct err    err;

    if (value.len == HWID_LEN + 2 || value.len == TURIN_HWID_LEN + 2)
        inner = take_der(&r, DER_OCTET_STRING);
    else
        inner = take_rest(&r);
    *out = inner;
    return reader_done(&r, &err) && (inner.len == HWID_LEN || inner.len == TURIN_HWID_LEN);
}

static bool vek_field_read(enum vek_extension which, struct bytes value, struct snp_vek_fields *f)
{
    uint8_t ignored;

    f->found |= 1u << which;
    switch (which) {
    case VEK_BL:      return spl_read(value, &f->tcb.bootloader);
    case VEK_TEE:     return spl_read(value, &f->tcb.tee);
    case VEK_SNP:     return spl_read(value, &f->tcb.snp);
    case VEK_UCODE:   return spl_read(value, &f->tcb.microcode);
    case VEK_FMC:     return spl_read(value, &f->tcb.fmc);
    case VEK_PRODUCT: return ia5_read(value, 32, &f->product);
    case VEK_HWID:    return hwid_read(value, &f->hwid);
    case VEK_CSP:     return ia5_read(value, SNP_CSP_ID_LEN_MAX, &f->csp_id);
    case VEK_STRUCT_VERSION:
    case VEK_SPL4:
    case VEK_SPL5:
    case VEK_SPL6:
    case VEK_SPL7:    return spl_read(value, &ignored);
    case N_VEK_EXTENSIONS:
    default:          return false;
    }
}

static bool key_use_read(struct bytes value, struct snp_certificate *c)
{
    struct reader r    = reader_over(value);
    struct bytes  bits = take_der(&r, DER_BIT_STRING);
    struct err    err;

    if (!reader_done(&r, &err) || bits.len < 2 || bits.len > 3 || bits.at[0] > 7)
        return false;
    c->has_key_use = true;
    c->key_use     = bits.at[1];
    return true;
}

static bool constraints_read(struct bytes value, struct snp_certificate *c)
{
    struct reader outer = reader_over(value);
    struct reader r     = take_der_reader(&outer, DER_SEQUENCE);
    struct err    err;

    c->is_ca        = der_next_is(&r, DER_BOOLEAN) && take_der_bool(&r);
    c->has_path_len = der_next_is(&r, DER_INTEGER);
    if (c->has_path_len)
        c->path_len = take_der_u64(&r, DER_INTEGER, UINT8_MAX);
    return reader_done(&r, &err) && reader_done(&outer, &err);
}

static FALLIBLE extension_read(struct bytes oid, bool critical, struct bytes value, const char *role,
                               struct snp_certificate *c, struct appraisal *a)
{
    static const uint8_t key_use[] = { 0x55, 0x1d, 0x0f }, constraints[] = { 0x55, 0x1d, 0x13 };
    enum vek_extension   which = vek_extension_of(oid);

    if (which != N_VEK_EXTENSIONS)
        return vek_field_read(which, value, &c->vek) ||
               check(a, false, REASON_SNP_VEK_FIELD, "%s: %s is malformed or out of range", role,
                     vek_extensions[which].name);
    if (bytes_equal(oid, BYTES_OF(key_use)))
        return key_use_read(value, c) ||
               check(a, false, REASON_SNP_CERTIFICATE_MALFORMED, "%s: key usage is malformed", role);
    if (bytes_equal(oid, BYTES_OF(constraints)))
        return constraints_read(value, c) ||
               check(a, false, REASON_SNP_CERTIFICATE_MALFORMED, "%s: basic constraints are malformed", role);
    return !critical || check(a, false, REASON_SNP_CERTIFICATE_EXTENSION, "%s: unknown critical extension", role);
}

static FALLIBLE extensions_read(struct reader *r, const char *role, struct snp_certificate *c, struct appraisal *a)
{
    struct bytes seen[EXTENSIONS_MAX];
    size_t       n = 0;
    struct err   err;

    while (r->left.len > 0) {
        struct reader one      = take_der_reader(r, DER_SEQUENCE);
        struct bytes  oid      = take_der(&one, DER_OID);
        bool          critical = der_next_is(&one, DER_BOOLEAN) && take_der_bool(&one);
        struct bytes  value    = take_der(&one, DER_OCTET_STRING);

        if (!reader_done(&one, &err))
            return check(a, false, REASON_SNP_CERTIFICATE_MALFORMED, "%s: extension: %s", role, err.text);
        if (n == EXTENSIONS_MAX)
            return check(a, false, REASON_SNP_CERTIFICATE_EXTENSION, "%s: more than %d extensions", role, EXTENSIONS_MAX);
        for (size_t i = 0; i < n; i++)
            if (bytes_equal(seen[i], oid))
                return check(a, false, REASON_SNP_CERTIFICATE_EXTENSION, "%s: repeated extension", role);
        seen[n++] = oid;
        if (!extension_read(oid, critical, value, role, c, a))
            return false;
    }
    return true;
}

static bool rsa_read(struct bytes key_info, struct snp_certificate *c)
{
    struct reader outer     = reader_over(key_info);
    struct reader r         = take_der_reader(&outer, DER_SEQUENCE);
    struct bytes  algorithm = take_der_whole(&r, DER_SEQUENCE);
    struct reader bits      = reader_over(take_der_bits(&r));
    struct reader key       = take_der_reader(&bits, DER_SEQUENCE);
    struct bytes  modulus   = take_der(&key, DER_INTEGER);
    uint64_t      exponent  = take_der_u64(&key, DER_INTEGER, UINT32_MAX);
    struct err    err;

    if (!reader_done(&key, &err) || !reader_done(&bits, &err) || !reader_done(&r, &err))
        return false;
    c->key_kind = SNP_KEY_RSA_4096;
    c->modulus  = (struct bytes){ modulus.at + 1, modulus.len - 1 };
    return bytes_equal(algorithm, BYTES_OF(rsa_algorithm)) && modulus.len == RSA_4096_LEN + 1 && modulus.at[0] == 0 &&
           modulus.at[1] >= 0x80 && exponent == RSA_EXPONENT;
}

static bool public_key_read(struct bytes key_info, struct snp_certificate *c)
{
    struct reader r      = reader_over(key_info);
    struct bytes  prefix = take(&r, sizeof p384_prefix);
    struct bytes  point  = take_rest(&r);

    c->key_info = key_info;
    if (!bytes_equal(prefix, BYTES_OF(p384_prefix)))
        return rsa_read(key_info, c);
    c->key_kind = SNP_KEY_P384;
    c->point    = point;
    return point.len == P384_POINT_LEN && point.at[0] == 0x04;
}

static FALLIBLE tbs_read(struct bytes tbs, const char *role, struct snp_certificate *c, struct appraisal *a)
{
    struct reader outer   = reader_over(tbs);
    struct reader r       = take_der_reader(&outer, DER_SEQUENCE);
    bool          is_v3   = der_next_is(&r, DER_CONTEXT_0);
    struct reader version = is_v3 ? take_der_reader(&r, DER_CONTEXT_0) : (struct reader){ 0 };
    struct err    err;

    if (is_v3)
        is_v3 = take_der_u64(&version, DER_INTEGER, UINT8_MAX) == X509_V3;
    c->serial               = take_der(&r, DER_INTEGER);
    struct bytes  algorithm = take_der_whole(&r, DER_SEQUENCE);
    c->issuer               = take_der_whole(&r, DER_SEQUENCE);
    struct reader validity  = take_der_reader(&r, DER_SEQUENCE);
    c->not_before           = take_der_time(&validity);
    c->not_after            = take_der_time(&validity);
    c->subject              = take_der_whole(&r, DER_SEQUENCE);
    struct bytes  key_info  = take_der_whole(&r, DER_SEQUENCE);
    bool          has_more  = r.left.len > 0;
    struct reader wrapper   = has_more ? take_der_reader(&r, DER_CONTEXT_3) : (struct reader){ 0 };
    struct reader all       = has_more ? take_der_reader(&wrapper, DER_SEQUENCE) : (struct reader){ 0 };

    if (!reader_done(&r, &err) || !reader_done(&version, &err) ||
        !reader_done(&validity, &err) || !reader_done(&wrapper, &err))
        return check(a, false, REASON_SNP_CERTIFICATE_MALFORMED, "%s: %s", role, err.text);
    if (!check(a, is_v3, REASON_SNP_CERTIFICATE_VERSION, "%s: X.509 version, wanted 3", role) ||
        !check(a, snp_algorithm_is_pss(algorithm), REASON_SNP_CERTIFICATE_ALGORITHM,
               "%s: algorithm in the signed part, wanted RSA-PSS with SHA-384, MGF1-SHA-384, salt 48", role) ||
        !check(a, snp_common_name(c->subject, &c->common_name), REASON_SNP_CERTIFICATE_SUBJECT,
               "%s: subject has one common name", role) ||
        !check(a, public_key_read(key_info, c), REASON_SNP_CERTIFICATE_KEY,
               "%s: public key, wanted RSA of 4096 bits with exponent 65537 or a named P-384 point", role))
        return false;
    return extensions_read(&all, role, c, a);
}

FALLIBLE snp_certificate_read(struct bytes der, const char *role, struct snp_certificate *out, struct appraisal *a)
{
    struct snp_certificate c     = { .whole = der };
    struct reader          outer = reader_over(der);
    struct reader          r     = take_der_reader(&outer, DER_SEQUENCE);
    struct err             err;

    c.tbs                  = take_der_whole(&r, DER_SEQUENCE);
    struct bytes algorithm = take_der_whole(&r, DER_SEQUENCE);
    c.signature            = take_der_bits(&r);
    if (!reader_done(&r, &err) || !reader_done(&outer, &err))
        return check(a, false, REASON_SNP_CERTIFICATE_MALFORMED, "%s: %s", role, err.text);
    if (!check(a, snp_algorithm_is_pss(algorithm), REASON_SNP_CERTIFICATE_ALGORITHM,
               "%s: signature algorithm, wanted RSA-PSS with SHA-384, MGF1-SHA-384, salt 48", role) ||
        !tbs_read(c.tbs, role, &c, a))
        return false;
    *out = c;
    return true;
}

static bool rsa_key_of(const struct snp_certificate *c, EVP_PKEY **out)
{
    uint8_t                      native[RSA_4096_LEN]; /* OSSL_PARAM numbers are in the machine's byte order */
    unsigned                     exponent = RSA_EXPONENT;
    AUTO(pkey_ctx) EVP_PKEY_CTX *make     = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM                   parts[]  = {
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, native, sizeof native),
        OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_E, &exponent),
        OSSL_PARAM_construct_end(),
    };

    for (size_t i = 0; i < sizeof native; i++)
        native[i] = c->modulus.at[sizeof native - 1 - i];
    if (make && EVP_PKEY_fromdata_init(make) == 1 && EVP_PKEY_fromdata(make, out, EVP_PKEY_PUBLIC_KEY, parts) == 1)
        return true;
    ERR_clear_error();
    return false;
}

FALLIBLE snp_certificate_key(const struct snp_certificate *c, const char *role, EVP_PKEY **out, struct appraisal *a)
{
    const uint8_t *x    = c->key_kind == SNP_KEY_P384 ? c->point.at + 1 : NULL; /* behind the 0x04 */
    bool           made = x ? p384_key_of(x, x + P384_INTEGER_LEN, out) : rsa_key_of(c, out);

    return check(a, made, REASON_SNP_CERTIFICATE_KEY, "%s: public key is a number or point that OpenSSL takes", role);
}

FALLIBLE snp_certificate_is_root(const struct snp_certificate *c, struct appraisal *a)
{
    return check(a, c->key_kind == SNP_KEY_RSA_4096, REASON_SNP_CERTIFICATE_KEY, "ARK: key, wanted RSA-4096") &&
           check(a, c->is_ca, REASON_SNP_CERTIFICATE_USE, "ARK: CA flag") &&
           check(a, c->has_key_use && c->key_use & SNP_USE_SIGN_CERTIFICATES, REASON_SNP_CERTIFICATE_USE,
                 "ARK: key usage %#x, wanted keyCertSign", c->key_use) &&
           check(a, bytes_equal(c->issuer, c->subject), REASON_SNP_CERTIFICATE_ISSUER, "ARK: issued by itself");
}

FALLIBLE snp_certificate_is_intermediate(const struct snp_certificate *c, bool of_vlek, enum snp_product product,
                                         struct appraisal *a)
{
    const char *role   = of_vlek ? "ASVK" : "ASK";
    const char *prefix = of_vlek ? "SEV-VLEK-" : "SEV-";

    return check(a, c->key_kind == SNP_KEY_RSA_4096, REASON_SNP_CERTIFICATE_KEY, "%s: key, wanted RSA-4096", role) &&
           check(a, c->is_ca, REASON_SNP_CERTIFICATE_USE, "%s: CA flag", role) &&
           check(a, c->has_path_len && c->path_len == 0, REASON_SNP_CERTIFICATE_USE, "%s: path length, wanted 0", role) &&
           check(a, c->has_key_use && c->key_use & SNP_USE_SIGN_CERTIFICATES, REASON_SNP_CERTIFICATE_USE,
                 "%s: key usage %#x, wanted keyCertSign", role, c->key_use) &&
           check(a, snp_product_of_name(c->common_name, prefix) == product, REASON_SNP_CERTIFICATE_SUBJECT,
                 "%s: common name, wanted %s%s", role, prefix, snp_product_name(product));
}

/* Every extension that this kind of VEK must have, and none of the other kind. Missing is not zero. */
static FALLIBLE vek_fields_check(const struct snp_vek_fields *f, bool of_vlek, enum snp_product product,
                                 struct appraisal *a)
{
    static const enum vek_extension always[] = { VEK_STRUCT_VERSION, VEK_PRODUCT, VEK_BL, VEK_TEE, VEK_SNP, VEK_UCODE };
    const uint32_t fmc = 1u << VEK_FMC, hwid = 1u << VEK_HWID, csp = 1u << VEK_CSP;
    size_t         hwid_len = product == SNP_TURIN ? TURIN_HWID_LEN : HWID_LEN;

    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (!check(a, f->found & 1u << always[i], REASON_SNP_VEK_FIELD, "VEK: %s present", vek_extensions[always[i]].name))
            return false;
    if (!check(a, !(f->found & fmc) == (product != SNP_TURIN), REASON_SNP_VEK_FIELD, "VEK: fmcSPL present exactly on Turin"))
        return false;
    if (of_vlek)
        return check(a, (f->found & (hwid | csp)) == csp, REASON_SNP_VEK_FIELD, "VLEK: CSP_ID and no HWID");
    return check(a, (f->found & (hwid | csp)) == hwid, REASON_SNP_VEK_FIELD, "VCEK: HWID and no CSP_ID") &&
           check(a, f->hwid.len == hwid_len, REASON_SNP_VEK_FIELD, "VCEK: HWID of %zu bytes, wanted %zu", f->hwid.len,
                 hwid_len);
}

/* "Milan-B0", "Milan", "Genoa", "Turin": the product, alone or with a stepping. */
static bool is_product_text(struct bytes text, enum snp_product product)
{
    struct bytes name = bytes_of_text(snp_product_name(product));

    return text.len >= name.len && memcmp(text.at, name.at, name.len) == 0 &&
           (text.len == name.len || text.at[name.len] == '-');
}

FALLIBLE snp_certificate_is_vek(const struct snp_certificate *c, bool of_vlek, enum snp_product product,
                                struct appraisal *a)
{
    const char *name = of_vlek ? "SEV-VLEK" : "SEV-VCEK";

    return check(a, bytes_equal(c->common_name, bytes_of_text(name)), REASON_SNP_CERTIFICATE_SUBJECT,
                 "VEK: common name, wanted %s below this intermediate", name) &&
           check(a, c->key_kind == SNP_KEY_P384, REASON_SNP_CERTIFICATE_KEY, "VEK: key, wanted P-384") &&
           check(a, !c->is_ca && !(c->key_use & (SNP_USE_SIGN_CERTIFICATES | SNP_USE_SIGN_LISTS)),
                 REASON_SNP_CERTIFICATE_USE, "VEK: is no CA") &&
           vek_fields_check(&c->vek, of_vlek, product, a) &&
           check(a, is_product_text(c->vek.product, product), REASON_SNP_PRODUCT_BINDING,
                 "VEK: product \"%.*s\" under the root of %s", (int) c->vek.product.len,
                 (const char *) c->vek.product.at, snp_product_name(product));
}
