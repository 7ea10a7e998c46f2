#include "tests/harness/test.h"

#include "runtime/shim/engine.pb-c.h"
#include "runtime/shim/grpc_call.h"

static const uint8_t good[] = { 0, 0, 0, 0, 3, 'a', 'b', 'c' };

static void reads_the_one_message_of_a_body(void **state)
{
    struct bytes message;
    struct err   err;

    (void) state;
    assert_true(grpc_body_read(BYTES_OF(good), &message, &err));
    assert_int_equal(message.len, 3);
    assert_memory_equal(message.at, "abc", 3);
}

static void every_truncation_and_trailing_byte_is_refused(void **state)
{
    static const uint8_t longer[] = { 0, 0, 0, 0, 3, 'a', 'b', 'c', 'd' }, huge[] = { 0, 255, 255, 255, 255, 'a' };
    struct bytes         message = { NULL, 7 };
    struct err           err;

    (void) state;
    for (size_t len = 0; len < sizeof good; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(good, len);

        assert_false(grpc_body_read((struct bytes){ exact, len }, &message, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(message.len, 7);
    }
    assert_false(grpc_body_read(BYTES_OF(longer), &message, &err));
    assert_false(grpc_body_read(BYTES_OF(huge), &message, &err));
}

static void a_compressed_message_is_refused(void **state)
{
    static const uint8_t packed[] = { 1, 0, 0, 0, 1, 'a' };
    struct bytes         message;
    struct err           err;

    (void) state;
    assert_false(grpc_body_read(BYTES_OF(packed), &message, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "gRPC message: compressed");
}

static void a_server_that_is_not_there_is_named(void **state)
{
    struct grpc_call                call    = { "/nonexistent/socket", "/a.B/C", "ns", 1000 };
    Engine__IdRequest               request = ENGINE__ID_REQUEST__INIT;
    AUTO(message) ProtobufCMessage *out     = NULL;
    struct err                      err;

    (void) state;
    assert_false(grpc_call(&call, &request.base, &engine__container_response__descriptor, &out, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_string_equal(err.text, "/a.B/C: connect to /nonexistent/socket: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_one_message_of_a_body),
        cmocka_unit_test(every_truncation_and_trailing_byte_is_refused),
        cmocka_unit_test(a_compressed_message_is_refused),
        cmocka_unit_test(a_server_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
