#include "tests/harness/test.h"

#include "guest/api/agent.pb-c.h"
#include "guest/api/envelope.pb-c.h"
#include "guest/api/message.h"

static bool read_create(const void *wire, size_t len, enum message_form form, ProtobufCMessage **out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(wire, len);

    return message_read(&agent__create_container_request__descriptor, (struct bytes){ exact, len }, form, out, err);
}

static void refuses(const void *wire, size_t len, enum err_kind kind, const char *text)
{
    AUTO(message) ProtobufCMessage *out = NULL;
    struct err                      err;

    assert_false(read_create(wire, len, MESSAGE_EXACT, &out, &err));
    assert_null(out);
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, text);
}
#define REFUSES(wire, kind, text) refuses(wire, sizeof wire - 1, kind, text)

#define EXACTLY "agent.CreateContainerRequest: not in the one encoding that is accepted"

static void reads_what_it_wrote(void **state)
{
    char                            id[] = "web", arg[] = "sh", none[] = "";
    char                           *args[]   = { arg, none };
    Agent__CreateContainerRequest   request  = AGENT__CREATE_CONTAINER_REQUEST__INIT;
    AUTO(buffer) struct buffer      wire     = { 0 };
    AUTO(message) ProtobufCMessage *read     = NULL;
    struct err                      err;

    (void) state;
    request.id       = id;
    request.args     = args;
    request.n_args   = 2;
    request.terminal = true;
    message_append(&wire, &request.base);
    assert_true(read_create(wire.at, wire.len, MESSAGE_EXACT, &read, &err));
    const Agent__CreateContainerRequest *back = (const Agent__CreateContainerRequest *) read;
    assert_string_equal(back->id, "web");
    assert_int_equal(back->n_args, 2);
    assert_string_equal(back->args[0], "sh");
    assert_string_equal(back->args[1], "");
    assert_true(back->terminal);
    assert_string_equal(back->image_digest, "");
}

static void refuses_a_field_that_the_contract_does_not_have(void **state)
{
    (void) state;
    REFUSES("\xfa\x7f\x01x", ERR_MALFORMED, "agent.CreateContainerRequest: unknown field 2047");
}

static void refuses_text_that_is_not_utf8(void **state)
{
    (void) state;
    REFUSES("\x0a\x01\xff", ERR_MALFORMED, "agent.CreateContainerRequest: id: not UTF-8");
    REFUSES("\x22\x01" "a\x22\x02\xc0\x80", ERR_MALFORMED, "agent.CreateContainerRequest: args: not UTF-8");
}

static void refuses_a_zero_inside_text(void **state)
{
    (void) state;
    REFUSES("\x0a\x03" "a\0b", ERR_MALFORMED, EXACTLY);
}

static void refuses_a_field_given_twice_and_fields_out_of_order(void **state)
{
    (void) state;
    REFUSES("\x0a\x01" "a\x0a\x01" "b", ERR_MALFORMED, EXACTLY);
    REFUSES("\x12\x01" "d\x0a\x01" "b", ERR_MALFORMED, EXACTLY);
}

static void refuses_a_default_that_is_spelled_out_and_a_long_number(void **state)
{
    (void) state;
    REFUSES("\x30\x00", ERR_MALFORMED, EXACTLY);
    REFUSES("\x0a\x81\x00" "a", ERR_MALFORMED, EXACTLY);
}

static void refuses_garbage(void **state)
{
    (void) state;
    REFUSES("\x0a\x05" "a", ERR_MALFORMED, "agent.CreateContainerRequest: not a protobuf message");
}

static void the_loose_form_takes_an_unknown_field_but_not_broken_text(void **state)
{
    AUTO(message) ProtobufCMessage *out = NULL;
    AUTO(message) ProtobufCMessage *bad = NULL;
    struct err                      err;

    (void) state;
    assert_true(read_create("\x7a\x01x", 3, MESSAGE_LOOSE, &out, &err));
    assert_false(read_create("\x0a\x01\xff", 3, MESSAGE_LOOSE, &bad, &err));
}

static void bounds_the_wire_and_the_memory(void **state)
{
    AUTO(buffer) struct buffer      wire = { 0 };
    AUTO(message) ProtobufCMessage *out  = NULL;
    struct err                      err;

    (void) state;
    buffer_grow(&wire, MESSAGE_LEN_MAX + 1);
    assert_false(read_create(wire.at, wire.len, MESSAGE_EXACT, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "agent.CreateContainerRequest: 1048577 bytes, most is 1048576");

    for (size_t i = 0; i + 1 < MESSAGE_LEN_MAX; i += 2) /* half a million empty metadata entries */
        wire.at[i] = 0x2a, wire.at[i + 1] = 0;
    assert_false(message_read(&envelope__request__descriptor, (struct bytes){ wire.at, MESSAGE_LEN_MAX }, MESSAGE_LOOSE,
                              &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "envelope.Request: takes over 8388608 bytes of memory");
}

static void a_truncation_never_reads_as_something_else(void **state)
{
    static const char wire[] = "\x0a\x03web\x12\x02" "di\x22\x01" "a\x2a\x03K=V\x30\x01";
    struct err        err;

    (void) state;
    for (size_t len = 0; len < sizeof wire; len++) {
        AUTO(message) ProtobufCMessage *out   = NULL;
        AUTO(buffer) struct buffer      again = { 0 };

        if (!read_create(wire, len, MESSAGE_EXACT, &out, &err))
            continue;
        message_append(&again, out);
        assert_true(bytes_equal(buffer_bytes(&again), (struct bytes){ (const uint8_t *) wire, len }));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_wrote),
        cmocka_unit_test(refuses_a_field_that_the_contract_does_not_have),
        cmocka_unit_test(refuses_text_that_is_not_utf8),
        cmocka_unit_test(refuses_a_zero_inside_text),
        cmocka_unit_test(refuses_a_field_given_twice_and_fields_out_of_order),
        cmocka_unit_test(refuses_a_default_that_is_spelled_out_and_a_long_number),
        cmocka_unit_test(refuses_garbage),
        cmocka_unit_test(the_loose_form_takes_an_unknown_field_but_not_broken_text),
        cmocka_unit_test(bounds_the_wire_and_the_memory),
        cmocka_unit_test(a_truncation_never_reads_as_something_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
