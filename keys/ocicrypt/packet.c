#include "keys/ocicrypt/packet.h"

#include <string.h>

#include "base/json.h"
#include "base/ossl.h"
#include "base/text.h"

enum { GCM_TAG_LEN = 16, GCM_IV_LEN = 12, CTR_IV_LEN = 16 };

static const struct wrap {
    const char *name;
    size_t      iv_len, tag_len;
    const EVP_CIPHER *(*cipher)(void);
} wraps[] = {
    [WRAP_A256GCM] = { "A256GCM", GCM_IV_LEN, GCM_TAG_LEN, EVP_aes_256_gcm },
    [WRAP_A256CTR] = { "A256CTR", CTR_IV_LEN, 0, EVP_aes_256_ctr },
};

static bool begins_with(struct bytes text, const char *with)
{
    size_t len = strlen(with);

    return text.len >= len && memcmp(text.at, with, len) == 0;
}

static struct bytes behind(struct bytes text, size_t n)
{
    return (struct bytes){ text.at + n, text.len - n };
}

/* One of REPOSITORY, TYPE, TAG: no character that means something in a URL, and not a step in a path. */
static FALLIBLE segment_check(struct bytes segment, struct err *err)
{
    bool is_dots = bytes_equal(segment, bytes_of_text(".")) || bytes_equal(segment, bytes_of_text(".."));

    for (size_t i = 0; i < segment.len; i++) {
        uint8_t c        = segment.at[i];
        bool    is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_plain && (c == 0 || !strchr("-_.", c)))
            return fail_with(err, ERR_MALFORMED, "key id: a character that is not one of a-z A-Z 0-9 - _ .");
    }
    if (segment.len == 0 || is_dots)
        return fail_with(err, ERR_MALFORMED, "key id: an empty or dotted part");
    return true;
}

FALLIBLE kid_read(struct bytes text, char out[static ENC_KID_MAX + 1], struct err *err)
{
    AUTO(buffer) struct buffer kid = { 0 };
    struct bytes               left = text;

    if (text.len > ENC_KID_MAX)
        return fail_with(err, ERR_LIMIT, "key id of %zu characters", text.len);
    while (begins_with(left, "kbs:///"))
        left = behind(left, strlen("kbs:///"));
    if (begins_with(left, "kbs://"))
        return fail_with(err, ERR_MALFORMED, "key id names a host; wanted is kbs:///REPOSITORY/TYPE/TAG");
    if (begins_with(left, "/"))
        left = behind(left, 1);

    buffer_append_text(&kid, "kbs://");
    for (int n = 0; n < 3; n++) {
        const uint8_t *slash   = left.len > 0 ? memchr(left.at, '/', left.len) : NULL;
        struct bytes   segment = { left.at, slash && n < 2 ? (size_t) (slash - left.at) : left.len };

        if ((n < 2 && !slash) || (n == 2 && slash))
            return fail_with(err, ERR_MALFORMED, "key id has not three parts; wanted is kbs:///REPOSITORY/TYPE/TAG");
        if (!segment_check(segment, err))
            return false;
        buffer_append_text(&kid, "/");
        buffer_append(&kid, segment);
        left = behind(left, segment.len + (n < 2 ? 1 : 0));
    }
    if (kid.len > ENC_KID_MAX)
        return fail_with(err, ERR_LIMIT, "key id of %zu characters", kid.len);
    memcpy(out, buffer_text(&kid), kid.len + 1);
    return true;
}

static FALLIBLE wrap_type_read(struct json_object *json, enum wrap_type *out, struct err *err)
{
    AUTO(buffer) struct buffer shown = { 0 };
    const char                *name  = NULL;

    if (!json_get_text(json, "wrap_type", &name, err))
        return false;
    for (unsigned w = 0; w < sizeof wraps / sizeof *wraps; w++)
        if (strcmp(name, wraps[w].name) == 0) {
            *out = (enum wrap_type) w;
            return true;
        }
    printable_append(&shown, bytes_of_text(name), 40);
    return fail_with(err, ERR_UNSUPPORTED, "wrap type \"%s\"; A256GCM and A256CTR are known", buffer_text(&shown));
}

static FALLIBLE version_check(struct json_object *json, struct err *err)
{
    const char *version = "0.1.0", *provider = "kbs";

    if (json_has(json, "version") && !json_get_text(json, "version", &version, err))
        return false;
    if (strcmp(version, "0.1.0") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "a version that is not 0.1.0");
    if (json_has(json, "provider") && !json_get_text(json, "provider", &provider, err))
        return false;
    if (strcmp(provider, "kbs") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "a provider that is not \"kbs\"");
    return true;
}

static FALLIBLE packet_fill(struct json_object *json, struct packet *p, struct err *err)
{
    AUTO(buffer) struct buffer iv  = { 0 };
    const char                *kid = NULL, *wrapped = NULL, *iv_text = NULL;

    if (!version_check(json, err) || !json_get_text(json, "kid", &kid, err) ||
        !kid_read(bytes_of_text(kid), p->kid, err) || !wrap_type_read(json, &p->wrap_type, err) ||
        !json_get_text(json, "iv", &iv_text, err) || !json_get_text(json, "wrapped_data", &wrapped, err))
        return false;
    const struct wrap *wrap = &wraps[p->wrap_type];

    if (!base64_read(bytes_of_text(iv_text), BASE64_STANDARD, &iv, err))
        return context(err, "\"iv\"");
    if (iv.len != wrap->iv_len)
        return fail_with(err, ERR_MALFORMED, "\"iv\": %zu bytes; %s wants %zu", iv.len, wrap->name, wrap->iv_len);
    memcpy(p->iv, iv.at, iv.len);
    p->iv_len = iv.len;
    if (!base64_read(bytes_of_text(wrapped), BASE64_STANDARD, &p->wrapped, err))
        return context(err, "\"wrapped_data\"");
    if (p->wrapped.len <= wrap->tag_len || p->wrapped.len - wrap->tag_len > ENC_PRIVATE_MAX)
        return fail_with(err, p->wrapped.len <= wrap->tag_len ? ERR_MALFORMED : ERR_LIMIT,
                         "\"wrapped_data\" of %zu bytes", p->wrapped.len);
    return true;
}

FALLIBLE packet_read(struct bytes json, struct packet *out, struct err *err)
{
    AUTO(packet) struct packet     p        = { 0 };
    AUTO(json) struct json_object *document = NULL;

    if (!json_read(json, ENC_ANNOTATION_MAX, &document, err) || !packet_fill(document, &p, err))
        return context(err, "annotation packet");
    *out = TAKE(p);
    return true;
}

void packet_write(const struct packet *packet, struct buffer *json)
{
    AUTO(json) struct json_object *document = json_object_new_object();
    AUTO(buffer) struct buffer     wrapped  = { 0 };
    AUTO(buffer) struct buffer     iv       = { 0 };

    base64_append(&wrapped, buffer_bytes(&packet->wrapped), BASE64_STANDARD);
    base64_append(&iv, (struct bytes){ packet->iv, packet->iv_len }, BASE64_STANDARD);
    json_add_text(document, "kid", packet->kid);
    json_add_text(document, "wrapped_data", buffer_text(&wrapped));
    json_add_text(document, "iv", buffer_text(&iv));
    json_add_text(document, "wrap_type", wraps[packet->wrap_type].name);
    json_write(document, json);
}

static FALLIBLE kek_check(const struct secret *kek, struct err *err)
{
    if (kek->len != ENC_KEY_LEN)
        return fail_with(err, ERR_CONFIG, "the key is %zu bytes long; %d are wanted", kek->len, ENC_KEY_LEN);
    return true;
}

FALLIBLE kek_wrap(const struct secret *kek, const char *kid, enum wrap_type wrap_type, const struct secret *options,
                  struct packet *out, struct err *err)
{
    AUTO(packet) struct packet         p    = { .wrap_type = wrap_type, .iv_len = wraps[wrap_type].iv_len };
    AUTO(cipher_ctx) EVP_CIPHER_CTX   *ctx  = EVP_CIPHER_CTX_new();
    const struct wrap                 *wrap = &wraps[wrap_type];
    struct bytes                       in   = secret_expose(options);
    int                                n    = 0, last = 0;

    if (!kek_check(kek, err) || !kid_read(bytes_of_text(kid), p.kid, err) || !random_bytes(p.iv, p.iv_len, err))
        return false;
    if (in.len > ENC_PRIVATE_MAX)
        return fail_with(err, ERR_LIMIT, "private options of %zu bytes", in.len);
    uint8_t *to = buffer_grow(&p.wrapped, in.len + wrap->tag_len);

    if (!ctx || EVP_EncryptInit_ex2(ctx, wrap->cipher(), secret_expose(kek).at, p.iv, NULL) != 1 ||
        EVP_EncryptUpdate(ctx, to, &n, in.at, (int) in.len) != 1 || EVP_EncryptFinal_ex(ctx, to + n, &last) != 1 ||
        (wrap->tag_len > 0 && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_LEN, to + in.len) != 1))
        return err_openssl(err, ERR_BUG, "wrap the layer's key");
    *out = TAKE(p);
    return true;
}

FALLIBLE kek_unwrap(const struct secret *kek, const struct packet *packet, struct secret *options, struct err *err)
{
    AUTO(secret) struct secret       opened = { 0 };
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx    = EVP_CIPHER_CTX_new();
    const struct wrap               *wrap   = &wraps[packet->wrap_type];
    int                              n      = 0, last = 0;

    if (!kek_check(kek, err) || !secret_new(packet->wrapped.len - wrap->tag_len, &opened, err))
        return context(err, packet->kid);
    uint8_t *tag = packet->wrapped.at + opened.len;

    if (!ctx || EVP_DecryptInit_ex2(ctx, wrap->cipher(), secret_expose(kek).at, packet->iv, NULL) != 1 ||
        (wrap->tag_len > 0 && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_LEN, tag) != 1) ||
        EVP_DecryptUpdate(ctx, opened.held, &n, packet->wrapped.at, (int) opened.len) != 1)
        return err_openssl(err, ERR_BUG, "unwrap the layer's key");
    if (EVP_DecryptFinal_ex(ctx, opened.held + n, &last) != 1)
        return fail_with(err, ERR_UNTRUSTED, "%s does not open the layer's key: wrong key, or a changed annotation",
                         packet->kid);
    *options = TAKE(opened);
    return true;
}
