#include "tests/harness/test.h"

#include "guest/api/ttrpc.h"

static const struct ttrpc_method read_blob = { &blobs_service, "Read" };

static bool read_frame(const void *from, size_t len, struct ttrpc_frame *out, size_t *used, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from, len);

    return ttrpc_frame_read((struct bytes){ exact, len }, out, used, err);
}

static void refuses(const char header[static TTRPC_HEADER_LEN], enum err_kind kind, const char *text)
{
    struct ttrpc_frame frame = { .stream = 77 };
    size_t             used;
    struct err         err;

    assert_false(read_frame(header, TTRPC_HEADER_LEN, &frame, &used, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, text);
    assert_int_equal(frame.stream, 77);
}

static void every_prefix_of_a_frame_wants_more(void **state)
{
    static const char  wire[] = "\0\0\0\x03\0\0\0\x05\x01\0abcNEXT";
    struct ttrpc_frame frame  = { .stream = 77 };
    size_t             used;
    struct err         err;

    (void) state;
    for (size_t len = 0; len < 13; len++) {
        assert_true(read_frame(wire, len, &frame, &used, &err));
        assert_int_equal(used, 0);
        assert_int_equal(frame.stream, 77);
    }
    assert_true(ttrpc_frame_read((struct bytes){ (const uint8_t *) wire, 17 }, &frame, &used, &err));
    assert_int_equal(used, 13);
    assert_int_equal(frame.stream, 5);
    assert_int_equal(frame.type, TTRPC_REQUEST);
    assert_int_equal(frame.message.len, 3);
    assert_memory_equal(frame.message.at, "abc", 3);
}

static void refuses_a_long_message_from_its_header_alone(void **state)
{
    (void) state;
    refuses("\0\x10\0\x01\0\0\0\x01\x01", ERR_LIMIT, "ttrpc: message of 1048577 bytes, most is 1048576");
    refuses("\xff\xff\xff\xff\0\0\0\x01\x01", ERR_LIMIT, "ttrpc: message of 4294967295 bytes, most is 1048576");
}

static void refuses_types_flags_and_streams_that_are_not_spoken(void **state)
{
    (void) state;
    refuses("\0\0\0\0\0\0\0\x01\x03", ERR_UNSUPPORTED, "ttrpc: message type 3");
    refuses("\0\0\0\0\0\0\0\x01\x00", ERR_UNSUPPORTED, "ttrpc: message type 0");
    refuses("\0\0\0\0\0\0\0\x01\x01\x01", ERR_UNSUPPORTED, "ttrpc: flags 0x1: streams are not spoken here");
    refuses("\0\0\0\0\0\0\0\x02\x01", ERR_MALFORMED, "ttrpc: stream id 2 is not a client's");
    refuses("\0\0\0\0\0\0\0\0\x02", ERR_MALFORMED, "ttrpc: stream id 0 is not a client's");
}

static void a_request_is_the_bytes_that_ttrpc_peers_expect(void **state)
{
    /* envelope: 1 "cloister.blobs.v1.Blobs", 2 "Read", 3 { 1 "d", 2 = 7, 3 = 9 } */
    static const char wanted[] = "\0\0\0\x28\0\0\0\x03\x01\0"
                                 "\x0a\x17" "cloister.blobs.v1.Blobs" "\x12\x04Read"
                                 "\x1a\x07\x0a\x01" "d\x10\x07\x18\x09";
    char                       digest[] = "d";
    Blobs__ReadRequest         request  = BLOBS__READ_REQUEST__INIT;
    AUTO(buffer) struct buffer out      = { 0 };
    struct err                 err;

    (void) state;
    request.digest = digest;
    request.offset = 7;
    request.length = 9;
    assert_true(ttrpc_append_request(&out, 3, &read_blob, &request.base, &err));
    assert_int_equal(out.len, sizeof wanted - 1);
    assert_memory_equal(out.at, wanted, sizeof wanted - 1);
}

static FALLIBLE read_answer(const struct buffer *wire, ProtobufCMessage **out, struct err *err)
{
    struct ttrpc_frame frame = { 0 };
    size_t             used;

    assert_true(ttrpc_frame_read(buffer_bytes(wire), &frame, &used, err));
    assert_int_equal(used, wire->len);
    return ttrpc_response_read(frame.message, &blobs__read_response__descriptor, out, err);
}

static void an_answer_comes_back_whole(void **state)
{
    uint8_t                         data[] = { 1, 2, 3 };
    Blobs__ReadResponse             answer = BLOBS__READ_RESPONSE__INIT;
    AUTO(buffer) struct buffer      wire   = { 0 };
    AUTO(message) ProtobufCMessage *out    = NULL;
    struct err                      err;

    (void) state;
    answer.data = (ProtobufCBinaryData){ sizeof data, data };
    answer.size = UINT64_MAX;
    assert_true(ttrpc_append_response(&wire, 1, &answer.base, &err));
    assert_true(read_answer(&wire, &out, &err));
    const Blobs__ReadResponse *back = (const Blobs__ReadResponse *) out;
    assert_int_equal(back->data.len, 3);
    assert_true(back->size == UINT64_MAX);
}

static void a_refusal_carries_kind_and_text(void **state)
{
    struct err                      why  = { .kind = ERR_DENIED, .text = "verify: no" };
    AUTO(buffer) struct buffer      wire = { 0 };
    AUTO(message) ProtobufCMessage *out  = NULL;
    struct err                      err;

    (void) state;
    ttrpc_append_refusal(&wire, 1, &why);
    assert_false(read_answer(&wire, &out, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "verify: no");
}

static void a_refusal_that_quotes_odd_bytes_is_still_readable(void **state)
{
    struct err                      why  = { .kind = ERR_MALFORMED, .text = "name \xff" };
    AUTO(buffer) struct buffer      wire = { 0 };
    AUTO(message) ProtobufCMessage *out  = NULL;
    struct err                      err;

    (void) state;
    ttrpc_append_refusal(&wire, 1, &why);
    assert_false(read_answer(&wire, &out, &err));
    assert_string_equal(err.text, "name \\xff");
}

static void refuses_to_write_what_could_not_be_read(void **state)
{
    AUTO(buffer) struct buffer large  = { 0 };
    AUTO(buffer) struct buffer wire   = { 0 };
    Blobs__ReadResponse        answer = BLOBS__READ_RESPONSE__INIT;
    struct err                 err;

    (void) state;
    buffer_grow(&large, MESSAGE_LEN_MAX);
    answer.data = (ProtobufCBinaryData){ large.len, large.at };
    assert_false(ttrpc_append_response(&wire, 1, &answer.base, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(wire.len, 0);
}

static void bounds_names_and_metadata(void **state)
{
    AUTO(buffer) struct buffer      wire = { 0 };
    AUTO(message) ProtobufCMessage *out  = NULL;
    struct err                      err;

    (void) state;
    buffer_append(&wire, (struct bytes){ (const uint8_t *) "\x12\x81\x01", 3 });
    memset(buffer_grow(&wire, 129), 'm', 129);
    assert_false(ttrpc_request_read(buffer_bytes(&wire), &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "ttrpc: service or method name over 128 bytes");

    wire.len = 0;
    for (int i = 0; i < 33; i++)
        buffer_append(&wire, (struct bytes){ (const uint8_t *) "\x2a\0", 2 });
    assert_false(ttrpc_request_read(buffer_bytes(&wire), &out, &err));
    assert_string_equal(err.text, "ttrpc: over 32 metadata entries");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_of_a_frame_wants_more),
        cmocka_unit_test(refuses_a_long_message_from_its_header_alone),
        cmocka_unit_test(refuses_types_flags_and_streams_that_are_not_spoken),
        cmocka_unit_test(a_request_is_the_bytes_that_ttrpc_peers_expect),
        cmocka_unit_test(an_answer_comes_back_whole),
        cmocka_unit_test(a_refusal_carries_kind_and_text),
        cmocka_unit_test(a_refusal_that_quotes_odd_bytes_is_still_readable),
        cmocka_unit_test(refuses_to_write_what_could_not_be_read),
        cmocka_unit_test(bounds_names_and_metadata),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
