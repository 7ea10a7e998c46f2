#include "tests/harness/json_vectors.h"

#include <string.h>

#include "base/text.h"
#include "keys/api/sealed_secret.h"
#include "keys/jose/jwk.h"
#include "keys/jose/jwt.h"

#define KID  "kbs:///owner/signer/one"
#define NAME "kbs:///owner/app/password"

static EVP_PKEY *key_of(const char *jwk)
{
    AUTO(json) struct json_object *read = NULL;
    AUTO(jwk) struct jwk           key  = { 0 };
    struct err                     err;

    assert_true(json_read(bytes_of_text(jwk), JWK_TEXT_MAX, &read, &err));
    assert_true(jwk_read(read, &key, &err));
    return TAKE(key.key);
}

/* Made with CoCo's tool. */
static void reads_what_another_implementation_sealed(void **state)
{
    AUTO(json) struct json_object            *whole  = vector_json("sealed-secret/caa-sealed-secret.json");
    AUTO(pkey) EVP_PKEY                      *signer = NULL;
    AUTO(sealed_secret) struct sealed_secret  secret = { 0 };
    struct bytes                              text   = bytes_of_text(member_text(whole, "sealed"));
    char                                      kid[SEALED_URI_MAX + 1];
    struct err                                err;

    (void) state;
    signer = key_of(json_object_to_json_string(member_of(whole, "verification_jwk")));
    assert_true(sealed_secret_is(text) && sealed_secret_signer(text, kid, &err));
    assert_string_equal(kid, "kbs:///default/signing-key/sealed-secret");
    assert_true(sealed_secret_read(text, signer, &secret, &err));
    assert_int_equal(secret.type, SEALED_VAULT);
    assert_string_equal(secret.resource, "kbs:///default/sealed-secret/test");
}

static void assert_refused(struct bytes text, EVP_PKEY *signer, enum err_kind kind, const char *why)
{
    AUTO(sealed_secret) struct sealed_secret secret = { 0 };
    struct err                               err;

    assert_false(sealed_secret_read(text, signer, &secret, &err));
    assert_string_equal(err.text, why);
    assert_int_equal(err.kind, kind);
    assert_int_equal(secret.resource[0], 0);
}

static struct bytes case_of(struct json_object *cases, size_t i)
{
    return bytes_of_text(member_text(json_object_array_get_idx(cases, i), "sealed"));
}

static void judges_every_worked_case(void **state)
{
    AUTO(json) struct json_object            *cases  = vector_json("sealed-secret/made.json");
    AUTO(json) struct json_object            *jwk    = vector_json("sealed-secret/test-key.jwk.json");
    AUTO(pkey) EVP_PKEY                      *signer = key_of(json_object_to_json_string(jwk));
    AUTO(sealed_secret) struct sealed_secret  signed_one = { 0 }, bare = { 0 };
    char                                      kid[SEALED_URI_MAX + 1];
    struct err                                err;

    (void) state;
    assert_int_equal(json_object_array_length(cases), 5);
    assert_true(sealed_secret_read(case_of(cases, 0), signer, &signed_one, &err));
    assert_string_equal(signed_one.resource, "kbs:///default/secret/one");
    assert_true(sealed_secret_signer(case_of(cases, 0), kid, &err));
    assert_string_equal(kid, "kbs:///default/seal-key/test");
    assert_true(sealed_secret_read(case_of(cases, 1), NULL, &bare, &err));
    assert_string_equal(bare.resource, "kbs:///default/secret/one");
    assert_refused(case_of(cases, 2), signer, ERR_UNSUPPORTED, "sealed secret: provider: a guest asks its key broker only (\"kbs\")");
    assert_refused(case_of(cases, 3), signer, ERR_UNTRUSTED, "sealed secret: token: the signature does not hold");
    assert_refused(case_of(cases, 4), signer, ERR_UNSUPPORTED,
                   "sealed secret: token header: alg is not the ES256 of the key that we trust");
}

/* The unsigned form of a statement: what is behind the signature is judged alike. */
static void unsigned_form(const char *payload, struct buffer *out)
{
    buffer_append_text(out, "sealed.fakejwsheader.");
    base64_append(out, bytes_of_text(payload), BASE64_URL);
    buffer_append_text(out, ".fakesignature");
}

#define VAULT(version, type, name, provider, settings, annotations)                                                   \
    "{\"version\":\"" version "\",\"type\":\"" type "\",\"name\":\"" name "\",\"provider\":\"" provider               \
    "\",\"provider_settings\":" settings ",\"annotations\":" annotations "}"
#define ENVELOPE(key_id, key, data, wrap, iv, provider)                                                               \
    "{\"version\":\"0.1.0\",\"type\":\"envelope\",\"key_id\":\"" key_id "\",\"encrypted_key\":\"" key                 \
    "\",\"encrypted_data\":\"" data "\",\"wrap_type\":\"" wrap "\",\"iv\":\"" iv "\",\"provider\":\"" provider         \
    "\",\"provider_settings\":{},\"annotations\":{}}"

static void refuses_each_defect_of_a_statement_by_name(void **state)
{
    static const struct {
        const char   *payload;
        enum err_kind kind;
        const char   *why;
    } cases[] = {
        { VAULT("0.2.0", "vault", "kbs:///a/b/c", "kbs", "{}", "{}"), ERR_UNSUPPORTED, "version: only 0.1.0 is known" },
        { VAULT("0.1.0", "box", "kbs:///a/b/c", "kbs", "{}", "{}"), ERR_UNSUPPORTED, "type: neither vault nor envelope" },
        { VAULT("0.1.0", "vault", "kbs:///one/2", "kbs", "{}", "{}"), ERR_MALFORMED, NULL },
        { VAULT("0.1.0", "vault", "file:///etc/shadow", "kbs", "{}", "{}"), ERR_UNSUPPORTED,
          "name: only kbs:///REPOSITORY/TYPE/TAG is looked up" },
        { VAULT("0.1.0", "vault", "xxx", "aliyun", "{}", "{}"), ERR_UNSUPPORTED,
          "provider: a guest asks its key broker only (\"kbs\")" },
        { VAULT("0.1.0", "vault", "kbs:///a/b/c", "kbs", "[]", "{}"), ERR_MALFORMED, NULL },
        { VAULT("0.1.0", "vault", "kbs:///a/b/c", "kbs", "{}", "1"), ERR_MALFORMED, NULL },
        { "{\"version\":\"0.1.0\",\"type\":\"vault\",\"name\":\"kbs:///a/b/c\",\"provider\":\"kbs\",\"annotations\":{}}",
          ERR_MALFORMED, "\"provider_settings\" is missing" },
        { "[]", ERR_MALFORMED, "payload: not an object" },
        { "{", ERR_MALFORMED, NULL },
        { ENVELOPE("xxx", "yyy", "zzz", "A256GCM", "www", "aliyun"), ERR_UNSUPPORTED,
          "provider: a guest asks its key broker only (\"kbs\")" },
        { ENVELOPE("kbs:///a/b/c", "yyy", "AAAA", "A256GCM", "AAAA", "kbs"), ERR_MALFORMED, NULL },
        { ENVELOPE("kbs:///a/b/c", "AAAA", "AAAA", "A128GCM", "AAAA", "kbs"), ERR_UNSUPPORTED,
          "wrap_type: only A256GCM and A256CTR are known" },
        { ENVELOPE("local", "AAAA", "AAAA", "A256GCM", "AAAA", "kbs"), ERR_UNSUPPORTED,
          "key_id: only kbs:///REPOSITORY/TYPE/TAG is looked up" },
    };
    AUTO(sealed_secret) struct sealed_secret secret = { 0 };
    AUTO(buffer) struct buffer               good   = { 0 };
    char                                     kid[SEALED_URI_MAX + 1] = "?";
    struct err                               err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(buffer) struct buffer               text = { 0 };
        AUTO(sealed_secret) struct sealed_secret none = { 0 };
        char                                     why[sizeof err.text];

        unsigned_form(cases[i].payload, &text);
        if (cases[i].why) {
            (void) snprintf(why, sizeof why, "sealed secret: %s", cases[i].why);
            assert_refused(buffer_bytes(&text), NULL, cases[i].kind, why);
        } else {
            assert_false(sealed_secret_read(buffer_bytes(&text), NULL, &none, &err));
            assert_int_equal(err.kind, cases[i].kind);
        }
    }
    unsigned_form(VAULT("0.1.0", "vault", "kbs:///one/2/trois", "KBS", "{}", "{}"), &good);
    assert_true(sealed_secret_signer(buffer_bytes(&good), kid, &err));
    assert_string_equal(kid, "");
    assert_true(sealed_secret_read(buffer_bytes(&good), NULL, &secret, &err));
    assert_string_equal(secret.resource, "kbs:///one/2/trois");
}

static void an_unsigned_secret_is_none_where_a_signed_one_is_wanted_and_the_other_way_round(void **state)
{
    AUTO(pkey) EVP_PKEY       *signer = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    AUTO(buffer) struct buffer bare = { 0 }, text = { 0 };
    struct err                 err;

    (void) state;
    unsigned_form(VAULT("0.1.0", "vault", "kbs:///a/b/c", "kbs", "{}", "{}"), &bare);
    assert_true(sealed_secret_write_vault(NAME, KID, signer, &text, &err));
    assert_refused(buffer_bytes(&bare), signer, ERR_MALFORMED, "sealed secret: token: base64 of impossible length 13");
    assert_refused(buffer_bytes(&text), NULL, ERR_UNTRUSTED, "sealed secret: it is signed, and no key to verify it was given");
    assert_refused(buffer_bytes(&text), other, ERR_UNTRUSTED, "sealed secret: token: the signature does not hold");
    assert_refused(bytes_of_text("seal"), signer, ERR_MALFORMED, "sealed secret: it does not begin with \"sealed.\"");
}

static void refuses_every_truncation_and_every_changed_character(void **state)
{
    AUTO(pkey) EVP_PKEY       *signer = EVP_EC_gen("P-256");
    AUTO(buffer) struct buffer text   = { 0 };
    char                       kid[SEALED_URI_MAX + 1];
    struct err                 err;

    (void) state;
    assert_true(sealed_secret_write_vault(NAME, KID, signer, &text, &err));
    for (size_t len = 0; len < text.len; len++) {
        AUTO(heap) uint8_t *cut     = exact_copy(text.at, len);
        AUTO(heap) uint8_t *changed = exact_copy(text.at, text.len);
        AUTO(sealed_secret) struct sealed_secret secret = { 0 };

        assert_false(sealed_secret_read((struct bytes){ cut, len }, signer, &secret, &err));
        assert_false(sealed_secret_read((struct bytes){ cut, len }, NULL, &secret, &err));
        changed[len] = changed[len] == 'A' ? 'Q' : 'A';
        assert_false(sealed_secret_read((struct bytes){ changed, text.len }, signer, &secret, &err));
        (void) !sealed_secret_signer((struct bytes){ cut, len }, kid, &err); /* it may still be whole; it must not overrun */
    }
}

static void a_signer_elsewhere_than_at_the_broker_is_not_looked_up(void **state)
{
    AUTO(pkey) EVP_PKEY       *signer = EVP_EC_gen("P-256");
    AUTO(buffer) struct buffer text   = { 0 };
    char                       kid[SEALED_URI_MAX + 1];
    struct err                 err;

    (void) state;
    buffer_append_text(&text, "sealed.");
    assert_true(jwt_sign(",\"kid\":\"../../etc/key\"", bytes_of_text("{}"), signer, &text, &err));
    assert_false(sealed_secret_signer(buffer_bytes(&text), kid, &err));
    assert_string_equal(err.text, "sealed secret: kid: only kbs:///REPOSITORY/TYPE/TAG is looked up");
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_false(sealed_secret_write_vault(NAME, "key.pem", signer, &text, &err));
    assert_false(sealed_secret_write_vault("kbs:///a/b", KID, signer, &text, &err));
}

static void envelope(const char *secret, const struct secret *kek, EVP_PKEY *signer, struct sealed_secret *out)
{
    AUTO(secret) struct secret plain = { 0 };
    AUTO(buffer) struct buffer text  = { 0 };
    struct err                 err;

    assert_true(secret_copy(bytes_of_text(secret), &plain, &err));
    assert_true(sealed_secret_write_envelope(&plain, NAME, kek, KID, signer, &text, &err));
    assert_true(sealed_secret_read(buffer_bytes(&text), signer, out, &err));
}

static void an_envelope_opens_with_its_key_and_no_other(void **state)
{
    AUTO(pkey) EVP_PKEY                      *signer = EVP_EC_gen("P-256");
    AUTO(secret) struct secret                kek = { 0 }, other = { 0 }, opened = { 0 };
    AUTO(sealed_secret) struct sealed_secret  secret = { 0 };
    struct err                                err;

    (void) state;
    assert_true(secret_random(SEALED_KEK_LEN, &kek, &err) && secret_random(SEALED_KEK_LEN, &other, &err));
    envelope("of the owner", &kek, signer, &secret);
    assert_int_equal(secret.type, SEALED_ENVELOPE);
    assert_string_equal(secret.resource, NAME);
    assert_false(sealed_secret_open(&secret, &other, &opened, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_true(sealed_secret_open(&secret, &kek, &opened, &err));
    assert_true(bytes_equal(secret_expose(&opened), bytes_of_text("of the owner")));
}

static void an_envelope_with_one_byte_changed_does_not_open(void **state)
{
    AUTO(pkey) EVP_PKEY                      *signer = EVP_EC_gen("P-256");
    AUTO(secret) struct secret                kek = { 0 }, opened = { 0 }, shorter = { 0 };
    AUTO(sealed_secret) struct sealed_secret  s = { 0 };
    struct err                                err;

    (void) state;
    assert_true(secret_random(SEALED_KEK_LEN, &kek, &err) && secret_random(16, &shorter, &err));
    envelope("of the owner", &kek, signer, &s);
    struct buffer *parts[] = { &s.encrypted_key, &s.iv, &s.encrypted_data };
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        for (size_t i = 0; i < parts[p]->len; i++) {
            parts[p]->at[i] ^= 1;
            assert_false(sealed_secret_open(&s, &kek, &opened, &err));
            parts[p]->at[i] ^= 1;
        }
        parts[p]->len--;
        assert_false(sealed_secret_open(&s, &kek, &opened, &err));
        parts[p]->len++;
    }
    assert_false(sealed_secret_open(&s, &shorter, &opened, &err));
    assert_string_equal(err.text, "sealed secret: key_id: a key of 16 bytes; wanted 32");
    assert_true(sealed_secret_open(&s, &kek, &opened, &err));
}

/* The counter mode of NIST SP 800-38A, F.5.5, first block, under a data key that is wrapped as RFC 3394 has it. */
static void an_envelope_in_counter_mode_opens_as_published(void **state)
{
    AUTO(sealed_secret) struct sealed_secret s = { .type = SEALED_ENVELOPE, .wrap = SEALED_A256CTR };
    AUTO(secret) struct secret               kek = { 0 }, opened = { 0 };
    AUTO(buffer) struct buffer               key = { 0 }, plain = { 0 };
    AUTO(cipher_ctx) EVP_CIPHER_CTX         *ctx = EVP_CIPHER_CTX_new();
    int                                      len;
    struct err                               err;

    (void) state;
    assert_true(secret_random(SEALED_KEK_LEN, &kek, &err));
    assert_true(hex_read(bytes_of_text("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"), &key, &err));
    assert_true(hex_read(bytes_of_text("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"), &s.iv, &err));
    assert_true(hex_read(bytes_of_text("601ec313775789a5b7a7f504bbf3d228"), &s.encrypted_data, &err));
    assert_true(hex_read(bytes_of_text("6bc1bee22e409f96e93d7e117393172a"), &plain, &err));
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_wrap(), NULL, secret_expose(&kek).at, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, buffer_grow(&s.encrypted_key, 40), &len, key.at, 32), 1);
    assert_true(sealed_secret_open(&s, &kek, &opened, &err));
    assert_true(bytes_equal(secret_expose(&opened), buffer_bytes(&plain)));
}

static void limits_are_kept(void **state)
{
    AUTO(pkey) EVP_PKEY       *signer = EVP_EC_gen("P-256");
    AUTO(secret) struct secret kek = { 0 }, large = { 0 }, most = { 0 };
    AUTO(buffer) struct buffer text = { 0 }, long_one = { 0 };
    struct err                 err;

    (void) state;
    assert_true(secret_random(SEALED_KEK_LEN, &kek, &err) && secret_new(SEALED_TEXT_MAX / 8 * 3 + 1, &large, &err));
    assert_false(sealed_secret_write_envelope(&large, NAME, &kek, KID, signer, &text, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(secret_new(SEALED_TEXT_MAX / 8 * 3, &most, &err));
    assert_true(sealed_secret_write_envelope(&most, NAME, &kek, KID, signer, &text, &err));
    assert_true(text.len <= SEALED_TEXT_MAX);
    buffer_append_text(&long_one, "sealed.");
    memset(buffer_grow(&long_one, SEALED_TEXT_MAX), 'A', SEALED_TEXT_MAX);
    assert_refused(buffer_bytes(&long_one), signer, ERR_LIMIT, "sealed secret: over 262144 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_another_implementation_sealed),
        cmocka_unit_test(judges_every_worked_case),
        cmocka_unit_test(refuses_each_defect_of_a_statement_by_name),
        cmocka_unit_test(an_unsigned_secret_is_none_where_a_signed_one_is_wanted_and_the_other_way_round),
        cmocka_unit_test(refuses_every_truncation_and_every_changed_character),
        cmocka_unit_test(a_signer_elsewhere_than_at_the_broker_is_not_looked_up),
        cmocka_unit_test(an_envelope_opens_with_its_key_and_no_other),
        cmocka_unit_test(an_envelope_with_one_byte_changed_does_not_open),
        cmocka_unit_test(an_envelope_in_counter_mode_opens_as_published),
        cmocka_unit_test(limits_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
