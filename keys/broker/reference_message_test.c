#include "tests/harness/test.h"

#include <openssl/pem.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/broker/reference_message.h"
#include "keys/jose/jwt.h"

enum { NOW = 1000000 };

static char                  *folder;
static EVP_PKEY              *key;
static struct administrators *trusting, *strict, *nobody;

static struct administrators *read_fine(const char *toml)
{
    struct administrators *a = NULL;
    struct err             err;

    return administrators_read(bytes_of_text(toml), folder, &a, &err) ? a : NULL;
}

static int make(void **state)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    char           path[4096], *at;
    long           len;
    struct err     err;

    (void) state;
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (PEM_write_bio_PUBKEY(bio, key) != 1 || !directory_make_temporary("reference-message-", &folder, &err))
        return 1;
    len = BIO_get_mem_data(bio, &at);
    (void) snprintf(path, sizeof path, "%s/build.pub", folder);
    if (!file_write(path, (struct bytes){ (const uint8_t *) at, (size_t) len }, 0644, &err))
        return 1;
    trusting = read_fine("[[signer]]\nname = \"build\"\nkey = \"build.pub\"\n");
    strict   = read_fine("reference_signatures = true\n[[signer]]\nname = \"build\"\nkey = \"build.pub\"\n");
    nobody   = read_fine("");
    return trusting && strict && nobody ? 0 : 1;
}

static int clean(void **state)
{
    struct err err;

    (void) state;
    EVP_PKEY_free(key);
    administrators_free(trusting);
    administrators_free(strict);
    administrators_free(nobody);
    if (!directory_remove(folder, &err))
        return 1;
    free(folder);
    return 0;
}

static void message_of(const char *type, struct bytes payload, struct buffer *out)
{
    buffer_printf(out, "{\"version\":\"0.1.0\",\"type\":\"%s\",\"payload\":\"", type);
    base64_append(out, payload, BASE64_STANDARD);
    buffer_append_text(out, "\"}");
}

static bool reads(const char *type, struct bytes payload, const struct administrators *a, struct reference_set *out,
                  struct err *err)
{
    AUTO(buffer) struct buffer message = { 0 };

    message_of(type, payload, &message);
    return reference_message_read(buffer_bytes(&message), a, NOW, out, err);
}

static void takes_the_message_that_kbs_client_sends(void **state)
{
    static const char TEXT[] = "{\"payload\":\"eyJsYXVuY2hfZGlnZXN0IjpbImFiY2RlIl19\",\"type\":\"sample\",\"version\":\"0.1.0\"}";
    AUTO(reference_set) struct reference_set set  = { 0 };
    AUTO(buffer) struct buffer               text = { 0 };
    struct err                               err;

    (void) state;
    assert_true(reference_message_read(bytes_of_text(TEXT), nobody, NOW, &set, &err));
    json_write(set.values, &text);
    assert_string_equal(buffer_text(&text), "{\"launch_digest\":[\"abcde\"]}");
    assert_string_equal(set.signer, "");
    assert_int_equal(set.expires, 0);
}

static bool signed_reads(EVP_PKEY *by, const char *payload, const struct administrators *a, struct reference_set *out,
                         struct err *err)
{
    AUTO(buffer) struct buffer jws = { 0 };

    assert_true(jwt_sign("", bytes_of_text(payload), by, &jws, err));
    return reads("jws", buffer_bytes(&jws), a, out, err);
}

static void takes_a_manifest_that_a_signer_signed(void **state)
{
    AUTO(reference_set) struct reference_set set  = { 0 };
    AUTO(buffer) struct buffer               text = { 0 };
    struct err                               err;

    (void) state;
    if (!signed_reads(key, "{\"reference-values\":{\"a\":[\"b\"]},\"exp\":1000100}", strict, &set, &err))
        fail_msg("%s", err.text);
    json_write(set.values, &text);
    assert_string_equal(buffer_text(&text), "{\"a\":[\"b\"]}");
    assert_string_equal(set.signer, "build");
    assert_int_equal(set.expires, 1000100);
}

static void refuses_a_manifest_of_anyone_else(void **state)
{
    AUTO(pkey) EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    struct reference_set set   = { .expires = 7 };
    struct err           err;

    (void) state;
    assert_false(signed_reads(other, "{\"reference-values\":{\"a\":[\"b\"]}}", trusting, &set, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_false(signed_reads(key, "{\"reference-values\":{\"a\":[\"b\"]}}", nobody, &set, &err));
    assert_string_equal(err.text, "signed reference values: no signer is configured");
    assert_false(signed_reads(key, "{\"reference-values\":{\"a\":[\"b\"]},\"exp\":999000}", trusting, &set, &err));
    assert_string_equal(err.text, "token: expired 1000 s ago");
    assert_false(signed_reads(key, "{\"values\":{}}", trusting, &set, &err));
    assert_string_equal(err.text, "\"reference-values\" is missing");
    assert_int_equal(set.expires, 7);
}

static void takes_nothing_unsigned_where_signatures_are_wanted(void **state)
{
    static const char    CORIM[] = "\xd9\x01\xf5\xa0";
    struct reference_set set = { 0 };
    struct err           err;

    (void) state;
    assert_false(reads("sample", bytes_of_text("{\"a\":[1]}"), strict, &set, &err));
    assert_string_equal(err.text, "this broker takes signed reference values only");
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_false(reads("corim", (struct bytes){ (const uint8_t *) CORIM, 4 }, strict, &set, &err));
    assert_string_equal(err.text, "this broker takes signed reference values only");
}

static void names_what_is_wrong(void **state)
{
    static const struct { const char *message, *text; enum err_kind kind; } CASES[] = {
        { "", NULL, ERR_MALFORMED },
        { "[]", NULL, ERR_MALFORMED },
        { "{\"version\":\"0.1.0\",\"type\":\"sample\"}", "message: \"payload\" is missing", ERR_MALFORMED },
        { "{\"version\":\"0.2.0\",\"type\":\"sample\",\"payload\":\"\"}", "message: version is not 0.1.0", ERR_UNSUPPORTED },
        { "{\"version\":\"0.1.0\",\"type\":\"swid\",\"payload\":\"\"}",
          "reference values are of type sample, jws or corim, not \"swid\"", ERR_UNSUPPORTED },
        { "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"e30\"}", NULL, ERR_MALFORMED }, /* no padding */
        { "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"e30=\"}",
          "message: an object with at least one reference value is wanted", ERR_MALFORMED },
        { "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"bnVsbA==\"}",
          "message: an object with at least one reference value is wanted", ERR_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct reference_set set = { .expires = 7 };
        struct err           err;

        assert_false(reference_message_read(bytes_of_text(CASES[i].message), nobody, NOW, &set, &err));
        assert_int_equal(err.kind, CASES[i].kind);
        if (CASES[i].text)
            assert_string_equal(err.text, CASES[i].text);
        assert_int_equal(set.expires, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_message_that_kbs_client_sends),
        cmocka_unit_test(takes_a_manifest_that_a_signer_signed),
        cmocka_unit_test(refuses_a_manifest_of_anyone_else),
        cmocka_unit_test(takes_nothing_unsigned_where_signatures_are_wanted),
        cmocka_unit_test(names_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
