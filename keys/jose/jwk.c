#include "keys/jose/jwk.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

#include "base/text.h"

enum { POINT_MAX = 1 + 2 * 66, RSA_BITS_LEAST = 2048, RSA_BITS_MOST = 8192, RSA_LEN_MOST = RSA_BITS_MOST / 8 };

DEFINE_AUTO(params, OSSL_PARAM *, OSSL_PARAM_free)
DEFINE_AUTO(param_build, OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)

/* The curves that [KBS 7] names. */
static const struct curve {
    const char   *crv, *group;
    size_t        width;
    enum jwk_kind kind;
} CURVES[] = {
    { "P-256", "prime256v1", 32, JWK_P256 },
    { "P-521", "secp521r1", 66, JWK_P521 },
};

static const struct curve *curve_named(const char *crv, const char *group)
{
    for (size_t i = 0; i < sizeof CURVES / sizeof *CURVES; i++) {
        if ((crv && strcmp(CURVES[i].crv, crv) == 0) || (group && strcmp(CURVES[i].group, group) == 0))
            return &CURVES[i];
    }
    return NULL;
}

void jwk_free(struct jwk *jwk)
{
    EVP_PKEY_free(jwk->key);
    buffer_free(&jwk->canonical);
    *jwk = (struct jwk){ 0 };
}

static FALLIBLE key_from_params(const char *type, OSSL_PARAM *params, EVP_PKEY **out, struct err *err)
{
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY                    *key = NULL;

    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return err_openssl(err, ERR_MALFORMED, "JWK");
    *out = key;
    return true;
}

static FALLIBLE coordinate_read(const char *name, const char *text, const struct curve *curve, struct buffer *point,
                                struct err *err)
{
    size_t before = point->len;

    if (strlen(text) > JWK_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "JWK: %s is longer than %d characters", name, JWK_TEXT_MAX);
    if (!base64_read(bytes_of_text(text), BASE64_URL, point, err))
        return contextf(err, "JWK: %s", name);
    if (point->len - before != curve->width)
        return fail_with(err, ERR_MALFORMED, "JWK: %s has %zu bytes; %s has %zu", name, point->len - before, curve->crv,
                         curve->width);
    return true;
}

FALLIBLE jwk_point_read(const char *crv, const char *x, const char *y, EVP_PKEY **out, struct err *err)
{
    const struct curve        *curve = curve_named(crv, NULL);
    AUTO(buffer) struct buffer point = { 0 };
    OSSL_PARAM                 params[3];

    if (!curve)
        return fail_with(err, ERR_UNSUPPORTED, "JWK: curve is neither P-256 nor P-521");
    buffer_append(&point, (struct bytes){ (const uint8_t *) "\x04", 1 }); /* uncompressed [SEC1 2.3.3] */
    if (!coordinate_read("x", x, curve, &point, err) || !coordinate_read("y", y, curve, &point, err))
        return false;
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *) (uintptr_t) curve->group, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.at, point.len);
    params[2] = OSSL_PARAM_construct_end();
    return key_from_params("EC", params, out, err);
}

static FALLIBLE point_of(EVP_PKEY *key, const struct curve **curve, uint8_t point[static POINT_MAX], struct err *err)
{
    char   group[40] = "";
    size_t len       = 0;

    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) != 1 ||
        !(*curve = curve_named(NULL, group)))
        return fail_with(err, ERR_UNSUPPORTED, "JWK: the key is on another curve than P-256 and P-521");
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_MAX, &len) != 1 ||
        len != 1 + 2 * (*curve)->width || point[0] != 4)
        return err_openssl(err, ERR_BUG, "JWK: read the public point");
    return true;
}

FALLIBLE jwk_append_point(EVP_PKEY *key, struct buffer *out, struct err *err)
{
    const struct curve *curve;
    uint8_t             point[POINT_MAX];

    if (!point_of(key, &curve, point, err))
        return false;
    buffer_printf(out, "\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"", curve->crv);
    base64_append(out, (struct bytes){ point + 1, curve->width }, BASE64_URL);
    buffer_append_text(out, "\",\"y\":\"");
    base64_append(out, (struct bytes){ point + 1 + curve->width, curve->width }, BASE64_URL);
    buffer_append_text(out, "\"");
    return true;
}

static FALLIBLE append_rsa(EVP_PKEY *key, const char *alg, struct buffer *out, struct err *err)
{
    AUTO(bn) BIGNUM *n = NULL;
    AUTO(bn) BIGNUM *e = NULL;
    uint8_t          text[RSA_LEN_MOST];

    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
        return err_openssl(err, ERR_BUG, "JWK: read the RSA key");
    if (BN_num_bytes(n) > RSA_LEN_MOST || BN_num_bytes(e) > RSA_LEN_MOST)
        return fail_with(err, ERR_UNSUPPORTED, "JWK: an RSA key of more than %d bits", RSA_BITS_MOST);
    buffer_printf(out, "{\"alg\":\"%s\",\"e\":\"", alg);
    base64_append(out, (struct bytes){ text, (size_t) BN_bn2bin(e, text) }, BASE64_URL);
    buffer_append_text(out, "\",\"kty\":\"RSA\",\"n\":\"");
    base64_append(out, (struct bytes){ text, (size_t) BN_bn2bin(n, text) }, BASE64_URL);
    buffer_append_text(out, "\"}");
    return true;
}

FALLIBLE jwk_of_key(EVP_PKEY *key, const char *alg, struct jwk *out, struct err *err)
{
    AUTO(jwk) struct jwk made = { .kind = JWK_RSA };
    const struct curve  *curve;
    uint8_t              point[POINT_MAX];

    (void) snprintf(made.alg, sizeof made.alg, "%s", alg); /* our own constants: they fit */
    if (EVP_PKEY_is_a(key, "RSA")) {
        if (!append_rsa(key, alg, &made.canonical, err))
            return false;
    } else {
        if (!point_of(key, &curve, point, err))
            return false;
        made.kind = curve->kind;
        buffer_printf(&made.canonical, "{\"alg\":\"%s\",", alg);
        if (!jwk_append_point(key, &made.canonical, err))
            return false;
        buffer_append_text(&made.canonical, "}");
    }
    if (EVP_PKEY_up_ref(key) != 1)
        return err_openssl(err, ERR_BUG, "JWK: keep the key");
    made.key = key;
    *out     = TAKE(made);
    return true;
}

static FALLIBLE rsa_number(struct json_object *from, const char *name, BIGNUM **out, struct err *err)
{
    AUTO(buffer) struct buffer raw = { 0 };
    const char                *text;

    if (!json_get_text(from, name, &text, err))
        return context(err, "JWK");
    if (strlen(text) > JWK_TEXT_MAX || !base64_read(bytes_of_text(text), BASE64_URL, &raw, err))
        return fail_with(err, ERR_MALFORMED, "JWK: %s is no base64url number", name);
    if (raw.len == 0 || raw.len > RSA_LEN_MOST || raw.at[0] == 0)
        return fail_with(err, ERR_MALFORMED, "JWK: %s has %zu bytes or a leading zero", name, raw.len);
    *out = BN_bin2bn(raw.at, (int) raw.len, NULL);
    return *out ? true : err_openssl(err, ERR_BUG, "JWK number");
}

static FALLIBLE rsa_read(struct json_object *from, EVP_PKEY **out, struct err *err)
{
    AUTO(bn) BIGNUM                *n     = NULL;
    AUTO(bn) BIGNUM                *e     = NULL;
    AUTO(param_build) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    AUTO(params) OSSL_PARAM        *params = NULL;

    if (!rsa_number(from, "n", &n, err) || !rsa_number(from, "e", &e, err))
        return false;
    if (BN_num_bits(n) < RSA_BITS_LEAST || BN_num_bits(n) > RSA_BITS_MOST)
        return fail_with(err, ERR_UNSUPPORTED, "JWK: an RSA key of %d bits; %d to %d are taken", BN_num_bits(n),
                         RSA_BITS_LEAST, RSA_BITS_MOST);
    if (!BN_is_odd(n) || !BN_is_odd(e) || BN_num_bits(e) < 17 || BN_num_bits(e) > 32)
        return fail_with(err, ERR_UNSUPPORTED, "JWK: an RSA key with an unusual exponent or modulus");
    if (!build || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1 || !(params = OSSL_PARAM_BLD_to_param(build)))
        return err_openssl(err, ERR_BUG, "JWK parameters");
    return key_from_params("RSA", params, out, err);
}

/* Which algorithms a key of this type may name: those of the key protocol, and ES256 for tokens. */
static bool alg_fits(const char *kty, const char *alg)
{
    static const char *const FOR[][2] = {
        { "EC", "ECDH-ES+A256KW" }, { "EC", "ES256" }, { "RSA", "RSA-OAEP-256" }, { "RSA", "RSA1_5" },
    };

    for (size_t i = 0; i < sizeof FOR / sizeof *FOR; i++) {
        if (strcmp(FOR[i][0], kty) == 0 && strcmp(FOR[i][1], alg) == 0)
            return true;
    }
    return false;
}

FALLIBLE jwk_read(struct json_object *from, struct jwk *out, struct err *err)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    const char          *kty, *alg, *crv, *x, *y;

    if (!json_get_text(from, "kty", &kty, err) || !json_get_text(from, "alg", &alg, err))
        return context(err, "JWK");
    if (!alg_fits(kty, alg))
        return fail_with(err, ERR_UNSUPPORTED, "JWK: this kty and alg are not taken; use EC with ECDH-ES+A256KW");
    if (strcmp(kty, "RSA") == 0) {
        if (!rsa_read(from, &key, err))
            return false;
    } else {
        if (!json_get_text(from, "crv", &crv, err) || !json_get_text(from, "x", &x, err) ||
            !json_get_text(from, "y", &y, err))
            return context(err, "JWK");
        if (!jwk_point_read(crv, x, y, &key, err))
            return false;
    }
    return jwk_of_key(key, alg, out, err);
}

FALLIBLE jwk_generate_p256(EVP_PKEY **out, struct err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    if (!key)
        return err_openssl(err, ERR_OS, "generate a P-256 key");
    *out = key;
    return true;
}
