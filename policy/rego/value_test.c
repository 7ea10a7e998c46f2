#include "tests/harness/test.h"
#include "policy/rego/number.h"
#include "policy/rego/value.h"

static struct value number(const char *text)
{
    struct value v;
    struct err   err;

    assert_true(number_read(text, strlen(text), &v, &err));
    return v;
}

static void orders_types_as_opa_does(void **state)
{
    AUTO(arena) struct arena a      = arena_of(1 << 20);
    struct value             rows[] = {
        value_null(), value_bool(false), value_bool(true), value_int(-1), value_int(0), number("0.5"),
        value_int(1), number("123456789012345678901234567890"), value_of_text(""), value_of_text("a"),
        value_of_text("ab"), value_new(&a, VALUE_ARRAY, 0), value_new(&a, VALUE_OBJECT, 0),
        value_new(&a, VALUE_SET, 0),
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true(value_close(&a, rows[i]));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
            assert_int_equal(value_compare(rows[i], rows[j]), (i > j) - (i < j));
}

static void compares_numbers_by_value_and_keeps_their_text(void **state)
{
    char spare[24];

    (void) state;
    assert_true(value_equal(number("1.0"), value_int(1)));
    assert_true(value_equal(number("1e2"), number("100.00")));
    assert_true(value_equal(number("-0"), value_int(0)));
    assert_true(value_equal(number("0.1e-2"), number("0.001")));
    assert_int_equal(value_compare(number("-1e3"), number("-999.5")), -1);
    assert_int_equal(value_compare(number("123456789012345678901234567891"), number("123456789012345678901234567890")), 1);
    assert_int_equal(value_hash(number("1e2")), value_hash(value_int(100)));
    assert_memory_equal(number_text(number("1.50"), spare).at, "1.50", 4);
}

static void rejects_what_is_no_json_number(void **state)
{
    static const char *const bad[] = { "", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1 ", "inf", "--1" };
    struct value             v     = value_null();
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(number_read(bad[i], strlen(bad[i]), &v, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(v.type, VALUE_NULL);
    }
    assert_false(number_read("1e10001", 7, &v, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* Every 7919th of 5000 numbers, so that insertions hit all places. */
static void keeps_large_sets_sorted_whatever_the_order(void **state)
{
    AUTO(arena) struct arena a   = arena_of(8 << 20);
    struct value             set = value_new(&a, VALUE_SET, 0), again;

    (void) state;
    for (uint32_t i = 0; i < 5000; i++) {
        assert_true(set_add(&a, set, value_int(i * 7919 % 5000)));
        assert_true(set_add(&a, set, value_int(i * 7919 % 5000)));
    }
    assert_true(set_has(set, value_int(4999)));
    assert_false(set_has(set, value_int(5000)));
    assert_true(value_close(&a, set));
    assert_int_equal(value_count(set), 5000);
    assert_int_equal(value_nodes(set), 5001);
    for (uint32_t i = 0; i < 5000; i++)
        assert_int_equal(set.in->at[i].integer, i);
    again = value_reopened(&a, set);
    assert_true(set_add(&a, again, value_int(5000)));
    assert_true(value_close(&a, again));
    assert_int_equal(value_count(again), 5001);
    assert_int_equal(value_count(set), 5000);
}

static void finds_object_values_by_any_equal_key(void **state)
{
    AUTO(arena) struct arena a = arena_of(8 << 20);
    struct value             o = value_new(&a, VALUE_OBJECT, 0);

    (void) state;
    for (int i = 999; i >= 0; i--)
        assert_true(object_put(&a, o, value_int(i), value_int(-i)));
    assert_true(object_put(&a, o, number("7.0"), value_null()));
    assert_int_equal(value_get(o, value_int(7)).type, VALUE_NULL);
    assert_true(value_close(&a, o));
    assert_int_equal(value_count(o), 1000);
    assert_int_equal(value_get(o, number("3e0")).integer, -3);
    assert_false(value_is_defined(value_get(o, value_of_text("3"))));
}

static void stops_at_the_limit_of_the_arena_and_says_so(void **state)
{
    AUTO(arena) struct arena a     = arena_of(40000);
    struct value             array = value_new(&a, VALUE_ARRAY, 0);
    struct err               err;
    int                      n = 0;

    (void) state;
    while (array_append(&a, array, value_int(1)))
        n++;
    assert_in_range(n, 500, 2500);
    assert_false(arena_ok(&a, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "evaluation limit: memory");
    arena_reset(&a);
    assert_true(arena_ok(&a, &err));
    assert_non_null(arena_take(&a, 100));
}

static void refuses_values_nested_too_deep_and_into_themselves(void **state)
{
    AUTO(arena) struct arena a    = arena_of(8 << 20);
    struct value             loop = value_new(&a, VALUE_OBJECT, 0), v = value_null();

    (void) state;
    for (int i = 0; i < VALUE_DEPTH_MAX; i++) {
        struct value outer = value_new(&a, VALUE_ARRAY, 1);

        assert_true(array_append(&a, outer, v));
        assert_true(value_close(&a, outer));
        v = outer;
    }
    struct value outer = value_new(&a, VALUE_ARRAY, 1);
    assert_true(array_append(&a, outer, v));
    assert_false(value_close(&a, outer));
    assert_string_equal(a.failed, "nesting of a value");
    arena_reset(&a);
    loop = value_new(&a, VALUE_OBJECT, 0);
    assert_true(object_put(&a, loop, value_null(), loop));
    assert_false(value_close(&a, loop));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_types_as_opa_does),
        cmocka_unit_test(compares_numbers_by_value_and_keeps_their_text),
        cmocka_unit_test(rejects_what_is_no_json_number),
        cmocka_unit_test(keeps_large_sets_sorted_whatever_the_order),
        cmocka_unit_test(finds_object_values_by_any_equal_key),
        cmocka_unit_test(stops_at_the_limit_of_the_arena_and_says_so),
        cmocka_unit_test(refuses_values_nested_too_deep_and_into_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
