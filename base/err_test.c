#include <errno.h>

#include "tests/harness/test.h"

static void context_stands_in_front(void **state)
{
    struct err err;

    (void) state;
    assert_false(fail_with(&err, ERR_LIMIT, "%d too many", 3));
    assert_false(context(&err, "inner"));
    assert_false(contextf(&err, "outer %s", "x"));
    assert_string_equal(err.text, "outer x: inner: 3 too many");
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void errno_is_kept_and_spelled_out(void **state)
{
    struct err err;

    (void) state;
    errno = ENOENT;
    assert_false(err_os(&err, "open %s", "f"));
    assert_string_equal(err.text, "open f: No such file or directory");
    assert_int_equal(err.os_errno, ENOENT);
}

static void endless_context_is_cut_not_overrun(void **state)
{
    struct err err;

    (void) state;
    assert_false(fail_with(&err, ERR_OS, "cause"));
    for (int i = 0; i < 100; i++)
        assert_false(context(&err, "a rather long piece of context"));
    assert_true(strlen(err.text) < sizeof err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_stands_in_front),
        cmocka_unit_test(errno_is_kept_and_spelled_out),
        cmocka_unit_test(endless_context_is_cut_not_overrun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
