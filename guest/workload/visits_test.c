#include "tests/harness/test.h"

#include "guest/container/limits.h"
#include "guest/workload/visits.h"

_Static_assert((int) SHARES_MAX == (int) CONTAINERS_MAX + 1, "each container of a pod has a share");

enum { GREEDY = 7, OTHER = 8, MANY = 100 };

static void a_full_share_closes_its_own_oldest_and_no_other(void **state)
{
    struct visits visits = { 0 };
    struct visit  greedy[MANY], other[SHARE_CONNECTIONS];

    (void) state;
    assert_null(visits_begin(&visits, OTHER, &other[0]));
    for (size_t i = 0; i < MANY; i++) {
        struct visit *gone = visits_begin(&visits, GREEDY, &greedy[i]);

        if (i < SHARE_CONNECTIONS)
            assert_null(gone);
        else
            assert_ptr_equal(gone, &greedy[i - SHARE_CONNECTIONS]);
        assert_int_equal(greedy[i].share->n_connections, i < SHARE_CONNECTIONS ? i + 1 : SHARE_CONNECTIONS);
    }
    for (size_t i = 1; i < SHARE_CONNECTIONS; i++)
        assert_null(visits_begin(&visits, OTHER, &other[i]));
    for (size_t i = 0; i < MANY; i++)
        visits_end(&greedy[MANY - 1 - i]);
    assert_null(greedy[0].share->first);
    assert_int_equal(greedy[0].share->n_connections, 0);
    assert_int_equal(other[0].share->n_connections, SHARE_CONNECTIONS);
}

static void one_that_waits_for_an_answer_is_not_closed(void **state)
{
    struct visits visits = { 0 };
    struct visit  v[SHARE_CONNECTIONS + 1];

    (void) state;
    for (size_t i = 0; i < SHARE_CONNECTIONS; i++)
        assert_null(visits_begin(&visits, GREEDY, &v[i]));
    for (size_t i = 0; i < SHARE_QUESTIONS; i++)
        assert_int_equal(visits_ask(&v[i]), i < SHARE_ASKED ? VISIT_NOW : VISIT_LATER);
    assert_int_equal(visits_ask(&v[SHARE_QUESTIONS]), VISIT_TOO_MANY);
    assert_false(v[SHARE_QUESTIONS].has_question);
    assert_ptr_equal(visits_begin(&visits, GREEDY, &v[SHARE_CONNECTIONS]), &v[SHARE_QUESTIONS]);
}

static void questions_are_asked_in_their_order_a_few_at_once(void **state)
{
    struct visits visits = { 0 };
    struct visit  v[SHARE_QUESTIONS + 1], other;

    (void) state;
    for (size_t i = 0; i <= SHARE_QUESTIONS; i++)
        assert_null(visits_begin(&visits, GREEDY, &v[i]));
    for (size_t i = 0; i < SHARE_QUESTIONS; i++)
        (void) visits_ask(&v[i]);
    assert_null(visits_begin(&visits, OTHER, &other));
    assert_int_equal(visits_ask(&other), VISIT_NOW); /* however many there are of another's */
    for (size_t i = 0; i < SHARE_QUESTIONS; i++) {
        struct visit *next = visits_answered(&v[i]);

        if (i + SHARE_ASKED < SHARE_QUESTIONS)
            assert_ptr_equal(next, &v[i + SHARE_ASKED]);
        else
            assert_null(next);
    }
    assert_int_equal(v[0].share->n_questions + v[0].share->n_asked, 0);
    assert_int_equal(visits_ask(&v[SHARE_QUESTIONS]), VISIT_NOW); /* there is room again */
}

/* More control groups than containers, and callers who are gone before they are asked for. */
static void who_has_no_share_shares_the_first(void **state)
{
    struct visits visits = { 0 };
    struct visit  v[SHARES_MAX + 1], again;

    (void) state;
    assert_null(visits_begin(&visits, 0, &v[SHARES_MAX]));
    for (size_t i = 0; i < SHARES_MAX; i++)
        assert_null(visits_begin(&visits, 100 + i, &v[i]));
    assert_ptr_equal(v[SHARES_MAX].share, &visits.shares[0]);
    assert_ptr_equal(v[SHARES_MAX - 1].share, &visits.shares[0]);
    for (size_t i = 0; i < SHARES_MAX - 1; i++)
        assert_ptr_equal(v[i].share, &visits.shares[i + 1]);
    visits_end(&v[3]);
    assert_null(visits_begin(&visits, 200, &again));
    assert_ptr_equal(again.share, &visits.shares[4]);
    assert_int_equal(again.share->n_connections, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_share_closes_its_own_oldest_and_no_other),
        cmocka_unit_test(one_that_waits_for_an_answer_is_not_closed),
        cmocka_unit_test(questions_are_asked_in_their_order_a_few_at_once),
        cmocka_unit_test(who_has_no_share_shares_the_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
