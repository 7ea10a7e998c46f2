#include "tests/harness/json_vectors.h"

#include "base/text.h"
#include "keys/ocicrypt/packet.h"

#define B16    "AAAAAAAAAAAAAAAAAAAAAA=="
#define B12    "AAAAAAAAAAAAAAAA"
#define FRONT  "{\"kid\":\"kbs:///a/b/c\",\"wrapped_data\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","

static void sample_key(struct secret *out)
{
    AUTO(buffer) struct buffer key = { 0 };
    struct err                 err;

    assert_true(hex_read(bytes_of_text("d99b7705b0ba7a168295b3a3367270b0dd9b371bf514ca8b9ba7f0a33711daea"), &key, &err));
    assert_true(secret_copy(buffer_bytes(&key), out, &err));
}

static void opens_the_packet_that_upstream_published_with_its_key(void **state)
{
    AUTO(buffer) struct buffer     json     = { 0 };
    AUTO(json) struct json_object *expected = vector_json("ocicrypt/sample_kbc_annotation.expected.json");
    AUTO(packet) struct packet     p        = { 0 };
    AUTO(secret) struct secret     key = { 0 }, options = { 0 };
    struct err                     err;

    (void) state;
    vector_read("ocicrypt/sample_kbc_annotation.json", &json);
    sample_key(&key);
    if (!packet_read(buffer_bytes(&json), &p, &err) || !kek_unwrap(&key, &p, &options, &err))
        fail_msg("%s", err.text);
    assert_string_equal(p.kid, "kbs:///default/key/1");
    assert_true(bytes_equal(secret_expose(&options), bytes_of_text(member_text(expected, "private_opts"))));
}

static void wraps_what_it_then_unwraps_and_nothing_else_opens(void **state)
{
    (void) state;
    for (unsigned w = 0; w < 2; w++) {
        AUTO(packet) struct packet p = { 0 }, again = { 0 };
        AUTO(buffer) struct buffer json = { 0 };
        AUTO(secret) struct secret key = { 0 }, other = { 0 }, plain = { 0 }, opened = { 0 };
        struct err                 err;

        sample_key(&key);
        assert_true(secret_random(ENC_KEY_LEN, &other, &err) && secret_random(200, &plain, &err));
        assert_true(kek_wrap(&key, "kbs:///a/b/c", (enum wrap_type) w, &plain, &p, &err));
        packet_write(&p, &json);
        assert_true(packet_read(buffer_bytes(&json), &again, &err));
        assert_true(kek_unwrap(&key, &again, &opened, &err));
        assert_true(secret_equal(&plain, &opened));
        if (w == WRAP_A256CTR)
            continue; /* has no tag: whether a key fits shows in what comes out */
        secret_free(&opened);
        assert_false(kek_unwrap(&other, &again, &opened, &err));
        assert_int_equal(err.kind, ERR_UNTRUSTED);
        for (size_t i = 0; i < again.wrapped.len; i++) {
            again.wrapped.at[i] ^= 1;
            assert_false(kek_unwrap(&key, &again, &opened, &err));
            assert_int_equal(err.kind, ERR_UNTRUSTED);
            assert_null(opened.held);
            again.wrapped.at[i] ^= 1;
        }
    }
}

static void refuses_a_key_of_another_length(void **state)
{
    AUTO(packet) struct packet p   = { 0 };
    AUTO(secret) struct secret key = { 0 }, plain = { 0 };
    struct err                 err;

    (void) state;
    assert_true(secret_random(31, &key, &err) && secret_random(10, &plain, &err));
    assert_false(kek_wrap(&key, "kbs:///a/b/c", WRAP_A256GCM, &plain, &p, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "the key is 31 bytes long; 32 are wanted");
}

static void brings_key_ids_into_one_form(void **state)
{
    static const struct { const char *text, *kid; } GOOD[] = {
        { "kbs:///default/key/1", "kbs:///default/key/1" },
        { "kbs:///kbs:///default/key/1", "kbs:///default/key/1" },
        { "/default/image-kek/0d9a-4f", "kbs:///default/image-kek/0d9a-4f" },
        { "default/key/1", "kbs:///default/key/1" },
    };
    static const struct { const char *text, *why; } BAD[] = {
        { "", "three parts" },          { "kbs:///a/b", "three parts" },     { "kbs:///a/b/c/d", "three parts" },
        { "kbs:///a//c", "empty" },     { "kbs:///a/../c", "dotted" },       { "kbs:///a/b/.", "dotted" },
        { "kbs://host/a/b/c", "host" }, { "kbs:///a/b/c?x", "a character" }, { "kbs:///a/b/c%2f", "a character" },
        { "kbs:///a/b/", "empty" },     { "kbs:///a/b/c d", "a character" }, { "http://x/y/z", "a character" },
    };
    char       kid[ENC_KID_MAX + 1];
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        assert_true(kid_read(bytes_of_text(GOOD[i].text), kid, &err));
        assert_string_equal(kid, GOOD[i].kid);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_false(kid_read(bytes_of_text(BAD[i].text), kid, &err));
        if (err.kind != ERR_MALFORMED || !strstr(err.text, BAD[i].why))
            fail_msg("%s: %s", BAD[i].text, err.text);
    }
}

static void reads_both_versions(void **state)
{
    static const char *const TEXTS[] = {
        FRONT "\"iv\":\"" B12 "\",\"wrap_type\":\"A256GCM\"}",
        FRONT "\"iv\":\"" B16 "\",\"wrap_type\":\"A256CTR\",\"version\":\"0.1.0\",\"provider\":\"kbs\",\"provider_settings\":{},\"annotations\":{}}",
    };

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(packet) struct packet p = { 0 };
        struct err                 err;

        if (!packet_read(bytes_of_text(TEXTS[i]), &p, &err))
            fail_msg("%s", err.text);
        assert_int_equal(p.iv_len, i == 0 ? 12 : 16);
        assert_int_equal(p.wrapped.len, 24);
    }
    AUTO(buffer) struct buffer odd    = { 0 };
    AUTO(packet) struct packet packet = { 0 };
    struct err                 err;

    vector_read("ocicrypt/annotation-packet-v1.json", &odd);
    assert_true(packet_read(buffer_bytes(&odd), &packet, &err));
    assert_string_equal(packet.kid, "kbs:///default/key/1"); /* stands there with its scheme doubled */
}

static void refuses_packets_by_their_one_defect(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } CASES[] = {
        { FRONT "\"iv\":\"" B16 "\",\"wrap_type\":\"A256GCM\"}", ERR_MALFORMED, "\"iv\": 16 bytes; A256GCM wants 12" },
        { FRONT "\"iv\":\"" B12 "\",\"wrap_type\":\"A256CTR\"}", ERR_MALFORMED, "\"iv\": 12 bytes; A256CTR wants 16" },
        { FRONT "\"iv\":\"\",\"wrap_type\":\"A256GCM\"}", ERR_MALFORMED, "\"iv\": 0 bytes" },
        { FRONT "\"iv\":\"" B12 "\",\"wrap_type\":\"RSA\"}", ERR_UNSUPPORTED, "wrap type \"RSA\"" },
        { FRONT "\"iv\":\"" B12 "\"}", ERR_MALFORMED, "\"wrap_type\" is missing" },
        { FRONT "\"wrap_type\":\"A256GCM\"}", ERR_MALFORMED, "\"iv\" is missing" },
        { FRONT "\"iv\":\"" B12 "\",\"wrap_type\":\"A256GCM\",\"provider\":\"aliyun\"}", ERR_UNSUPPORTED, "a provider" },
        { FRONT "\"iv\":\"" B12 "\",\"wrap_type\":\"A256GCM\",\"version\":\"0.2.0\"}", ERR_UNSUPPORTED, "a version" },
        { FRONT "\"iv\":\"" B12 "\",\"wrap_type\":\"A256GCM\",\"iv\":\"" B12 "\"}", ERR_MALFORMED, "twice" },
        { "{\"kid\":\"kbs:///a/b/c\",\"iv\":\"" B12 "\",\"wrap_type\":\"A256GCM\",\"wrapped_data\":\"" B16 "\"}", ERR_MALFORMED, "\"wrapped_data\" of 16 bytes" },
        { "{\"kid\":\"kbs:///a/b/c\",\"iv\":\"" B12 "\",\"wrap_type\":\"A256GCM\",\"wrapped_data\":\"A\"}", ERR_MALFORMED, "\"wrapped_data\"" },
        { "{\"kid\":7,\"iv\":\"" B12 "\",\"wrap_type\":\"A256GCM\",\"wrapped_data\":\"" B16 "\"}", ERR_MALFORMED, "\"kid\": string wanted" },
        { "[]", ERR_MALFORMED, "" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(packet) struct packet p = { 0 };
        struct err                 err;

        assert_false(packet_read(bytes_of_text(CASES[i].text), &p, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
        assert_null(p.wrapped.at);
    }
}

static void refuses_every_truncation(void **state)
{
    static const char TEXT[] = FRONT "\"iv\":\"" B12 "\",\"wrap_type\":\"A256GCM\"}";

    (void) state;
    for (size_t len = 0; len < sizeof TEXT - 1; len++) {
        AUTO(heap) uint8_t        *exact = exact_copy(TEXT, len);
        AUTO(packet) struct packet p     = { 0 };
        struct err                 err;

        assert_false(packet_read((struct bytes){ exact, len }, &p, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_the_packet_that_upstream_published_with_its_key),
        cmocka_unit_test(wraps_what_it_then_unwraps_and_nothing_else_opens),
        cmocka_unit_test(refuses_a_key_of_another_length),
        cmocka_unit_test(brings_key_ids_into_one_form),
        cmocka_unit_test(reads_both_versions),
        cmocka_unit_test(refuses_packets_by_their_one_defect),
        cmocka_unit_test(refuses_every_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
