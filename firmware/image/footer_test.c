#include "firmware/image/footer.h"
#include "tests/harness/test.h"

/* One entry of 4 bytes under the SEV metadata GUID, the footer's entry, the gap. */
static size_t good_image(uint8_t image[static 128])
{
    struct writer w = writer_over(image, 128);

    put_zeros(&w, 26);
    put_u32le(&w, 72); /* the start of this image */
    put_u16le(&w, 22);
    put(&w, (struct bytes){ GUID_SEV_METADATA, GUID_LEN });
    put_u16le(&w, 22 + 18);
    put(&w, (struct bytes){ GUID_FOOTER, GUID_LEN });
    put_zeros(&w, FOOTER_GAP);
    assert_false(w.failed);
    return w.len;
}

static void follows_an_entry_to_its_place(void **state)
{
    uint8_t       image[128];
    struct bytes  whole = { image, good_image(image) };
    struct footer footer;
    struct bytes  part    = { 0 };
    bool          present = false;
    struct err    err;

    (void) state;
    assert_true(footer_read(whole, &footer, &err));
    assert_int_equal(footer.n, 1);
    assert_true(footer_follow(&footer, GUID_SEV_METADATA, whole, &present, &part, &err));
    assert_true(present);
    assert_int_equal(part.len, 72);
    assert_true(footer_follow(&footer, GUID_TDX_METADATA, whole, &present, &part, &err));
    assert_false(present);
}

static void rejects_a_place_outside_the_image(void **state)
{
    static const uint32_t outside[] = { 0, 121, 0xffffffff };
    uint8_t               image[128];
    struct bytes          whole = { image, good_image(image) };
    struct footer         footer;
    struct bytes          part;
    bool                  present;
    struct err            err;

    (void) state;
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        memcpy(image + 26, &outside[i], 4);
        assert_true(footer_read(whole, &footer, &err));
        assert_false(footer_follow(&footer, GUID_SEV_METADATA, whole, &present, &part, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void rejects_every_shorter_image_and_leaves_out_alone(void **state)
{
    uint8_t       image[128];
    size_t        whole  = good_image(image);
    struct footer footer = { .n = 77 };
    struct err    err;

    (void) state;
    for (size_t cut = whole - 22 - 18 - FOOTER_GAP + 1; cut <= whole; cut++) { /* the table loses its start */
        AUTO(heap) uint8_t *exact = exact_copy(image + cut, whole - cut);

        assert_false(footer_read((struct bytes){ exact, whole - cut }, &footer, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(footer.n, 77);
    }
}

static void rejects_an_entry_that_occurs_twice(void **state)
{
    uint8_t       image[128 + 22] = { 0 };
    uint8_t       one[128];
    size_t        len = good_image(one);
    struct footer footer;
    struct err    err;

    (void) state;
    memcpy(image + 22, one, len);
    memcpy(image + 26, image + 22 + 26, 22); /* a second copy before the first */
    image[22 + 26 + 22] = 22 + 22 + 18;
    assert_false(footer_read((struct bytes){ image, len + 22 }, &footer, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_string_equal(err.text, "firmware image: GUID table: an entry occurs twice");
}

static void names_what_is_wrong_with_lengths(void **state)
{
    static const struct { size_t at; uint8_t value; const char *text; } cases[] = {
        { 48, 17, "firmware image: a table of 17 bytes in an image of 98" },
        { 48, 200, "firmware image: a table of 200 bytes in an image of 98" },
        { 30, 17, "firmware image: GUID table: an entry of 17 bytes in 22" },
        { 30, 23, "firmware image: GUID table: an entry of 23 bytes in 22" },
        { 30, 0, "firmware image: GUID table: an entry of 0 bytes in 22" },
        { 30, 21, "firmware image: GUID table: 1 stray bytes at the start of the table" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t       image[128];
        size_t        len = good_image(image);
        struct footer footer;
        struct err    err;

        image[cases[i].at] = cases[i].value;
        assert_false(footer_read((struct bytes){ image, len }, &footer, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void tells_an_image_without_a_table_from_a_broken_one(void **state)
{
    uint8_t       image[128];
    size_t        len = good_image(image);
    struct footer footer;
    struct err    err;

    (void) state;
    image[50] ^= 1;
    assert_false(footer_read((struct bytes){ image, len }, &footer, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "firmware image: no GUID table at the end of the image");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_an_entry_to_its_place),
        cmocka_unit_test(rejects_a_place_outside_the_image),
        cmocka_unit_test(rejects_every_shorter_image_and_leaves_out_alone),
        cmocka_unit_test(rejects_an_entry_that_occurs_twice),
        cmocka_unit_test(names_what_is_wrong_with_lengths),
        cmocka_unit_test(tells_an_image_without_a_table_from_a_broken_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
