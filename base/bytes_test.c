#include "tests/harness/test.h"

static void a_read_past_the_end_fails_for_good_and_moves_nothing(void **state)
{
    const uint8_t two[] = { 1, 2 };
    struct reader r     = reader_over(BYTES_OF(two));
    struct err    err;

    (void) state;
    assert_int_equal(take_u32le(&r), 0);
    assert_int_equal(take_u8(&r), 0);
    assert_int_equal(r.left.len, 2);
    assert_false(reader_ok(&r, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_string_equal(err.text, "wanted 4 bytes at offset 0, 2 left");
}

static void reads_both_byte_orders(void **state)
{
    const uint8_t eight[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    struct reader le = reader_over(BYTES_OF(eight)), be = le;
    struct err    err;

    (void) state;
    assert_true(take_u64le(&le) == 0x0807060504030201);
    assert_true(take_u64be(&be) == 0x0102030405060708);
    assert_true(reader_done(&le, &err));
}

static void an_inner_reader_never_reaches_outside(void **state)
{
    const uint8_t four[] = { 1, 2, 3, 4 };
    struct reader r      = reader_over(BYTES_OF(four));
    struct reader inner  = take_reader(&r, 2);
    struct reader beyond = take_reader(&r, 3);
    struct err    err;

    (void) state;
    assert_int_equal(take_u16be(&inner), 0x0102);
    assert_int_equal(take_u8(&inner), 0);
    assert_false(reader_ok(&inner, &err));
    assert_string_equal(err.text, "wanted 1 bytes at offset 2, 0 left");
    assert_false(reader_ok(&beyond, &err));
}

static void left_over_bytes_are_named(void **state)
{
    const uint8_t two[] = { 1, 2 };
    struct reader r     = reader_over(BYTES_OF(two));
    struct err    err;

    (void) state;
    take(&r, 1);
    assert_false(reader_done(&r, &err));
    assert_string_equal(err.text, "1 bytes left over at offset 1");
}

static void a_writer_that_overflows_writes_nothing_more(void **state)
{
    uint8_t       room[5] = { 0 };
    struct writer w       = writer_over(room, 4);
    struct err    err;

    (void) state;
    put_u16be(&w, 0x0102);
    put_u32le(&w, 0xffffffff);
    put_u8(&w, 9);
    assert_false(writer_ok(&w, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_memory_equal(room, "\1\2\0\0\0", 5);
}

static void a_text_of_any_length_is_printed_whole(void **state)
{
    char text[300];

    (void) state;
    for (size_t len = 0; len < sizeof text; len++) {
        AUTO(buffer) struct buffer b = { 0 };

        memset(text, 'x', len);
        text[len] = 0;
        buffer_printf(&b, "%s", text);
        buffer_printf(&b, "%s", text);
        assert_int_equal(b.len, 2 * len);
        assert_int_equal(strlen(buffer_text(&b)), 2 * len);
    }
}

static void a_buffer_is_extended_at_its_end(void **state)
{
    AUTO(buffer) struct buffer b = { 0 };

    (void) state;
    buffer_append_text(&b, "ab");
    memcpy(buffer_extend(&b, 1000), (char[1000]){ "cd" }, 1000);
    assert_int_equal(b.len, 1002);
    assert_string_equal(buffer_text(&b), "abcd");
    assert_true(bytes_are_zero((struct bytes){ buffer_grow(&b, 500), 500 }));
}

static void a_buffer_grows_and_keeps_its_content(void **state)
{
    AUTO(buffer) struct buffer b = { 0 };

    (void) state;
    assert_string_equal(buffer_text(&b), "");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&b, "%03d,", i);
    assert_int_equal(b.len, 4000);
    assert_memory_equal(b.at + 3996, "999,", 4);
    assert_int_equal(strlen(buffer_text(&b)), 4000);
}

static void zeroed_elements_are_zero_even_when_there_are_none(void **state)
{
    AUTO(heap) uint8_t *none = zeroed(0, 4), *some = zeroed(3, 5);

    (void) state;
    assert_non_null(none);
    assert_true(bytes_are_zero((struct bytes){ some, 15 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_past_the_end_fails_for_good_and_moves_nothing),
        cmocka_unit_test(reads_both_byte_orders),
        cmocka_unit_test(an_inner_reader_never_reaches_outside),
        cmocka_unit_test(left_over_bytes_are_named),
        cmocka_unit_test(a_writer_that_overflows_writes_nothing_more),
        cmocka_unit_test(a_buffer_grows_and_keeps_its_content),
        cmocka_unit_test(a_text_of_any_length_is_printed_whole),
        cmocka_unit_test(a_buffer_is_extended_at_its_end),
        cmocka_unit_test(zeroed_elements_are_zero_even_when_there_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
