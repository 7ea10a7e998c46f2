#include "tests/harness/test.h"

#include "runtime/oci/remote_digest.h"

#define HEX  "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
#define HEX2 "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"

static const char manifest[] = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
    "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:" HEX "\",\"size\":2},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:" HEX "\",\"size\":3}]}";

static void assert_read(const char *text, const char *wanted)
{
    char       digest[LAYOUT_DIGEST_LEN];
    struct err err;

    if (!remote_digest_read(bytes_of_text(text), digest, &err))
        fail_msg("%s", err.text);
    assert_string_equal(digest, wanted);
}

static void a_manifest_is_its_own_digest(void **state)
{
    (void) state;
    assert_read(manifest, "sha256:36f2746021ac44b686b75b91d4cc40a5399db771564224611eabe1b9562d4ab0");
}

static void an_index_names_the_platforms(void **state)
{
    (void) state;
    assert_read("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":["
                "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:" HEX2 "\",\"size\":9,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}},"
                "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:" HEX "\",\"size\":9,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
                "sha256:" HEX);
}

static void what_is_neither_is_refused(void **state)
{
    static const char *const bad[] = { "", "[]", "{}", "{\"schemaVersion\":1}", "not found",
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}" };
    char                     digest[LAYOUT_DIGEST_LEN] = "untouched";
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(remote_digest_read(bytes_of_text(bad[i]), digest, &err));
        assert_string_equal(digest, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_is_its_own_digest),
        cmocka_unit_test(an_index_names_the_platforms),
        cmocka_unit_test(what_is_neither_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
