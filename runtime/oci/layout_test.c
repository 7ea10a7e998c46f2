#include "base/file.h"
#include "runtime/oci/layout.h"
#include "tests/harness/test.h"

static char *dir;

static void put_file(const char *name, const char *text)
{
    AUTO(text) char *path = NULL;
    struct err       err;

    assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
    assert_true(file_write(path, bytes_of_text(text), 0644, &err));
}

static struct digest_text put_blob(const char *text)
{
    AUTO(text) char   *path = NULL;
    struct digest      digest;
    struct digest_text name;

    digest_of(bytes_of_text(text), DIGEST_SHA256, &digest);
    name = digest_text(&digest);
    assert_true(asprintf(&path, "blobs/sha256/%s", digest_hex(&name)) > 0);
    put_file(path, text);
    return name;
}

#define ENTRY "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}}"
static const char manifest[] = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:"
    "0000000000000000000000000000000000000000000000000000000000000000\",\"size\":2},\"layers\":[]}";

static const char other_manifest[] = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"}";

/* The second names `second`. */
static void put_index_of(const char *tag1, const char *tag2, const char *second)
{
    AUTO(buffer) struct buffer index = { 0 };
    struct digest_text         name  = put_blob(manifest), other = put_blob(second);

    buffer_append_text(&index, "{\"schemaVersion\":2,\"manifests\":[");
    buffer_printf(&index, ENTRY, name.at, sizeof manifest - 1, tag1);
    if (tag2) {
        buffer_append_text(&index, ",");
        buffer_printf(&index, ENTRY, other.at, strlen(second), tag2);
    }
    buffer_append_text(&index, "]}");
    put_file("index.json", buffer_text(&index));
}

static void put_index(const char *tag1, const char *tag2)
{
    put_index_of(tag1, tag2, manifest);
}

static bool find(const char *tag, char *digest, struct err *err)
{
    AUTO(text) char        *text = NULL;
    struct layout_reference reference;

    assert_true(asprintf(&text, "oci:%s%s", dir, tag) > 0);
    return layout_reference_read(text, &reference, err) && layout_find_manifest(&reference, digest, err);
}

static void finds_by_tag_and_the_only_one_without(void **state)
{
    char              digest[LAYOUT_DIGEST_LEN];
    struct digest_text wanted = put_blob(manifest);
    struct err        err;

    (void) state;
    put_index("v1", NULL);
    assert_true(find("", digest, &err));
    assert_string_equal(digest, wanted.at);
    assert_true(find(":v1", digest, &err));
    assert_false(find(":v2", digest, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "has no tag \"v2\"; it has: v1"));
    put_index("v1", "v2");
    assert_true(find(":v2", digest, &err));
    assert_true(find("", digest, &err)); /* one image with two names */
    put_index("registry.example/web:v3", "v2");
    assert_true(find(":registry.example/web:v3", digest, &err));
    assert_false(find(":web:v3", digest, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    put_index_of("v1", "v2", other_manifest);
    assert_false(find("", digest, &err));
    assert_non_null(strstr(err.text, "has 2 images; name one"));
}

static void a_blob_with_another_content_is_refused(void **state)
{
    AUTO(buffer) struct buffer out = { 0 };
    struct err                 err;

    (void) state;
    put_file("blobs/sha256/1111111111111111111111111111111111111111111111111111111111111111", "x");
    assert_false(layout_read_blob(dir, "sha256:1111111111111111111111111111111111111111111111111111111111111111", 10, &out, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_false(layout_read_blob(dir, "sha256:../../../etc/passwd", 10, &out, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static void references_have_one_form(void **state)
{
    static const char *const bad[] = { "", "oci:", "docker.io/x", "oci::tag", "oci:dir:", "oci:dir:a b", "docker://x" };
    struct layout_reference  r;
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(layout_reference_read(bad[i], &r, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
    }
    assert_true(layout_reference_read("oci:/a/b:registry.example:5000/c/d:t-1", &r, &err)); /* the first colon splits, as skopeo's does */
    assert_string_equal(r.directory, "/a/b");
    assert_string_equal(r.tag, "registry.example:5000/c/d:t-1");
    assert_true(layout_reference_read("oci:rel", &r, &err));
    assert_string_equal(r.tag, "");
}

static int make(void **state)
{
    AUTO(text) char *blobs = NULL;
    struct err       err;

    (void) state;
    if (!directory_make_temporary("layout-test-", &dir, &err) || asprintf(&blobs, "%s/blobs/sha256", dir) < 0)
        return -1;
    return directory_make(blobs, &err) ? 0 : -1;
}

static int drop(void **state)
{
    struct err err;
    bool       gone = directory_remove(dir, &err);

    (void) state;
    free(dir);
    return gone ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_tag_and_the_only_one_without),
        cmocka_unit_test(a_blob_with_another_content_is_refused),
        cmocka_unit_test(references_have_one_form),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
