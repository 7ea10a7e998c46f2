#include "keys/jose/jwt.h"

#include <string.h>

#include "base/text.h"

enum { SIGNATURE_LEN = 64, HALF = 32 }; /* both ES256 and Ed25519 */

static const char *alg_of(EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "ED25519") ? "EdDSA" : EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 256 ? "ES256" : NULL;
}

static FALLIBLE ecdsa_to_raw(const uint8_t *der, size_t len, uint8_t raw[static SIGNATURE_LEN], struct err *err)
{
    const unsigned char      *at  = der;
    AUTO(ecdsa_sig) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long) len);

    if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, HALF) != HALF ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + HALF, HALF) != HALF)
        return err_openssl(err, ERR_BUG, "token signature");
    return true;
}

FALLIBLE jwt_sign(const char *header_rest, struct bytes payload, EVP_PKEY *key, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer header = { 0 };
    AUTO(buffer) struct buffer text   = { 0 };
    AUTO(md_ctx) EVP_MD_CTX   *md     = EVP_MD_CTX_new();
    const char                *alg    = alg_of(key);
    uint8_t                    made[96];
    uint8_t                    raw[SIGNATURE_LEN];
    size_t                     len = sizeof made;

    if (!alg)
        return fail_with(err, ERR_UNSUPPORTED, "sign a token: the key is neither P-256 nor Ed25519");
    buffer_printf(&header, "{\"typ\":\"JWT\",\"alg\":\"%s\"%s}", alg, header_rest);
    base64_append(&text, buffer_bytes(&header), BASE64_URL);
    buffer_append_text(&text, ".");
    base64_append(&text, payload, BASE64_URL);
    if (!md || EVP_DigestSignInit(md, NULL, strcmp(alg, "ES256") == 0 ? EVP_sha256() : NULL, NULL, key) != 1 ||
        EVP_DigestSign(md, made, &len, text.at, text.len) != 1)
        return err_openssl(err, ERR_BUG, "sign a token");
    if (strcmp(alg, "ES256") == 0) {
        if (!ecdsa_to_raw(made, len, raw, err))
            return false;
    } else {
        memcpy(raw, made, sizeof raw);
    }
    buffer_append(out, buffer_bytes(&text));
    buffer_append_text(out, ".");
    base64_append(out, BYTES_OF(raw), BASE64_URL);
    return true;
}

struct parts {
    struct bytes  signed_part; /* header.payload */
    struct buffer header, payload, signature;
};

static void auto_parts(struct parts *p)
{
    buffer_free(&p->header);
    buffer_free(&p->payload);
    buffer_free(&p->signature);
}

/* Up to the next dot, which is skipped; the whole rest when there is none. */
static struct bytes next_part(struct bytes *left, bool *dot)
{
    const uint8_t *end  = left->len ? memchr(left->at, '.', left->len) : NULL;
    struct bytes   part = { left->at, end ? (size_t) (end - left->at) : left->len };

    *dot  = end != NULL;
    *left = end ? (struct bytes){ end + 1, left->len - part.len - 1 } : (struct bytes){ 0 };
    return part;
}

static FALLIBLE token_split(struct bytes token, size_t len_max, struct parts *out, struct err *err)
{
    struct bytes left = token, header, payload, signature;
    bool         first, second, third;

    if (token.len > len_max)
        return fail_with(err, ERR_LIMIT, "a token of %zu characters; at most %zu", token.len, len_max);
    header    = next_part(&left, &first);
    payload   = next_part(&left, &second);
    signature = next_part(&left, &third);
    if (!first || !second || third)
        return fail_with(err, ERR_MALFORMED, "a token is three parts with two dots between");
    out->signed_part = (struct bytes){ token.at, header.len + 1 + payload.len };
    if (!base64_read(header, BASE64_URL, &out->header, err) || !base64_read(payload, BASE64_URL, &out->payload, err) ||
        !base64_read(signature, BASE64_URL, &out->signature, err))
        return context(err, "token");
    return true;
}

static FALLIBLE header_check(const struct parts *parts, const char *alg, struct err *err)
{
    AUTO(json) struct json_object *header = NULL;
    const char                    *named;

    if (!json_read(buffer_bytes(&parts->header), parts->header.len, &header, err) ||
        !json_get_text(header, "alg", &named, err))
        return context(err, "token header");
    if (strcmp(named, alg) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "token header: alg is not the %s of the key that we trust", alg);
    if (json_has(header, "crit"))
        return fail_with(err, ERR_UNSUPPORTED, "token header: critical extensions");
    return true;
}

static FALLIBLE signature_verify(const struct parts *parts, EVP_PKEY *key, const char *alg, struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *md  = EVP_MD_CTX_new();
    AUTO(ecdsa_sig) ECDSA_SIG *sig = NULL;
    bool                     is_ecdsa = strcmp(alg, "ES256") == 0;
    uint8_t                  der[96];
    uint8_t                 *to  = der;
    const uint8_t           *raw = parts->signature.at;
    size_t                   len = parts->signature.len;

    if (len != SIGNATURE_LEN)
        return fail_with(err, ERR_UNTRUSTED, "token: a signature of %zu bytes; wanted %d", len, SIGNATURE_LEN);
    if (is_ecdsa) {
        sig = ECDSA_SIG_new();
        if (!sig || ECDSA_SIG_set0(sig, BN_bin2bn(raw, HALF, NULL), BN_bin2bn(raw + HALF, HALF, NULL)) != 1)
            return err_openssl(err, ERR_BUG, "token signature");
        len = (size_t) i2d_ECDSA_SIG(sig, &to); /* 2 * (32 + 3) + 2 at most: fits */
        raw = der;
    }
    if (!md || EVP_DigestVerifyInit(md, NULL, is_ecdsa ? EVP_sha256() : NULL, NULL, key) != 1)
        return err_openssl(err, ERR_BUG, "token signature");
    if (EVP_DigestVerify(md, raw, len, parts->signed_part.at, parts->signed_part.len) != 1)
        return err_openssl(err, ERR_UNTRUSTED, "token: the signature does not hold");
    return true;
}

static FALLIBLE payload_read(const struct parts *parts, struct json_object **payload, struct err *err)
{
    AUTO(json) struct json_object *read = NULL;

    if (!json_read(buffer_bytes(&parts->payload), parts->payload.len, &read, err))
        return context(err, "token payload");
    if (!json_object_is_type(read, json_type_object))
        return fail_with(err, ERR_MALFORMED, "token payload: not an object");
    *payload = TAKE(read);
    return true;
}

FALLIBLE jwt_verify(struct bytes token, size_t len_max, EVP_PKEY *key, struct json_object **payload, struct err *err)
{
    AUTO(parts) struct parts parts = { 0 };
    const char              *alg   = alg_of(key);

    if (!alg)
        return fail_with(err, ERR_UNSUPPORTED, "verify a token: the key is neither P-256 nor Ed25519");
    return token_split(token, len_max, &parts, err) && header_check(&parts, alg, err) &&
           signature_verify(&parts, key, alg, err) && payload_read(&parts, payload, err);
}

FALLIBLE jwt_peek(struct bytes token, size_t len_max, struct json_object **payload, struct err *err)
{
    AUTO(parts) struct parts parts = { 0 };

    return token_split(token, len_max, &parts, err) && payload_read(&parts, payload, err);
}

FALLIBLE jwt_peek_header(struct bytes token, size_t len_max, struct json_object **header, struct err *err)
{
    AUTO(parts) struct parts       parts = { 0 };
    AUTO(json) struct json_object *read  = NULL;

    if (!token_split(token, len_max, &parts, err))
        return false;
    if (!json_read(buffer_bytes(&parts.header), parts.header.len, &read, err))
        return context(err, "token header");
    if (!json_object_is_type(read, json_type_object))
        return fail_with(err, ERR_MALFORMED, "token header: not an object");
    *header = TAKE(read);
    return true;
}

FALLIBLE jwt_check_times(struct json_object *payload, uint64_t now, uint64_t leeway, struct err *err)
{
    uint64_t exp, nbf;

    if (!json_get_u64(payload, "exp", INT64_MAX, &exp, err))
        return context(err, "token");
    if (now >= leeway && now - leeway >= exp)
        return fail_with(err, ERR_UNTRUSTED, "token: expired %llu s ago", (unsigned long long) (now - exp));
    if (!json_has(payload, "nbf"))
        return true;
    if (!json_get_u64(payload, "nbf", INT64_MAX, &nbf, err))
        return context(err, "token");
    if (now + leeway < nbf)
        return fail_with(err, ERR_UNTRUSTED, "token: not valid before %llu s from now", (unsigned long long) (nbf - now));
    return true;
}
