#include "tests/harness/json_vectors.h"

#include <openssl/pem.h>

#include "base/text.h"
#include "keys/jose/jwt.h"

enum { TOKEN_MAX = 1 << 16 };

static EVP_PKEY *vector_key(void)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(bio) BIO             *bio;

    vector_read("kbs/ear-signing-key.pem", &pem);
    bio = BIO_new_mem_buf(pem.at, (int) pem.len);
    return PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
}

static void verifies_the_published_tokens_and_reads_their_payload(void **state)
{
    AUTO(json) struct json_object *cases = vector_json("kbs/ear-tokens.json");
    AUTO(pkey) EVP_PKEY           *key   = vector_key();

    (void) state;
    assert_int_equal(json_object_array_length(cases), 3);
    for (size_t i = 0; i < 3; i++) {
        struct json_object            *one     = json_object_array_get_idx(cases, i);
        AUTO(json) struct json_object *payload = NULL;
        struct err                     err;

        if (!jwt_verify(bytes_of_text(member_text(one, "token")), TOKEN_MAX, key, &payload, &err))
            fail_msg("%s: %s", member_text(one, "case"), err.text);
        assert_true(json_object_equal(payload, member_of(one, "payload")));
    }
}

static void signs_what_it_then_verifies_with_both_algorithms(void **state)
{
    static const char *const HEADERS[] = { "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9", "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSJ9" };
    struct err               err;

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(pkey) EVP_PKEY           *key     = i == 0 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        AUTO(buffer) struct buffer     token   = { 0 };
        AUTO(json) struct json_object *payload = NULL;

        assert_true(jwt_sign("", bytes_of_text("{\"role\":\"admin\"}"), key, &token, &err));
        assert_memory_equal(token.at, HEADERS[i], strlen(HEADERS[i]));
        assert_true(jwt_verify(buffer_bytes(&token), TOKEN_MAX, key, &payload, &err));
        assert_string_equal(member_text(payload, "role"), "admin");
    }
}

static void assert_refused(struct bytes token, EVP_PKEY *key, enum err_kind kind, const char *why)
{
    AUTO(json) struct json_object *payload = NULL;
    struct err                     err;

    assert_false(jwt_verify(token, TOKEN_MAX, key, &payload, &err));
    assert_string_equal(err.text, why);
    assert_int_equal(err.kind, kind);
    assert_null(payload);
}

static void refuses_each_defect_by_name(void **state)
{
    AUTO(pkey) EVP_PKEY       *key   = EVP_EC_gen("P-256");
    AUTO(pkey) EVP_PKEY       *other = EVP_EC_gen("P-256");
    AUTO(pkey) EVP_PKEY       *ed    = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    AUTO(buffer) struct buffer token = { 0 };
    AUTO(buffer) struct buffer none  = { 0 };
    struct err                 err;

    (void) state;
    assert_true(jwt_sign("", bytes_of_text("{}"), key, &token, &err));
    assert_refused(buffer_bytes(&token), other, ERR_UNTRUSTED, "token: the signature does not hold");
    assert_refused(buffer_bytes(&token), ed, ERR_UNSUPPORTED, "token header: alg is not the EdDSA of the key that we trust");
    assert_refused(bytes_of_text("a.b"), key, ERR_MALFORMED, "a token is three parts with two dots between");
    assert_refused(bytes_of_text("e30.e30.e30.e30"), key, ERR_MALFORMED, "a token is three parts with two dots between");
    base64_append(&none, bytes_of_text("{\"alg\":\"none\"}"), BASE64_URL);
    buffer_append_text(&none, ".e30.");
    assert_refused(buffer_bytes(&none), key, ERR_UNSUPPORTED, "token header: alg is not the ES256 of the key that we trust");
    token.len -= 2;
    assert_refused(buffer_bytes(&token), key, ERR_UNTRUSTED, "token: a signature of 63 bytes; wanted 64");
}

static void refuses_every_truncation_and_every_changed_character(void **state)
{
    AUTO(pkey) EVP_PKEY           *key     = EVP_EC_gen("P-256");
    AUTO(buffer) struct buffer     token   = { 0 };
    AUTO(json) struct json_object *payload = NULL;
    struct err                     err;

    (void) state;
    assert_true(jwt_sign("", bytes_of_text("{\"exp\":1}"), key, &token, &err));
    for (size_t len = 0; len < token.len; len++) {
        AUTO(heap) uint8_t *cut     = exact_copy(token.at, len);
        AUTO(heap) uint8_t *changed = exact_copy(token.at, token.len);

        assert_false(jwt_verify((struct bytes){ cut, len }, TOKEN_MAX, key, &payload, &err));
        changed[len] = changed[len] == 'A' ? 'Q' : 'A';
        assert_false(jwt_verify((struct bytes){ changed, token.len }, TOKEN_MAX, key, &payload, &err));
    }
    assert_null(payload);
}

static void judges_times_at_the_instant_given(void **state)
{
    AUTO(json) struct json_object *payload = json_object_new_object();
    struct err                     err;

    (void) state;
    assert_false(jwt_check_times(payload, 100, 60, &err));
    assert_string_equal(err.text, "token: \"exp\" is missing");
    json_object_object_add(payload, "exp", json_object_new_int64(100));
    assert_true(jwt_check_times(payload, 159, 60, &err));
    assert_false(jwt_check_times(payload, 160, 60, &err));
    assert_string_equal(err.text, "token: expired 60 s ago");
    json_object_object_add(payload, "nbf", json_object_new_int64(50));
    assert_true(jwt_check_times(payload, 40, 10, &err));
    assert_false(jwt_check_times(payload, 39, 10, &err));
    assert_string_equal(err.text, "token: not valid before 11 s from now");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifies_the_published_tokens_and_reads_their_payload),
        cmocka_unit_test(signs_what_it_then_verifies_with_both_algorithms),
        cmocka_unit_test(refuses_each_defect_by_name),
        cmocka_unit_test(refuses_every_truncation_and_every_changed_character),
        cmocka_unit_test(judges_times_at_the_instant_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
