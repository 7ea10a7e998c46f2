#include "tests/harness/test.h"
#include "keys/ocicrypt/layer_options.h"

#define KEY    "1jL2jJV0Oyz2nmPkLtqulW6cKcpIUN5FpILcVnP5Uqs="
#define DIGEST "\"digest\":\"sha256:18be1897f9402f27c8c0eba7c86e0c00f5656db62961b5949d55f9565c42c6e7\""
#define NONCE  "\"cipheroptions\":{\"nonce\":\"r10F9oaCu+nWFXfod3l83g==\"}"
#define GOOD   "{\"symkey\":\"" KEY "\"," DIGEST "," NONCE "}"
#define HMAC   "\"hmac\":\"R39iFRUrZ5scIiIM27ti28o8bpX9RHpSDPSqMaf6MS8=\""
#define CIPHER "\"cipher\":\"AES_256_CTR_HMAC_SHA256\""

static bool read_private(const void *text, size_t len, struct layer_private *out, struct err *err)
{
    AUTO(secret) struct secret json = { 0 };

    return secret_copy((struct bytes){ text, len }, &json, err) && layer_private_read(&json, out, err);
}

static void reads_private_options_in_any_order(void **state)
{
    static const char *const TEXTS[] = {
        GOOD,
        "{ " NONCE " , " DIGEST ",\n\"symkey\" : \"" KEY "\" }",
        "{\"x\":{\"symkey\":\"decoy\"},\"y\":[\"symkey\",\"z\"]," DIGEST ",\"symkey\":\"" KEY "\"," NONCE "}",
    };

    (void) state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        AUTO(layer_private) struct layer_private p = { .nonce = { 0 } };
        struct err                               err;

        if (!read_private(TEXTS[i], strlen(TEXTS[i]), &p, &err))
            fail_msg("%zu: %s", i, err.text);
        assert_int_equal(p.key.len, ENC_KEY_LEN);
        assert_int_equal(secret_expose(&p.key).at[0], 0xd6);
        assert_int_equal(secret_expose(&p.key).at[31], 0xab);
        assert_int_equal(p.nonce[0], 0xaf);
        assert_int_equal(p.digest.value[0], 0x18);
    }
}

static void writes_what_it_reads(void **state)
{
    AUTO(layer_private) struct layer_private p = { .nonce = { 0 } };
    AUTO(secret) struct secret               json = { 0 };
    struct err                               err;

    (void) state;
    assert_true(read_private(GOOD, strlen(GOOD), &p, &err));
    assert_true(layer_private_write(&p, &json, &err));
    assert_true(bytes_equal(secret_expose(&json), bytes_of_text(GOOD)));
}

static void refuses_private_options_by_their_one_defect(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } CASES[] = {
        { "{" DIGEST "," NONCE "}", ERR_MALFORMED, "\"symkey\" is missing" },
        { "{\"sym\\u006bey\":\"" KEY "\"," DIGEST "," NONCE "}", ERR_MALFORMED, "\"symkey\" is missing" },
        { "{\"symkey\":\"" KEY "\",\"symkey\":\"" KEY "\"," DIGEST "," NONCE "}", ERR_MALFORMED, "twice" },
        { "{\"symkey\":\"AAAA\"," DIGEST "," NONCE "}", ERR_MALFORMED, "\"symkey\"" },
        { "{\"symkey\":\"1jL2jJV0Oyz2nmPkLtqulW6cKcpIUN5FpILcVnP5Uqt=\"," DIGEST "," NONCE "}", ERR_MALFORMED, "\"symkey\"" },
        { "{\"symkey\":\"1jL2jJV0Oyz2nmPkLtqulW6cKcpIUN5FpILcVnP5Uq==\"," DIGEST "," NONCE "}", ERR_MALFORMED, "\"symkey\"" },
        { "{\"symkey\":\"1jL2jJV0Oyz2nmPk tqulW6cKcpIUN5FpILcVnP5Uqs=\"," DIGEST "," NONCE "}", ERR_MALFORMED, "\"symkey\"" },
        { "{\"symkey\":\"" KEY "\"," NONCE "}", ERR_MALFORMED, "\"digest\" is missing" },
        { "{\"symkey\":\"" KEY "\"," DIGEST "}", ERR_MALFORMED, "\"cipheroptions\" is missing" },
        { "{\"symkey\":\"" KEY "\"," DIGEST ",\"cipheroptions\":{\"nonce\":\"r10F9oaCu+nWFXfod3l8\"}}", ERR_MALFORMED, "16 bytes wanted, found 15" },
        { "{\"symkey\":\"" KEY "\"," DIGEST "," NONCE "}}", ERR_MALFORMED, "unexpected character" },
        { "{\"symkey\":\"" KEY, ERR_MALFORMED, "" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(layer_private) struct layer_private p = { .nonce = { 0 } };
        struct err                               err;

        assert_false(read_private(CASES[i].text, strlen(CASES[i].text), &p, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
        assert_null(strstr(err.text, "jL2j")); /* no part of a key in an error */
        assert_null(p.key.held);
    }
    for (size_t len = 1; len < strlen(GOOD); len++) {
        AUTO(layer_private) struct layer_private p = { .nonce = { 0 } };
        struct err                               err;

        assert_false(read_private(GOOD, len, &p, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void reads_and_writes_public_options(void **state)
{
    static const char *const TEXTS[] = { "{" CIPHER "," HMAC ",\"cipheroptions\":{}}", "{" HMAC ",\"cipheroptions\":null," CIPHER "}",
                                         "{" CIPHER "," HMAC ",\"new\":1}" };

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        AUTO(buffer) struct buffer again = { 0 };
        struct layer_public        p     = { { 0 } };
        struct err                 err;

        if (!layer_public_read(bytes_of_text(TEXTS[i]), &p, &err))
            fail_msg("%s", err.text);
        assert_int_equal(p.hmac[0], 0x47);
        layer_public_write(&p, &again);
        assert_string_equal(buffer_text(&again), TEXTS[0]);
    }
}

static void knows_the_cipher_of_blocks(void **state)
{
    AUTO(buffer) struct buffer again = { 0 };
    struct layer_public        p     = { { 0 } };
    struct err                 err;

    (void) state;
    assert_true(layer_public_read(bytes_of_text("{\"cipher\":\"AES_256_XTS_VERITY_HMAC_SHA256\"," HMAC "}"), &p, &err));
    assert_int_equal(p.cipher, LAYER_CIPHER_XTS);
    layer_public_write(&p, &again);
    assert_non_null(strstr(buffer_text(&again), "AES_256_XTS_VERITY_HMAC_SHA256"));
}

static void refuses_public_options_by_their_one_defect(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } CASES[] = {
        { "{" CIPHER ",\"cipheroptions\":{}}", ERR_MALFORMED, "\"hmac\" is missing" },
        { "{" CIPHER ",\"hmac\":\"\"}", ERR_MALFORMED, "32 bytes wanted, found 0" },
        { "{" CIPHER ",\"hmac\":null}", ERR_MALFORMED, "\"hmac\": string wanted" },
        { "{\"cipher\":\"AES_128\"," HMAC "}", ERR_UNSUPPORTED, "a cipher" },
        { "{" HMAC "}", ERR_MALFORMED, "\"cipher\" is missing" },
        { "{" CIPHER "," HMAC ",\"cipheroptions\":{\"nonce\":\"AA==\"}}", ERR_UNSUPPORTED, "\"nonce\" among the public options" },
        { "", ERR_MALFORMED, "" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct layer_public p = { .hmac = { 0xaa } };
        struct err          err;

        assert_false(layer_public_read(bytes_of_text(CASES[i].text), &p, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(p.hmac[0], 0xaa);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_private_options_in_any_order),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(refuses_private_options_by_their_one_defect),
        cmocka_unit_test(reads_and_writes_public_options),
        cmocka_unit_test(knows_the_cipher_of_blocks),
        cmocka_unit_test(refuses_public_options_by_their_one_defect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
