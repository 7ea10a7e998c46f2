#include "tests/harness/test.h"
#include "attestation/verifier/tdx_policy.h"

static void reads_every_member(void **state)
{
    AUTO(tdx_policy) struct tdx_policy p;
    struct err                         err;

    (void) state;
    tdx_policy_default(&p);
    if (!tdx_policy_read(bytes_of_text("{\"tcb_status\":[\"OutOfDate\"],\"advisories\":[\"INTEL-SA-1\"],"
                                       "\"minimum_evaluation_number\":18,\"allow_debug\":true,\"allow_sept_ve\":true,"
                                       "\"allow_migratable\":true,\"allow_trailing_bytes\":true,"
                                       "\"allow_extra_separators\":true,\"allow_mixed_evaluation_numbers\":true,"
                                       "\"td_attributes\":\"0000010000000000\",\"fmspc\":[\"00a0ff000000\"]}"), &p, &err))
        fail_msg("%s", err.text);
    assert_true(p.status[TCB_OUT_OF_DATE]);
    assert_false(p.status[TCB_UP_TO_DATE]); /* the list replaces the default */
    assert_true(advisories_have(&p.advisories, "INTEL-SA-1"));
    assert_int_equal(p.minimum_evaluation_number, 18);
    assert_int_equal(p.td_attributes, 1 << 16);
    assert_true(p.allow_debug && p.allow_sept_ve && p.allow_migratable && p.allow_trailing_bytes &&
                p.allow_extra_separators && p.allow_mixed_evaluation_numbers);
    assert_int_equal(p.field[TDX_FIELD_FMSPC].values.len, 6);
    assert_false(p.field[TDX_FIELD_MRTD].given);
}

static void refuses_what_it_does_not_know_by_name(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } rows[] = {
        { "[]", ERR_CONFIG, "TDX policy: an object is wanted" },
        { "{\"mrtds\":[]}", ERR_CONFIG, "TDX policy: mrtds: no such member" },
        { "{\"mrtd\":\"00\"}", ERR_CONFIG, "TDX policy: mrtd: a list is wanted" },
        { "{\"mrtd\":[\"00\"]}", ERR_CONFIG, "TDX policy: mrtd: entry 0 is not 48 bytes in hex" },
        { "{\"mrtd\":[7]}", ERR_CONFIG, "TDX policy: mrtd: entry 0 is not a text" },
        { "{\"tcb_status\":[\"Revoked\"]}", ERR_CONFIG,
          "TDX policy: tcb_status: entry 0 is no TCB status that can be accepted" },
        { "{\"allow_debug\":1}", ERR_CONFIG, "TDX policy: allow_debug: true or false is wanted" },
        { "{\"minimum_evaluation_number\":-1}", ERR_CONFIG, "TDX policy: minimum_evaluation_number: a number is wanted" },
        { "{\"td_attributes\":\"00\"}", ERR_CONFIG,
          "TDX policy: td_attributes: 8 bytes in hex are wanted, as they stand in the quote" },
        { "{\"allow_debug\":true,\"allow_debug\":true}", ERR_MALFORMED, NULL },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(tdx_policy) struct tdx_policy p;
        struct err                         err;

        tdx_policy_default(&p);
        assert_false(tdx_policy_read(bytes_of_text(rows[i].text), &p, &err));
        assert_int_equal(err.kind, rows[i].kind);
        if (rows[i].why)
            assert_string_equal(err.text, rows[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_member),
        cmocka_unit_test(refuses_what_it_does_not_know_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
