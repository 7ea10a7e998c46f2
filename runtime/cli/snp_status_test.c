#include "runtime/cli/snp_status.h"
#include "tests/harness/test.h"

#include <unistd.h>

/* The layout of SNP-ABI table 42: firmware 1.55 build 21, initialised, RMP initialised, 3 guests. */
static const uint8_t good[SNP_STATUS_LEN] = { 1, 55, 1, 1, 21, 0, 0, 0, 0xaa, 0, 0, 0, 3, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0, 0x18, 0x58,
                                              0x09, 0, 0, 0, 0, 0, 0x17, 0x57 };

static void every_field_is_in_its_place(void **state)
{
    struct snp_status s = { 0 };
    struct err        err;

    (void) state;
    assert_true(snp_status_read(BYTES_OF(good), &s, &err));
    assert_int_equal(s.api_major, 1);
    assert_int_equal(s.api_minor, 55);
    assert_int_equal(s.build, 21);
    assert_int_equal(s.n_guests, 3);
    assert_true(s.is_initialised && s.has_rmp);
    assert_true(s.current_tcb == 0x581800000000000a && s.reported_tcb == 0x5717000000000009);
}

static void another_length_is_refused(void **state)
{
    (void) state;
    for (size_t len = 0; len < sizeof good + 2; len++) {
        AUTO(heap) uint8_t *exact = calloc(1, len ? len : 1);
        struct snp_status   s;
        struct err          err;

        memcpy(exact, good, len < sizeof good ? len : sizeof good);
        assert_true(snp_status_read((struct bytes){ exact, len }, &s, &err) == (len == sizeof good));
        assert_true(len == sizeof good || err.kind == ERR_MALFORMED);
    }
}

static void without_the_device_it_says_so(void **state)
{
    struct snp_status s;
    struct err        err;

    (void) state;
    assert_false(snp_status_ask("/nonexistent/sev", &s, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "no /nonexistent/sev");
    assert_false(snp_status_ask("/dev/null", &s, &err)); /* a device that does not know the request */
    assert_int_equal(err.kind, ERR_OS);
    assert_non_null(strstr(err.text, "the security processor does not answer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_in_its_place),
        cmocka_unit_test(another_length_is_refused),
        cmocka_unit_test(without_the_device_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
