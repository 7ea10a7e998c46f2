#include "keys/api/sealed_secret.h"

#include <string.h>

#include "base/text.h"
#include "keys/api/rcar.h"
#include "keys/jose/jwk.h"
#include "keys/jose/jwt.h"

enum { DATA_KEY_LEN = 32, WRAPPED_LEN = DATA_KEY_LEN + 8, GCM_IV_LEN = 12, CTR_IV_LEN = 16, TAG_LEN = 16 };

static const char prefix[]          = "sealed.";
static const char unsigned_header[] = "fakejwsheader.";

void sealed_secret_free(struct sealed_secret *secret)
{
    buffer_free(&secret->encrypted_key);
    buffer_free(&secret->iv);
    buffer_free(&secret->encrypted_data);
}

static bool begins(struct bytes text, const char *with)
{
    size_t len = strlen(with);

    return text.len >= len && memcmp(text.at, with, len) == 0;
}

bool sealed_secret_is(struct bytes text)
{
    return begins(text, prefix);
}

static FALLIBLE behind_prefix(struct bytes text, struct bytes *out, struct err *err)
{
    if (!begins(text, prefix))
        return fail_with(err, ERR_MALFORMED, "it does not begin with \"%s\"", prefix);
    if (text.len > SEALED_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "over %d characters", SEALED_TEXT_MAX);
    *out = (struct bytes){ text.at + sizeof prefix - 1, text.len - (sizeof prefix - 1) };
    return true;
}

static FALLIBLE copy_uri(const char *uri, const char *what, char out[static SEALED_URI_MAX + 1], struct err *err)
{
    const char *path;

    if (strncmp(uri, "kbs:///", 7) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "%s: only kbs:///REPOSITORY/TYPE/TAG is looked up", what);
    if (!rcar_path_of_uri(uri, &path, err))
        return context(err, what);
    if (strlen(uri) > SEALED_URI_MAX)
        return fail_with(err, ERR_LIMIT, "%s: over %d characters", what, SEALED_URI_MAX);
    (void) snprintf(out, SEALED_URI_MAX + 1, "%s", uri); /* it fits */
    return true;
}

static FALLIBLE signer_read(struct bytes text, char out[static SEALED_URI_MAX + 1], struct err *err)
{
    AUTO(json) struct json_object *header = NULL;
    struct bytes                   token;
    const char                    *kid;

    if (!behind_prefix(text, &token, err))
        return false;
    out[0] = 0;
    if (begins(token, unsigned_header))
        return true;
    return jwt_peek_header(token, SEALED_TEXT_MAX, &header, err) && json_get_text(header, "kid", &kid, err) &&
           copy_uri(kid, "kid", out, err);
}

FALLIBLE sealed_secret_signer(struct bytes text, char out[static SEALED_URI_MAX + 1], struct err *err)
{
    return signer_read(text, out, err) || context(err, "sealed secret");
}

/* The third of the four parts; what stands around it counts for nothing. */
static FALLIBLE unsigned_payload(struct bytes token, struct json_object **out, struct err *err)
{
    AUTO(buffer) struct buffer     plain   = { 0 };
    AUTO(json) struct json_object *payload = NULL;
    const uint8_t                 *at      = token.at + sizeof unsigned_header - 1;
    const uint8_t                 *end     = memchr(at, '.', (size_t) (token.at + token.len - at));

    if (!end || memchr(end + 1, '.', (size_t) (token.at + token.len - end - 1)))
        return fail_with(err, ERR_MALFORMED, "the unsigned form has four parts with dots between");
    if (!base64_read((struct bytes){ at, (size_t) (end - at) }, BASE64_URL, &plain, err) ||
        !json_read(buffer_bytes(&plain), SEALED_TEXT_MAX, &payload, err))
        return context(err, "payload");
    if (!json_object_is_type(payload, json_type_object))
        return fail_with(err, ERR_MALFORMED, "payload: not an object");
    *out = TAKE(payload);
    return true;
}

static FALLIBLE payload_of(struct bytes text, EVP_PKEY *signer, struct json_object **out, struct err *err)
{
    struct bytes token;

    if (!behind_prefix(text, &token, err))
        return false;
    if (signer)
        return jwt_verify(token, SEALED_TEXT_MAX, signer, out, err);
    return begins(token, unsigned_header) ? unsigned_payload(token, out, err)
                                    : fail_with(err, ERR_UNTRUSTED, "it is signed, and no key to verify it was given");
}

/* All members are required, the empty ones too. */
static FALLIBLE check_form(struct json_object *payload, const char **type, struct err *err)
{
    struct json_object *ignored;
    const char         *version, *provider;

    if (!json_get_text(payload, "version", &version, err) || !json_get_text(payload, "type", type, err) ||
        !json_get_text(payload, "provider", &provider, err) ||
        !json_get(payload, "provider_settings", json_type_object, &ignored, err) ||
        !json_get(payload, "annotations", json_type_object, &ignored, err))
        return false;
    if (strcmp(version, "0.1.0") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "version: only 0.1.0 is known");
    if (strcasecmp(provider, "kbs") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "provider: a guest asks its key broker only (\"kbs\")");
    return true;
}

static FALLIBLE member_bytes(struct json_object *payload, const char *name, struct buffer *out, struct err *err)
{
    const char *text;

    return json_get_text(payload, name, &text, err) &&
           (base64_read(bytes_of_text(text), BASE64_STANDARD, out, err) || context(err, name));
}

static FALLIBLE read_envelope(struct json_object *payload, struct sealed_secret *out, struct err *err)
{
    const char *key_id, *wrap;

    if (!json_get_text(payload, "key_id", &key_id, err) || !copy_uri(key_id, "key_id", out->resource, err) ||
        !json_get_text(payload, "wrap_type", &wrap, err))
        return false;
    if (strcmp(wrap, "A256GCM") != 0 && strcmp(wrap, "A256CTR") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "wrap_type: only A256GCM and A256CTR are known");
    out->wrap = strcmp(wrap, "A256GCM") == 0 ? SEALED_A256GCM : SEALED_A256CTR;
    return member_bytes(payload, "encrypted_key", &out->encrypted_key, err) && member_bytes(payload, "iv", &out->iv, err) &&
           member_bytes(payload, "encrypted_data", &out->encrypted_data, err);
}

static FALLIBLE read_payload(struct json_object *payload, struct sealed_secret *out, struct err *err)
{
    const char *type, *name;

    if (!check_form(payload, &type, err))
        return false;
    if (strcmp(type, "vault") == 0) {
        out->type = SEALED_VAULT;
        return json_get_text(payload, "name", &name, err) && copy_uri(name, "name", out->resource, err);
    }
    out->type = SEALED_ENVELOPE;
    return strcmp(type, "envelope") == 0 ? read_envelope(payload, out, err)
                                         : fail_with(err, ERR_UNSUPPORTED, "type: neither vault nor envelope");
}

FALLIBLE sealed_secret_read(struct bytes text, EVP_PKEY *signer, struct sealed_secret *out, struct err *err)
{
    AUTO(json) struct json_object            *payload = NULL;
    AUTO(sealed_secret) struct sealed_secret  read    = { 0 };

    if (!payload_of(text, signer, &payload, err) || !read_payload(payload, &read, err))
        return context(err, "sealed secret");
    *out = TAKE(read);
    return true;
}

/* RFC 3394; `direction` as EVP_CipherInit_ex takes it: 1 wraps, 0 unwraps. */
static FALLIBLE wrap_key(int direction, const struct secret *kek, struct bytes in, uint8_t *out, int wanted, struct err *err)
{
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int                              len = 0;

    if (!ctx)
        abort();
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_CipherInit_ex(ctx, EVP_aes_256_wrap(), NULL, secret_expose(kek).at, NULL, direction) != 1 ||
        EVP_CipherUpdate(ctx, out, &len, in.at, (int) in.len) != 1 || len != wanted)
        return err_openssl(err, ERR_UNTRUSTED, "encrypted_key: it was not wrapped under this key");
    return true;
}

/* `tag` NULL: A256CTR. Writes as many bytes as it reads. */
static FALLIBLE crypt_data(int direction, const struct secret *key, struct bytes iv, struct bytes in, uint8_t *out,
                           uint8_t *tag, struct err *err)
{
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx    = EVP_CIPHER_CTX_new();
    const EVP_CIPHER                *cipher = tag ? EVP_aes_256_gcm() : EVP_aes_256_ctr();
    int                              len    = 0, last = 0;
    bool                             ok;

    if (!ctx)
        abort();
    ok = EVP_CipherInit_ex(ctx, cipher, NULL, secret_expose(key).at, iv.at, direction) == 1 &&
         (!tag || direction == 1 || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1) &&
         EVP_CipherUpdate(ctx, out, &len, in.at, (int) in.len) == 1 && EVP_CipherFinal_ex(ctx, out + len, &last) == 1 &&
         (!tag || direction == 0 || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) == 1);
    return ok || err_openssl(err, ERR_UNTRUSTED, "encrypted_data");
}

static FALLIBLE open_envelope(const struct sealed_secret *e, const struct secret *kek, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret data_key = { 0 }, plain = { 0 };
    bool                       is_gcm   = e->wrap == SEALED_A256GCM;
    size_t                     tag_len  = is_gcm ? TAG_LEN : 0, iv_len = is_gcm ? GCM_IV_LEN : CTR_IV_LEN;
    uint8_t                    tag[TAG_LEN];

    if (secret_expose(kek).len != SEALED_KEK_LEN)
        return fail_with(err, ERR_MALFORMED, "key_id: a key of %zu bytes; wanted %d", secret_expose(kek).len, SEALED_KEK_LEN);
    if (e->encrypted_key.len != WRAPPED_LEN || e->iv.len != iv_len || e->encrypted_data.len <= tag_len)
        return fail_with(err, ERR_MALFORMED, "encrypted_key of %zu, iv of %zu, encrypted_data of %zu bytes; wanted %d, %zu, over %zu",
                         e->encrypted_key.len, e->iv.len, e->encrypted_data.len, WRAPPED_LEN, iv_len, tag_len);
    size_t len = e->encrypted_data.len - tag_len;
    if (is_gcm)
        memcpy(tag, e->encrypted_data.at + len, TAG_LEN);
    if (!secret_new(DATA_KEY_LEN, &data_key, err) || !secret_new(len, &plain, err) ||
        !wrap_key(0, kek, buffer_bytes(&e->encrypted_key), data_key.held, DATA_KEY_LEN, err) ||
        !crypt_data(0, &data_key, buffer_bytes(&e->iv), (struct bytes){ e->encrypted_data.at, len }, plain.held,
                    is_gcm ? tag : NULL, err))
        return false;
    *out = TAKE(plain);
    return true;
}

FALLIBLE sealed_secret_open(const struct sealed_secret *envelope, const struct secret *kek, struct secret *out,
                            struct err *err)
{
    return open_envelope(envelope, kek, out, err) || context(err, "sealed secret");
}

/* The members that both kinds have, and the signature. `payload` has the others. */
static FALLIBLE write_signed(struct json_object *payload, const char *type, const char *kid, EVP_PKEY *signer,
                             struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 }, rest = { 0 };
    char                       checked[SEALED_URI_MAX + 1];

    if (!copy_uri(kid, "kid", checked, err))
        return false;
    json_add_text(payload, "version", "0.1.0");
    json_add_text(payload, "type", type);
    json_add_text(payload, "provider", "kbs");
    json_add(payload, "provider_settings", json_object_new_object());
    json_add(payload, "annotations", json_object_new_object());
    json_write(payload, &text);
    buffer_printf(&rest, ",\"kid\":\"%s\"", checked); /* letters of a URI: nothing to escape */
    buffer_append_text(out, prefix);
    return jwt_sign(buffer_text(&rest), buffer_bytes(&text), signer, out, err);
}

FALLIBLE sealed_secret_write_signer(EVP_PKEY *signer, struct buffer *out, struct err *err)
{
    AUTO(jwk) struct jwk jwk = { 0 };

    if (!jwk_of_key(signer, "ES256", &jwk, err))
        return false;
    if (jwk.kind != JWK_P256)
        return fail_with(err, ERR_UNSUPPORTED, "sealed secrets are signed with a key on P-256");
    buffer_append(out, buffer_bytes(&jwk.canonical));
    return true;
}

FALLIBLE sealed_secret_write_vault(const char *name, const char *kid, EVP_PKEY *signer, struct buffer *out, struct err *err)
{
    AUTO(json) struct json_object *payload = json_object_new_object();
    char                           checked[SEALED_URI_MAX + 1];

    if (!copy_uri(name, "name", checked, err))
        return false;
    json_add_text(payload, "name", checked);
    return write_signed(payload, "vault", kid, signer, out, err);
}

static void add_base64(struct json_object *to, const char *name, struct bytes value)
{
    AUTO(buffer) struct buffer text = { 0 };

    base64_append(&text, value, BASE64_STANDARD);
    json_add_text(to, name, buffer_text(&text));
}

FALLIBLE sealed_secret_write_envelope(const struct secret *plain, const char *key_id, const struct secret *kek,
                                      const char *kid, EVP_PKEY *signer, struct buffer *out, struct err *err)
{
    AUTO(json) struct json_object *payload  = json_object_new_object();
    AUTO(secret) struct secret     data_key = { 0 };
    AUTO(buffer) struct buffer     data     = { 0 };
    struct bytes                   in       = secret_expose(plain);
    uint8_t                        wrapped[WRAPPED_LEN], iv[GCM_IV_LEN], tag[TAG_LEN];
    char                           checked[SEALED_URI_MAX + 1];

    if (!copy_uri(key_id, "key_id", checked, err))
        return false;
    if (secret_expose(kek).len != SEALED_KEK_LEN)
        return fail_with(err, ERR_CONFIG, "a key of %zu bytes; wanted %d", secret_expose(kek).len, SEALED_KEK_LEN);
    if (in.len == 0 || in.len > SEALED_TEXT_MAX / 8 * 3)
        return fail_with(err, ERR_LIMIT, "a secret of %zu bytes: an envelope holds 1 to %d", in.len, SEALED_TEXT_MAX / 8 * 3);
    if (!secret_random(DATA_KEY_LEN, &data_key, err) || !random_bytes(iv, sizeof iv, err) ||
        !wrap_key(1, kek, secret_expose(&data_key), wrapped, WRAPPED_LEN, err) ||
        !crypt_data(1, &data_key, BYTES_OF(iv), in, buffer_grow(&data, in.len), tag, err))
        return false;
    buffer_append(&data, BYTES_OF(tag));
    json_add_text(payload, "key_id", checked);
    add_base64(payload, "encrypted_key", BYTES_OF(wrapped));
    add_base64(payload, "encrypted_data", buffer_bytes(&data));
    json_add_text(payload, "wrap_type", "A256GCM");
    add_base64(payload, "iv", BYTES_OF(iv));
    return write_signed(payload, "envelope", kid, signer, out, err);
}
