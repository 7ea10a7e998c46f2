#include "keys/ocicrypt/layer_options.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/json.h"
#include "base/ossl.h"
#include "base/text.h"

static const char *const ciphers[] = { [LAYER_CIPHER_CTR] = "AES_256_CTR_HMAC_SHA256",
                                       [LAYER_CIPHER_XTS] = "AES_256_XTS_VERITY_HMAC_SHA256" };

enum { KEY_TEXT_LEN = 44 }; /* 32 bytes in base64 */

/* A base64 text of exactly `len` bytes; not for secrets. */
static FALLIBLE fixed_read(struct json_object *from, const char *name, uint8_t *out, size_t len, struct err *err)
{
    AUTO(buffer) struct buffer value = { 0 };
    const char                *text  = NULL;

    if (!json_get_text(from, name, &text, err))
        return false;
    if (!base64_read(bytes_of_text(text), BASE64_STANDARD, &value, err))
        return contextf(err, "\"%s\"", name);
    if (value.len != len)
        return fail_with(err, ERR_MALFORMED, "\"%s\": %zu bytes wanted, found %zu", name, len, value.len);
    memcpy(out, value.at, len);
    return true;
}

static bool cipher_find(const char *name, enum layer_cipher_kind *out)
{
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++)
        if (strcmp(ciphers[i], name) == 0) {
            *out = (enum layer_cipher_kind) i;
            return true;
        }
    return false;
}

static FALLIBLE public_fill(struct json_object *from, struct layer_public *out, struct err *err)
{
    struct json_object *more   = NULL;
    const char         *cipher = NULL;

    if (!json_get_text(from, "cipher", &cipher, err))
        return false;
    if (!cipher_find(cipher, &out->cipher))
        return fail_with(err, ERR_UNSUPPORTED, "a cipher that is not %s", ciphers[LAYER_CIPHER_CTR]);
    /* Other readers prefer a nonce found here to the private one; so it may not stand here at all. */
    if (json_object_object_get_ex(from, "cipheroptions", &more) && json_object_object_get_ex(more, "nonce", NULL))
        return fail_with(err, ERR_UNSUPPORTED, "\"nonce\" among the public options");
    return fixed_read(from, "hmac", out->hmac, ENC_HMAC_LEN, err);
}

FALLIBLE layer_public_read(struct bytes json, struct layer_public *out, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    struct layer_public            options  = { .hmac = { 0 } };

    if (!json_read(json, ENC_ANNOTATION_MAX, &document, err) || !public_fill(document, &options, err))
        return context(err, "public options");
    *out = options;
    return true;
}

void layer_public_write(const struct layer_public *options, struct buffer *json)
{
    buffer_printf(json, "{\"cipher\":\"%s\",\"hmac\":\"", ciphers[options->cipher]);
    base64_append(json, BYTES_OF(options->hmac), BASE64_STANDARD);
    buffer_append_text(json, "\",\"cipheroptions\":{}}");
}

/* Steps over one JSON string, `r` standing behind its opening quote; the view is without the quotes. */
static struct bytes string_span(struct reader *r)
{
    struct bytes from = r->left;

    for (uint8_t c = 1; c != '"' && !r->failed;) {
        c = take_u8(r);
        if (c == '\\')
            (void) take_u8(r); /* whatever is escaped does not end the string */
    }
    return (struct bytes){ from.at, r->failed ? 0 : from.len - r->left.len - 1 };
}

/*
 * Where the value of the outermost member "symkey" stands, quotes excluded. Only finds it: whether the document is
 * sound is judged by the JSON reader, over a copy from which this span is blotted out.
 */
static struct bytes key_span(struct bytes json)
{
    struct reader r     = reader_over(json);
    struct bytes  name  = { 0 };
    int           depth = 0;

    while (r.left.len > 0 && !r.failed) {
        uint8_t c = take_u8(&r);

        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        else if (c == ',')
            name = (struct bytes){ 0 };
        else if (c == '"') {
            struct bytes text = string_span(&r);

            if (depth == 1 && bytes_equal(name, bytes_of_text("symkey")))
                return text;
            name = depth == 1 ? text : name;
        }
    }
    return (struct bytes){ 0 };
}

static FALLIBLE key_read(struct bytes text, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret decoded = { 0 }; /* OpenSSL also writes the byte that the padding stands for */
    AUTO(secret) struct secret again   = { 0 };

    if (!secret_new(ENC_KEY_LEN + 1, &decoded, err) || !secret_new(KEY_TEXT_LEN + 1, &again, err))
        return false;
    if (text.len != KEY_TEXT_LEN || EVP_DecodeBlock(decoded.held, text.at, KEY_TEXT_LEN) != ENC_KEY_LEN + 1 ||
        EVP_EncodeBlock(again.held, decoded.held, ENC_KEY_LEN) != KEY_TEXT_LEN ||
        CRYPTO_memcmp(again.held, text.at, KEY_TEXT_LEN) != 0)
        return fail_with(err, ERR_MALFORMED, "\"symkey\": not base64 of %d bytes", ENC_KEY_LEN);
    return secret_copy((struct bytes){ decoded.held, ENC_KEY_LEN }, out, err);
}

static FALLIBLE private_fill(struct json_object *from, struct layer_private *out, struct err *err)
{
    struct json_object *more   = NULL;
    const char         *digest = NULL;

    return json_get_text(from, "digest", &digest, err) && digest_read(bytes_of_text(digest), &out->digest, err) &&
           json_get(from, "cipheroptions", json_type_object, &more, err) &&
           fixed_read(more, "nonce", out->nonce, ENC_NONCE_LEN, err);
}

FALLIBLE layer_private_read(const struct secret *json, struct layer_private *out, struct err *err)
{
    AUTO(json) struct json_object            *document = NULL;
    AUTO(layer_private) struct layer_private  options  = { .nonce = { 0 } };
    AUTO(buffer) struct buffer                public   = { 0 };
    struct bytes                              whole    = secret_expose(json);
    struct bytes                              key      = key_span(whole);

    if (key.len == 0)
        return fail_with(err, ERR_MALFORMED, "private options: \"symkey\" is missing");
    buffer_append(&public, (struct bytes){ whole.at, (size_t) (key.at - whole.at) });
    buffer_append(&public, (struct bytes){ key.at + key.len, whole.len - (size_t) (key.at - whole.at) - key.len });
    if (!json_read(buffer_bytes(&public), ENC_PRIVATE_MAX, &document, err) ||
        !private_fill(document, &options, err) || !key_read(key, &options.key, err))
        return context(err, "private options");
    *out = TAKE(options);
    return true;
}

FALLIBLE layer_private_write(const struct layer_private *options, struct secret *json, struct err *err)
{
    AUTO(secret) struct secret built  = { 0 };
    AUTO(buffer) struct buffer front  = { 0 };
    AUTO(buffer) struct buffer behind = { 0 };
    struct digest_text         digest = digest_text(&options->digest);

    buffer_append_text(&front, "{\"symkey\":\"");
    buffer_printf(&behind, "\",\"digest\":\"%s\",\"cipheroptions\":{\"nonce\":\"", digest.at);
    base64_append(&behind, BYTES_OF(options->nonce), BASE64_STANDARD);
    buffer_append_text(&behind, "\"}}");
    if (!secret_new(front.len + KEY_TEXT_LEN + behind.len, &built, err))
        return false;
    memcpy(built.held, front.at, front.len);
    (void) EVP_EncodeBlock(built.held + front.len, options->key.held, ENC_KEY_LEN); /* always KEY_TEXT_LEN */
    memcpy(built.held + front.len + KEY_TEXT_LEN, behind.at, behind.len); /* over the zero that it wrote behind */
    *json = TAKE(built);
    return true;
}

FALLIBLE layer_private_new(struct layer_private *out, struct err *err)
{
    AUTO(layer_private) struct layer_private options = { .nonce = { 0 } };

    if (!secret_random(ENC_KEY_LEN, &options.key, err) || !random_bytes(options.nonce, sizeof options.nonce, err))
        return false;
    *out = TAKE(options);
    return true;
}
