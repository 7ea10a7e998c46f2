#include "tests/harness/test.h"
#include "attestation/verifier/signed_json.h"
#include "tests/harness/vectors.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void cuts_out_the_exact_bytes_of_the_object(void **state)
{
    const char        *text = " {\"signature\" : \"" HEX64 HEX64 "\",\n\"tcbInfo\": { \"a\":[1,{\"b\":\"}\"}] } }\n";
    struct signed_json out;
    struct err         err;

    (void) state;
    assert_true(signed_json_split(bytes_of_text(text), "tcbInfo", &out, &err));
    assert_true(bytes_equal(out.body, bytes_of_text("{ \"a\":[1,{\"b\":\"}\"}] }")));
    assert_int_equal(out.signature[1], 0x23);
}

static void reads_intels_documents(void **state)
{
    AUTO(buffer) struct buffer tcb = own_vector("tdx/intel_v4/tcb_info.json");
    struct signed_json         out;
    struct err                 err;

    (void) state;
    assert_true(signed_json_split(buffer_bytes(&tcb), "tcbInfo", &out, &err));
    assert_ptr_equal(out.body.at, tcb.at + strlen("{\"tcbInfo\":"));
    assert_false(signed_json_split(buffer_bytes(&tcb), "enclaveIdentity", &out, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

#define SIGNED(body) "{\"x\":" body ",\"signature\":\"" HEX64 HEX64 "\"}"

static void refuses_documents_that_two_readers_could_take_differently(void **state)
{
    static const char *const texts[] = {
        "", "{}", "[]", " {\"signature\" : \"" HEX64 HEX64 "\" }\n", "{\"x\" \n", SIGNED("{}") "x", SIGNED("[]"), SIGNED("1"), SIGNED("{\"a\":-1}"), SIGNED("{\"a\":1.0}"),
        SIGNED("{\"a\":1e5}"), SIGNED("{\"a\":1E5}"), SIGNED("{\"\\u0061\":1}"), SIGNED("{\"a\":1"), SIGNED("{\"a}"),
        SIGNED("{/**/}"), SIGNED("{\"a\":[1}]"), SIGNED("{\"a\":1]"),
        "{\"x\":{},\"x\":{}}", "{\"x\":{},\"signature\":\"" HEX64 HEX64 "\",\"y\":1}",
        "{\"signature\":\"" HEX64 HEX64 "\",\"signature\":\"" HEX64 HEX64 "\"}",
        "{\"x\":{},\"signature\":\"" HEX64 "\"}", "{\"x\":{},\"signature\":\"" HEX64 HEX64 "00\"}",
        "{\"x\":{},\"signature\":\"A" "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" HEX64 "\"}",
    };
    struct signed_json out;
    struct err         err;

    (void) state;
    assert_true(signed_json_split(bytes_of_text(SIGNED("{\"a\":true,\"b\":false,\"c\":null}")), "x", &out, &err));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (signed_json_split(bytes_of_text(texts[i]), "x", &out, &err))
            fail_msg("accepted: %s", texts[i]);
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void refuses_depth_and_size_beyond_the_limits(void **state)
{
    AUTO(buffer) struct buffer deep = { 0 }, large = { 0 };
    struct signed_json         out;
    struct err                 err;

    (void) state;
    buffer_append_text(&deep, "{\"x\":{\"a\":");
    for (int i = 0; i < SIGNED_JSON_DEPTH_MAX; i++)
        buffer_append_text(&deep, "[");
    assert_false(signed_json_split(buffer_bytes(&deep), "x", &out, &err));
    buffer_grow(&large, SIGNED_JSON_LEN_MAX + 1);
    assert_false(signed_json_split(buffer_bytes(&large), "x", &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_out_the_exact_bytes_of_the_object),
        cmocka_unit_test(reads_intels_documents),
        cmocka_unit_test(refuses_documents_that_two_readers_could_take_differently),
        cmocka_unit_test(refuses_depth_and_size_beyond_the_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
