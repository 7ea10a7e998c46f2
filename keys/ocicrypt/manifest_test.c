#include "tests/harness/test.h"
#include "keys/ocicrypt/manifest.h"

#define DIGEST "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define CONFIG "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" DIGEST "\",\"size\":7}"
#define LAYER  "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"" DIGEST "\",\"size\":9," \
               "\"annotations\":{\"a\":\"b\"}}"
#define TYPE   "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\""
#define GOOD   "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[" LAYER "]}"
#define VARIANT(arch, variant) "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" DIGEST "\",\"size\":9," \
                    "\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\"" variant "}}"
#define ENTRY(arch)   VARIANT(arch, "")

static bool read_manifest(const char *text, struct manifest *out, struct err *err)
{
    AUTO(heap) uint8_t *exact    = exact_copy(text, strlen(text));
    struct json_object *document = NULL;

    return oci_document_read((struct bytes){ exact, strlen(text) }, &document, err) &&
           manifest_read_take(document, out, err);
}

static bool read_index(const char *text, struct image_index *out, struct err *err)
{
    struct json_object *document = NULL;

    return oci_document_read(bytes_of_text(text), &document, err) && image_index_read_take(document, out, err);
}

static void reads_config_and_layers(void **state)
{
    AUTO(manifest) struct manifest m = { 0 };
    struct err                     err;

    (void) state;
    if (!read_manifest(GOOD, &m, &err))
        fail_msg("%s", err.text);
    assert_int_equal(m.config.size, 7);
    assert_int_equal(m.n_layers, 1);
    assert_int_equal(m.layers[0].size, 9);
    assert_string_equal(digest_text(&m.layers[0].digest).at, DIGEST);
    assert_string_equal(descriptor_annotation(&m.layers[0], "a"), "b");
    assert_null(descriptor_annotation(&m.layers[0], "c"));
    assert_null(descriptor_annotation(&m.config, "a"));
}

static void refuses_manifests_by_their_one_defect(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } CASES[] = {
        { "[]", ERR_MALFORMED, "a JSON object is wanted" },
        { "{\"schemaVersion\":2,\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[" LAYER "]}", ERR_MALFORMED, "twice" },
        { GOOD "{}", ERR_MALFORMED, "unexpected" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[" LAYER "],\"manifests\":[]}", ERR_MALFORMED, "both a manifest and an index" },
        { "{\"schemaVersion\":2}", ERR_MALFORMED, "neither a manifest nor an index" },
        { "{\"schemaVersion\":1,\"fsLayers\":[]}", ERR_UNSUPPORTED, "Docker schema 1" },
        { "{\"schemaVersion\":3," TYPE ",\"config\":" CONFIG ",\"layers\":[" LAYER "]}", ERR_UNSUPPORTED, "schema version 3" },
        { "{\"schemaVersion\":2,\"mediaType\":\"x/y\",\"config\":" CONFIG ",\"layers\":[" LAYER "]}", ERR_UNSUPPORTED, "\"x/y\"" },
        { "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"config\":" CONFIG ",\"layers\":[" LAYER "]}", ERR_MALFORMED, "not those of its media type" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" LAYER ",\"layers\":[" LAYER "]}", ERR_UNSUPPORTED, "config of media type" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[]}", ERR_MALFORMED, "0 layers" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[1]}", ERR_MALFORMED, "layer 1" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":{}}", ERR_MALFORMED, "\"layers\": array wanted" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"a\",\"digest\":\"" DIGEST "\",\"size\":-1}]}", ERR_MALFORMED, "size" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"a\",\"digest\":\"" DIGEST "\",\"size\":1.5}]}", ERR_MALFORMED, "size" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"a\",\"digest\":\"" DIGEST "\",\"size\":\"1\"}]}", ERR_MALFORMED, "size" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"a\",\"digest\":\"" DIGEST "\",\"size\":9223372036854775807}]}", ERR_MALFORMED, "size" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"a\",\"digest\":\"../x\",\"size\":1}]}", ERR_MALFORMED, "digest" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"a\",\"size\":1}]}", ERR_MALFORMED, "\"digest\" is missing" },
        { "{\"schemaVersion\":2," TYPE ",\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"a\",\"digest\":\"" DIGEST "\",\"size\":1,\"annotations\":{\"a\":1}}]}", ERR_MALFORMED, "a text is wanted" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(manifest) struct manifest m = { 0 };
        struct err                     err;

        assert_false(read_manifest(CASES[i].text, &m, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
        assert_null(m.document);
    }
}

static void refuses_every_truncation(void **state)
{
    (void) state;
    for (size_t len = 0; len < strlen(GOOD); len++) {
        AUTO(heap) uint8_t *exact    = exact_copy(GOOD, len);
        struct json_object *document = NULL;
        struct err          err;

        assert_false(oci_document_read((struct bytes){ exact, len }, &document, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void refuses_more_layers_than_the_limit(void **state)
{
    AUTO(buffer) struct buffer     text = { 0 };
    AUTO(manifest) struct manifest m    = { 0 };
    struct err                     err;

    (void) state;
    buffer_append_text(&text, "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" LAYER);
    for (int i = 0; i < OCI_LAYERS_MAX; i++)
        buffer_append_text(&text, "," LAYER);
    buffer_append_text(&text, "]}");
    assert_false(read_manifest(buffer_text(&text), &m, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "manifest: 257 layers; 1 to 256 are allowed");
}

static void chooses_the_one_manifest_of_a_platform(void **state)
{
    AUTO(image_index) struct image_index index = { 0 }, twice = { 0 };
    const struct descriptor             *found = NULL;
    struct err                           err;

    (void) state;
    assert_true(read_index("{\"schemaVersion\":2,\"manifests\":[" ENTRY("arm64") "," ENTRY("amd64") "]}", &index, &err));
    assert_true(image_index_choose(&index, "linux", "amd64", &found, &err));
    assert_ptr_equal(found, &index.entries[1].descriptor);
    assert_false(image_index_choose(&index, "linux", "riscv64", &found, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_true(read_index("{\"schemaVersion\":2,\"manifests\":[" ENTRY("amd64") "," ENTRY("amd64") "]}", &twice, &err));
    assert_false(image_index_choose(&twice, "linux", "amd64", &found, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_string_equal(err.text, "index: two manifests for linux/amd64");
}

static void prefers_the_baseline_of_an_architecture(void **state)
{
    static const struct { const char *text; size_t chosen; } CASES[] = {
        { "{\"schemaVersion\":2,\"manifests\":[" VARIANT("amd64", ",\"variant\":\"v2\"") "," VARIANT("amd64", ",\"variant\":\"v3\"") "," ENTRY("amd64") "]}", 2 },
        { "{\"schemaVersion\":2,\"manifests\":[" VARIANT("amd64", ",\"variant\":\"v1\"") "," VARIANT("amd64", ",\"variant\":\"v2\"") "]}", 0 },
        { "{\"schemaVersion\":2,\"manifests\":[" VARIANT("amd64", ",\"variant\":\"v3\"") "]}", 0 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(image_index) struct image_index index = { 0 };
        const struct descriptor             *found = NULL;
        struct err                           err;

        assert_true(read_index(CASES[i].text, &index, &err));
        if (!image_index_choose(&index, "linux", "amd64", &found, &err))
            fail_msg("%s", err.text);
        assert_ptr_equal(found, &index.entries[CASES[i].chosen].descriptor);
    }
}

static void refuses_an_index_inside_an_index(void **state)
{
    AUTO(image_index) struct image_index index = { 0 };
    const struct descriptor             *found = NULL;
    struct err                           err;

    (void) state;
    assert_true(read_index("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
                           "\"digest\":\"" DIGEST "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
                           &index, &err));
    assert_false(image_index_choose(&index, "linux", "amd64", &found, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_config_and_layers),
        cmocka_unit_test(refuses_manifests_by_their_one_defect),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_more_layers_than_the_limit),
        cmocka_unit_test(chooses_the_one_manifest_of_a_platform),
        cmocka_unit_test(prefers_the_baseline_of_an_architecture),
        cmocka_unit_test(refuses_an_index_inside_an_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
