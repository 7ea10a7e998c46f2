#include "tests/harness/test.h"

#include <stdio.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/ocicrypt/digest.h"
#include "runtime/shim/image_blobs.h"

#define CONFIG  "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define LAYER   "sha256:11112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define FOREIGN "sha256:22112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char manifest_text[] =
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
    "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" CONFIG "\",\"size\":1},\"layers\":[{\"mediaType\":"
    "\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" LAYER "\",\"size\":1}]}";

/* A store with one blob, `text`. Gives its digest. */
static struct digest_text make_store(char **folder, const char *text)
{
    AUTO(text) char   *path = NULL;
    struct digest      digest;
    struct digest_text name;
    struct err         err;

    digest_of(bytes_of_text(text), DIGEST_SHA256, &digest);
    name = digest_text(&digest);
    assert_true(directory_make_temporary("store", folder, &err));
    assert_true(asprintf(&path, "%s/blobs/sha256", *folder) > 0);
    assert_true(directory_make(path, &err));
    free(path);
    assert_true(asprintf(&path, "%s/blobs/sha256/%s", *folder, digest_hex(&name)) > 0);
    assert_true(file_write(path, bytes_of_text(text), 0600, &err));
    return name;
}

static void a_manifest_opens_what_it_names_and_no_more(void **state)
{
    AUTO(image_blobs) struct image_blobs blobs  = { 0 };
    AUTO(text) char                     *folder = NULL;
    struct digest_text                   name   = make_store(&folder, manifest_text);
    struct err                           err;

    (void) state;
    assert_false(image_blobs_hold(&blobs, name.at));
    if (!image_blobs_add(&blobs, (const char *const[IMAGE_STORES]){ "/nonexistent", folder }, name.at, &err))
        fail_msg("%s", err.text);
    assert_true(image_blobs_hold(&blobs, name.at));
    assert_true(image_blobs_hold(&blobs, CONFIG));
    assert_true(image_blobs_hold(&blobs, LAYER));
    assert_false(image_blobs_hold(&blobs, FOREIGN));
    assert_int_equal(blobs.n, 3);
    assert_true(image_blobs_add(&blobs, (const char *const[IMAGE_STORES]){ folder, NULL }, name.at, &err));
    assert_int_equal(blobs.n, 3);
    assert_true(directory_remove(folder, &err));
}

static void one_that_is_elsewhere_is_alone(void **state)
{
    AUTO(image_blobs) struct image_blobs blobs = { 0 };
    struct err                           err;

    (void) state;
    assert_true(image_blobs_add(&blobs, (const char *const[IMAGE_STORES]){ NULL, "/nonexistent" }, FOREIGN, &err));
    assert_int_equal(blobs.n, 1);
}

static void what_is_no_manifest_is_refused(void **state)
{
    AUTO(image_blobs) struct image_blobs blobs  = { 0 };
    AUTO(text) char                     *folder = NULL;
    struct digest_text                   name   = make_store(&folder, "{}");
    struct err                           err;

    (void) state;
    assert_false(image_blobs_add(&blobs, (const char *const[IMAGE_STORES]){ folder, NULL }, name.at, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_opens_what_it_names_and_no_more),
        cmocka_unit_test(one_that_is_elsewhere_is_alone),
        cmocka_unit_test(what_is_no_manifest_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
