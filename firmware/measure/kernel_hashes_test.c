#include "firmware/measure/kernel_hashes.h"

#include "base/ossl.h"
#include "base/text.h"
#include "firmware/image/footer.h"
#include "tests/harness/test.h"

static void page_is(const char *append, const char *sha384)
{
    struct kernel_hashes       hashes;
    uint8_t                    page[LAUNCH_PAGE_LEN], digest[SHA384_LEN];
    AUTO(buffer) struct buffer hex = { 0 };

    kernel_hashes_of((struct bytes){ 0 }, (struct bytes){ 0 }, append, &hashes);
    assert_true(kernel_hashes_page(&hashes, 0xc00, page));
    sha384_of(BYTES_OF(page), digest);
    hex_append(&hex, BYTES_OF(digest));
    assert_string_equal(buffer_text(&hex), sha384);
}

/* vectors: hashes-null-null-empty, hashes-null-null-console */
static void pages_equal_the_known_ones(void **state)
{
    (void) state;
    page_is(NULL,
            "7b581a6e6bc2ae2e8a0e875bd21d19d8b0cc96f035a9c8fb1d127d3ec75e21ed"
            "bb830e1f1b5c47bf7644d7f3561bece3");
    page_is("console=ttyS0 loglevel=7",
            "adbef9bc7385f7a6dcb8774523cf024b403f193a47962309b277c4109aa70b4b"
            "a0355d1657b50e9625d5bd1129e7fd27");
}

static void no_append_is_the_empty_one(void **state)
{
    struct kernel_hashes none, empty;

    (void) state;
    kernel_hashes_of((struct bytes){ 0 }, (struct bytes){ 0 }, NULL, &none);
    kernel_hashes_of((struct bytes){ 0 }, (struct bytes){ 0 }, "", &empty);
    assert_memory_equal(&none, &empty, sizeof none);
}

static void the_table_must_fit_its_page(void **state)
{
    struct kernel_hashes hashes = { .kernel = { 1 } };
    uint8_t              page[LAUNCH_PAGE_LEN];

    (void) state;
    assert_true(kernel_hashes_page(&hashes, LAUNCH_PAGE_LEN - KERNEL_HASHES_LEN, page));
    assert_false(kernel_hashes_page(&hashes, LAUNCH_PAGE_LEN - KERNEL_HASHES_LEN + 1, page));
    assert_false(kernel_hashes_page(&hashes, SIZE_MAX, page));
}

/* The hashes' place `from_end` bytes before the end, then the footer. */
static size_t image_with_place(uint8_t image[static 512], uint32_t from_end)
{
    struct writer w = writer_over(image, 512);

    put_zeros(&w, 512 - FOOTER_GAP - 22 - 18);
    put_u32le(&w, from_end);
    put_u16le(&w, 22);
    put(&w, (struct bytes){ GUID_STAGE0_HASHES, GUID_LEN });
    put_u16le(&w, 22 + 18);
    put(&w, (struct bytes){ GUID_FOOTER, GUID_LEN });
    put_zeros(&w, FOOTER_GAP);
    assert_false(w.failed);
    return w.len;
}

static void patches_the_table_into_its_place(void **state)
{
    struct kernel_hashes hashes;
    uint8_t              image[512], table[KERNEL_HASHES_LEN];
    struct err           err;

    (void) state;
    kernel_hashes_of(bytes_of_text("kernel"), bytes_of_text("initrd"), "quiet", &hashes);
    hash_table_write(&hashes, table);
    assert_true(kernel_hashes_patch(&hashes, image, image_with_place(image, 300), &err));
    assert_memory_equal(image + 512 - 300, table, sizeof table);
    assert_true(bytes_are_zero((struct bytes){ image, 512 - 300 }));

    assert_false(kernel_hashes_patch(&hashes, image, image_with_place(image, KERNEL_HASHES_LEN - 1), &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    image_with_place(image, 300);
    image[512 - FOOTER_GAP - 18 - 1] ^= 1;
    assert_false(kernel_hashes_patch(&hashes, image, sizeof image, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_equal_the_known_ones),
        cmocka_unit_test(no_append_is_the_empty_one),
        cmocka_unit_test(the_table_must_fit_its_page),
        cmocka_unit_test(patches_the_table_into_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
