#include "keys/ocicrypt/layer_key.h"

#include <string.h>

#include "base/text.h"
#include "keys/ocicrypt/packet.h"

/* An annotation's text, bounded; UNSUPPORTED says which recipients there are instead. */
static FALLIBLE annotation_get(const struct descriptor *layer, const char *name, struct bytes *out, struct err *err)
{
    const char *text = descriptor_annotation(layer, name);

    if (!text)
        return fail_with(err, ERR_NOT_FOUND, "no annotation %s", name);
    *out = bytes_of_text(text);
    if (out->len > ENC_ANNOTATION_MAX)
        return fail_with(err, ERR_LIMIT, "annotation of %zu bytes; at most %d are allowed", out->len,
                         ENC_ANNOTATION_MAX);
    return true;
}

static FALLIBLE fail_without_packet(const struct descriptor *layer, struct err *err)
{
    AUTO(buffer) struct buffer found = { 0 };

    if (layer->annotations) {
        json_object_object_foreach(layer->annotations, name, value) {
            (void) value; /* only the name says for whom it is */
            if (strncmp(name, ENC_KEYS_PREFIX, strlen(ENC_KEYS_PREFIX)) != 0)
                continue;
            buffer_append_text(&found, found.len > 0 ? ", " : "");
            printable_append(&found, bytes_of_text(name + strlen(ENC_KEYS_PREFIX)), 40);
        }
    }
    return fail_with(err, ERR_UNSUPPORTED, "encrypted, but not for provider.attestation-agent (found: %s)",
                     found.len > 0 ? buffer_text(&found) : "no recipient");
}

FALLIBLE layer_public_open(const struct descriptor *layer, struct layer_public *out, struct err *err)
{
    AUTO(buffer) struct buffer json = { 0 };
    struct bytes               text = { 0 };

    if (!annotation_get(layer, ENC_PUBOPTS_ANNOTATION, &text, err))
        return err->kind == ERR_NOT_FOUND ?
                   fail_with(err, ERR_MALFORMED, "public options: no annotation, so no HMAC") :
                   context(err, "public options");
    if (!base64_read(text, BASE64_STANDARD, &json, err))
        return context(err, "public options");
    return layer_public_read(buffer_bytes(&json), out, err);
}

FALLIBLE layer_key_fits(const struct layer_key *key, const struct layer_type *type, struct err *err)
{
    return (key->public.cipher == LAYER_CIPHER_XTS) == (type->packing == LAYER_EROFS) ||
           fail_with(err, ERR_UNSUPPORTED, "public options: the cipher is not one for this type of layer");
}

static FALLIBLE private_open(struct bytes base64, kek_fn *kek, void *owner, struct layer_private *out, struct err *err)
{
    AUTO(buffer) struct buffer json    = { 0 };
    AUTO(packet) struct packet packet  = { 0 };
    AUTO(secret) struct secret key     = { 0 };
    AUTO(secret) struct secret options = { 0 };

    if (!base64_read(base64, BASE64_STANDARD, &json, err))
        return context(err, "annotation packet");
    if (!packet_read(buffer_bytes(&json), &packet, err) || !kek(owner, packet.kid, &key, err) ||
        !kek_unwrap(&key, &packet, &options, err))
        return false;
    if (!layer_private_read(&options, out, err)) {
        if (packet.wrap_type == WRAP_A256CTR) /* nothing but the plaintext's form tells a wrong key */
            return fail_with(err, ERR_UNTRUSTED, "%s does not open the layer's key: wrong key, or a changed annotation",
                             packet.kid);
        return false;
    }
    return true;
}

FALLIBLE layer_key_open(const struct descriptor *layer, kek_fn *kek, void *owner, struct layer_key *out,
                        struct err *err)
{
    AUTO(layer_key) struct layer_key key  = { .public = { { 0 } } };
    struct bytes                     left = { 0 };
    bool                             is_open = false;

    if (!annotation_get(layer, ENC_KEYS_ANNOTATION, &left, err))
        return err->kind == ERR_NOT_FOUND ? fail_without_packet(layer, err) : false;
    if (!layer_public_open(layer, &key.public, err))
        return false;
    for (int n = 0; !is_open; n++) {
        const uint8_t *comma = left.len > 0 ? memchr(left.at, ',', left.len) : NULL;
        struct bytes   one   = { left.at, comma ? (size_t) (comma - left.at) : left.len };

        if (n == ENC_RECIPIENTS_MAX)
            return fail_with(err, ERR_LIMIT, "none of the first %d annotation packets opens", ENC_RECIPIENTS_MAX);
        is_open = private_open(one, kek, owner, &key.private, err);
        if (!is_open && !comma)
            return false;
        left = comma ? (struct bytes){ comma + 1, left.len - one.len - 1 } : (struct bytes){ 0 };
    }
    *out = TAKE(key);
    return true;
}
