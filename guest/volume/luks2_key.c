#include "guest/volume/luks2_key.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "base/ossl.h"

enum { SECTOR = 512, SPLIT_LEN = LUKS2_KEY_LEN * LUKS2_STRIPES, AREA_LEN = (SPLIT_LEN + 4095) / 4096 * 4096, OWN_ITERATIONS = 10000 };

_Static_assert(SPLIT_LEN % SECTOR == 0, "the split key fills whole sectors");

static const EVP_MD *hash_of(const char *name)
{
    return strcmp(name, "sha512") == 0 ? EVP_sha512() : EVP_sha256();
}

static FALLIBLE derive(const struct luks2_kdf *kdf, const struct secret *from, uint8_t *out, size_t len, struct err *err)
{
    struct bytes raw = secret_expose(from);

    return PKCS5_PBKDF2_HMAC((const char *) raw.at, (int) raw.len, kdf->salt, (int) kdf->salt_len, (int) kdf->iterations,
                             hash_of(kdf->hash), (int) len, out) == 1 ||
           err_openssl(err, ERR_OS, "PBKDF2");
}

/* ---- the keyslot's area: AES-XTS by sectors of 512 bytes, counted from its start ---- */

static FALLIBLE area_crypt(const struct luks2_keyslot *slot, const struct secret *key, bool encrypt, uint8_t *at, size_t len, struct err *err)
{
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx    = EVP_CIPHER_CTX_new();
    const EVP_CIPHER                *cipher = slot->area_key_len == 32 ? EVP_aes_128_xts() : EVP_aes_256_xts();
    uint8_t                          tweak[16];
    int                              n;

    if (!ctx || EVP_CipherInit_ex(ctx, cipher, NULL, secret_expose(key).at, NULL, encrypt) != 1)
        return err_openssl(err, ERR_OS, "AES-XTS");
    for (size_t sector = 0; sector < len / SECTOR; sector++) {
        struct writer w = writer_over(tweak, sizeof tweak);

        put_u64le(&w, sector);
        put_zeros(&w, 8);
        if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, tweak, encrypt) != 1 ||
            EVP_CipherUpdate(ctx, at + sector * SECTOR, &n, at + sector * SECTOR, SECTOR) != 1 || n != SECTOR)
            return err_openssl(err, ERR_OS, "AES-XTS");
    }
    return true;
}

static FALLIBLE area_key(const struct luks2_keyslot *slot, const struct secret *passphrase, struct secret *out, struct err *err)
{
    return secret_new(slot->area_key_len, out, err) && derive(&slot->kdf, passphrase, out->held, slot->area_key_len, err);
}

/* ---- the anti-forensic splitter [LUKS1 2.4] ---- */

/* Each block of the hash's length becomes the hash of its number and itself; the last may be shorter. */
static FALLIBLE diffuse(const EVP_MD *hash, uint8_t block[static LUKS2_KEY_LEN], struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t                   step = (size_t) EVP_MD_get_size(hash);
    uint8_t                  number[4], digest[EVP_MAX_MD_SIZE];

    if (!ctx)
        abort();
    for (size_t at = 0, i = 0; at < LUKS2_KEY_LEN; at += step, i++) {
        size_t        n = LUKS2_KEY_LEN - at < step ? LUKS2_KEY_LEN - at : step;
        struct writer w = writer_over(number, sizeof number);

        put_u32be(&w, (uint32_t) i);
        if (EVP_DigestInit_ex(ctx, hash, NULL) != 1 || EVP_DigestUpdate(ctx, number, sizeof number) != 1 ||
            EVP_DigestUpdate(ctx, block + at, n) != 1 || EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
            return err_openssl(err, ERR_OS, "hash");
        memcpy(block + at, digest, n);
    }
    OPENSSL_cleanse(digest, sizeof digest);
    return true;
}

/* What all stripes but the last come to, in `sum`. */
static FALLIBLE fold(const EVP_MD *hash, const uint8_t *stripes, uint8_t sum[static LUKS2_KEY_LEN], struct err *err)
{
    memset(sum, 0, LUKS2_KEY_LEN);
    for (size_t s = 0; s < LUKS2_STRIPES - 1; s++) {
        for (size_t i = 0; i < LUKS2_KEY_LEN; i++)
            sum[i] ^= stripes[s * LUKS2_KEY_LEN + i];
        if (!diffuse(hash, sum, err))
            return false;
    }
    return true;
}

/* The last stripe is the sum of the others and the key: so from stripes to key, and from key to last stripe. */
static FALLIBLE exchange_last(const EVP_MD *hash, const uint8_t *stripes, const uint8_t from[static LUKS2_KEY_LEN],
                              uint8_t to[static LUKS2_KEY_LEN], struct err *err)
{
    uint8_t sum[LUKS2_KEY_LEN];
    bool    ok = fold(hash, stripes, sum, err);

    for (size_t i = 0; ok && i < LUKS2_KEY_LEN; i++)
        to[i] = sum[i] ^ from[i];
    OPENSSL_cleanse(sum, sizeof sum);
    return ok;
}

/* ---- both ways ---- */

static FALLIBLE area_load(int fd, const struct luks2_keyslot *slot, struct secret *split, struct err *err)
{
    size_t got = 0;

    if (!secret_new(SPLIT_LEN, split, err))
        return false;
    while (got < SPLIT_LEN) {
        ssize_t n = pread(fd, split->held + got, SPLIT_LEN - got, (off_t) (slot->area_offset + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(err, "read keyslot %s", slot->name);
        if (n == 0)
            return fail_with(err, ERR_MALFORMED, "keyslot %s is cut short", slot->name);
        got += (size_t) n;
    }
    return true;
}

static FALLIBLE digest_of(const struct luks2_header *header, const struct secret *key, uint8_t out[static 32], struct err *err)
{
    return derive(&header->digest, key, out, sizeof header->digest_value, err);
}

static FALLIBLE try_slot(int fd, const struct luks2_header *header, const struct luks2_keyslot *slot, const struct secret *passphrase,
                         struct secret *key, bool *opens, struct err *err)
{
    AUTO(secret) struct secret of_area = { 0 }, split = { 0 };
    uint8_t                    found[sizeof header->digest_value];

    if (!area_key(slot, passphrase, &of_area, err) || !area_load(fd, slot, &split, err) ||
        !area_crypt(slot, &of_area, false, split.held, SPLIT_LEN, err) ||
        !exchange_last(hash_of(slot->af_hash), split.held, split.held + SPLIT_LEN - LUKS2_KEY_LEN, key->held, err) ||
        !digest_of(header, key, found, err))
        return false;
    *opens = CRYPTO_memcmp(found, header->digest_value, sizeof found) == 0;
    return true;
}

FALLIBLE luks2_key_open(int fd, const struct luks2_header *header, const struct secret *passphrase, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret key   = { 0 };
    bool                       opens = false;

    if (!secret_new(LUKS2_KEY_LEN, &key, err))
        return false;
    for (size_t i = 0; i < header->n_keyslots; i++) {
        if (!try_slot(fd, header, &header->keyslots[i], passphrase, &key, &opens, err))
            return false;
        if (opens) {
            *out = TAKE(key);
            return true;
        }
    }
    return fail_with(err, ERR_UNTRUSTED, "the key opens none of %zu keyslots%s", header->n_keyslots,
                     header->n_unusable ? "; others are not of PBKDF2" : "");
}

static FALLIBLE kdf_make(struct luks2_kdf *out, size_t salt_len, struct err *err)
{
    (void) snprintf(out->hash, sizeof out->hash, "sha256"); /* fits */
    out->iterations = OWN_ITERATIONS;
    out->salt_len   = salt_len;
    return random_bytes(out->salt, salt_len, err);
}

FALLIBLE luks2_key_store(struct luks2_header *header, const struct secret *key, const struct secret *passphrase, struct buffer *area,
                         struct err *err)
{
    AUTO(secret) struct secret of_area = { 0 }, split = { 0 };
    struct luks2_keyslot       slot    = { .name = "0", .af_hash = "sha256", .area_offset = 2 * header->copy_len, .area_len = AREA_LEN,
                                           .area_key_len = 64 };

    if (slot.area_offset + AREA_LEN > header->segment_offset || key->len != LUKS2_KEY_LEN)
        return fail_with(err, ERR_BUG, "no room for a keyslot");
    if (!kdf_make(&slot.kdf, 32, err) || !kdf_make(&header->digest, 32, err) || !digest_of(header, key, header->digest_value, err) ||
        !area_key(&slot, passphrase, &of_area, err) || !secret_random(SPLIT_LEN, &split, err) ||
        !exchange_last(hash_of(slot.af_hash), split.held, secret_expose(key).at, split.held + SPLIT_LEN - LUKS2_KEY_LEN, err) ||
        !area_crypt(&slot, &of_area, true, split.held, SPLIT_LEN, err))
        return false;
    memcpy(buffer_grow(area, AREA_LEN), split.held, SPLIT_LEN);
    header->keyslots[0] = slot;
    header->n_keyslots  = 1;
    return true;
}
