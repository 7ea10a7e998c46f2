#include "tests/harness/test.h"
#include "attestation/verifier/tcb_status.h"

/* Every pair of module and QE against every platform status, as Intel's table has it. [TDX-DCAP 4.1.2.3] */
static void converges_as_intels_table(void **state)
{
    static const struct { enum tcb_status platform, wanted; } worse[] = {
        { TCB_UP_TO_DATE, TCB_OUT_OF_DATE },
        { TCB_SW_HARDENING_NEEDED, TCB_OUT_OF_DATE },
        { TCB_CONFIGURATION_NEEDED, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED },
        { TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED },
        { TCB_OUT_OF_DATE, TCB_OUT_OF_DATE },
        { TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED },
        { TCB_REVOKED, TCB_REVOKED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof worse / sizeof worse[0]; i++) {
        enum tcb_status p = worse[i].platform;

        assert_int_equal(tcb_status_converge(p, TCB_UP_TO_DATE, TCB_UP_TO_DATE), p);
        assert_int_equal(tcb_status_converge(p, TCB_OUT_OF_DATE, TCB_UP_TO_DATE), worse[i].wanted);
        assert_int_equal(tcb_status_converge(p, TCB_UP_TO_DATE, TCB_OUT_OF_DATE), worse[i].wanted);
        assert_int_equal(tcb_status_converge(p, TCB_OUT_OF_DATE, TCB_OUT_OF_DATE), worse[i].wanted);
        assert_int_equal(tcb_status_converge(p, TCB_REVOKED, TCB_UP_TO_DATE), TCB_REVOKED);
        assert_int_equal(tcb_status_converge(p, TCB_UP_TO_DATE, TCB_REVOKED), TCB_REVOKED);
    }
}

static void advises_a_relaunch_only_from_old_to_good(void **state)
{
    static const struct { enum tcb_status launch, current, wanted; } rows[] = {
        { TCB_UP_TO_DATE, TCB_UP_TO_DATE, TCB_UP_TO_DATE },
        { TCB_UP_TO_DATE, TCB_OUT_OF_DATE, TCB_UP_TO_DATE },
        { TCB_OUT_OF_DATE, TCB_UP_TO_DATE, TCB_RELAUNCH_ADVISED },
        { TCB_OUT_OF_DATE, TCB_SW_HARDENING_NEEDED, TCB_RELAUNCH_ADVISED },
        { TCB_OUT_OF_DATE, TCB_CONFIGURATION_NEEDED, TCB_RELAUNCH_ADVISED_CONFIGURATION_NEEDED },
        { TCB_OUT_OF_DATE, TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED, TCB_RELAUNCH_ADVISED_CONFIGURATION_NEEDED },
        { TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, TCB_UP_TO_DATE, TCB_RELAUNCH_ADVISED_CONFIGURATION_NEEDED },
        { TCB_OUT_OF_DATE, TCB_OUT_OF_DATE, TCB_OUT_OF_DATE },
        { TCB_OUT_OF_DATE, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, TCB_OUT_OF_DATE },
        { TCB_SW_HARDENING_NEEDED, TCB_UP_TO_DATE, TCB_SW_HARDENING_NEEDED },
        { TCB_OUT_OF_DATE, TCB_REVOKED, TCB_REVOKED },
        { TCB_UP_TO_DATE, TCB_REVOKED, TCB_REVOKED },
        { TCB_REVOKED, TCB_UP_TO_DATE, TCB_REVOKED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(tcb_status_relaunch(rows[i].launch, rows[i].current), rows[i].wanted);
}

static void names_are_exact(void **state)
{
    (void) state;
    for (unsigned i = 0; i < N_TCB_STATUSES; i++)
        assert_int_equal(tcb_status_by_name(tcb_status_name((enum tcb_status) i)), i);
    assert_int_equal(tcb_status_by_name("uptodate"), N_TCB_STATUSES);
    assert_int_equal(tcb_status_by_name(""), N_TCB_STATUSES);
    assert_string_equal(tcb_status_name(N_TCB_STATUSES), "unknown");
}

static void advisories_are_a_bounded_set(void **state)
{
    AUTO(json) struct json_object *ids = json_object_new_array(), *odd = json_object_new_array();
    struct advisories              set = { .n = 0 };

    (void) state;
    (void) json_object_array_add(ids, json_object_new_string("INTEL-SA-00837")); /* memory only */
    (void) json_object_array_add(ids, json_object_new_string("INTEL-SA-00837"));
    assert_true(advisories_check(ids) && advisories_add(&set, ids));
    assert_int_equal(set.n, 1);
    assert_true(advisories_have(&set, "INTEL-SA-00837"));
    assert_true(advisories_check(NULL) && advisories_add(&set, NULL));
    (void) json_object_array_add(odd, json_object_new_string("one that is much too long to be an id"));
    assert_false(advisories_check(odd));
    set.n = ADVISORIES_MAX;
    memset(set.id, 'x', 1);
    (void) json_object_array_add(ids, json_object_new_string("INTEL-SA-09999"));
    assert_false(advisories_add(&set, ids));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converges_as_intels_table),
        cmocka_unit_test(advises_a_relaunch_only_from_old_to_good),
        cmocka_unit_test(names_are_exact),
        cmocka_unit_test(advisories_are_a_bounded_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
