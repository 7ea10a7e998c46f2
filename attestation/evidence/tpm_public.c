#include "attestation/evidence/tpm_public.h"

#include <string.h>

enum { RSA_EXPONENT_DEFAULT = 65537 };

/* The symmetric cipher of a storage key, or none. */
static void take_symmetric(struct reader *r, struct tpm_public *p)
{
    p->symmetric = take_u16be(r);
    if (p->symmetric == TPM_ALG_NULL)
        return;
    p->symmetric_bits = take_u16be(r);
    p->symmetric_mode = take_u16be(r);
}

static void take_scheme(struct reader *r, struct tpm_public *p)
{
    p->scheme = take_u16be(r);
    if (p->scheme != TPM_ALG_NULL)
        p->scheme_hash = take_u16be(r);
}

static FALLIBLE rsa_read(struct reader *r, struct tpm_public *p, struct err *err)
{
    take_symmetric(r, p);
    take_scheme(r, p);
    p->rsa_bits = take_u16be(r);
    p->exponent = take_u32be(r);
    p->modulus  = take(r, take_u16be(r));
    if (!reader_done(r, err))
        return false;
    if (p->exponent == 0)
        p->exponent = RSA_EXPONENT_DEFAULT;
    if (p->scheme != TPM_ALG_NULL && p->scheme != TPM_RSASSA && p->scheme != TPM_RSAPSS)
        return fail_with(err, ERR_UNSUPPORTED, "RSA scheme %#x", p->scheme);
    if ((p->rsa_bits != 2048 && p->rsa_bits != 3072 && p->rsa_bits != 4096) || p->modulus.len != p->rsa_bits / 8U)
        return fail_with(err, ERR_UNSUPPORTED, "RSA key of %u bits in %zu bytes", p->rsa_bits, p->modulus.len);
    return true;
}

static FALLIBLE ecc_read(struct reader *r, struct tpm_public *p, struct err *err)
{
    take_symmetric(r, p);
    take_scheme(r, p);
    uint16_t curve = take_u16be(r);
    uint16_t kdf   = take_u16be(r);
    p->x           = take(r, take_u16be(r));
    p->y           = take(r, take_u16be(r));

    if (!reader_done(r, err))
        return false;
    if (p->scheme != TPM_ALG_NULL && p->scheme != TPM_ECDSA)
        return fail_with(err, ERR_UNSUPPORTED, "ECC scheme %#x", p->scheme);
    if ((curve != TPM_P256 && curve != TPM_P384) || kdf != TPM_ALG_NULL)
        return fail_with(err, ERR_UNSUPPORTED, "curve %#x with key derivation %#x", curve, kdf);
    p->curve = (enum tpm_curve) curve;

    size_t field = p->curve == TPM_P256 ? 32 : 48;

    if (p->x.len > field || p->y.len > field || p->x.len == 0 || p->y.len == 0)
        return fail_with(err, ERR_MALFORMED, "point of %zu and %zu bytes", p->x.len, p->y.len);
    return true;
}

FALLIBLE tpm_public_parse(struct bytes whole, struct tpm_public *out, struct err *err)
{
    struct tpm_public p = { .whole = whole };
    struct reader     r = reader_over(whole);

    if (whole.len > TPM_PUBLIC_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "TPM public area of %zu bytes; at most %d are allowed", whole.len,
                         TPM_PUBLIC_LEN_MAX);
    uint16_t type = take_u16be(&r);

    if (type == r.left.len && type != TPM_RSA && type != TPM_ECC) { /* a TPM2B: the size comes first */
        p.whole = r.left;
        type    = take_u16be(&r);
    }
    p.name_hash  = take_u16be(&r);
    p.attributes = take_u32be(&r);
    p.policy     = take(&r, take_u16be(&r));
    if (!reader_ok(&r, err))
        return context(err, "TPM public area");
    if (type != TPM_RSA && type != TPM_ECC)
        return fail_with(err, ERR_UNSUPPORTED, "TPM public area: object of type %#x", type);
    if (!tpm_hash_by_id(p.name_hash))
        return fail_with(err, ERR_UNSUPPORTED, "TPM public area: name algorithm %#x", p.name_hash);
    p.type = (enum tpm_key_type) type;
    if (!(p.type == TPM_RSA ? rsa_read : ecc_read)(&r, &p, err))
        return context(err, "TPM public area");
    *out = p;
    return true;
}

void tpm_name_of(const struct tpm_public *p, uint8_t out[static TPM_NAME_LEN_MAX], size_t *len)
{
    const struct tpm_hash *hash = tpm_hash_by_id(p->name_hash); /* tpm_public_parse knows it */
    uint8_t                digest[TPM_HASH_LEN_MAX];
    struct writer          w = writer_over(out, TPM_NAME_LEN_MAX);

    tpm_hash_of(hash, p->whole, (struct bytes){ 0 }, digest);
    put_u16be(&w, p->name_hash);
    put(&w, (struct bytes){ digest, hash->len });
    *len = w.len;
}

FALLIBLE tpm_key_info_write(struct bytes area, struct buffer *der, struct err *err)
{
    /* SEQUENCE of (id-ecPublicKey, prime256v1) and a BIT STRING that begins with an uncompressed point */
    static const uint8_t head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
    enum { COORDINATE = 32 };
    struct tpm_public key;

    if (!tpm_public_parse(area, &key, err))
        return false;
    if (key.type != TPM_ECC || key.curve != TPM_P256) /* whose coordinates are no longer than this */
        return fail_with(err, ERR_UNSUPPORTED, "TPM key: not P-256");
    buffer_append(der, BYTES_OF(head));
    (void) buffer_grow(der, COORDINATE - key.x.len); /* the zeros that the TPM left out */
    buffer_append(der, key.x);
    (void) buffer_grow(der, COORDINATE - key.y.len); /* as above */
    buffer_append(der, key.y);
    return true;
}

FALLIBLE tpm_signature_parse(struct bytes whole, struct tpm_signature *out, struct err *err)
{
    struct reader        r = reader_over(whole);
    struct tpm_signature s = { 0 };

    s.scheme = take_u16be(&r);
    s.hash   = take_u16be(&r);
    if (s.scheme == TPM_RSASSA || s.scheme == TPM_RSAPSS) {
        s.rsa = take(&r, take_u16be(&r));
    } else if (s.scheme == TPM_ECDSA) {
        s.r = take(&r, take_u16be(&r));
        s.s = take(&r, take_u16be(&r));
    } else if (reader_ok(&r, err)) {
        return fail_with(err, ERR_UNSUPPORTED, "TPM signature: scheme %#x", s.scheme);
    }
    if (!reader_done(&r, err))
        return context(err, "TPM signature");
    *out = s;
    return true;
}
