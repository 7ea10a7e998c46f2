#include "tests/harness/json_vectors.h"

#include "keys/ocicrypt/jwe_recipient.h"
#include "keys/ocicrypt/layer_cipher.h"

#define CONFIG "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":" \
               "\"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\",\"size\":7}"

static void manifest_with(struct json_object *layer, struct manifest *out)
{
    AUTO(buffer) struct buffer text     = { 0 };
    struct json_object        *document = NULL;
    struct err                 err;

    buffer_append_text(&text, "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[");
    json_write(layer, &text);
    buffer_append_text(&text, "]}");
    if (!oci_document_read(buffer_bytes(&text), &document, &err) || !manifest_read_take(document, out, &err))
        fail_msg("%s", err.text);
}

static EVP_PKEY *vector_key(void)
{
    AUTO(buffer) struct buffer path = { 0 };
    EVP_PKEY                  *key  = NULL;
    struct err                 err;

    buffer_printf(&path, "%s/tests/vectors/ocicrypt/skopeo-jwe-key.pem", getenv("CLOISTER_SOURCE"));
    if (!jwe_private_key_read(buffer_text(&path), &key, &err))
        fail_msg("%s", err.text);
    return key;
}

static void opens_what_debians_skopeo_encrypted(void **state)
{
    AUTO(json) struct json_object   *layer = vector_json("ocicrypt/skopeo-jwe.json");
    AUTO(pkey) EVP_PKEY             *key   = vector_key();
    AUTO(manifest) struct manifest   m     = { 0 };
    AUTO(layer_key) struct layer_key open  = { .public = { { 0 } } };
    AUTO(layer_mac) struct layer_mac mac   = { 0 };
    AUTO(layer_ctr) struct layer_ctr ctr   = { 0 };
    AUTO(buffer) struct buffer       sealed = { 0 }, plain = { 0 };
    struct err                       err;

    (void) state;
    manifest_with(layer, &m);
    vector_read("ocicrypt/skopeo-jwe.enc", &sealed);
    vector_read("ocicrypt/skopeo-jwe.plain", &plain);
    if (!jwe_recipient_open(&m.layers[0], key, &open, &err) || !layer_mac_begin(&mac, &open.private.key, &err) ||
        !layer_mac_update(&mac, buffer_bytes(&sealed), &err) || !layer_mac_verify(&mac, open.public.hmac, &err) ||
        !layer_ctr_begin(&ctr, &open.private, &err) ||
        !layer_ctr_apply(&ctr, buffer_bytes(&sealed), sealed.at, &err))
        fail_msg("%s", err.text);
    assert_true(bytes_equal(buffer_bytes(&sealed), buffer_bytes(&plain)));
}

static void seals_what_its_private_key_alone_opens(void **state)
{
    AUTO(json) struct json_object           *layer   = vector_json("ocicrypt/skopeo-jwe.json");
    AUTO(pkey) EVP_PKEY                     *key     = vector_key();
    AUTO(pkey) EVP_PKEY                     *other   = EVP_EC_gen("P-256");
    AUTO(layer_private) struct layer_private options = { .nonce = { 0 } };
    AUTO(buffer) struct buffer               text    = { 0 };
    AUTO(manifest) struct manifest           m       = { 0 };
    AUTO(layer_key) struct layer_key         open    = { .public = { { 0 } } };
    struct err                               err;

    (void) state;
    assert_true(layer_private_new(&options, &err));
    assert_true(jwe_recipient_seal(key, &options, &text, &err));
    json_add_text(member_of(layer, "annotations"), ENC_JWE_ANNOTATION, buffer_text(&text));
    manifest_with(layer, &m);
    assert_false(jwe_recipient_open(&m.layers[0], other, &open, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_true(jwe_recipient_open(&m.layers[0], key, &open, &err));
    assert_true(secret_equal(&open.private.key, &options.key));
    assert_memory_equal(open.private.nonce, options.nonce, ENC_NONCE_LEN);
}

static void refuses_a_layer_without_such_a_recipient(void **state)
{
    AUTO(json) struct json_object   *layer = vector_json("ocicrypt/go-gcm.json");
    AUTO(pkey) EVP_PKEY             *key   = vector_key();
    AUTO(manifest) struct manifest   m     = { 0 };
    AUTO(layer_key) struct layer_key open  = { .public = { { 0 } } };
    struct err                       err;

    (void) state;
    manifest_with(layer, &m);
    assert_false(jwe_recipient_open(&m.layers[0], key, &open, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "no recipient of scheme jwe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_debians_skopeo_encrypted),
        cmocka_unit_test(seals_what_its_private_key_alone_opens),
        cmocka_unit_test(refuses_a_layer_without_such_a_recipient),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
