#include "attestation/verifier/tpm_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

DEFINE_AUTO(param_bld, OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_AUTO(params, OSSL_PARAM *, OSSL_PARAM_free)

void tpm_key_free(struct tpm_key *k)
{
    EVP_PKEY_free(k->key);
    k->key = NULL;
}

static FALLIBLE key_make(const char *type, OSSL_PARAM_BLD *build, EVP_PKEY **out, struct err *err)
{
    AUTO(params) OSSL_PARAM     *params = OSSL_PARAM_BLD_to_param(build);
    AUTO(pkey_ctx) EVP_PKEY_CTX *make   = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (!params || !make || EVP_PKEY_fromdata_init(make) != 1 ||
        EVP_PKEY_fromdata(make, out, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return err_openssl(err, ERR_MALFORMED, "TPM public key");
    return true;
}

FALLIBLE tpm_rsa_key_of(struct bytes modulus, uint32_t exponent, EVP_PKEY **out, struct err *err)
{
    AUTO(param_bld) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    AUTO(bn) BIGNUM                *n     = BN_bin2bn(modulus.at, (int) modulus.len, NULL);
    AUTO(bn) BIGNUM                *e     = BN_new();

    if (!build || !n || !e || BN_set_word(e, exponent) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1)
        return err_openssl(err, ERR_BUG, "TPM public key");
    return key_make("RSA", build, out, err);
}

static FALLIBLE ecc_key_of(const struct tpm_public *p, EVP_PKEY **out, struct err *err)
{
    AUTO(param_bld) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    size_t                          field = p->curve == TPM_P256 ? 32 : 48;
    uint8_t                         point[1 + 2 * 48];
    struct writer                   w = writer_over(point, sizeof point);

    put_u8(&w, 0x04);
    put_zeros(&w, field - p->x.len);
    put(&w, p->x);
    put_zeros(&w, field - p->y.len);
    put(&w, p->y);
    if (!writer_ok(&w, err))
        return false;
    if (!build ||
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, p->curve == TPM_P256 ? "P-256" : "P-384",
                                        0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, w.len) != 1)
        return err_openssl(err, ERR_BUG, "TPM public key");
    return key_make("EC", build, out, err);
}

FALLIBLE tpm_key_of(const struct tpm_public *p, EVP_PKEY **out, struct err *err)
{
    return p->type == TPM_RSA ? tpm_rsa_key_of(p->modulus, p->exponent, out, err) : ecc_key_of(p, out, err);
}

/* A SubjectPublicKeyInfo that fills its bytes, of a kind that TPMs sign with. */
static FALLIBLE spki_read(struct bytes from, EVP_PKEY **out, struct err *err)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    AUTO(bio) BIO       *in  = BIO_new_mem_buf(from.at, (int) from.len);
    const uint8_t       *at  = from.at;

    if (!in)
        return err_openssl(err, ERR_BUG, "attestation key");
    if (from.len > 0 && from.at[0] == '-')
        key = PEM_read_bio_PUBKEY(in, NULL, NULL, NULL);
    else if (from.len > 0)
        key = d2i_PUBKEY(NULL, &at, (long) from.len);
    if (!key || (at != from.at && at != from.at + from.len))
        return err_openssl(err, ERR_MALFORMED, "attestation key");
    if (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "EC"))
        return fail_with(err, ERR_UNSUPPORTED, "attestation key is neither RSA nor ECC");
    if (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) < 2048)
        return fail_with(err, ERR_UNSUPPORTED, "attestation key of %d bits", EVP_PKEY_get_bits(key));
    *out = TAKE(key);
    return true;
}

FALLIBLE tpm_key_read(struct bytes from, struct tpm_key *out, struct err *err)
{
    if (from.len > TPM_PUBLIC_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "attestation key of %zu bytes; at most %d are allowed", from.len,
                         TPM_PUBLIC_LEN_MAX);
    if (from.len > 0 && (from.at[0] == '-' || from.at[0] == 0x30)) /* no TPM structure begins with 0x30 or a dash */
        return spki_read(from, &out->key, err);
    if (!tpm_public_parse(from, &out->public, err))
        return false;
    out->has_public = true;
    return tpm_key_of(&out->public, &out->key, err);
}

/* r and s as OpenSSL wants them. */
static bool ecdsa_signed(EVP_PKEY *key, const struct tpm_signature *s, struct bytes digest)
{
    AUTO(ecdsa_sig) ECDSA_SIG   *sig    = ECDSA_SIG_new();
    AUTO(bn) BIGNUM             *r      = BN_bin2bn(s->r.at, (int) s->r.len, NULL);
    AUTO(bn) BIGNUM             *v      = BN_bin2bn(s->s.at, (int) s->s.len, NULL);
    AUTO(pkey_ctx) EVP_PKEY_CTX *verify = EVP_PKEY_CTX_new(key, NULL);
    uint8_t                      der[2 * 48 + 16];
    uint8_t                     *end = der;

    if (s->r.len > 48 || s->s.len > 48 || !sig || !r || !v || !verify || ECDSA_SIG_set0(sig, r, v) != 1)
        return false;
    r = NULL; /* both belong to sig now */
    v = NULL;

    int len = i2d_ECDSA_SIG(sig, &end);

    return len > 0 && EVP_PKEY_verify_init(verify) == 1 &&
           EVP_PKEY_verify(verify, der, (size_t) len, digest.at, digest.len) == 1;
}

static bool rsa_signed(EVP_PKEY *key, const struct tpm_signature *s, const struct tpm_hash *hash, struct bytes digest)
{
    AUTO(pkey_ctx) EVP_PKEY_CTX *verify  = EVP_PKEY_CTX_new(key, NULL);
    int                          padding = s->scheme == TPM_RSAPSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;

    if (!verify || EVP_PKEY_verify_init(verify) != 1 || EVP_PKEY_CTX_set_rsa_padding(verify, padding) != 1 ||
        EVP_PKEY_CTX_set_signature_md(verify, hash->md()) != 1)
        return false;
    if (s->scheme == TPM_RSAPSS && EVP_PKEY_CTX_set_rsa_pss_saltlen(verify, RSA_PSS_SALTLEN_AUTO) != 1)
        return false; /* TPMs differ: the longest that fits, or the digest's length [tpm.md 3] */
    return EVP_PKEY_verify(verify, s->rsa.at, s->rsa.len, digest.at, digest.len) == 1;
}

bool tpm_signed(EVP_PKEY *key, const struct tpm_signature *s, struct bytes message)
{
    const struct tpm_hash *hash = tpm_hash_by_id(s->hash);
    uint8_t                digest[TPM_HASH_LEN_MAX];
    bool                   holds;

    if (!hash || EVP_PKEY_is_a(key, "RSA") != (s->scheme != TPM_ECDSA))
        return false;
    tpm_hash_of(hash, message, (struct bytes){ 0 }, digest);

    struct bytes hashed = { digest, hash->len };

    holds = s->scheme == TPM_ECDSA ? ecdsa_signed(key, s, hashed) : rsa_signed(key, s, hash, hashed);
    ERR_clear_error();
    return holds;
}
