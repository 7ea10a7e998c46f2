#include "tests/harness/test.h"
#include "attestation/verifier/instant.h"

static void reads_and_writes_rfc_3339(void **state)
{
    char    text[INSTANT_TEXT_LEN + 1];
    int64_t at = 0;

    (void) state;
    assert_true(instant_of_text(bytes_of_text("2024-02-29T23:59:59Z"), &at));
    assert_int_equal(at, 1709251199);
    instant_write(at, text);
    assert_string_equal(text, "2024-02-29T23:59:59Z");
    instant_write(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    instant_write(-1, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
}

static void refuses_every_other_form_and_dates_that_do_not_exist(void **state)
{
    static const char *const texts[] = {
        "", "2025-01-01", "2025-01-01T00:00:00", "2025-01-01T00:00:00+00:00", "2025-01-01 00:00:00Z",
        "2025-02-29T00:00:00Z", "2025-13-01T00:00:00Z", "2025-00-01T00:00:00Z", "2025-01-32T00:00:00Z",
        "2025-01-01T24:00:00Z", "2025-01-01T00:60:00Z", "2025-01-01T00:00:60Z", "2025-01-01T00:00:00Zx",
        "+025-01-01T00:00:00Z", "2025-01-01t00:00:00z",
    };
    int64_t at = 7;

    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (instant_of_text(bytes_of_text(texts[i]), &at))
            fail_msg("accepted: %s", texts[i]);
    assert_int_equal(at, 7);
}

static void two_digit_years_turn_at_1950(void **state)
{
    int64_t at = 0;

    (void) state;
    assert_true(instant_of_utc_time(bytes_of_text("491231235959Z"), &at));
    assert_int_equal(at, 2524607999);
    assert_true(instant_of_utc_time(bytes_of_text("500101000000Z"), &at));
    assert_int_equal(at, -631152000);
    assert_false(instant_of_utc_time(bytes_of_text("5001010000Z"), &at));
    assert_false(instant_of_generalized_time(bytes_of_text("20250101000000.5Z"), &at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_rfc_3339),
        cmocka_unit_test(refuses_every_other_form_and_dates_that_do_not_exist),
        cmocka_unit_test(two_digit_years_turn_at_1950),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
