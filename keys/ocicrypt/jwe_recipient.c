#include "keys/ocicrypt/jwe_recipient.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/text.h"
#include "keys/jose/jwe.h"

static FALLIBLE pem_read(const char *path, EVP_PKEY *(*read)(FILE *, EVP_PKEY **, pem_password_cb *, void *),
                         EVP_PKEY **out, struct err *err)
{
    AUTO(stream) FILE   *file = fopen(path, "re");
    AUTO(pkey) EVP_PKEY *key  = NULL;
    char                 no_password[] = "";
    char                 group[32] = "";

    if (!file)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "no key file %s", path) : err_os(err, "open %s", path);
    key = read(file, NULL, NULL, no_password);
    if (!key) {
        ERR_clear_error(); /* "unsupported": no more than that there is none */
        return read == PEM_read_PUBKEY ? fail_with(err, ERR_MALFORMED, "%s: no public key in PEM: openssl pkey -in PRIVATE -pubout makes it", path)
                                       : fail_with(err, ERR_MALFORMED, "%s: no private key in PEM, or one under a password", path);
    }
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1 ||
        (strcmp(group, "prime256v1") != 0 && strcmp(group, "secp521r1") != 0))
        return fail_with(err, ERR_UNSUPPORTED, "%s: an EC key on P-256 or P-521 is wanted: "
                         "openssl ecparam -name prime256v1 -genkey -noout", path);
    *out = TAKE(key);
    return true;
}

FALLIBLE jwe_public_key_read(const char *path, EVP_PKEY **out, struct err *err)
{
    return pem_read(path, PEM_read_PUBKEY, out, err);
}

FALLIBLE jwe_private_key_read(const char *path, EVP_PKEY **out, struct err *err)
{
    return pem_read(path, PEM_read_PrivateKey, out, err);
}

FALLIBLE jwe_recipient_seal(EVP_PKEY *to, const struct layer_private *options, struct buffer *annotation,
                            struct err *err)
{
    AUTO(jwk) struct jwk       recipient = { .key = NULL };
    AUTO(secret) struct secret plain     = { 0 };
    AUTO(buffer) struct buffer sealed    = { 0 };

    if (!jwk_of_key(to, "ECDH-ES+A256KW", &recipient, err) || !layer_private_write(options, &plain, err) ||
        !jwe_seal(&recipient, &plain, &sealed, err))
        return context(err, "jwe recipient");
    base64_append(annotation, buffer_bytes(&sealed), BASE64_STANDARD);
    return true;
}

static FALLIBLE open_one(struct bytes base64, EVP_PKEY *key, struct layer_private *out, struct err *err)
{
    AUTO(buffer) struct buffer sealed = { 0 };
    AUTO(secret) struct secret plain  = { 0 };

    return base64_read(base64, BASE64_STANDARD, &sealed, err) &&
           jwe_open(buffer_bytes(&sealed), ENC_ANNOTATION_MAX, key, &plain, err) &&
           layer_private_read(&plain, out, err);
}

FALLIBLE jwe_recipient_open(const struct descriptor *layer, EVP_PKEY *key, struct layer_key *out, struct err *err)
{
    AUTO(layer_key) struct layer_key opened = { .public = { { 0 } } };
    const char                      *text   = descriptor_annotation(layer, ENC_JWE_ANNOTATION);
    struct bytes                     left   = bytes_of_text(text);

    if (!text)
        return fail_with(err, ERR_NOT_FOUND, "no recipient of scheme jwe");
    if (left.len > ENC_ANNOTATION_MAX)
        return fail_with(err, ERR_LIMIT, "jwe recipient: annotation of %zu bytes", left.len);
    if (!layer_public_open(layer, &opened.public, err))
        return false;
    for (int n = 0;; n++) {
        const uint8_t *comma = left.len > 0 ? memchr(left.at, ',', left.len) : NULL;
        struct bytes   one   = { left.at, comma ? (size_t) (comma - left.at) : left.len };

        if (n == ENC_RECIPIENTS_MAX)
            return fail_with(err, ERR_LIMIT, "jwe recipient: none of the first %d opens", ENC_RECIPIENTS_MAX);
        if (open_one(one, key, &opened.private, err))
            break;
        if (!comma)
            return context(err, "jwe recipient");
        left = (struct bytes){ comma + 1, left.len - one.len - 1 };
    }
    *out = TAKE(opened);
    return true;
}
