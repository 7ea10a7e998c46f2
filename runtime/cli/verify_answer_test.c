#include "tests/harness/test.h"

#include "runtime/cli/verify.h"

static void reads_the_forms_of_rfc_3339(void **state)
{
    static const struct { const char *text; int64_t wanted; } rows[] = {
        { "2026-09-01T00:00:00Z", 1788220800 },       { "2026-09-01T00:00:00z", 1788220800 },
        { "2026-09-01T00:00:00+00:00", 1788220800 },  { "2026-09-01T02:30:00+02:30", 1788220800 },
        { "2026-08-31T23:00:00-01:00", 1788220800 },  { "2026-09-01T00:00:00.999Z", 1788220800 },
        { "2026-09-01T00:00:00.5+00:00", 1788220800 }, { "1970-01-01T00:00:00Z", 0 },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t at = -1;

        if (!verify_time(rows[i].text, &at, &err))
            fail_msg("%s", err.text);
        assert_int_equal(at, rows[i].wanted);
    }
}

static void refuses_every_other_form(void **state)
{
    static const char *const texts[] = {
        "", "now", "2026-09-01", "2026-09-01T00:00:00", "2026-09-01 00:00:00Z", "2026-09-01T00:00:00.Z", "2026-09-01T00:00:00.",
        "2026-09-01T00:00:00+0000", "2026-09-01T00:00:00+24:00", "2026-09-01T00:00:00+00:60", "2026-09-01T00:00:00*00:00",
        "2026-09-01T00:00:00+0x:00", "2026-09-01T00:00:00ZZ", "2026-02-30T00:00:00Z", "2026-09-01T25:00:00Z", "1788220800",
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t at = -1;

        if (verify_time(texts[i], &at, &err))
            fail_msg("%s is read", texts[i]);
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_int_equal(at, -1);
    }
}

static void without_a_text_it_is_now(void **state)
{
    int64_t    at = 0;
    struct err err;

    (void) state;
    assert_true(verify_time(NULL, &at, &err));
    assert_true(at > 1750000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_forms_of_rfc_3339),
        cmocka_unit_test(refuses_every_other_form),
        cmocka_unit_test(without_a_text_it_is_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
