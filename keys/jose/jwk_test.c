#include "tests/harness/json_vectors.h"

#include "keys/jose/jwk.h"

#define X "8h6F31bmVU7Y-uPlR1Mtlvc7hyDOrxWcsYOBPOthjj0"
#define Y "J2_-0LskBE0njZGnOJU4JnZRWu-BXLwoKp0WJyffLzw"

static bool read_text(const char *text, struct jwk *out, struct err *err)
{
    AUTO(json) struct json_object *value = NULL;

    assert_true(json_read(bytes_of_text(text), JWK_TEXT_MAX, &value, err));
    return jwk_read(value, out, err);
}

static void assert_refused(const char *text, enum err_kind kind, const char *why)
{
    AUTO(jwk) struct jwk jwk = { 0 };
    struct err           err;

    assert_false(read_text(text, &jwk, &err));
    assert_string_equal(err.text, why);
    assert_int_equal(err.kind, kind);
    assert_null(jwk.key);
}

static void keeps_only_the_typed_members_in_sorted_order(void **state)
{
    AUTO(jwk) struct jwk jwk = { 0 };
    struct err           err;

    (void) state;
    assert_true(read_text("{\"use\":\"enc\",\"kty\":\"EC\",\"y\":\"" Y "\",\"kid\":\"1\",\"x\":\"" X
                          "\",\"alg\":\"ECDH-ES+A256KW\",\"crv\":\"P-256\"}", &jwk, &err));
    assert_string_equal(buffer_text(&jwk.canonical), "{\"alg\":\"ECDH-ES+A256KW\",\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" X
                                                     "\",\"y\":\"" Y "\"}");
    assert_int_equal(jwk.kind, JWK_P256);
}

static void reads_the_key_of_every_worked_case(void **state)
{
    AUTO(json) struct json_object *whole = vector_json("kbs/runtime-data-hash.json");
    struct json_object            *cases = member_of(whole, "cases");
    struct err                     err;

    (void) state;
    assert_true(json_object_array_length(cases) >= 6);
    for (size_t i = 0; i < json_object_array_length(cases); i++) {
        struct json_object  *one       = json_object_array_get_idx(cases, i);
        const char          *canonical = member_text(one, "device_canonical"); /* {"nonce":N,"tee-pubkey":K} */
        AUTO(jwk) struct jwk jwk       = { 0 };

        if (!jwk_read(member_of(one, "tee-pubkey"), &jwk, &err))
            fail_msg("%s: %s", member_text(one, "case"), err.text);
        assert_non_null(strstr(canonical, buffer_text(&jwk.canonical)));
    }
}

static void describes_a_fresh_key_so_that_it_reads_back(void **state)
{
    AUTO(pkey) EVP_PKEY *key  = NULL;
    AUTO(jwk) struct jwk made = { 0 };
    AUTO(jwk) struct jwk back = { 0 };
    struct err           err;

    (void) state;
    assert_true(jwk_generate_p256(&key, &err));
    assert_true(jwk_of_key(key, "ECDH-ES+A256KW", &made, &err));
    assert_true(read_text(buffer_text(&made.canonical), &back, &err));
    assert_int_equal(EVP_PKEY_eq(key, back.key), 1);
    assert_true(bytes_equal(buffer_bytes(&made.canonical), buffer_bytes(&back.canonical)));
}

static void refuses_each_defect_by_name(void **state)
{
    (void) state;
    assert_refused("[]", ERR_MALFORMED, "JWK: \"kty\": an object is wanted around it, found array");
    assert_refused("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\"}", ERR_MALFORMED, "JWK: \"alg\" is missing");
    assert_refused("{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"none\",\"x\":\"" X "\",\"y\":\"" Y "\"}", ERR_UNSUPPORTED,
                   "JWK: this kty and alg are not taken; use EC with ECDH-ES+A256KW");
    assert_refused("{\"kty\":\"EC\",\"crv\":\"P-384\",\"alg\":\"ECDH-ES+A256KW\",\"x\":\"" X "\",\"y\":\"" Y "\"}",
                   ERR_UNSUPPORTED, "JWK: curve is neither P-256 nor P-521");
    assert_refused("{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ECDH-ES+A256KW\",\"x\":\"AA\",\"y\":\"" Y "\"}", ERR_MALFORMED,
                   "JWK: x has 1 bytes; P-256 has 32");
    assert_refused("{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ECDH-ES+A256KW\",\"x\":\"" Y "\",\"y\":\"" X "\"}", ERR_MALFORMED,
                   "JWK: point is not on curve");
    assert_refused("{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP-256\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", ERR_UNSUPPORTED,
                   "JWK: an RSA key of 17 bits; 2048 to 8192 are taken");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_only_the_typed_members_in_sorted_order),
        cmocka_unit_test(reads_the_key_of_every_worked_case),
        cmocka_unit_test(describes_a_fresh_key_so_that_it_reads_back),
        cmocka_unit_test(refuses_each_defect_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
