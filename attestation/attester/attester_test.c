#include "tests/harness/test.h"
#include "attestation/attester/attester.h"

static void pads_report_data_with_zeros_behind(void **state)
{
    uint8_t    out[REPORT_DATA_LEN];
    struct err err;

    (void) state;
    memset(out, 0xff, sizeof out);
    assert_true(report_data_pad(bytes_of_text("nonce"), out, &err));
    assert_memory_equal(out, "nonce", 5);
    assert_true(bytes_are_zero((struct bytes){ out + 5, sizeof out - 5 }));
}

static void refuses_report_data_that_does_not_fit(void **state)
{
    static const uint8_t long_value[REPORT_DATA_LEN + 1];
    uint8_t              out[REPORT_DATA_LEN];
    struct err           err;

    (void) state;
    assert_false(report_data_pad(BYTES_OF(long_value), out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "report data of 65 bytes; at most 64 fit");
}

static void closing_no_attester_is_fine(void **state)
{
    (void) state;
    attester_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pads_report_data_with_zeros_behind),
        cmocka_unit_test(refuses_report_data_that_does_not_fit),
        cmocka_unit_test(closing_no_attester_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
