#include "keys/jose/jwe.h"

#include <openssl/rsa.h>
#include <string.h>

#include "base/text.h"

enum { CEK_LEN = 32, WRAPPED_LEN = CEK_LEN + 8, IV_LEN = 12, TAG_LEN = 16, KEK_LEN = 32, RSA_MOST = 1024 };

/* Concat KDF, one round: SHA-256(1 || Z || "ECDH-ES+A256KW" || "" || "" || 256). [RFC 7518 4.6.2] */
static FALLIBLE kek_derive(EVP_PKEY *ours, EVP_PKEY *theirs, struct secret *out, struct err *err)
{
    static const uint8_t         ROUND[] = { 0, 0, 0, 1 };
    static const uint8_t         OTHER[] = "\0\0\0\x0e" "ECDH-ES+A256KW" "\0\0\0\0" "\0\0\0\0" "\0\0\x01"; /* + the C string's zero */
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ours, NULL);
    AUTO(md_ctx) EVP_MD_CTX     *md  = EVP_MD_CTX_new();
    AUTO(secret) struct secret   z   = { 0 };
    AUTO(secret) struct secret   kek = { 0 };
    size_t                       len = 0;

    if (!ctx || !md || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer_ex(ctx, theirs, 0 /* jwk_point_read did */) != 1 ||
        EVP_PKEY_derive(ctx, NULL, &len) != 1)
        return err_openssl(err, ERR_UNTRUSTED, "JWE key agreement");
    if (!secret_new(len, &z, err) || !secret_new(KEK_LEN, &kek, err))
        return false;
    if (EVP_PKEY_derive(ctx, z.held, &len) != 1 || len != z.len)
        return err_openssl(err, ERR_UNTRUSTED, "JWE key agreement");
    if (EVP_DigestInit_ex(md, digest_sha256(), NULL) != 1 || EVP_DigestUpdate(md, ROUND, sizeof ROUND) != 1 ||
        EVP_DigestUpdate(md, z.held, z.len) != 1 || EVP_DigestUpdate(md, OTHER, sizeof OTHER) != 1 ||
        EVP_DigestFinal_ex(md, kek.held, NULL) != 1)
        return err_openssl(err, ERR_BUG, "JWE key derivation");
    *out = TAKE(kek);
    return true;
}

/* RFC 3394; `direction` as EVP_CipherInit_ex takes it: 1 wraps, 0 unwraps. */
static FALLIBLE key_wrap(const struct secret *kek, int direction, const uint8_t *in, size_t in_len, uint8_t *out,
                         size_t out_len, struct err *err)
{
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int                              len = 0;

    if (!ctx)
        return err_openssl(err, ERR_BUG, "JWE key wrap");
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_CipherInit_ex(ctx, cipher_aes256_wrap(), NULL, kek->held, NULL, direction) != 1 ||
        EVP_CipherUpdate(ctx, out, &len, in, (int) in_len) != 1 || (size_t) len != out_len)
        return err_openssl(err, ERR_UNTRUSTED, "JWE key wrap");
    return true;
}

/* A key pair on the curve of `like`, whose parameters it takes over: to compute them anew costs as much as the key. */
static FALLIBLE ephemeral_make(EVP_PKEY *like, EVP_PKEY **out, struct err *err)
{
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(like, NULL);
    EVP_PKEY                    *key = NULL;

    if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_generate(ctx, &key) != 1)
        return err_openssl(err, ERR_OS, "JWE ephemeral key");
    *out = key;
    return true;
}

static FALLIBLE seal_cek_ec(const struct jwk *to, const struct secret *cek, struct buffer *header,
                            struct buffer *encrypted_key, struct err *err)
{
    AUTO(pkey) EVP_PKEY       *ephemeral = NULL;
    AUTO(secret) struct secret kek       = { 0 };

    if (!ephemeral_make(to->key, &ephemeral, err))
        return false;
    buffer_printf(header, "{\"alg\":\"%s\",\"enc\":\"A256GCM\",\"epk\":{", to->alg);
    if (!jwk_append_point(ephemeral, header, err))
        return false;
    buffer_append_text(header, "}}");
    return kek_derive(ephemeral, to->key, &kek, err) &&
           key_wrap(&kek, 1, cek->held, cek->len, buffer_grow(encrypted_key, WRAPPED_LEN), WRAPPED_LEN, err);
}

static FALLIBLE rsa_padding(EVP_PKEY_CTX *ctx, const char *alg, struct err *err)
{
    bool oaep = strcmp(alg, "RSA-OAEP-256") == 0;

    if (EVP_PKEY_CTX_set_rsa_padding(ctx, oaep ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING) != 1 ||
        (oaep && (EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) != 1 ||
                  EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) != 1)))
        return err_openssl(err, ERR_BUG, "JWE RSA padding");
    return true;
}

static FALLIBLE seal_cek_rsa(const struct jwk *to, const struct secret *cek, struct buffer *header,
                             struct buffer *encrypted_key, struct err *err)
{
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(to->key, NULL);
    size_t                       len = (size_t) EVP_PKEY_get_size(to->key);

    buffer_printf(header, "{\"alg\":\"%s\",\"enc\":\"A256GCM\"}", to->alg);
    if (!ctx || EVP_PKEY_encrypt_init(ctx) != 1)
        return err_openssl(err, ERR_BUG, "JWE RSA");
    if (!rsa_padding(ctx, to->alg, err))
        return false;
    if (EVP_PKEY_encrypt(ctx, buffer_grow(encrypted_key, len), &len, cek->held, cek->len) != 1)
        return err_openssl(err, ERR_BUG, "JWE RSA");
    encrypted_key->len = len;
    return true;
}

static FALLIBLE gcm_seal(const struct secret *cek, struct bytes aad, const struct secret *plain,
                         uint8_t iv[static IV_LEN], struct buffer *ciphertext, uint8_t tag[static TAG_LEN],
                         struct err *err)
{
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int                              len = 0;
    uint8_t                         *out = buffer_grow(ciphertext, plain->len);

    if (!random_bytes(iv, IV_LEN, err))
        return false;
    if (!ctx || EVP_EncryptInit_ex(ctx, cipher_aes256_gcm(), NULL, cek->held, iv) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &len, aad.at, (int) aad.len) != 1 ||
        EVP_EncryptUpdate(ctx, out, &len, plain->held, (int) plain->len) != 1 ||
        EVP_EncryptFinal_ex(ctx, out + len, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) != 1)
        return err_openssl(err, ERR_BUG, "JWE encryption");
    return true;
}

static void append_member(struct buffer *out, const char *before, struct bytes value)
{
    buffer_append_text(out, before);
    base64_append(out, value, BASE64_URL);
}

FALLIBLE jwe_takes(const struct jwk *to, struct err *err)
{
    return strcmp(to->alg, "ES256") != 0 || fail_with(err, ERR_UNSUPPORTED, "JWE: the key is for signatures");
}

FALLIBLE jwe_seal(const struct jwk *to, const struct secret *plain, struct buffer *out, struct err *err)
{
    AUTO(secret) struct secret cek           = { 0 };
    AUTO(buffer) struct buffer header        = { 0 };
    AUTO(buffer) struct buffer protected     = { 0 };
    AUTO(buffer) struct buffer encrypted_key = { 0 };
    AUTO(buffer) struct buffer ciphertext    = { 0 };
    uint8_t                    iv[IV_LEN];
    uint8_t                    tag[TAG_LEN];

    if (!jwe_takes(to, err) || !secret_random(CEK_LEN, &cek, err))
        return false;
    if (!(to->kind == JWK_RSA ? seal_cek_rsa : seal_cek_ec)(to, &cek, &header, &encrypted_key, err))
        return false;
    base64_append(&protected, buffer_bytes(&header), BASE64_URL);
    if (!gcm_seal(&cek, buffer_bytes(&protected), plain, iv, &ciphertext, tag, err))
        return false;

    buffer_append_text(out, "{\"protected\":\"");
    buffer_append(out, buffer_bytes(&protected));
    append_member(out, "\",\"encrypted_key\":\"", buffer_bytes(&encrypted_key));
    append_member(out, "\",\"iv\":\"", BYTES_OF(iv));
    append_member(out, "\",\"ciphertext\":\"", buffer_bytes(&ciphertext));
    append_member(out, "\",\"tag\":\"", BYTES_OF(tag));
    buffer_append_text(out, "\"}");
    return true;
}

struct sealed {
    struct bytes  protected; /* as received: the additional data */
    struct buffer encrypted_key, iv, ciphertext, tag;
};

static void sealed_free(struct sealed *s)
{
    buffer_free(&s->encrypted_key);
    buffer_free(&s->iv);
    buffer_free(&s->ciphertext);
    buffer_free(&s->tag);
}

static void auto_sealed(struct sealed *s) { sealed_free(s); }

static FALLIBLE member_read(struct json_object *from, const char *name, struct buffer *out, struct err *err)
{
    const char *text;

    if (!json_get_text(from, name, &text, err))
        return context(err, "JWE");
    if (!base64_read(bytes_of_text(text), BASE64_URL, out, err))
        return contextf(err, "JWE: %s", name);
    return true;
}

static FALLIBLE sealed_read(struct json_object *from, struct sealed *out, struct err *err)
{
    const char *text;

    if (!json_get_text(from, "protected", &text, err))
        return context(err, "JWE");
    out->protected = bytes_of_text(text);
    if (!member_read(from, "encrypted_key", &out->encrypted_key, err) || !member_read(from, "iv", &out->iv, err) ||
        !member_read(from, "ciphertext", &out->ciphertext, err) || !member_read(from, "tag", &out->tag, err))
        return false;
    if (out->iv.len != IV_LEN || out->tag.len != TAG_LEN || out->ciphertext.len == 0)
        return fail_with(err, ERR_MALFORMED, "JWE: iv %zu, tag %zu and ciphertext %zu bytes; wanted %d, %d and some",
                         out->iv.len, out->tag.len, out->ciphertext.len, IV_LEN, TAG_LEN);
    return true;
}

static FALLIBLE cek_open_ec(struct json_object *header, const struct sealed *sealed, EVP_PKEY *key,
                            struct secret *out, struct err *err)
{
    AUTO(pkey) EVP_PKEY       *ephemeral = NULL;
    AUTO(secret) struct secret kek       = { 0 };
    AUTO(secret) struct secret cek       = { 0 };
    struct json_object        *epk;
    const char                *crv, *x, *y;

    if (!json_get(header, "epk", json_type_object, &epk, err) || !json_get_text(epk, "crv", &crv, err) ||
        !json_get_text(epk, "x", &x, err) || !json_get_text(epk, "y", &y, err))
        return context(err, "JWE header");
    if (json_has(header, "apu") || json_has(header, "apv"))
        return fail_with(err, ERR_UNSUPPORTED, "JWE header: names of the parties (apu, apv)");
    if (sealed->encrypted_key.len != WRAPPED_LEN)
        return fail_with(err, ERR_MALFORMED, "JWE: encrypted_key has %zu bytes; wanted %d", sealed->encrypted_key.len,
                         WRAPPED_LEN);
    if (!jwk_point_read(crv, x, y, &ephemeral, err) || !kek_derive(key, ephemeral, &kek, err) ||
        !secret_new(CEK_LEN, &cek, err) ||
        !key_wrap(&kek, 0, sealed->encrypted_key.at, WRAPPED_LEN, cek.held, CEK_LEN, err))
        return false;
    *out = TAKE(cek);
    return true;
}

static FALLIBLE cek_open_rsa(const struct sealed *sealed, EVP_PKEY *key, struct secret *out, struct err *err)
{
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx  = EVP_PKEY_CTX_new(key, NULL);
    AUTO(secret) struct secret   room = { 0 }; /* OpenSSL wants room for a whole modulus */
    AUTO(secret) struct secret   cek  = { 0 };
    size_t                       len  = RSA_MOST;

    if (!secret_new(RSA_MOST, &room, err) || !secret_new(CEK_LEN, &cek, err))
        return false;
    if (!ctx || EVP_PKEY_decrypt_init(ctx) != 1)
        return err_openssl(err, ERR_BUG, "JWE RSA");
    if (!rsa_padding(ctx, "RSA-OAEP-256", err))
        return false;
    if (EVP_PKEY_decrypt(ctx, room.held, &len, sealed->encrypted_key.at, sealed->encrypted_key.len) != 1 ||
        len != CEK_LEN)
        return err_openssl(err, ERR_UNTRUSTED, "JWE RSA");
    memcpy(cek.held, room.held, CEK_LEN);
    *out = TAKE(cek);
    return true;
}

static FALLIBLE gcm_open(const struct secret *cek, struct sealed *sealed, struct secret *out, struct err *err)
{
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx   = EVP_CIPHER_CTX_new();
    AUTO(secret) struct secret       plain = { 0 };
    int                              len   = 0;

    if (!secret_new(sealed->ciphertext.len, &plain, err))
        return false;
    if (!ctx || EVP_DecryptInit_ex(ctx, cipher_aes256_gcm(), NULL, cek->held, sealed->iv.at) != 1 ||
        EVP_DecryptUpdate(ctx, NULL, &len, sealed->protected.at, (int) sealed->protected.len) != 1 ||
        EVP_DecryptUpdate(ctx, plain.held, &len, sealed->ciphertext.at, (int) sealed->ciphertext.len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, sealed->tag.at) != 1)
        return err_openssl(err, ERR_BUG, "JWE decryption");
    if (EVP_DecryptFinal_ex(ctx, plain.held + len, &len) != 1)
        return fail_with(err, ERR_UNTRUSTED, "JWE: the tag does not hold; it was changed, or made for another key");
    *out = TAKE(plain);
    return true;
}

static FALLIBLE cek_open(const struct sealed *sealed, EVP_PKEY *key, struct secret *out, struct err *err)
{
    AUTO(buffer) struct buffer     text   = { 0 };
    AUTO(json) struct json_object *header = NULL;
    const char                    *alg, *enc;

    if (!base64_read(sealed->protected, BASE64_URL, &text, err) ||
        !json_read(buffer_bytes(&text), JWK_TEXT_MAX, &header, err) || !json_get_text(header, "alg", &alg, err) ||
        !json_get_text(header, "enc", &enc, err))
        return context(err, "JWE header");
    if (strcmp(enc, "A256GCM") != 0 || json_has(header, "zip") || json_has(header, "crit"))
        return fail_with(err, ERR_UNSUPPORTED, "JWE header: another content encryption than A256GCM, zip or crit");
    if (strcmp(alg, "ECDH-ES+A256KW") == 0 && EVP_PKEY_is_a(key, "EC"))
        return cek_open_ec(header, sealed, key, out, err);
    if (strcmp(alg, "RSA-OAEP-256") == 0 && EVP_PKEY_is_a(key, "RSA"))
        return cek_open_rsa(sealed, key, out, err);
    return fail_with(err, ERR_UNSUPPORTED, "JWE header: an algorithm that does not fit our key");
}

FALLIBLE jwe_open(struct bytes text, size_t len_max, EVP_PKEY *key, struct secret *out, struct err *err)
{
    AUTO(json) struct json_object *whole  = NULL;
    AUTO(sealed) struct sealed     sealed = { 0 };
    AUTO(secret) struct secret     cek    = { 0 };

    if (!json_read(text, len_max, &whole, err))
        return context(err, "JWE");
    return sealed_read(whole, &sealed, err) && cek_open(&sealed, key, &cek, err) && gcm_open(&cek, &sealed, out, err);
}
