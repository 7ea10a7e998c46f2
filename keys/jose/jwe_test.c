#include "tests/harness/json_vectors.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "base/text.h"
#include "keys/jose/jwe.h"

enum { TEXT_MAX = 1 << 16 };

static int open_heap(void **state)
{
    struct err err;

    (void) state;
    return secret_heap_open(&err) ? 0 : 1;
}

static BIGNUM *number(struct json_object *jwk, const char *name)
{
    AUTO(buffer) struct buffer raw = { 0 };
    struct err                 err;

    assert_true(base64_read(bytes_of_text(member_text(jwk, name)), BASE64_URL, &raw, &err));
    return BN_bin2bn(raw.at, (int) raw.len, NULL);
}

/* An EC key by curve, point and d. */
static EVP_PKEY *private_key(struct json_object *jwk)
{
    bool            is_p256 = strcmp(member_text(jwk, "crv"), "P-256") == 0;
    OSSL_PARAM_BLD *build   = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX   *ctx     = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY       *key     = NULL;
    BIGNUM         *d       = number(jwk, "d");
    AUTO(buffer) struct buffer point = { 0 };
    OSSL_PARAM     *params;
    struct err      err;

    buffer_append(&point, (struct bytes){ (const uint8_t *) "\x04", 1 });
    assert_true(base64_read(bytes_of_text(member_text(jwk, "x")), BASE64_URL, &point, &err));
    assert_true(base64_read(bytes_of_text(member_text(jwk, "y")), BASE64_URL, &point, &err));
    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, is_p256 ? "prime256v1" : "secp521r1", 0);
    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point.at, point.len);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d);
    params = OSSL_PARAM_BLD_to_param(build);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    BN_free(d);
    return key;
}

/* The private key of a case: an EC JWK, or PEM for RSA. */
static EVP_PKEY *case_key(struct json_object *one)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(bio) BIO             *bio = NULL;

    if (!json_has(one, "recipient_private_pem"))
        return private_key(member_of(one, "recipient_private_jwk"));
    vector_read("kbs/rsa-private-key.pem", &pem);
    bio = BIO_new_mem_buf(pem.at, (int) pem.len);
    return PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
}

static void assert_holds_hex(const struct secret *plain, const char *hex)
{
    AUTO(buffer) struct buffer wanted = { 0 };
    struct err                 err;

    assert_true(hex_read(bytes_of_text(hex), &wanted, &err));
    assert_int_equal(plain->len, wanted.len);
    assert_memory_equal(plain->held, wanted.at, wanted.len);
}

static void opens_the_published_cases_and_refuses_rsa1_5(void **state)
{
    AUTO(json) struct json_object *cases = vector_json("kbs/resource-jwe.json");
    size_t                         n_opened = 0;

    (void) state;
    for (size_t i = 0; i < json_object_array_length(cases); i++) {
        struct json_object        *one   = json_object_array_get_idx(cases, i);
        AUTO(pkey) EVP_PKEY       *key   = case_key(one);
        AUTO(buffer) struct buffer text  = { 0 };
        AUTO(secret) struct secret plain = { 0 };
        struct err                 err;

        json_write(member_of(one, "jwe"), &text);
        if (!jwe_open(buffer_bytes(&text), TEXT_MAX, key, &plain, &err)) {
            assert_non_null(strstr(member_text(one, "case"), "RSA1_5"));
            assert_int_equal(err.kind, ERR_UNSUPPORTED);
            continue;
        }
        assert_holds_hex(&plain, member_text(one, "plaintext_hex"));
        n_opened++;
    }
    assert_int_equal(n_opened, 3);
}

static void seals_with_the_header_in_the_order_that_trustee_re_serialises(void **state)
{
    AUTO(pkey) EVP_PKEY       *key    = EVP_EC_gen("P-256");
    AUTO(jwk) struct jwk       jwk    = { 0 };
    AUTO(secret) struct secret plain  = { 0 };
    AUTO(secret) struct secret back   = { 0 };
    AUTO(buffer) struct buffer text   = { 0 };
    AUTO(buffer) struct buffer header = { 0 };
    AUTO(json) struct json_object *sealed = NULL;
    struct err                 err;

    (void) state;
    assert_true(jwk_of_key(key, "ECDH-ES+A256KW", &jwk, &err));
    assert_true(secret_random(1000, &plain, &err));
    assert_true(jwe_seal(&jwk, &plain, &text, &err));
    assert_true(json_read(buffer_bytes(&text), TEXT_MAX, &sealed, &err));
    assert_true(base64_read(bytes_of_text(member_text(sealed, "protected")), BASE64_URL, &header, &err));
    assert_memory_equal(buffer_text(&header),
                        "{\"alg\":\"ECDH-ES+A256KW\",\"enc\":\"A256GCM\",\"epk\":{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"", 77);
    assert_int_equal(header.len, 77 + 43 + 7 + 43 + 3);
    assert_true(jwe_open(buffer_bytes(&text), TEXT_MAX, key, &back, &err));
    assert_true(secret_equal(&plain, &back));
}

static void seals_to_rsa_and_to_p521(void **state)
{
    static const struct { const char *alg; bool is_rsa; } CASES[] = { { "RSA-OAEP-256", true }, { "ECDH-ES+A256KW", false } };
    struct err err;

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(pkey) EVP_PKEY       *key   = CASES[i].is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-521");
        AUTO(jwk) struct jwk       jwk   = { 0 };
        AUTO(secret) struct secret plain = { 0 };
        AUTO(secret) struct secret back  = { 0 };
        AUTO(buffer) struct buffer text  = { 0 };

        assert_true(jwk_of_key(key, CASES[i].alg, &jwk, &err));
        assert_true(secret_random(32, &plain, &err));
        assert_true(jwe_seal(&jwk, &plain, &text, &err));
        assert_true(jwe_open(buffer_bytes(&text), TEXT_MAX, key, &back, &err));
        assert_true(secret_equal(&plain, &back));
    }
}

static void opens_only_with_its_own_key(void **state)
{
    AUTO(pkey) EVP_PKEY       *key   = EVP_EC_gen("P-256");
    AUTO(pkey) EVP_PKEY       *other = EVP_EC_gen("P-256");
    AUTO(jwk) struct jwk       jwk   = { 0 };
    AUTO(secret) struct secret plain = { 0 };
    AUTO(secret) struct secret back  = { 0 };
    AUTO(buffer) struct buffer text  = { 0 };
    struct err                 err;

    (void) state;
    assert_true(jwk_of_key(key, "ECDH-ES+A256KW", &jwk, &err));
    assert_true(secret_random(32, &plain, &err));
    assert_true(jwe_seal(&jwk, &plain, &text, &err));
    assert_false(jwe_open(buffer_bytes(&text), TEXT_MAX, other, &back, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_null(back.held);
}

/* Changes the first character of one member's base64 text and opens. */
static void assert_change_refused(struct json_object *sealed, const char *name, EVP_PKEY *key, enum err_kind kind)
{
    AUTO(text) char           *was  = strdup(member_text(sealed, name));
    AUTO(text) char           *now  = strdup(was);
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(secret) struct secret back = { 0 };
    struct err                 err;

    now[0] = now[0] == 'A' ? 'B' : 'A';
    json_object_object_add(sealed, name, json_object_new_string(now));
    json_write(sealed, &text);
    assert_false(jwe_open(buffer_bytes(&text), TEXT_MAX, key, &back, &err));
    assert_int_equal(err.kind, kind);
    json_object_object_add(sealed, name, json_object_new_string(was));
}

static void refuses_a_change_of_each_member_and_every_truncation(void **state)
{
    AUTO(json) struct json_object *cases  = vector_json("kbs/resource-jwe.json");
    struct json_object            *one    = json_object_array_get_idx(cases, 0);
    struct json_object            *sealed = member_of(one, "jwe");
    AUTO(pkey) EVP_PKEY           *key    = private_key(member_of(one, "recipient_private_jwk"));
    AUTO(buffer) struct buffer     text   = { 0 };
    AUTO(secret) struct secret     back   = { 0 };
    struct err                     err;

    (void) state;
    assert_change_refused(sealed, "protected", key, ERR_MALFORMED);
    assert_change_refused(sealed, "encrypted_key", key, ERR_UNTRUSTED);
    assert_change_refused(sealed, "iv", key, ERR_UNTRUSTED);
    assert_change_refused(sealed, "ciphertext", key, ERR_UNTRUSTED);
    assert_change_refused(sealed, "tag", key, ERR_UNTRUSTED);
    json_write(sealed, &text);
    for (size_t len = 0; len < text.len; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(text.at, len);

        assert_false(jwe_open((struct bytes){ exact, len }, TEXT_MAX, key, &back, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
    assert_true(jwe_open(buffer_bytes(&text), TEXT_MAX, key, &back, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_the_published_cases_and_refuses_rsa1_5),
        cmocka_unit_test(seals_with_the_header_in_the_order_that_trustee_re_serialises),
        cmocka_unit_test(seals_to_rsa_and_to_p521),
        cmocka_unit_test(opens_only_with_its_own_key),
        cmocka_unit_test(refuses_a_change_of_each_member_and_every_truncation),
    };

    return cmocka_run_group_tests(tests, open_heap, NULL);
}
