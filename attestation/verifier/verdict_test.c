#include "tests/harness/test.h"

#include "attestation/verifier/verdict.h"

static void zero_state_and_start_are_refusals(void **state)
{
    struct verdict   zero = { 0 };
    struct verdict   v    = { .accepted = true };
    struct appraisal a    = appraisal_start(&v, NULL);

    (void) state;
    assert_false(zero.accepted);
    assert_false(v.accepted);
    assert_int_equal(v.reason, REASON_NOT_EXAMINED);
    assert_false(a.failed);
}

static void accepts_when_every_check_holds(void **state)
{
    struct verdict   v;
    struct appraisal a = appraisal_start(&v, NULL);

    (void) state;
    assert_true(check(&a, true, REASON_SNP_DEBUG, "off"));
    assert_true(appraisal_finish(&a));
    assert_int_equal(v.reason, REASON_OK);
    assert_int_equal(v.layer, LAYER_NONE);
    assert_string_equal(v.detail, "");
}

static void first_failure_settles_the_verdict(void **state)
{
    struct verdict   v;
    struct appraisal a = appraisal_start(&v, NULL);

    (void) state;
    assert_false(check(&a, false, REASON_SNP_REVOKED, "serial %x", 0x20001u));
    assert_false(check(&a, false, REASON_SNP_DEBUG, "on"));
    assert_true(check(&a, true, REASON_SNP_VMPL, "0"));
    assert_false(appraisal_finish(&a));
    assert_int_equal(v.reason, REASON_SNP_REVOKED);
    assert_int_equal(v.layer, LAYER_REVOCATION);
    assert_string_equal(v.detail, "serial 20001");
}

struct heard {
    size_t n, n_held, n_warned;
    char   last[300];
};

static void hear(void *owner, enum verdict_reason reason, enum check_outcome outcome, const char *compared)
{
    struct heard *h = owner;

    (void) reason;
    h->n++;
    h->n_held += outcome == CHECK_HOLDS;
    h->n_warned += outcome == CHECK_WARNS;
    assert_true(strlen(compared) < sizeof h->last);
    strcpy(h->last, compared);
}

static void a_listener_hears_every_check_also_after_a_failure(void **state)
{
    struct heard            h        = { 0 };
    struct verdict_listener listener = { hear, &h };
    struct verdict          v;
    struct appraisal        a = appraisal_start(&v, &listener);

    (void) state;
    (void) check(&a, true, REASON_SNP_VMPL, "one");
    (void) check(&a, false, REASON_SNP_DEBUG, "two");
    (void) check(&a, true, REASON_SNP_VMPL, "three");
    check_warns(&a, REASON_SNP_CRL_MISSING, "four");
    assert_int_equal(h.n, 4);
    assert_int_equal(h.n_held, 2);
    assert_int_equal(h.n_warned, 1);
    assert_string_equal(h.last, "four");
}

static void warnings_stay_open_until_they_are_too_many(void **state)
{
    struct verdict   v;
    struct appraisal a = appraisal_start(&v, NULL);

    (void) state;
    for (size_t i = 0; i < VERDICT_WARNINGS_MAX; i++)
        check_warns(&a, REASON_SNP_CRL_MISSING, "none given");
    assert_true(appraisal_finish(&a));
    assert_int_equal(v.n_warnings, VERDICT_WARNINGS_MAX);
    check_warns(&a, REASON_SNP_CRL_MISSING, "none given");
    assert_false(appraisal_finish(&a));
    assert_int_equal(v.reason, REASON_SNP_CRL_MISSING);
}

static void detail_is_cut_not_overrun(void **state)
{
    char             wide[600];
    struct verdict   v;
    struct appraisal a = appraisal_start(&v, NULL);

    (void) state;
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = 0;
    (void) check(&a, false, REASON_SNP_DEBUG, "%s", wide);
    assert_int_equal(strlen(v.detail), sizeof v.detail - 1);
}

static void every_reason_has_its_own_machine_name_and_reads_back(void **state)
{
    (void) state;
    for (size_t i = 0; i < N_REASONS; i++) {
        const char *code = reason_code((enum verdict_reason) i);

        assert_non_null(code);
        assert_true(strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(code));
        assert_int_equal(reason_by_code(code), i);
        assert_true(strlen(reason_meaning((enum verdict_reason) i)) > 0);
        if (i > REASON_INTERNAL) /* those before it are no checks */
            assert_string_not_equal(reason_why((enum verdict_reason) i), reason_meaning((enum verdict_reason) i));
        assert_string_not_equal(layer_code(reason_layer((enum verdict_reason) i)), "unknown");
    }
    assert_int_equal(reason_by_code("no-such"), N_REASONS);
    assert_string_equal(reason_code(N_REASONS), "unknown");
    assert_string_equal(reason_meaning(N_REASONS), "unknown");
    assert_string_equal(reason_why(N_REASONS), "unknown");
    assert_int_equal(reason_layer(N_REASONS), LAYER_NONE);
    assert_string_equal(layer_code(N_LAYERS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_state_and_start_are_refusals),
        cmocka_unit_test(accepts_when_every_check_holds),
        cmocka_unit_test(first_failure_settles_the_verdict),
        cmocka_unit_test(a_listener_hears_every_check_also_after_a_failure),
        cmocka_unit_test(warnings_stay_open_until_they_are_too_many),
        cmocka_unit_test(detail_is_cut_not_overrun),
        cmocka_unit_test(every_reason_has_its_own_machine_name_and_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
