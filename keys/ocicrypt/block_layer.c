#include "keys/ocicrypt/block_layer.h"

#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "base/text.h"
#include "keys/ocicrypt/layer_cipher.h"

enum { SECTORS_PER_BLOCK = VERITY_BLOCK_LEN / 512, TWEAK_LEN = 16, BLOCKS_PER_MIB = (1 << 20) / VERITY_BLOCK_LEN };

uint64_t block_layer_len(const struct block_layer *layer)
{
    return (layer->n_blocks + verity_tree_blocks(layer->n_blocks)) * VERITY_BLOCK_LEN;
}

void block_layer_text(const struct block_layer *layer, char out[static BLOCK_LAYER_TEXT_MAX])
{
    AUTO(buffer) struct buffer hex = { 0 };

    hex_append(&hex, BYTES_OF(layer->root));
    (void) snprintf(out, BLOCK_LAYER_TEXT_MAX, "1 %d %" PRIu64 " sha256 %s", VERITY_BLOCK_LEN, layer->n_blocks,
                    buffer_text(&hex)); /* at most 11 and 20 digits: fits */
}

/* The next word; no other space than single ones between words. */
static struct bytes word_take(struct reader *r)
{
    const uint8_t *space = r->left.len > 0 ? memchr(r->left.at, ' ', r->left.len) : NULL;
    struct bytes   word  = take(r, space ? (size_t) (space - r->left.at) : r->left.len);

    (void) take(r, space ? 1 : 0);
    return word;
}

/* Decimal, without leading zeros: there is one text for one layer. */
static FALLIBLE count_read(struct bytes text, uint64_t *out, struct err *err)
{
    *out = 0;
    if (text.len == 0 || text.len > 12 || text.at[0] == '0')
        return fail_with(err, ERR_MALFORMED, "not a number of blocks");
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return fail_with(err, ERR_MALFORMED, "not a number of blocks");
        *out = *out * 10 + (uint64_t) (text.at[i] - '0');
    }
    return *out <= (uint64_t) BLOCK_LAYER_MIB_MAX * BLOCKS_PER_MIB ||
           fail_with(err, ERR_LIMIT, "more than %d MiB in one layer", BLOCK_LAYER_MIB_MAX);
}

static FALLIBLE text_read(struct bytes text, struct block_layer *out, struct err *err)
{
    AUTO(buffer) struct buffer root = { 0 };
    struct reader              r    = reader_over(text);
    struct bytes version = word_take(&r), size = word_take(&r), count = word_take(&r), hash = word_take(&r), hex = take_rest(&r);

    if (!bytes_equal(version, bytes_of_text("1")) || !bytes_equal(size, bytes_of_text("4096")) ||
        !bytes_equal(hash, bytes_of_text("sha256")))
        return fail_with(err, ERR_UNSUPPORTED, "wanted \"1 4096 BLOCKS sha256 ROOT\"");
    if (!count_read(count, &out->n_blocks, err))
        return false;
    if (hex.len != 2 * SHA256_LEN || !hex_read(hex, &root, err))
        return fail_with(err, ERR_MALFORMED, "the root is not %d hex digits", 2 * SHA256_LEN);
    memcpy(out->root, root.at, SHA256_LEN);
    return true;
}

FALLIBLE block_layer_read(const struct descriptor *descriptor, struct block_layer *out, struct err *err)
{
    const char        *text  = descriptor_annotation(descriptor, BLOCK_LAYER_ANNOTATION);
    struct block_layer layer = { 0 };

    if (!text)
        return fail_with(err, ERR_NOT_FOUND, "no annotation " BLOCK_LAYER_ANNOTATION);
    if (strlen(text) >= BLOCK_LAYER_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, BLOCK_LAYER_ANNOTATION ": over %d characters", BLOCK_LAYER_TEXT_MAX - 1);
    if (!text_read(bytes_of_text(text), &layer, err))
        return context(err, BLOCK_LAYER_ANNOTATION);
    if (descriptor->size != block_layer_len(&layer))
        return fail_with(err, ERR_MALFORMED, "%" PRIu64 " bytes; with its %" PRIu64 " blocks and their tree it would be %" PRIu64,
                         descriptor->size, layer.n_blocks, block_layer_len(&layer));
    *out = layer;
    return true;
}

/* One key for each use, from the layer's one. [RFC 5869] */
static FALLIBLE derive(const struct layer_private *private, const char *use, size_t len, struct secret *out, struct err *err)
{
    EVP_KDF     *hkdf   = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx    = hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
    struct bytes key    = secret_expose(&private->key);
    char         hash[] = "SHA256";
    OSSL_PARAM   params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *) (uintptr_t) key.at, key.len), /* only read */
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *) (uintptr_t) private->nonce, sizeof private->nonce),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *) (uintptr_t) use, strlen(use)),
        OSSL_PARAM_construct_end()
    };
    bool is_derived = ctx && secret_new(len, out, err) && EVP_KDF_derive(ctx, out->held, len, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(hkdf);
    if (is_derived)
        return true;
    secret_free(out);
    return err_openssl(err, ERR_BUG, "HKDF");
}

FALLIBLE block_layer_key(const struct layer_private *private, struct secret *out, struct err *err)
{
    return derive(private, "cloister block layer: AES-256-XTS", BLOCK_LAYER_KEY_LEN, out, err);
}

/* Over the text of the annotation, which has one form only. */
static FALLIBLE mac_run(const struct block_layer *layer, const struct layer_private *private, struct layer_mac *mac, struct err *err)
{
    AUTO(secret) struct secret key = { 0 };
    char                       text[BLOCK_LAYER_TEXT_MAX];

    block_layer_text(layer, text);
    return derive(private, "cloister block layer: HMAC-SHA-256", ENC_KEY_LEN, &key, err) && layer_mac_begin(mac, &key, err) &&
           layer_mac_update(mac, bytes_of_text(text), err);
}

FALLIBLE block_layer_seal(const struct block_layer *layer, const struct layer_private *private, struct layer_public *out,
                          struct err *err)
{
    AUTO(layer_mac) struct layer_mac mac = { 0 };

    out->cipher = LAYER_CIPHER_XTS;
    return mac_run(layer, private, &mac, err) && layer_mac_end(&mac, out->hmac, err);
}

FALLIBLE block_layer_check(const struct block_layer *layer, const struct layer_private *private,
                           const struct layer_public *public, struct err *err)
{
    AUTO(layer_mac) struct layer_mac mac = { 0 };

    if (public->cipher != LAYER_CIPHER_XTS)
        return fail_with(err, ERR_UNSUPPORTED, "the cipher is not one for blocks");
    return mac_run(layer, private, &mac, err) && layer_mac_verify(&mac, public->hmac, err);
}

FALLIBLE block_layer_crypt(const struct secret *key, bool encrypts, uint64_t block, uint8_t *data, size_t len, struct err *err)
{
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (len % VERITY_BLOCK_LEN != 0 || key->len != BLOCK_LAYER_KEY_LEN)
        return fail_with(err, ERR_BUG, "AES-256-XTS over %zu bytes with a key of %zu", len, key->len);
    if (!ctx || EVP_CipherInit_ex2(ctx, EVP_aes_256_xts(), secret_expose(key).at, NULL, encrypts, NULL) != 1)
        return err_openssl(err, ERR_BUG, "begin AES-256-XTS");
    for (size_t at = 0; at < len; at += VERITY_BLOCK_LEN, block++) {
        uint8_t       tweak[TWEAK_LEN] = { 0 };
        struct writer w                = writer_over(tweak, sizeof tweak);
        int           n                = 0;

        put_u64le(&w, block * SECTORS_PER_BLOCK);
        if (EVP_CipherInit_ex2(ctx, NULL, NULL, tweak, encrypts, NULL) != 1 ||
            EVP_CipherUpdate(ctx, data + at, &n, data + at, VERITY_BLOCK_LEN) != 1)
            return err_openssl(err, ERR_BUG, "AES-256-XTS");
    }
    return true;
}
