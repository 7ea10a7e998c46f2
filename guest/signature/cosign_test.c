#include "tests/harness/test.h"

#include <openssl/pem.h>

#include "base/text.h"
#include "guest/signature/cosign.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A public key of upstream's own tests. */
#define UPSTREAM_KEY                                                     \
    "-----BEGIN PUBLIC KEY-----\n"                                       \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWT07eR1HNK3D2iqHotE0c389aSTh\n" \
    "Lj0B39PXTBcJzJpkXPO82lLGQdc47V5HPWaPZ2Fc3DWyRoz1oWbnLlvQ5Q==\n"     \
    "-----END PUBLIC KEY-----\n"

static EVP_PKEY *key_new(const char *type)
{
    EVP_PKEY *key = strcmp(type, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048) :
                    strcmp(type, "EC") == 0  ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256") :
                                               EVP_PKEY_Q_keygen(NULL, NULL, type);

    assert_non_null(key);
    return key;
}

static void sign(EVP_PKEY *key, struct signature *s)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD            *md  = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
    size_t                   len = 1024;

    assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, buffer_grow(&s->signature, len), &len, s->payload.at, s->payload.len), 1);
    s->signature.len = len;
}

static void verifies_by_each_kind_of_key_and_by_no_other(void **state)
{
    static const char *const types[] = { "EC", "ED25519", "RSA" };

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        AUTO(pkey) EVP_PKEY *key = key_new(types[i]), *other = key_new(types[i]);
        struct signature     s   = { .payload = { 0 } };
        struct err           err;

        buffer_append_text(&s.payload, "what was signed");
        sign(key, &s);
        if (!cosign_verify(key, &s, &err))
            fail_msg("%s: %s", types[i], err.text);
        assert_false(cosign_verify(other, &s, &err));
        assert_int_equal(err.kind, ERR_UNTRUSTED);
        s.payload.at[3] ^= 1;
        assert_false(cosign_verify(key, &s, &err));
        assert_int_equal(err.kind, ERR_UNTRUSTED);
        s.payload.at[3] ^= 1;
        for (size_t len = 0; len < s.signature.len; len++) {
            size_t whole = s.signature.len;

            s.signature.len = len;
            assert_false(cosign_verify(key, &s, &err));
            s.signature.len = whole;
        }
        buffer_free(&s.payload);
        buffer_free(&s.signature);
    }
}

static void reads_public_keys_of_enough_strength(void **state)
{
    AUTO(pkey) EVP_PKEY *key = NULL, *weak = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 1024), *read = NULL;
    AUTO(bio) BIO       *bio = BIO_new(BIO_s_mem());
    char                *pem;
    struct err           err;

    (void) state;
    assert_true(cosign_key_read(bytes_of_text(UPSTREAM_KEY), &key, &err));
    assert_int_equal(EVP_PKEY_get_base_id(key), EVP_PKEY_EC);
    assert_int_equal(PEM_write_bio_PUBKEY(bio, weak), 1);
    long len = BIO_get_mem_data(bio, &pem);

    assert_false(cosign_key_read((struct bytes){ (const uint8_t *) pem, (size_t) len }, &read, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_false(cosign_key_read(bytes_of_text("-----BEGIN PUBLIC KEY-----\n"), &read, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(cosign_key_read(bytes_of_text("-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
                                               "AES-128-CBC,00000000000000000000000000000000\n\nAAAA\n"
                                               "-----END PUBLIC KEY-----\n"), &read, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static FALLIBLE add(const char *layer, struct signatures *signatures, struct err *err)
{
    AUTO(buffer) struct buffer     text     = { 0 };
    AUTO(manifest) struct manifest manifest = { 0 };
    struct json_object            *document;

    buffer_printf(&text, "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":\"sha256:" HEX "\",\"size\":2},"
                         "\"layers\":[{\"digest\":\"sha256:" HEX "\",\"size\":2,%s}]}", layer);
    assert_true(oci_document_read(buffer_bytes(&text), &document, err) && artifact_read_take(document, &manifest, err));
    return cosign_layer_add(&manifest.layers[0], bytes_of_text("{}"), signatures, err);
}

#define LAYER(annotations) "\"mediaType\":\"" COSIGN_PAYLOAD_TYPE "\",\"annotations\":{" annotations "}"

static void takes_signatures_from_annotations(void **state)
{
    AUTO(signatures) struct signatures s = { .n = 0 };
    struct err                         err;

    (void) state;
    assert_true(add(LAYER("\"dev.cosignproject.cosign/signature\":\"AA\\nEC\\r\\n\""), &s, &err));
    assert_int_equal(s.n, 1);
    assert_true(bytes_equal(buffer_bytes(&s.at[0].signature), BYTES_OF(((uint8_t[]){ 0, 1, 2 }))));
    assert_true(add("\"mediaType\":\"application/other\"", &s, &err));
    assert_int_equal(s.n, 1);
    assert_false(add(LAYER(""), &s, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(add(LAYER("\"dev.cosignproject.cosign/signature\":\"?\""), &s, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    while (s.n < SIGNATURES_MAX)
        assert_true(add(LAYER("\"dev.cosignproject.cosign/signature\":\"AAEC\""), &s, &err));
    assert_false(add(LAYER("\"dev.cosignproject.cosign/signature\":\"AAEC\""), &s, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void names_the_tag_as_cosign_does(void **state)
{
    struct digest d;
    struct err    err;

    (void) state;
    assert_true(digest_read(bytes_of_text("sha256:" HEX), &d, &err));
    assert_string_equal(cosign_tag_of(&d).at, "sha256-" HEX ".sig");
    digest_of(bytes_of_text(""), DIGEST_SHA512, &d);
    assert_int_equal(strlen(cosign_tag_of(&d).at), 7 + 128 + 4);
}

#define REFERRER(type) "{\"artifactType\":\"" type "\",\"digest\":\"sha256:" HEX "\"}"

static void picks_signatures_out_of_referrers(void **state)
{
    static const char whole[] = "{\"manifests\":[" REFERRER("application/spdx") "," REFERRER(SIGSTORE_BUNDLE_TYPE ".v0.3+json") "," REFERRER(COSIGN_ARTIFACT_TYPE) ",{}]}";
    struct digest     digests[SIGNATURES_MAX];
    size_t            n, n_bundles;
    struct err        err;

    (void) state;
    assert_true(cosign_referrers_read(bytes_of_text(whole), digests, &n, &n_bundles, &err));
    assert_int_equal(n, 1);
    assert_int_equal(n_bundles, 1);
    assert_string_equal(digest_text(&digests[0]).at, "sha256:" HEX);
    assert_false(cosign_referrers_read(bytes_of_text("{}"), digests, &n, &n_bundles, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(cosign_referrers_read(bytes_of_text("{\"manifests\":[{\"artifactType\":\"" COSIGN_ARTIFACT_TYPE
                                                     "\",\"digest\":\"x\"}]}"), digests, &n, &n_bundles, &err));
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        AUTO(heap) uint8_t *copy = exact_copy(whole, len);

        assert_false(cosign_referrers_read((struct bytes){ copy, len }, digests, &n, &n_bundles, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifies_by_each_kind_of_key_and_by_no_other),
        cmocka_unit_test(reads_public_keys_of_enough_strength),
        cmocka_unit_test(takes_signatures_from_annotations),
        cmocka_unit_test(names_the_tag_as_cosign_does),
        cmocka_unit_test(picks_signatures_out_of_referrers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
