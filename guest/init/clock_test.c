#include "tests/harness/test.h"

#include "guest/init/clock.h"

enum { YEAR_S = 31557600 };

/* A host's clock and a broker's, from twenty years back to twenty years on. */
static void only_the_brokers_time_counts_and_never_one_before_the_floor(void **state)
{
    (void) state;
    for (int64_t host = -20; host <= 20; host++)
        for (int64_t broker = -20; broker <= 20; broker++) {
            int64_t    now = CLOCK_FLOOR_S + host * YEAR_S, told = CLOCK_FLOOR_S + broker * YEAR_S;
            bool       is_set = false;
            struct err err;
            bool       ok = clock_judge(now, told, 0, &is_set, &err);

            assert_int_equal(ok, broker >= 0);
            if (ok)
                assert_int_equal(is_set, host != broker);
            else
                assert_int_equal(err.kind, ERR_UNTRUSTED);
        }
}

static void the_owners_floor_is_kept_too(void **state)
{
    int64_t    floor;
    bool       is_set;
    struct err err;

    (void) state;
    assert_true(clock_floor_read(bytes_of_text("2026-11-28T12:00:00Z\n"), &floor, &err));
    assert_int_equal(floor, 1795867200);
    assert_true(clock_judge(floor, floor, floor, &is_set, &err));
    assert_false(is_set);
    assert_false(clock_judge(floor, floor - 1, floor, &is_set, &err));
    assert_string_equal(err.text, "the broker's time 2026-11-28T11:59:59Z is before 2026-11-28T12:00:00Z, which has passed: see to its clock");
    assert_true(clock_floor_check(floor, floor, &err));
    assert_false(clock_floor_check(floor - 1, floor, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "the host's clock says 2026-11-28T11:59:59Z; the initdata says not before 2026-11-28T12:00:00Z");
}

static void a_floor_is_a_time_in_its_one_form(void **state)
{
    static const char *const bad[] = { "", "2026-11-28", "2026-11-28T12:00:00", "2026-11-28T12:00:00+00:00", "2026-11-28 12:00:00Z",
                                       "2026-11-28T12:00:00Zx", "2026-11-28T12:00:0aZ", "-026-11-28T12:00:00Z" };
    static const char *const none[] = { "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-00-10T00:00:00Z",
                                        "2026-11-28T12:60:00Z" };
    int64_t                  floor = 7;
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(clock_floor_read(bytes_of_text(bad[i]), &floor, &err));
        assert_string_equal(err.text, "not_before: wanted a time as 2026-11-28T12:00:00Z");
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_false(clock_floor_read(bytes_of_text(none[i]), &floor, &err));
        assert_string_equal(err.text, "not_before: there is no such time");
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
    for (size_t len = 0; len < 20; len++) {
        AUTO(heap) uint8_t *cut = exact_copy("2026-11-28T12:00:00Z", len);

        assert_false(clock_floor_read((struct bytes){ cut, len }, &floor, &err));
    }
    assert_int_equal(floor, 7);
    assert_true(clock_floor_read(bytes_of_text("2028-02-29T23:59:59Z"), &floor, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_brokers_time_counts_and_never_one_before_the_floor),
        cmocka_unit_test(the_owners_floor_is_kept_too),
        cmocka_unit_test(a_floor_is_a_time_in_its_one_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
