#include "attestation/evidence/snp_id_block.h"

enum { ID_BLOCK_VERSION = 1, ECDSA_P384_SHA384 = 1, CURVE_P384 = 2, INTEGER_LEN = 72 };

FALLIBLE snp_id_block_parse(struct bytes raw, struct snp_id_block *out, struct err *err)
{
    struct reader       r = reader_over(raw);
    struct snp_id_block b = { .raw = raw };

    b.launch_digest = take(&r, SNP_MEASUREMENT_LEN);
    b.family_id     = take(&r, SNP_ID_LEN);
    b.image_id      = take(&r, SNP_ID_LEN);
    uint32_t version = take_u32le(&r);
    b.guest_svn     = take_u32le(&r);
    b.policy        = take_u64le(&r);
    if (!reader_done(&r, err))
        return context(err, "ID block");
    if (version != ID_BLOCK_VERSION)
        return fail_with(err, ERR_UNSUPPORTED, "ID block: version %u, wanted %d", version, ID_BLOCK_VERSION);
    *out = b;
    return true;
}

static struct snp_id_signature take_signature(struct reader *in, bool *clean)
{
    struct reader           r = take_reader(in, SNP_ID_SIGNATURE_LEN);
    struct snp_id_signature s = { .r = take(&r, INTEGER_LEN), .s = take(&r, INTEGER_LEN) };

    *clean &= bytes_are_zero(r.left);
    return s;
}

static struct snp_id_key take_key(struct reader *in, uint32_t *curve, bool *clean)
{
    struct snp_id_key key = { .raw = take(in, SNP_ID_KEY_LEN) };
    struct reader     r   = reader_over(key.raw);

    *curve = take_u32le(&r);
    key.x  = take(&r, INTEGER_LEN);
    key.y  = take(&r, INTEGER_LEN);
    *clean &= bytes_are_zero(r.left);
    return key;
}

FALLIBLE snp_id_auth_parse(struct bytes raw, struct snp_id_auth *out, struct err *err)
{
    struct reader      r     = reader_over(raw);
    struct snp_id_auth auth  = { 0 };
    bool               clean = true;
    uint32_t           id_curve, author_curve;

    uint32_t id_algorithm     = take_u32le(&r);
    uint32_t author_algorithm = take_u32le(&r);
    clean &= bytes_are_zero(take(&r, 56));
    auth.block_signature      = take_signature(&r, &clean);
    auth.id_key               = take_key(&r, &id_curve, &clean);
    clean &= bytes_are_zero(take(&r, 60));
    struct reader author      = r;
    auth.key_signature        = take_signature(&r, &clean);
    auth.author_key           = take_key(&r, &author_curve, &clean);
    clean &= bytes_are_zero(take(&r, 892));
    if (!reader_done(&r, err))
        return context(err, "ID authentication");

    auth.has_author = !bytes_are_zero(auth.author_key.raw) || !bytes_are_zero(take(&author, SNP_ID_SIGNATURE_LEN));
    if (!clean)
        return fail_with(err, ERR_MALFORMED, "ID authentication: a reserved field is not zero");
    if (id_algorithm != ECDSA_P384_SHA384 || id_curve != CURVE_P384)
        return fail_with(err, ERR_UNSUPPORTED, "ID authentication: ID key of algorithm %u, curve %u, wanted 1, 2",
                         id_algorithm, id_curve);
    if (auth.has_author && (author_algorithm != ECDSA_P384_SHA384 || author_curve != CURVE_P384))
        return fail_with(err, ERR_UNSUPPORTED, "ID authentication: author key of algorithm %u, curve %u, wanted 1, 2",
                         author_algorithm, author_curve);
    *out = auth;
    return true;
}
