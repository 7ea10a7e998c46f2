#include "tests/harness/test.h"

#include <cbor.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/broker/cbor_document.h"
#include "keys/broker/corim.h"

enum { NOW = 1000000 };

/* A CoRIM as `cloister measure --corim` writes one, in parts that a test can change: hex of CBOR. */
#define VALUE "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30"
#define CLASS "a100a20163414d44026753" "45562d534e50"
#define TRIPLE "82" CLASS "81a101a10ea16b6d6561737572656d656e74818207" "5830" VALUE

static void of_hex(const char *hex, struct buffer *out)
{
    struct err err;

    if (!hex_read(bytes_of_text(hex), out, &err))
        fail_msg("%s: %s", err.text, hex);
}

/* 501({?4: validity, 1: [506(bytes of {4: {0: [triple]}})]}) */
static void corim_of(const char *triples_hex, const char *validity_hex, struct buffer *out)
{
    AUTO(buffer) struct buffer inner = { 0 };
    unsigned char              head[9];
    size_t                     len;

    of_hex("a104a100", &inner);
    of_hex(triples_hex, &inner);
    of_hex(validity_hex ? "d901f5a3" : "d901f5a2", out);
    of_hex("006178" "0181d901fa", out);
    len = cbor_encode_bytestring_start(inner.len, head, sizeof head);
    buffer_append(out, (struct bytes){ head, len });
    buffer_append(out, buffer_bytes(&inner));
    if (validity_hex)
        of_hex(validity_hex, out);
}

static bool reads(const struct buffer *text, struct corim *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(text->at, text->len);

    return corim_read((struct bytes){ exact, text->len }, NOW, out, err);
}

static void assert_values(const struct corim *corim, const char *json)
{
    AUTO(buffer) struct buffer text = { 0 };

    json_write(corim->values, &text);
    assert_string_equal(buffer_text(&text), json);
}

static void names_registers_as_policies_ask_for_them(void **state)
{
    AUTO(corim) struct corim   corim = { 0 };
    AUTO(buffer) struct buffer text  = { 0 };
    struct err                 err;

    (void) state;
    corim_of("81" TRIPLE, NULL, &text);
    if (!reads(&text, &corim, &err))
        fail_msg("%s", err.text);
    assert_values(&corim, "{\"snp_launch_measurement\":[\"" VALUE "\"]}");
    assert_int_equal(corim.expires, 0);
}

static void gathers_all_digests_of_one_name(void **state)
{
    AUTO(corim) struct corim   corim = { 0 };
    AUTO(buffer) struct buffer text  = { 0 };
    struct err                 err;

    (void) state;
    corim_of("82" "82" CLASS "81a101a10ea16b6d6561737572656d656e7481820741aa"
                  "82" CLASS "81a101a10ea26b6d6561737572656d656e7481820741bb61788182" "0741cc", NULL, &text);
    if (!reads(&text, &corim, &err))
        fail_msg("%s", err.text);
    assert_values(&corim, "{\"snp_launch_measurement\":[\"aa\",\"bb\"],\"x\":[\"cc\"]}");
}

static void reads_the_example_of_the_rvps(void **state)
{
    AUTO(corim) struct corim   corim   = { 0 };
    AUTO(buffer) struct buffer text    = { 0 };
    const char                *vectors = getenv("CLOISTER_VECTORS");
    char                       path[4096];
    struct err                 err;

    (void) state;
    (void) snprintf(path, sizeof path, "%s/coco/rvps/unsigned-example-corim.cbor", vectors ? vectors : "../shared/vectors");
    if (access(path, R_OK) != 0)
        skip();
    assert_true(file_read(path, 1 << 16, &text, &err));
    if (!reads(&text, &corim, &err))
        fail_msg("%s", err.text);
    assert_values(&corim, "{\"31fb5abf-023e-4992-aa4e-95f9c1503bfa\":["
                          "\"87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7\","
                          "\"0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f\","
                          "\"a3a5e715f0cc574a73c3f9bebb6bc24f32ffd5b67b387244c2c909da779a1478\"]}");
}

static void holds_the_validity(void **state)
{
    static const struct { const char *validity; int64_t expires; const char *text; } CASES[] = {
        { "04a101c11a000f4241", 1000001, NULL },
        { "04a200c11a000f424001c11a000f4241", 1000001, NULL },
        { "04a101c11a000f4240", 0, "CoRIM: it is not valid now" },
        { "04a200c11a000f424101c11a000f4249", 0, "CoRIM: it is not valid now" },
        { "04a100c11a000f4241", 0, "CoRIM: a validity without its end" },
        { "04a1011a000f4241", 0, "CoRIM: a time is tag 1 and a whole number of seconds" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(corim) struct corim   corim = { 0 };
        AUTO(buffer) struct buffer text  = { 0 };
        struct err                 err   = { 0 };

        corim_of("81" TRIPLE, CASES[i].validity, &text);
        assert_int_equal(reads(&text, &corim, &err), !CASES[i].text);
        assert_int_equal(corim.expires, CASES[i].expires);
        if (CASES[i].text)
            assert_string_equal(err.text, CASES[i].text);
    }
}

static void refuses_every_truncation_and_what_follows(void **state)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct corim               corim = { .expires = 7 };
    struct err                 err;

    (void) state;
    corim_of("81" TRIPLE, NULL, &text);
    for (size_t len = 0; len < text.len; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(text.at, len);

        assert_false(corim_read((struct bytes){ exact, len }, NOW, &corim, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(corim.expires, 7);
    }
    buffer_append_text(&text, "x");
    assert_false(reads(&text, &corim, &err));
    assert_string_equal(err.text, "CBOR: 1 bytes left over at offset 108");
}

static void refuses_one_defect_each(void **state)
{
    static const struct { const char *triples, *text; enum err_kind kind; } CASES[] = {
        { "80", "CoRIM: there is no reference value in it", ERR_MALFORMED },
        { "81" "81" CLASS, "CoRIM: a reference triple is [environment, [measurement...]]", ERR_MALFORMED },
        { "81" "82" CLASS "80", "CoRIM: a reference triple is [environment, [measurement...]]", ERR_MALFORMED },
        { "81" "82" CLASS "81a0", "CoRIM: a measurement without values", ERR_MALFORMED },
        { "81" "82" CLASS "81a101a10e80", "CoRIM: integrity registers are a map", ERR_MALFORMED },
        { "81" "82" CLASS "81a101a10ea1617880", "CoRIM: digests are a list", ERR_MALFORMED },
        { "81" "82" CLASS "81a101a10ea16178818107", "CoRIM: a digest is [algorithm, bytes]", ERR_MALFORMED },
        { "81" "82" CLASS "81a101a10ea1617881820740", "CoRIM: a digest is [algorithm, bytes]", ERR_MALFORMED },
        { "81" "82" CLASS "81a101a10ea1608182" "0741aa", "CoRIM: the name of a value is empty or too long", ERR_MALFORMED },
        { "f93c00", "CoMID: CBOR: a float or simple value at 7", ERR_UNSUPPORTED },
        { "9f" TRIPLE "ff", NULL, ERR_UNSUPPORTED },
        { "9b7fffffffffffffff", NULL, ERR_MALFORMED }, /* more elements than any memory holds */
        { "bb7fffffffffffffff", NULL, ERR_MALFORMED },
        { "5b7fffffffffffffff", NULL, ERR_MALFORMED },
        { "818181818181818181818181818181818181818181818181818181818100", NULL, ERR_LIMIT },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(buffer) struct buffer text  = { 0 };
        struct corim               corim = { .expires = 7 };
        struct err                 err;

        corim_of(CASES[i].triples, NULL, &text);
        if (reads(&text, &corim, &err))
            fail_msg("taken: %s", CASES[i].triples);
        if (CASES[i].text)
            assert_string_equal(err.text, CASES[i].text);
        if (err.kind != CASES[i].kind)
            fail_msg("%s: %s", err.text, CASES[i].triples);
        assert_int_equal(corim.expires, 7);
    }
}

/* ---- COSE_Sign1 ---- */

static void append_bytes(struct buffer *out, struct bytes b)
{
    unsigned char head[9];

    buffer_append(out, (struct bytes){ head, cbor_encode_bytestring_start(b.len, head, sizeof head) });
    buffer_append(out, b);
}

static void sign(EVP_PKEY *key, struct bytes covered, struct bytes payload, uint8_t signature[static 64])
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(md_ctx) EVP_MD_CTX   *md   = EVP_MD_CTX_new();
    bool                       is_ecdsa = EVP_PKEY_is_a(key, "EC");
    uint8_t                    der[96];
    const uint8_t             *at  = der;
    size_t                     len = sizeof der;

    buffer_append_text(&text, "\x84\x6aSignature1");
    append_bytes(&text, covered);
    append_bytes(&text, (struct bytes){ 0 });
    append_bytes(&text, payload);
    assert_int_equal(EVP_DigestSignInit(md, NULL, is_ecdsa ? EVP_sha256() : NULL, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(md, der, &len, text.at, text.len), 1);
    if (!is_ecdsa) {
        memcpy(signature, der, 64);
        return;
    }
    AUTO(ecdsa_sig) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long) len);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + 32, 32), 32);
}

static void sign1_of(EVP_PKEY *key, const char *covered_hex, struct bytes payload, struct buffer *out)
{
    AUTO(buffer) struct buffer covered = { 0 };
    uint8_t                    signature[64];

    of_hex(covered_hex, &covered);
    sign(key, buffer_bytes(&covered), payload, signature);
    of_hex("d284", out);
    append_bytes(out, buffer_bytes(&covered));
    of_hex("a0", out);
    append_bytes(out, payload);
    append_bytes(out, BYTES_OF(signature));
}

static void opens_what_a_trusted_key_signed(void **state)
{
    AUTO(pkey) EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), *ec = EVP_EC_gen("P-256");
    EVP_PKEY            *keys[] = { ed, ec };

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(buffer) struct buffer text = { 0 }, payload = { 0 };
        size_t                     which = 9;
        struct err                 err;

        sign1_of(keys[i], i ? "a10126" : "a10127", bytes_of_text("payload"), &text);
        assert_true(corim_is_signed(buffer_bytes(&text)));
        if (!corim_open_signed(buffer_bytes(&text), keys, 2, &payload, &which, &err))
            fail_msg("%s", err.text);
        assert_int_equal(which, i);
        assert_string_equal(buffer_text(&payload), "payload");
        assert_false(corim_open_signed(buffer_bytes(&text), &keys[1 - i], 1, &payload, &which, &err));
        assert_int_equal(err.kind, ERR_UNTRUSTED);
        assert_string_equal(err.text, "COSE_Sign1: no key that this broker trusts has signed it");
        for (size_t at = 0; at < text.len; at++) { /* no byte of it may change */
            text.at[at] ^= 1;
            if (corim_open_signed(buffer_bytes(&text), keys, 2, &payload, &which, &err))
                fail_msg("byte %zu of %zu may change", at, text.len);
            text.at[at] ^= 1;
        }
    }
}

static void refuses_a_signature_that_says_something_else(void **state)
{
    static const struct { const char *covered, *text; } CASES[] = {
        { "a0", "COSE_Sign1: the protected header names no algorithm" },
        { "a10126", "COSE_Sign1: no key that this broker trusts has signed it" }, /* ES256 under an Ed25519 key */
        { "a201270281" "3864", "COSE_Sign1: critical header parameters" },
        { "a201270127", "COSE_Sign1: the protected header names no algorithm" }, /* twice */
    };
    AUTO(pkey) EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(buffer) struct buffer text = { 0 }, payload = { 0 };
        size_t                     which;
        struct err                 err;

        sign1_of(ed, CASES[i].covered, bytes_of_text("payload"), &text);
        assert_false(corim_open_signed(buffer_bytes(&text), &ed, 1, &payload, &which, &err));
        assert_string_equal(err.text, CASES[i].text);
        assert_int_equal(payload.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_registers_as_policies_ask_for_them),
        cmocka_unit_test(gathers_all_digests_of_one_name),
        cmocka_unit_test(reads_the_example_of_the_rvps),
        cmocka_unit_test(holds_the_validity),
        cmocka_unit_test(refuses_every_truncation_and_what_follows),
        cmocka_unit_test(refuses_one_defect_each),
        cmocka_unit_test(opens_what_a_trusted_key_signed),
        cmocka_unit_test(refuses_a_signature_that_says_something_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
