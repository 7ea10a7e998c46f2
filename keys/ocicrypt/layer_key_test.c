#include "tests/harness/json_vectors.h"

#include "base/text.h"
#include "keys/ocicrypt/layer_cipher.h"
#include "keys/ocicrypt/layer_key.h"
#include "keys/ocicrypt/packet.h"

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

struct broker {
    struct secret key;
    char          asked[ENC_KID_MAX + 1];
    int           n_asked;
};

static void auto_broker(struct broker *b) { secret_free(&b->key); }

static bool give_key(void *owner, const char *kid, struct secret *out, struct err *err)
{
    struct broker *b = owner;

    b->n_asked++;
    (void) snprintf(b->asked, sizeof b->asked, "%s", kid); /* as long as any kid */
    if (!b->key.held)
        return fail_with(err, ERR_DENIED, "the broker says no");
    return secret_copy(secret_expose(&b->key), out, err);
}

static void key_from_hex(struct broker *b, const char *hex)
{
    uint8_t    raw[ENC_KEY_LEN];
    struct err err;

    assert_true(hex_read_exact(hex, raw, sizeof raw, &err) && secret_copy(BYTES_OF(raw), &b->key, &err));
}

static void assert_opens(const struct descriptor *layer, struct broker *b, struct bytes sealed, struct bytes plain)
{
    AUTO(layer_key) struct layer_key key = { .public = { { 0 } } };
    AUTO(layer_mac) struct layer_mac mac = { 0 };
    AUTO(layer_ctr) struct layer_ctr ctr = { 0 };
    AUTO(heap) uint8_t              *out = malloc(sealed.len);
    struct digest                    digest;
    struct err                       err;

    if (!layer_key_open(layer, give_key, b, &key, &err) || !layer_mac_begin(&mac, &key.private.key, &err) ||
        !layer_mac_update(&mac, sealed, &err) || !layer_mac_verify(&mac, key.public.hmac, &err) ||
        !layer_ctr_begin(&ctr, &key.private, &err) || !layer_ctr_apply(&ctr, sealed, out, &err))
        fail_msg("%s", err.text);
    assert_int_equal(sealed.len, plain.len);
    assert_memory_equal(out, plain.at, plain.len);
    digest_of(plain, DIGEST_SHA256, &digest);
    assert_true(digest_equal(&digest, &key.private.digest));
}

static void opens_the_published_layers_with_either_wrapping(void **state)
{
    AUTO(json) struct json_object *cases = vector_json("ocicrypt/encrypted-layers.json");

    (void) state;
    assert_int_equal(json_object_array_length(cases), 2);
    for (size_t i = 0; i < 4; i++) {
        struct json_object            *one   = json_object_array_get_idx(cases, i / 2);
        struct json_object            *layer = member_of(one, "descriptor");
        AUTO(manifest) struct manifest m     = { 0 };
        AUTO(broker) struct broker     b     = { .n_asked = 0 };
        AUTO(buffer) struct buffer     sealed = { 0 }, plain = { 0 }, path = { 0 }, json = { 0 }, annotation = { 0 };

        if (i % 2 == 1) {
            json_write(member_of(one, "packet_ctr"), &json);
            base64_append(&annotation, buffer_bytes(&json), BASE64_STANDARD);
            json_add_text(member_of(layer, "annotations"), ENC_KEYS_ANNOTATION, buffer_text(&annotation));
        }
        manifest_with(layer, &m);
        key_from_hex(&b, member_text(one, "kek_hex"));
        buffer_printf(&path, "ocicrypt/%s", member_text(one, "enc_file"));
        vector_read(buffer_text(&path), &sealed);
        path.len = 0;
        buffer_printf(&path, "ocicrypt/%s", member_text(one, "plain_file"));
        vector_read(buffer_text(&path), &plain);
        assert_opens(&m.layers[0], &b, buffer_bytes(&sealed), buffer_bytes(&plain));
        assert_string_equal(b.asked, "kbs:///default/test-key/1");
    }
}

static void opens_what_ocicrypt_in_go_encrypted(void **state)
{
    AUTO(json) struct json_object *layer = vector_json("ocicrypt/go-gcm.json");
    AUTO(manifest) struct manifest m     = { 0 };
    AUTO(broker) struct broker     b     = { .n_asked = 0 };
    AUTO(buffer) struct buffer     sealed = { 0 }, plain = { 0 };
    struct err                     err;

    (void) state;
    manifest_with(layer, &m);
    assert_true(secret_copy(bytes_of_text("0123456789abcdef0123456789abcdef"), &b.key, &err));
    vector_read("ocicrypt/go-gcm.enc", &sealed);
    vector_read("ocicrypt/layer-tar-gzip.plain", &plain);
    assert_opens(&m.layers[0], &b, buffer_bytes(&sealed), buffer_bytes(&plain));
    assert_string_equal(b.asked, "kbs:///default/image/k1");
}

/* The first published layer, with annotations to be changed. */
static struct json_object *layer_vector(struct json_object *cases)
{
    return member_of(json_object_array_get_idx(cases, 0), "descriptor");
}

static void takes_the_first_packet_of_a_list_that_opens(void **state)
{
    AUTO(json) struct json_object *cases = vector_json("ocicrypt/encrypted-layers.json");
    struct json_object            *annotations = member_of(layer_vector(cases), "annotations");
    AUTO(buffer) struct buffer     list = { 0 };
    AUTO(manifest) struct manifest m    = { 0 };
    AUTO(broker) struct broker     b    = { .n_asked = 0 };
    AUTO(layer_key) struct layer_key key = { .public = { { 0 } } };
    struct err                     err;

    (void) state;
    buffer_printf(&list, "e30=,%s", member_text(annotations, ENC_KEYS_ANNOTATION)); /* "{}" is no packet */
    json_add_text(annotations, ENC_KEYS_ANNOTATION, buffer_text(&list));
    manifest_with(layer_vector(cases), &m);
    key_from_hex(&b, "d99b7705b0ba7a168295b3a3367270b0dd9b371bf514ca8b9ba7f0a33711daea");
    if (!layer_key_open(&m.layers[0], give_key, &b, &key, &err))
        fail_msg("%s", err.text);
}

static void assert_refused(const char *name, const char *value, const char *kek, enum err_kind kind, const char *why)
{
    AUTO(json) struct json_object   *cases = vector_json("ocicrypt/encrypted-layers.json");
    struct json_object              *annotations = member_of(layer_vector(cases), "annotations");
    AUTO(manifest) struct manifest   m   = { 0 };
    AUTO(broker) struct broker       b   = { .n_asked = 0 };
    AUTO(layer_key) struct layer_key key = { .public = { { 0 } } };
    struct err                       err;

    if (value)
        json_add_text(annotations, name, value);
    else if (name)
        json_object_object_del(annotations, name);
    manifest_with(layer_vector(cases), &m);
    if (kek)
        key_from_hex(&b, kek);
    assert_false(layer_key_open(&m.layers[0], give_key, &b, &key, &err));
    if (err.kind != kind || !strstr(err.text, why))
        fail_msg("%s", err.text);
    assert_null(key.private.key.held);
}

static void refuses_layers_by_their_one_defect(void **state)
{
    static const char KEK[]   = "d99b7705b0ba7a168295b3a3367270b0dd9b371bf514ca8b9ba7f0a33711daea";
    static const char WRONG[] = "d99b7705b0ba7a168295b3a3367270b0dd9b371bf514ca8b9ba7f0a33711daeb";
    AUTO(buffer) struct buffer big = { 0 }, many = { 0 };

    (void) state;
    memset(buffer_grow(&big, ENC_ANNOTATION_MAX + 1), 'A', ENC_ANNOTATION_MAX + 1);
    for (int i = 0; i < ENC_RECIPIENTS_MAX; i++)
        buffer_append_text(&many, "e30=,");
    buffer_append_text(&many, "e30=");
    assert_refused(NULL, NULL, WRONG, ERR_UNTRUSTED, "wrong key, or a changed annotation");
    assert_refused(NULL, NULL, NULL, ERR_DENIED, "the broker says no");
    assert_refused(ENC_KEYS_ANNOTATION, NULL, KEK, ERR_UNSUPPORTED, "found: no recipient");
    assert_refused(ENC_PUBOPTS_ANNOTATION, NULL, KEK, ERR_MALFORMED, "no HMAC");
    assert_refused(ENC_PUBOPTS_ANNOTATION, "e30=", KEK, ERR_MALFORMED, "\"cipher\" is missing");
    assert_refused(ENC_PUBOPTS_ANNOTATION, "e30", KEK, ERR_MALFORMED, "public options");
    assert_refused(ENC_KEYS_ANNOTATION, "", KEK, ERR_MALFORMED, "annotation packet");
    assert_refused(ENC_KEYS_ANNOTATION, "e30=,", KEK, ERR_MALFORMED, "annotation packet");
    assert_refused(ENC_KEYS_ANNOTATION, buffer_text(&big), KEK, ERR_LIMIT, "at most 65536");
    assert_refused(ENC_KEYS_ANNOTATION, buffer_text(&many), KEK, ERR_LIMIT, "first 16 annotation packets");
}

static void names_the_recipients_that_there_are_instead(void **state)
{
    AUTO(json) struct json_object   *layer = vector_json("ocicrypt/skopeo-jwe.json");
    AUTO(manifest) struct manifest   m     = { 0 };
    AUTO(broker) struct broker       b     = { .n_asked = 0 };
    AUTO(layer_key) struct layer_key key   = { .public = { { 0 } } };
    struct err                       err;

    (void) state;
    manifest_with(layer, &m);
    assert_false(layer_key_open(&m.layers[0], give_key, &b, &key, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "encrypted, but not for provider.attestation-agent (found: jwe)");
    assert_int_equal(b.n_asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_the_published_layers_with_either_wrapping),
        cmocka_unit_test(opens_what_ocicrypt_in_go_encrypted),
        cmocka_unit_test(takes_the_first_packet_of_a_list_that_opens),
        cmocka_unit_test(refuses_layers_by_their_one_defect),
        cmocka_unit_test(names_the_recipients_that_there_are_instead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
