#include "tests/harness/test.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/oci/image_crypt.h"
#include "runtime/oci/layout_writer.h"

enum { LAYER_LEN = 300000 };

/* Two layouts in one folder, and a key. */
struct rig {
    char                   *folder;
    struct layout_reference plain, sealed, opened;
    struct secret           kek;
    char                    manifest[LAYOUT_DIGEST_LEN];
};

static void reference(const char *folder, const char *name, struct layout_reference *out)
{
    char       text[4096];
    struct err err;

    (void) snprintf(text, sizeof text, "oci:%s/%s:v1", folder, name); /* fits */
    assert_true(layout_reference_read(text, out, &err));
}

static int rig_open(void **state)
{
    struct rig       *r    = calloc(1, sizeof *r);
    AUTO(buffer) struct buffer layer = { 0 }, text = { 0 };
    struct descriptor made = { 0 }, config = { 0 };
    struct err        err;

    assert_non_null(r);
    assert_true(directory_make_temporary("crypt-", &r->folder, &err) && secret_random(32, &r->kek, &err));
    reference(r->folder, "plain", &r->plain);
    reference(r->folder, "sealed", &r->sealed);
    reference(r->folder, "opened", &r->opened);
    assert_true(layout_make(r->plain.directory, &err));
    memset(buffer_grow(&layer, LAYER_LEN), 'p', LAYER_LEN);
    assert_true(layout_put_blob(r->plain.directory, buffer_bytes(&layer), &made, &err) &&
                layout_put_blob(r->plain.directory, bytes_of_text("{}"), &config, &err));
    buffer_printf(&text, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":"
                  "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":2},\"layers\":["
                  "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%d,\"annotations\":{\"kept\":\"yes\"}}]}",
                  digest_text(&config.digest).at, digest_text(&made.digest).at, LAYER_LEN);
    made.media_type = "application/vnd.oci.image.manifest.v1+json";
    assert_true(layout_put_blob(r->plain.directory, buffer_bytes(&text), &made, &err) &&
                layout_name_manifest(r->plain.directory, &made, "v1", &err) &&
                layout_find_manifest(&r->plain, r->manifest, &err));
    *state = r;
    return 0;
}

static int rig_close(void **state)
{
    struct rig *r = *state;
    struct err  err;

    assert_true(directory_remove(r->folder, &err));
    secret_free(&r->kek);
    free(r->folder);
    free(r);
    return 0;
}

static void gives_back_the_very_manifest_that_was_encrypted(void **state)
{
    struct rig                *r    = *state;
    struct image_crypt         seal = { .from = &r->plain, .to = &r->sealed, .kid = "kbs:///a/b/c", .kek = &r->kek };
    struct image_crypt         open = { .from = &r->sealed, .to = &r->opened, .kek = &r->kek };
    struct image_crypt_outcome sealed, opened;
    struct err                 err;

    if (!image_encrypt(&seal, &sealed, &err) || !image_decrypt(&open, &opened, &err))
        fail_msg("%s", err.text);
    assert_string_not_equal(sealed.manifest.at, r->manifest);
    assert_string_equal(opened.manifest.at, r->manifest);
    assert_int_equal(sealed.n_layers, 1);
    assert_int_equal(sealed.bytes, LAYER_LEN);
}

static void opens_for_a_public_key_and_adopts_by_it(void **state)
{
    struct rig                *r   = *state;
    AUTO(pkey) EVP_PKEY       *key = EVP_EC_gen("P-256");
    struct image_crypt         seal  = { .from = &r->plain, .to = &r->sealed, .kid = "kbs:///a/b/c", .kek = &r->kek, .recipient = key };
    struct layout_reference    third = { "", "" };
    struct image_crypt         adopt = { .from = &r->sealed, .to = &third, .kid = "kbs:///d/e/f", .kek = &r->kek, .opener = key };
    struct image_crypt         open  = { .from = &third, .to = &r->opened, .kek = &r->kek };
    struct image_crypt_outcome outcome;
    struct err                 err;

    reference(r->folder, "third", &third);
    if (!image_encrypt(&seal, &outcome, &err) || !image_encrypt(&adopt, &outcome, &err) || !image_decrypt(&open, &outcome, &err))
        fail_msg("%s", err.text);
    assert_string_equal(outcome.manifest.at, r->manifest);
}

static void assert_refuses(bool (*run)(const struct image_crypt *, struct image_crypt_outcome *, struct err *),
                           const struct image_crypt *job, enum err_kind kind, const char *why)
{
    struct image_crypt_outcome outcome;
    struct layout_reference    to = *job->to;
    char                       digest[LAYOUT_DIGEST_LEN];
    struct err                 err, unnamed;

    assert_false(run(job, &outcome, &err));
    if (err.kind != kind || !strstr(err.text, why))
        fail_msg("%s", err.text);
    (void) snprintf(to.tag, sizeof to.tag, "%s", "new"); /* fits */
    assert_false(layout_find_manifest(&to, digest, &unnamed));
}

static void refuses_what_it_should_and_names_no_image(void **state)
{
    struct rig                *r = *state;
    AUTO(secret) struct secret other = { 0 };
    struct layout_reference    new = r->opened, beside = r->plain;
    struct image_crypt         seal = { .from = &r->plain, .to = &r->sealed, .kid = "kbs:///a/b/c", .kek = &r->kek };
    struct image_crypt_outcome outcome;
    struct err                 err;

    (void) snprintf(new.tag, sizeof new.tag, "%s", "new"); /* both fit */
    (void) snprintf(beside.tag, sizeof beside.tag, "%s", "new");
    assert_true(secret_random(32, &other, &err) && image_encrypt(&seal, &outcome, &err));
    assert_refuses(image_encrypt, &(struct image_crypt){ .from = &r->sealed, .to = &new, .kid = "kbs:///a/b/c", .kek = &r->kek },
                   ERR_CONFIG, "layer 1 of 1: encrypted already");
    assert_refuses(image_decrypt, &(struct image_crypt){ .from = &r->plain, .to = &new, .kek = &r->kek }, ERR_CONFIG, "not encrypted");
    assert_refuses(image_decrypt, &(struct image_crypt){ .from = &r->sealed, .to = &new, .kek = &other }, ERR_UNTRUSTED, "wrong key");
    assert_int_not_equal(access(new.directory, F_OK), 0); /* a folder made in vain is gone again */
    assert_refuses(image_encrypt, &(struct image_crypt){ .from = &r->plain, .to = &beside, .kid = "kbs:///a/b/c", .kek = &r->kek },
                   ERR_CONFIG, "another folder");
}

static void refuses_a_blob_that_was_changed_on_disk(void **state)
{
    struct rig        *r    = *state;
    struct image_crypt seal = { .from = &r->plain, .to = &r->sealed, .kid = "kbs:///a/b/c", .kek = &r->kek };
    AUTO(buffer) struct buffer layer = { 0 };
    struct digest      digest;
    char               path[8192];
    struct err         err;

    memset(buffer_grow(&layer, LAYER_LEN), 'p', LAYER_LEN);
    digest_of(buffer_bytes(&layer), DIGEST_SHA256, &digest);
    struct digest_text text = digest_text(&digest);

    layer.at[5] ^= 1;
    (void) snprintf(path, sizeof path, "%s/blobs/sha256/%s", r->plain.directory, digest_hex(&text)); /* fits */
    assert_true(file_write(path, buffer_bytes(&layer), 0644, &err));
    (void) snprintf(r->sealed.tag, sizeof r->sealed.tag, "%s", "new"); /* fits */
    assert_refuses(image_encrypt, &seal, ERR_UNTRUSTED, "layer 1 of 1: its bytes are not what its digest says");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_back_the_very_manifest_that_was_encrypted, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(opens_for_a_public_key_and_adopts_by_it, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(refuses_what_it_should_and_names_no_image, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(refuses_a_blob_that_was_changed_on_disk, rig_open, rig_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
