#include "base/secret.h"
#include "tests/harness/test.h"

static void equality_is_of_content_and_never_of_nothing(void **state)
{
    AUTO(secret) struct secret a = { 0 }, b = { 0 }, none = { 0 };
    struct err                 err;

    (void) state;
    assert_true(secret_copy(bytes_of_text("key"), &a, &err));
    assert_true(secret_copy(bytes_of_text("key"), &b, &err));
    assert_true(secret_equal(&a, &b));
    assert_false(secret_equal(&a, &none));
    assert_false(secret_equal(&none, &none));
    assert_true(bytes_equal(secret_expose(&a), bytes_of_text("key")));
}

static void sizes_are_bounded_and_a_full_heap_is_an_error(void **state)
{
    static struct secret held[64];
    struct secret        s = { 0 };
    struct err           err;
    size_t               n = 0;

    (void) state;
    assert_false(secret_new(0, &s, &err));
    assert_false(secret_new(SECRET_LEN_MAX + 1, &s, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    while (n < 64 && secret_random(SECRET_LEN_MAX, &held[n], &err))
        n++;
    assert_in_range(n, 1, 8);
    assert_int_equal(err.kind, ERR_LIMIT);
    while (n > 0)
        secret_free(&held[--n]);
    assert_true(secret_random(32, &s, &err));
    secret_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_of_content_and_never_of_nothing),
        cmocka_unit_test(sizes_are_bounded_and_a_full_heap_is_an_error),
    };
    struct err err;

    if (!secret_heap_open(&err))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
