#include "tests/harness/test.h"

#include "keys/broker/admission.h"

enum { LIMIT = 1000, LONG = 3000 };

/* Behind from LONG on, until 2 * LONG. */
static struct admission behind(unsigned attested_meanwhile)
{
    struct admission a = { 0 };

    admission_turn_begins(&a, 0);
    for (unsigned i = 0; i < attested_meanwhile; i++)
        admission_attested(&a);
    admission_turn_judge(&a, 0, LONG, LIMIT);
    return a;
}

static unsigned let_in(struct admission *a, int64_t now, unsigned asked)
{
    unsigned n = 0;

    while (asked-- > 0)
        n += admission_lets_in(a, now);
    return n;
}

static void lets_all_in_unless_it_is_behind(void **state)
{
    struct admission a = { 0 };

    (void) state;
    admission_turn_begins(&a, 0);
    admission_turn_judge(&a, 0, LIMIT, LIMIT);
    assert_int_equal(let_in(&a, LIMIT, 100), 100);
}

static void is_behind_for_as_long_as_the_turn_took(void **state)
{
    struct admission a = behind(0);

    (void) state;
    assert_int_equal(let_in(&a, LONG, 100), 0);
    assert_int_equal(let_in(&a, 2 * LONG - 1, 100), 0);
    assert_int_equal(let_in(&a, 2 * LONG, 100), 100);
}

static void eight_that_were_good_make_room_for_seven(void **state)
{
    struct admission a = behind(16);

    (void) state;
    assert_int_equal(let_in(&a, LONG, 100), 14);
    for (unsigned i = 0; i < 8; i++)
        admission_attested(&a);
    admission_turn_begins(&a, LONG + 1); /* another turn while it is behind: what there is of room stays */
    assert_int_equal(let_in(&a, LONG + 1, 100), 7);
    assert_int_equal(let_in(&a, LONG + 1, 100), 0);
}

/* A turn that did much before it was behind is no store of room for later. */
static void room_does_not_outlive_the_time_behind(void **state)
{
    struct admission a = behind(800);

    (void) state;
    admission_turn_begins(&a, 2 * LONG);
    admission_turn_judge(&a, 2 * LONG, 4 * LONG, LIMIT);
    assert_int_equal(let_in(&a, 4 * LONG, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_all_in_unless_it_is_behind),
        cmocka_unit_test(is_behind_for_as_long_as_the_turn_took),
        cmocka_unit_test(eight_that_were_good_make_room_for_seven),
        cmocka_unit_test(room_does_not_outlive_the_time_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
