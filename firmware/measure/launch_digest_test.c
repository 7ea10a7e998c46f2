#include "firmware/measure/launch_digest.h"

#include "base/text.h"
#include "tests/harness/test.h"

static void equals(const struct launch_digest *d, const char *hex)
{
    AUTO(buffer) struct buffer text = { 0 };

    hex_append(&text, BYTES_OF(d->at));
    assert_string_equal(buffer_text(&text), hex);
}

/* Known answers: gce-tcb-verifier TestUpdateData and TestZeroContentUpdateData; single pages: the vectors' own. */
static void content_is_measured_page_by_page(void **state)
{
    uint8_t              pages[3 * LAUNCH_PAGE_LEN] = { 0 };
    struct launch_digest d                          = { .n_pages = { 0 } };

    (void) state;
    memcpy(pages, "LGTMLGTMLGTMLGTM", 16);
    memcpy(pages + sizeof pages - 16, "LGTMLGTMLGTMLGTM", 16);
    launch_digest_add(&d, LAUNCH_NORMAL, 0, BYTES_OF(pages));
    equals(&d, "cba1cd767c33b30f96271837dbbae4081a945464a5af397b9b0336b5d8759ee88cc6b62c05d915c4424a9ac5747437d4");
    assert_int_equal(d.n_pages[LAUNCH_NORMAL], 3);
}

static void blank_pages_are_measured_by_place_and_type(void **state)
{
    static const struct { enum launch_page type; uint64_t gpa, size; const char *hex; } known[] = {
        { LAUNCH_ZERO, 0x9000, 0x3000,
          "4bfe18477ba370a50329da74b9621e721c4f29663176e08fbcf088a17c1bc45f133898b86d5082acbe202a6e9419808a" },
        { LAUNCH_ZERO, 0x1000, 0x1000,
          "4bd4147976a1e7554c1c778a781affc1c672f1965a727ba16084989b7e356044a28bbe585a2f75dac9356fa5ab78f061" },
        { LAUNCH_UNMEASURED, 0x1000, 0x1000,
          "81475a112c0223cebe1ccb31a0aa2567772871200b33515a3cbbd5ed6a68a8e630902dd83469ea6553554bfb67111fad" },
        { LAUNCH_SECRETS, 0x1000, 0x1000,
          "ede71fa5ddc72c3de70c6ff1149b8ecb6ef08b74b1d3a72c2cece10bd140c06a6181343d33def7db6cc0da1ff9ba4805" },
        { LAUNCH_CPUID, 0x1000, 0x1000,
          "af3c8d305f882f039a48318a961572ddc7ebf40b3d1eae828f4fa6e27a7b3078cf2d84b459e002fb58b4ae83efd7f29c" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct launch_digest d = { .n_pages = { 0 } };

        launch_digest_add_blank(&d, known[i].type, known[i].gpa, known[i].size);
        equals(&d, known[i].hex);
        assert_int_equal(launch_digest_pages(&d), known[i].size / LAUNCH_PAGE_LEN);
    }
}

static void a_page_of_zeros_is_not_a_zero_page(void **state)
{
    static const uint8_t zeros[LAUNCH_PAGE_LEN];
    struct launch_digest d = { .n_pages = { 0 } };

    (void) state;
    launch_digest_add(&d, LAUNCH_NORMAL, 0x1000, BYTES_OF(zeros));
    equals(&d, "e6e4d78904d9d6b33c0cbfd121998fd2d11744dae606b3aee35e2a45d6869b60b35c63928a9232bef72d6be386f48ec6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_is_measured_page_by_page),
        cmocka_unit_test(blank_pages_are_measured_by_place_and_type),
        cmocka_unit_test(a_page_of_zeros_is_not_a_zero_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
