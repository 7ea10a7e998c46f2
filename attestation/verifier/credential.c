#include "attestation/verifier/credential.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <string.h>

#include "attestation/verifier/tpm_key.h"

static const char identity[] = "IDENTITY"; /* with its terminating zero, as the label of both ways */

/* KDFa: HMAC in counter mode. [TPM-P1 11.4.10.2] `bits` is at most the hash's. */
static FALLIBLE kdfa(const struct tpm_hash *hash, const struct secret *key, const char *label, struct bytes u,
                     unsigned bits, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret block              = { 0 };
    uint8_t                    input[4 + 16 + TPM_NAME_LEN_MAX + 4];
    struct writer              w                  = writer_over(input, sizeof input);
    size_t                     len                = 0;
    struct bytes               held               = secret_expose(key);

    put_u32be(&w, 1);
    put(&w, (struct bytes){ (const uint8_t *) label, strlen(label) + 1 });
    put(&w, u);
    put_u32be(&w, bits);
    if (!writer_ok(&w, err) || !secret_new(hash->len, &block, err) || !secret_new(bits / 8, out, err))
        return false;
    if (bits / 8 > hash->len ||
        !EVP_Q_mac(NULL, "HMAC", NULL, EVP_MD_get0_name(hash->md()), NULL, held.at, held.len, input, w.len, block.held,
                   block.len, &len))
        return err_openssl(err, ERR_BUG, "derive credential key");
    memcpy(out->held, block.held, out->len);
    return true;
}

static FALLIBLE identity_encrypt(const struct secret *key, const struct secret *secret, struct buffer *out,
                                 struct err *err)
{
    static const uint8_t              zero_iv[16];
    AUTO(cipher_ctx) EVP_CIPHER_CTX  *c      = EVP_CIPHER_CTX_new();
    const EVP_CIPHER                 *cipher = key->len == 32 ? EVP_aes_256_cfb128() : EVP_aes_128_cfb128();
    const uint8_t                     size[2] = { 0, (uint8_t) secret->len };
    uint8_t                          *room    = buffer_grow(out, sizeof size + secret->len);
    int                               n = 0, m = 0;

    if (!c || EVP_EncryptInit_ex(c, cipher, NULL, secret_expose(key).at, zero_iv) != 1 ||
        EVP_EncryptUpdate(c, room, &n, size, sizeof size) != 1 ||
        EVP_EncryptUpdate(c, room + n, &m, secret_expose(secret).at, (int) secret->len) != 1)
        return err_openssl(err, ERR_BUG, "encrypt credential");
    return true;
}

/* HMAC(integrity key, encrypted identity, name). */
static FALLIBLE integrity_of(const struct tpm_hash *hash, const struct secret *key, struct bytes encrypted,
                             struct bytes name, uint8_t out[static TPM_HASH_LEN_MAX], struct err *err)
{
    AUTO(buffer) struct buffer covered = { 0 };
    size_t                     len     = 0;

    buffer_append(&covered, encrypted);
    buffer_append(&covered, name);
    if (!EVP_Q_mac(NULL, "HMAC", NULL, EVP_MD_get0_name(hash->md()), NULL, secret_expose(key).at, key->len, covered.at,
                   covered.len, out, TPM_HASH_LEN_MAX, &len))
        return err_openssl(err, ERR_BUG, "protect credential");
    return true;
}

FALLIBLE credential_seal(const struct tpm_hash *hash, unsigned aes_bits, const struct secret *seed, struct bytes ak_name,
                         const struct secret *secret, struct buffer *id_object, struct err *err)
{
    AUTO(secret) struct secret storage = { 0 }, integrity = { 0 };
    AUTO(buffer) struct buffer encrypted = { 0 };
    uint8_t                    mac[TPM_HASH_LEN_MAX];
    uint8_t                    sizes[4];
    struct writer              w = writer_over(sizes, sizeof sizes);

    if (secret->len == 0 || secret->len > hash->len)
        return fail_with(err, ERR_LIMIT, "credential of %zu bytes; at most %zu fit", secret->len, hash->len);
    if (!kdfa(hash, seed, "STORAGE", ak_name, aes_bits, &storage, err) ||
        !kdfa(hash, seed, "INTEGRITY", (struct bytes){ 0 }, (unsigned) hash->len * 8, &integrity, err) ||
        !identity_encrypt(&storage, secret, &encrypted, err) ||
        !integrity_of(hash, &integrity, buffer_bytes(&encrypted), ak_name, mac, err))
        return false;
    put_u16be(&w, (uint16_t) (2 + hash->len + encrypted.len));
    put_u16be(&w, (uint16_t) hash->len);
    buffer_append(id_object, writer_bytes(&w));
    buffer_append(id_object, (struct bytes){ mac, hash->len });
    buffer_append(id_object, buffer_bytes(&encrypted));
    return true;
}

static void append_sized(struct buffer *out, struct bytes b)
{
    const uint8_t size[2] = { (uint8_t) (b.len >> 8), (uint8_t) b.len };

    buffer_append(out, BYTES_OF(size));
    buffer_append(out, b);
}

/* RSA: the seed is random and goes through OAEP with the label "IDENTITY\0". */
static FALLIBLE seed_for_rsa(EVP_PKEY *ek, const struct tpm_hash *hash, struct secret *seed, struct buffer *encrypted,
                             struct err *err)
{
    AUTO(pkey_ctx) EVP_PKEY_CTX *c     = EVP_PKEY_CTX_new(ek, NULL);
    AUTO(buffer) struct buffer   out   = { 0 };
    uint8_t                     *label = OPENSSL_memdup(identity, sizeof identity);
    size_t                       len   = (size_t) EVP_PKEY_get_size(ek);
    uint8_t                     *room  = buffer_grow(&out, len);

    if (!secret_random(hash->len, seed, err)) {
        OPENSSL_free(label);
        return false;
    }
    if (!c || !label || EVP_PKEY_encrypt_init(c) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(c, hash->md()) != 1 || EVP_PKEY_CTX_set_rsa_mgf1_md(c, hash->md()) != 1 ||
        EVP_PKEY_CTX_set0_rsa_oaep_label(c, label, sizeof identity) != 1) {
        OPENSSL_free(label);
        return err_openssl(err, ERR_BUG, "wrap credential seed");
    }
    if (EVP_PKEY_encrypt(c, room, &len, secret_expose(seed).at, seed->len) != 1) /* the label is the context's now */
        return err_openssl(err, ERR_BUG, "wrap credential seed");
    append_sized(encrypted, (struct bytes){ out.at, len });
    return true;
}

/* KDFe over the shared x coordinate. [TPM-P1 11.4.10.3] One round: the seed is one digest long. */
static FALLIBLE kdfe(const struct tpm_hash *hash, const struct secret *shared, struct bytes ephemeral_x, struct bytes ek_x,
                     struct secret *out, struct err *err)
{
    static const uint8_t     counter[4] = { 0, 0, 0, 1 };
    AUTO(md_ctx) EVP_MD_CTX *c          = EVP_MD_CTX_new();
    struct bytes             z          = secret_expose(shared);

    if (!secret_new(hash->len, out, err))
        return false;
    if (!c || EVP_DigestInit_ex(c, hash->md(), NULL) != 1 || EVP_DigestUpdate(c, counter, sizeof counter) != 1 ||
        EVP_DigestUpdate(c, z.at, z.len) != 1 || EVP_DigestUpdate(c, identity, sizeof identity) != 1 ||
        EVP_DigestUpdate(c, ephemeral_x.at, ephemeral_x.len) != 1 || EVP_DigestUpdate(c, ek_x.at, ek_x.len) != 1 ||
        EVP_DigestFinal_ex(c, out->held, NULL) != 1)
        return err_openssl(err, ERR_BUG, "derive credential seed");
    return true;
}

static FALLIBLE shared_secret(EVP_PKEY *ephemeral, EVP_PKEY *ek, size_t field, struct secret *out, struct err *err)
{
    AUTO(pkey_ctx) EVP_PKEY_CTX *c   = EVP_PKEY_CTX_new(ephemeral, NULL);
    size_t                       len = field;

    if (!secret_new(field, out, err))
        return false;
    if (!c || EVP_PKEY_derive_init(c) != 1 || EVP_PKEY_derive_set_peer(c, ek) != 1 ||
        EVP_PKEY_derive(c, out->held, &len) != 1 || len != field)
        return err_openssl(err, ERR_BUG, "agree on credential seed");
    return true;
}

static FALLIBLE seed_for_ecc(EVP_PKEY *ek, enum tpm_curve curve, const struct tpm_hash *hash, struct secret *seed,
                             struct buffer *encrypted, struct err *err)
{
    size_t                     field     = curve == TPM_P256 ? 32 : 48;
    AUTO(pkey) EVP_PKEY       *ephemeral = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve == TPM_P256 ? "P-256" : "P-384");
    AUTO(secret) struct secret shared    = { 0 };
    AUTO(buffer) struct buffer point     = { 0 };
    uint8_t                    ours[1 + 2 * 48], theirs[1 + 2 * 48];
    size_t                     ours_len = 0, theirs_len = 0;

    if (!ephemeral ||
        EVP_PKEY_get_octet_string_param(ephemeral, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, ours, sizeof ours, &ours_len) != 1 ||
        EVP_PKEY_get_octet_string_param(ek, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, theirs, sizeof theirs, &theirs_len) != 1 ||
        ours_len != 1 + 2 * field || theirs_len != ours_len)
        return err_openssl(err, ERR_BUG, "make ephemeral key");

    struct bytes x = { ours + 1, field }, y = { ours + 1 + field, field };

    if (!shared_secret(ephemeral, ek, field, &shared, err) ||
        !kdfe(hash, &shared, x, (struct bytes){ theirs + 1, field }, seed, err))
        return false;
    append_sized(&point, x);
    append_sized(&point, y);
    append_sized(encrypted, buffer_bytes(&point));
    return true;
}

FALLIBLE credential_make(const struct tpm_public *ek, struct bytes ak_name, const struct secret *secret,
                         struct buffer *id_object, struct buffer *encrypted_secret, struct err *err)
{
    AUTO(secret) struct secret seed = { 0 };
    AUTO(pkey) EVP_PKEY       *key  = NULL;
    const struct tpm_hash     *hash = tpm_hash_by_id(ek->name_hash);

    if (!hash || !(ek->attributes & TPM_DECRYPT) || !(ek->attributes & TPM_RESTRICTED) || ek->symmetric != TPM_AES ||
        ek->symmetric_mode != TPM_CFB || (ek->symmetric_bits != 128 && ek->symmetric_bits != 256))
        return fail_with(err, ERR_UNSUPPORTED, "endorsement key is not a restricted storage key with AES-CFB");
    if (!tpm_key_of(ek, &key, err))
        return context(err, "endorsement key");
    if (!(ek->type == TPM_RSA ? seed_for_rsa(key, hash, &seed, encrypted_secret, err)
                              : seed_for_ecc(key, ek->curve, hash, &seed, encrypted_secret, err)))
        return false;
    return credential_seal(hash, ek->symmetric_bits, &seed, ak_name, secret, id_object, err);
}
