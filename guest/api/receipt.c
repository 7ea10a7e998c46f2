#include "guest/api/receipt.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "keys/jose/jwk.h"

enum { SIGNATURE_MAX = 80, SHA384_BYTES = 48 };

void receipt_free(struct receipt *receipt)
{
    if (receipt->statement)
        json_object_put(receipt->statement);
    if (receipt->evidence)
        json_object_put(receipt->evidence);
    *receipt = (struct receipt){ 0 };
}

FALLIBLE receipt_key_text(EVP_PKEY *key, struct buffer *out, struct err *err)
{
    AUTO(jwk) struct jwk jwk = { 0 };

    if (!jwk_of_key(key, "ES256", &jwk, err))
        return false;
    buffer_append(out, buffer_bytes(&jwk.canonical));
    return true;
}

void receipt_report_data(struct bytes key_text, uint8_t out[static RECEIPT_REPORT_DATA_LEN])
{
    static const char       role[] = RECEIPT_ROLE; /* with its zero byte */
    AUTO(md_ctx) EVP_MD_CTX *md    = EVP_MD_CTX_new();

    memset(out, 0, RECEIPT_REPORT_DATA_LEN);
    if (!md || EVP_DigestInit_ex(md, EVP_sha384(), NULL) != 1 || EVP_DigestUpdate(md, role, sizeof role) != 1 ||
        EVP_DigestUpdate(md, key_text.at, key_text.len) != 1 || EVP_DigestFinal_ex(md, out, NULL) != 1)
        abort(); /* memory is out */
}

static FALLIBLE sign(struct bytes statement, EVP_PKEY *key, struct buffer *out, struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t                  signature[SIGNATURE_MAX];
    size_t                   len = sizeof signature;

    if (!md || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(md, signature, &len, statement.at, statement.len) != 1)
        return err_openssl(err, ERR_OS, "sign the receipt");
    base64_append(out, (struct bytes){ signature, len }, BASE64_STANDARD);
    return true;
}

FALLIBLE receipt_write(struct bytes statement, EVP_PKEY *key, const char *tee, struct bytes evidence, struct buffer *out,
                       struct err *err)
{
    AUTO(json) struct json_object *document = json_object_new_object(), *said = NULL, *shown = NULL;
    AUTO(buffer) struct buffer     text = { 0 }, signature = { 0 }, key_text = { 0 };

    base64_append(&text, statement, BASE64_STANDARD);
    if (!sign(statement, key, &signature, err) || !receipt_key_text(key, &key_text, err) ||
        !json_read(buffer_bytes(&key_text), RECEIPT_LEN_MAX, &shown, err) || !json_read(evidence, RECEIPT_LEN_MAX, &said, err))
        return false;
    json_add_text(document, "statement", buffer_text(&text));
    json_add_text(document, "signature", buffer_text(&signature));
    json_add(document, "key", TAKE(shown));
    json_add_text(document, "tee", tee);
    json_add(document, "evidence", TAKE(said));
    json_write(document, out);
    return true;
}

struct bytes receipt_find(struct bytes text)
{
    static const char mark[] = RECEIPT_LINE;
    size_t            len    = sizeof mark - 1;

    if (text.len > 0 && text.at[0] == '{')
        return text;
    for (size_t at = text.len; at-- > 0;) {
        if (text.len - at < len || memcmp(text.at + at, mark, len) != 0)
            continue;
        struct bytes   found = { text.at + at + len, text.len - at - len };
        const uint8_t *end   = memchr(found.at, '\n', found.len);
        return (struct bytes){ found.at, end ? (size_t) (end - found.at) : found.len };
    }
    return (struct bytes){ 0 };
}

static FALLIBLE get_bytes(struct json_object *from, const char *name, struct buffer *out, struct err *err)
{
    const char *text;

    return json_get_text(from, name, &text, err) &&
           (base64_read(bytes_of_text(text), BASE64_STANDARD, out, err) || context(err, name));
}

static FALLIBLE check_signature(struct bytes statement, struct bytes signature, EVP_PKEY *key, struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *md = EVP_MD_CTX_new();

    if (!md || EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) != 1)
        return err_openssl(err, ERR_OS, "signature");
    if (EVP_DigestVerify(md, signature.at, signature.len, statement.at, statement.len) != 1) {
        (void) err_openssl(err, ERR_UNTRUSTED, "signature"); /* takes OpenSSL's words off its queue */
        return fail_with(err, ERR_UNTRUSTED, "the signature does not hold");
    }
    return true;
}

static FALLIBLE read_parts(struct json_object *document, struct receipt *out, struct err *err)
{
    AUTO(buffer) struct buffer statement = { 0 }, signature = { 0 };
    AUTO(jwk) struct jwk       key       = { 0 };
    struct json_object        *jwk = NULL, *evidence = NULL;
    const char                *tee, *version;

    if (!get_bytes(document, "statement", &statement, err) || !get_bytes(document, "signature", &signature, err) ||
        !json_get(document, "key", json_type_object, &jwk, err) || !json_get_text(document, "tee", &tee, err) ||
        !json_get(document, "evidence", json_type_object, &evidence, err) || !jwk_read(jwk, &key, err))
        return false;
    if (key.kind != JWK_P256 || strcmp(key.alg, "ES256") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "key: P-256 for ES256 is wanted");
    if (strlen(tee) >= sizeof out->tee)
        return fail_with(err, ERR_UNSUPPORTED, "tee \"%.20s\"", tee);
    if (!check_signature(buffer_bytes(&statement), buffer_bytes(&signature), key.key, err) ||
        !json_read(buffer_bytes(&statement), RECEIPT_LEN_MAX, &out->statement, err) ||
        !json_get_text(out->statement, "version", &version, err))
        return false;
    if (strcmp(version, RECEIPT_VERSION) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "version \"%.40s\"", version);
    receipt_report_data(buffer_bytes(&key.canonical), out->report_data);
    out->evidence = json_object_get(evidence);
    (void) snprintf(out->tee, sizeof out->tee, "%s", tee); /* its length was checked */
    return true;
}

FALLIBLE receipt_read(struct bytes text, struct receipt *out, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    AUTO(receipt) struct receipt   read     = { 0 };

    if (!json_read(text, RECEIPT_LEN_MAX, &document, err) || !read_parts(document, &read, err))
        return context(err, "receipt");
    *out = read;
    read = (struct receipt){ 0 };
    return true;
}
