#include "tests/harness/test.h"

#include "guest/api/status.h"

static void every_kind_survives_the_way_there_and_back(void **state)
{
    (void) state;
#define THERE_AND_BACK(kind, meaning) assert_int_equal(status_kind(status_of_kind(kind)), kind);
    ERR_KINDS(THERE_AND_BACK)
#undef THERE_AND_BACK
}

static void a_foreign_code_is_a_failure(void **state)
{
    (void) state;
    assert_int_equal(status_kind(2), ERR_OS);
    assert_int_equal(status_kind(-1), ERR_OS);
}

static void denied_is_permission_denied(void **state)
{
    (void) state;
    assert_int_equal(status_of_kind(ERR_DENIED), 7);
    assert_int_equal(status_of_kind(ERR_NOT_FOUND), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_survives_the_way_there_and_back),
        cmocka_unit_test(a_foreign_code_is_a_failure),
        cmocka_unit_test(denied_is_permission_denied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
