#include "tests/harness/test.h"

#include "base/file.h"
#include "runtime/shim/image_note.h"

#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char text[] = "{\"digest\":\"" DIGEST "\",\"blobs\":\"/var/lib/b\",\"why\":\"\"}";

static void comes_back_from_a_bundle(void **state)
{
    AUTO(text) char  *bundle = NULL;
    struct image_note note   = { .digest = DIGEST, .blobs = "/var/lib/b" }, read = { 0 };
    struct err        err;

    (void) state;
    assert_true(directory_make_temporary("bundle", &bundle, &err));
    assert_true(image_note_load(bundle, &read, &err)); /* none yet */
    assert_string_equal(read.digest, "");
    assert_true(image_note_save(bundle, &note, &err));
    assert_true(image_note_load(bundle, &read, &err));
    assert_string_equal(read.digest, DIGEST);
    assert_string_equal(read.blobs, "/var/lib/b");
    assert_true(directory_remove(bundle, &err));
}

static void every_truncation_is_refused(void **state)
{
    (void) state;
    for (size_t len = 0; len + 1 < sizeof text; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(text, len);
        struct image_note   note  = { .why = "untouched" };
        struct err          err;

        assert_false(image_note_read((struct bytes){ exact, len }, &note, &err));
        assert_string_equal(note.why, "untouched");
    }
}

static void refuses_what_is_no_digest_and_no_path(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } rows[] = {
        { "{\"digest\":\"sha256:00\",\"blobs\":\"\",\"why\":\"\"}", ERR_MALFORMED, "image note: digest" },
        { "{\"digest\":\"\",\"blobs\":\"b\",\"why\":\"\"}", ERR_MALFORMED, "image note: blobs" },
        { "{\"digest\":\"" DIGEST "0\",\"blobs\":\"\",\"why\":\"\"}", ERR_LIMIT, "image note: digest: over 71 bytes" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image_note note;
        struct err        err;

        assert_false(image_note_read(bytes_of_text(rows[i].text), &note, &err));
        assert_int_equal(err.kind, rows[i].kind);
        assert_string_equal(err.text, rows[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_from_a_bundle),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(refuses_what_is_no_digest_and_no_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
