#include "keys/broker/challenge.h"

#include <openssl/hmac.h>
#include <string.h>

#include "base/ossl.h"
#include "base/text.h"

/* nonce: u8 TEE, u56be expiry, 24 bytes of HMAC-SHA-256 over (label, id, the first 8 bytes) */
enum { RAW_LEN = 32, HEAD_LEN = 8, MAC_LEN = 24, UUID_LEN = 16 };
static const char   LABEL[]     = "cloister challenge 1";
static const char   KEY_LABEL[] = "cloister challenge key 1";
static const int64_t EXPIRES_MAX = (INT64_C(1) << 55) - 1;

FALLIBLE challenge_key(const struct secret *epoch, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret key = { 0 };

    if (!secret_new(CHALLENGE_KEY_LEN, &key, err))
        return false;
    if (!HMAC(EVP_sha256(), epoch->held, (int) epoch->len, (const uint8_t *) KEY_LABEL, sizeof KEY_LABEL, key.held,
              NULL))
        return err_openssl(err, ERR_BUG, "challenge key");
    *out = TAKE(key);
    return true;
}

static FALLIBLE mac(const struct secret *key, const char *id, const uint8_t *head, uint8_t out[static MAC_LEN],
                    struct err *err)
{
    uint8_t       message[sizeof LABEL + CHALLENGE_ID_LEN + HEAD_LEN];
    uint8_t       whole[SHA256_LEN];
    struct writer w = writer_over(message, sizeof message);

    put(&w, BYTES_OF(LABEL));
    put(&w, (struct bytes){ (const uint8_t *) id, CHALLENGE_ID_LEN });
    put(&w, (struct bytes){ head, HEAD_LEN });
    if (!writer_ok(&w, err))
        return false;
    if (!HMAC(EVP_sha256(), key->held, (int) key->len, message, w.len, whole, NULL))
        return err_openssl(err, ERR_BUG, "challenge");
    memcpy(out, whole, MAC_LEN);
    return true;
}

static FALLIBLE id_make(char out[static CHALLENGE_ID_LEN + 1], struct err *err)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint8_t                    uuid[UUID_LEN];

    if (!random_bytes(uuid, sizeof uuid, err))
        return false;
    uuid[6] = (uint8_t) ((uuid[6] & 0x0f) | 0x40); /* version 4, variant 1 [RFC 9562 5.4] */
    uuid[8] = (uint8_t) ((uuid[8] & 0x3f) | 0x80);
    hex_append(&hex, BYTES_OF(uuid));
    memcpy(out, buffer_text(&hex), CHALLENGE_ID_LEN + 1);
    return true;
}

FALLIBLE challenge_make(const struct secret *key, uint8_t tee, int64_t expires, struct challenge *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct challenge           made = { .tee = tee, .expires = expires };
    uint8_t                    raw[RAW_LEN];
    struct writer              w = writer_over(raw, sizeof raw);

    if (expires < 0 || expires > EXPIRES_MAX)
        return fail_with(err, ERR_BUG, "a challenge that expires at %lld", (long long) expires);
    put_u64be(&w, (uint64_t) tee << 56 | (uint64_t) expires);
    put_zeros(&w, MAC_LEN);
    if (!writer_ok(&w, err) || !id_make(made.id, err) || !mac(key, made.id, raw, raw + HEAD_LEN, err))
        return false;
    base64_append(&text, BYTES_OF(raw), BASE64_STANDARD);
    memcpy(made.nonce, buffer_text(&text), sizeof made.nonce);
    *out = made;
    return true;
}

bool challenge_id_is_valid(const char *id)
{
    return strlen(id) == CHALLENGE_ID_LEN && strspn(id, "0123456789abcdef") == CHALLENGE_ID_LEN;
}

FALLIBLE challenge_check(const struct secret *key, const char *id, const char *nonce, int64_t now,
                         struct challenge *out, struct err *err)
{
    AUTO(buffer) struct buffer raw  = { 0 };
    struct challenge           read = { 0 };
    uint8_t                    expected[MAC_LEN];
    struct reader              r;
    uint64_t                   head;
    struct bytes               tag;

    if (!challenge_id_is_valid(id))
        return fail_with(err, ERR_MALFORMED, "the session id is not 32 hex digits");
    if (strlen(nonce) != CHALLENGE_NONCE_LEN || !base64_read(bytes_of_text(nonce), BASE64_STANDARD, &raw, err))
        return fail_with(err, ERR_MALFORMED, "the nonce is not one of ours");
    r    = reader_over(buffer_bytes(&raw));
    head = take_u64be(&r);
    tag  = take(&r, MAC_LEN);
    if (!reader_done(&r, err) || !mac(key, id, raw.at, expected, err))
        return false;
    if (CRYPTO_memcmp(tag.at, expected, MAC_LEN) != 0)
        return fail_with(err, ERR_UNTRUSTED, "the nonce is not the one given to this session");
    read.tee     = (uint8_t) (head >> 56);
    read.expires = (int64_t) (head & (uint64_t) EXPIRES_MAX);
    if (now >= read.expires)
        return fail_with(err, ERR_TIMEOUT, "the challenge expired %lld s ago; ask for another", (long long) (now - read.expires));
    memcpy(read.id, id, sizeof read.id);
    memcpy(read.nonce, nonce, sizeof read.nonce);
    *out = read;
    return true;
}
