#include "guest/signature/cosign.h"

#include <openssl/pem.h>
#include <string.h>

#include "base/text.h"

#define SIGNATURE_ANNOTATION "dev.cosignproject.cosign/signature"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 16384 };

void signatures_free(struct signatures *signatures)
{
    for (size_t i = 0; i < signatures->n; i++) {
        buffer_free(&signatures->at[i].payload);
        buffer_free(&signatures->at[i].signature);
    }
    signatures->n = signatures->n_bundles = 0;
}

struct cosign_tag cosign_tag_of(const struct digest *manifest)
{
    struct digest_text text = digest_text(manifest);
    struct cosign_tag  tag;

    (void) snprintf(tag.at, sizeof tag.at, "%s-%s.sig", digest_algorithm_name(manifest->algorithm),
                    digest_hex(&text)); /* fits either algorithm */
    return tag;
}

/* Writers wrap the base64 in lines at times. */
static void without_line_ends(const char *text, struct buffer *out)
{
    for (; *text; text++)
        if (*text != '\n' && *text != '\r')
            buffer_append(out, (struct bytes){ (const uint8_t *) text, 1 });
}

FALLIBLE cosign_layer_add(const struct descriptor *layer, struct bytes payload, struct signatures *signatures,
                          struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 }, plain = { 0 };
    const char                *annotation;

    if (strcmp(layer->media_type, COSIGN_PAYLOAD_TYPE) != 0)
        return true;
    annotation = descriptor_annotation(layer, SIGNATURE_ANNOTATION);
    if (!annotation)
        return fail_with(err, ERR_MALFORMED, "signature: no annotation " SIGNATURE_ANNOTATION);
    if (signatures->n == SIGNATURES_MAX || payload.len > SIGNATURE_PAYLOAD_MAX || strlen(annotation) > SIGNATURE_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "signature: over %d of them, or a long one", SIGNATURES_MAX);
    without_line_ends(annotation, &text);
    if (!base64_read(buffer_bytes(&text), BASE64_STANDARD, &plain, err))
        return context(err, "signature");
    struct signature *s = &signatures->at[signatures->n++];

    *s = (struct signature){ .signature = TAKE(plain) };
    buffer_append(&s->payload, payload);
    return true;
}

static FALLIBLE referrer_read(struct json_object *entry, struct digest *out, bool *is_signature, size_t *n_bundles,
                              struct err *err)
{
    const char *type, *digest;

    *is_signature = false;
    if (!json_object_is_type(entry, json_type_object) || !json_has(entry, "artifactType"))
        return true;
    if (!json_get_text(entry, "artifactType", &type, err))
        return false;
    *n_bundles += strncmp(type, SIGSTORE_BUNDLE_TYPE, strlen(SIGSTORE_BUNDLE_TYPE)) == 0;
    if (strcmp(type, COSIGN_ARTIFACT_TYPE) != 0)
        return true;
    *is_signature = true;
    return json_get_text(entry, "digest", &digest, err) && digest_read(bytes_of_text(digest), out, err);
}

FALLIBLE cosign_referrers_read(struct bytes json, struct digest out[static SIGNATURES_MAX], size_t *n, size_t *n_bundles,
                               struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    struct json_object             *list    = NULL;

    *n = *n_bundles = 0;
    if (!json_read(json, OCI_DOCUMENT_MAX, &document, err) ||
        !json_get(document, "manifests", json_type_array, &list, err))
        return context(err, "referrers");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct digest digest;
        bool          is_signature;

        if (!referrer_read(json_object_array_get_idx(list, i), &digest, &is_signature, n_bundles, err))
            return contextf(err, "referrers: %zu", i);
        if (is_signature && *n == SIGNATURES_MAX)
            return fail_with(err, ERR_LIMIT, "referrers: over %d signatures", SIGNATURES_MAX);
        if (is_signature)
            out[(*n)++] = digest;
    }
    return true;
}

/* A public key has no passphrase; without this OpenSSL would ask the terminal for one. */
static int no_passphrase(char *at, int size, int is_writing, void *owner)
{
    (void) at;
    (void) size;
    (void) is_writing;
    (void) owner;
    return -1;
}

FALLIBLE cosign_key_read(struct bytes pem, EVP_PKEY **out, struct err *err)
{
    AUTO(bio) BIO       *bio = NULL;
    AUTO(pkey) EVP_PKEY *key = NULL;

    if (pem.len > SIGNATURE_KEY_MAX)
        return fail_with(err, ERR_LIMIT, "public key: %zu bytes", pem.len);
    bio = BIO_new_mem_buf(pem.at, (int) pem.len);
    if (!bio)
        abort();
    key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    if (!key)
        return err_openssl(err, ERR_MALFORMED, "public key: PEM is wanted");
    int type = EVP_PKEY_get_base_id(key), bits = EVP_PKEY_get_bits(key);

    if (type != EVP_PKEY_EC && type != EVP_PKEY_ED25519 &&
        !(type == EVP_PKEY_RSA && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX))
        return fail_with(err, ERR_UNSUPPORTED, "public key: EC, Ed25519, or RSA of %d bits or more is wanted", RSA_BITS_MIN);
    *out = TAKE(key);
    return true;
}

FALLIBLE cosign_verify(EVP_PKEY *key, const struct signature *signature, struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD            *md  = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();

    if (!ctx)
        abort();
    if (EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) != 1)
        return err_openssl(err, ERR_BUG, "signature");
    return EVP_DigestVerify(ctx, signature->signature.at, signature->signature.len, signature->payload.at,
                            signature->payload.len) == 1 ||
           err_openssl(err, ERR_UNTRUSTED, "signature: not by this key");
}
