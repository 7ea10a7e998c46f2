#include "tests/harness/test.h"
#include "attestation/verifier/der.h"

static struct reader over(const void *bytes, size_t len)
{
    return reader_over((struct bytes){ bytes, len });
}

static void takes_elements_of_the_wanted_type(void **state)
{
    static const uint8_t two[] = { 0x02, 0x01, 0x05, 0x04, 0x02, 0xaa, 0xbb };
    struct reader        r     = over(two, sizeof two);
    struct err           err;

    (void) state;
    assert_true(der_next_is(&r, DER_INTEGER));
    assert_int_equal(take_der_u64(&r, DER_INTEGER, 5), 5);
    assert_int_equal(take_der(&r, DER_OCTET_STRING).len, 2);
    assert_true(reader_done(&r, &err));
}

/* Each row is one element that BER would allow and DER does not, or that lies about its length. */
static void refuses_what_is_not_der(void **state)
{
    static const struct { const char *why; uint8_t bytes[8]; size_t len; } rows[] = {
        { "long form for a short length", { 0x04, 0x81, 0x01, 0xaa }, 4 },
        { "leading zero in the length", { 0x04, 0x82, 0x00, 0x01, 0xaa }, 5 },
        { "indefinite length", { 0x04, 0x80, 0xaa, 0x00, 0x00 }, 5 },
        { "length of length over three bytes", { 0x04, 0x84, 0x00, 0x00, 0x00, 0x01, 0xaa }, 7 },
        { "content cut off", { 0x04, 0x02, 0xaa }, 3 },
        { "another type", { 0x0c, 0x01, 'a' }, 3 },
        { "nothing", { 0 }, 0 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(heap) uint8_t *exact = exact_copy(rows[i].bytes, rows[i].len);
        struct reader       r     = over(exact, rows[i].len);
        struct err          err;

        take_der(&r, DER_OCTET_STRING);
        if (reader_ok(&r, &err))
            fail_msg("accepted: %s", rows[i].why);
    }
}

static void refuses_integers_that_are_negative_padded_or_too_large(void **state)
{
    static const struct { uint8_t bytes[12]; size_t len; bool fits; } rows[] = {
        { { 0x02, 0x01, 0x7f }, 3, true },         { { 0x02, 0x02, 0x00, 0xff }, 4, true },
        { { 0x02, 0x01, 0xff }, 3, false },        { { 0x02, 0x02, 0x00, 0x7f }, 4, false },
        { { 0x02, 0x02, 0x01, 0x00 }, 4, false },  { { 0x02, 0x00 }, 2, false },
        { { 0x02, 0x09, 0, 0xff, 0, 0, 0, 0, 0, 0, 0 }, 11, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reader r = over(rows[i].bytes, rows[i].len);
        struct err    err;

        (void) take_der_u64(&r, DER_INTEGER, 255); /* the reader tells */
        assert_int_equal(reader_done(&r, &err), rows[i].fits);
    }
}

static void unsigned_integers_lose_the_zero_of_their_sign(void **state)
{
    static const struct { uint8_t bytes[6]; size_t len; bool fits; size_t wanted; } rows[] = {
        { { 0x02, 0x01, 0x7f }, 3, true, 1 },       { { 0x02, 0x02, 0x00, 0x80 }, 4, true, 1 },
        { { 0x02, 0x01, 0x00 }, 3, true, 0 },       { { 0x02, 0x01, 0x80 }, 3, false, 0 },
        { { 0x02, 0x02, 0x00, 0x7f }, 4, false, 0 }, { { 0x02, 0x00 }, 2, false, 0 },
        { { 0x04, 0x01, 0x01 }, 3, false, 0 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reader r = over(rows[i].bytes, rows[i].len);
        struct err    err;

        assert_int_equal(take_der_unsigned(&r).len, rows[i].wanted);
        assert_int_equal(reader_done(&r, &err), rows[i].fits);
    }
}

static void refuses_booleans_and_bit_strings_with_room_for_two_meanings(void **state)
{
    static const uint8_t true_as_one[] = { 0x01, 0x01, 0x01 }, unused_bits[] = { 0x03, 0x02, 0x01, 0xfe };
    struct reader        b = over(true_as_one, sizeof true_as_one), s = over(unused_bits, sizeof unused_bits);
    struct err           err;

    (void) state;
    assert_false(take_der_bool(&b));
    assert_false(reader_ok(&b, &err));
    assert_int_equal(take_der_bits(&s).len, 0);
    assert_false(reader_ok(&s, &err));
}

static void a_failed_reader_gives_failed_inner_readers(void **state)
{
    static const uint8_t short_sequence[] = { 0x30, 0x05, 0x02 };
    struct reader        r                = over(short_sequence, sizeof short_sequence);
    struct reader        inner            = take_der_reader(&r, DER_SEQUENCE);
    struct err           err;

    (void) state;
    assert_false(reader_ok(&inner, &err));
    assert_int_equal(take_der_whole(&r, DER_SEQUENCE).len, 0);
}

static void reads_times_in_both_forms(void **state)
{
    static const uint8_t utc[] = "\x17\x0d" "250619100035Z", full[] = "\x18\x0f" "20500101000000Z", odd[] = "\x17\x0d" "250230100035Z";
    struct reader        a = over(utc, 15), b = over(full, 17), c = over(odd, 15);
    struct err           err;

    (void) state;
    assert_int_equal(take_der_time(&a), 1750327235);
    assert_int_equal(take_der_time(&b), 2524608000);
    assert_true(reader_done(&a, &err) && reader_done(&b, &err));
    (void) take_der_time(&c); /* 30 February */
    assert_false(reader_ok(&c, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_elements_of_the_wanted_type),
        cmocka_unit_test(refuses_what_is_not_der),
        cmocka_unit_test(refuses_integers_that_are_negative_padded_or_too_large),
        cmocka_unit_test(unsigned_integers_lose_the_zero_of_their_sign),
        cmocka_unit_test(refuses_booleans_and_bit_strings_with_room_for_two_meanings),
        cmocka_unit_test(a_failed_reader_gives_failed_inner_readers),
        cmocka_unit_test(reads_times_in_both_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
