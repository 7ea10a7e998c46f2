#include "guest/api/receipt.h"

#include <openssl/ec.h>

#include "base/text.h"
#include "tests/harness/test.h"

static const char statement[] = "{\"version\":\"" RECEIPT_VERSION "\",\"exit_code\":0}";

struct made {
    EVP_PKEY     *key;
    struct buffer text;
};

static void make(struct made *m, const char *said)
{
    struct err err;

    *m = (struct made){ .key = EVP_EC_gen("P-256") };
    assert_non_null(m->key);
    if (!receipt_write(bytes_of_text(said), m->key, "snp", bytes_of_text("{\"a\":1}"), &m->text, &err))
        fail_msg("%s", err.text);
}

static void auto_made(struct made *m)
{
    EVP_PKEY_free(m->key);
    buffer_free(&m->text);
}

static bool read_it(struct bytes text, struct receipt *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(text.at, text.len);

    return receipt_read((struct bytes){ exact, text.len }, out, err);
}

static void what_was_signed_is_read_and_names_what_evidence_must_carry(void **state)
{
    AUTO(made) struct made       m;
    AUTO(receipt) struct receipt r = { 0 };
    AUTO(buffer) struct buffer   key = { 0 };
    uint8_t                      wanted[RECEIPT_REPORT_DATA_LEN];
    struct err                   err;

    (void) state;
    make(&m, statement);
    if (!read_it(buffer_bytes(&m.text), &r, &err))
        fail_msg("%s", err.text);
    assert_string_equal(r.tee, "snp");
    assert_int_equal(json_object_get_int(json_object_object_get(r.evidence, "a")), 1);
    assert_true(receipt_key_text(m.key, &key, &err));
    receipt_report_data(buffer_bytes(&key), wanted);
    assert_memory_equal(r.report_data, wanted, sizeof wanted);
    assert_true(bytes_are_zero((struct bytes){ wanted + 48, 16 }));
}

/* From SHA-384 as coreutils compute it, over the role, a zero byte and "{}". */
static void the_report_data_are_a_role_and_the_key(void **state)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint8_t                    data[RECEIPT_REPORT_DATA_LEN];

    (void) state;
    receipt_report_data(bytes_of_text("{}"), data);
    hex_append(&hex, (struct bytes){ data, 48 });
    assert_string_equal(buffer_text(&hex),
                        "2796afbe5251d31bbc11bd56e3e1f53a740e40ed33546473ebd6e0e67ed6ce6aef9d45f83e7ff78199e2949bc2702d72");
}

static void every_truncation_is_refused(void **state)
{
    AUTO(made) struct made m;

    (void) state;
    make(&m, statement);
    for (size_t len = 0; len < m.text.len; len++) {
        struct receipt r = { .tee = "kept" };
        struct err     err;

        assert_false(read_it((struct bytes){ m.text.at, len }, &r, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(r.tee, "kept");
    }
}

/* Replaces the first `from` in the text by `to`, and expects the refusal. */
static void refuse(const char *from, const char *to, enum err_kind kind, const char *text)
{
    AUTO(made) struct made     m;
    AUTO(buffer) struct buffer changed = { 0 };
    struct receipt             r = { 0 };
    struct err                 err;

    make(&m, statement);
    const char *whole = buffer_text(&m.text), *at = strstr(whole, from);
    assert_non_null(at);
    buffer_append(&changed, (struct bytes){ m.text.at, (size_t) (at - whole) });
    buffer_append_text(&changed, to);
    buffer_append_text(&changed, at + strlen(from));
    assert_false(read_it(buffer_bytes(&changed), &r, &err));
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, text))
        fail_msg("wanted \"%s\" in: %s", text, err.text);
}

static void one_defect_is_refused(void **state)
{
    AUTO(buffer) struct buffer said = { 0 }, other = { 0 };

    (void) state;
    base64_append(&said, bytes_of_text(statement), BASE64_STANDARD);
    base64_append(&other, bytes_of_text("{\"version\":\"" RECEIPT_VERSION "\",\"exit_code\":1}"), BASE64_STANDARD);
    refuse(buffer_text(&said), buffer_text(&other), ERR_UNTRUSTED, "receipt: the signature does not hold");
    refuse("\"signature\":\"", "\"signature\":\"AAAA", ERR_UNTRUSTED, "receipt: the signature does not hold");
    refuse("\"signature\"", "\"another\"", ERR_MALFORMED, "signature");
    refuse("ES256", "RS256", ERR_UNSUPPORTED, "JWK: this kty and alg are not taken");
    refuse("\"tee\":\"snp\"", "\"tee\":\"something\"", ERR_UNSUPPORTED, "receipt: tee \"something\"");
    refuse("{\"a\":1}", "[1]", ERR_MALFORMED, "evidence");
}

static void another_version_is_refused_though_it_is_signed(void **state)
{
    AUTO(made) struct made m;
    struct receipt         r = { 0 };
    struct err             err;

    (void) state;
    make(&m, "{\"version\":\"cloister-receipt-2\"}");
    assert_false(read_it(buffer_bytes(&m.text), &r, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "receipt: version \"cloister-receipt-2\"");
}

static void a_receipt_is_found_in_a_log(void **state)
{
    static const struct { const char *text, *found; } cases[] = {
        { "{\"a\":1}", "{\"a\":1}" },
        { "out\n" RECEIPT_LINE "{1}\n", "{1}" },
        { "2026 stderr F " RECEIPT_LINE "{1}\n2026 stderr F " RECEIPT_LINE "{2}\n", "{2}" },
        { RECEIPT_LINE "{1}", "{1}" },
        { RECEIPT_LINE, "" },
        { "cloister-receip", "" },
        { "", "" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t              len   = strlen(cases[i].text);
        AUTO(heap) uint8_t *exact = exact_copy(cases[i].text, len);

        assert_true(bytes_equal(receipt_find((struct bytes){ exact, len }), bytes_of_text(cases[i].found)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_read_and_names_what_evidence_must_carry),
        cmocka_unit_test(the_report_data_are_a_role_and_the_key),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(one_defect_is_refused),
        cmocka_unit_test(another_version_is_refused_though_it_is_signed),
        cmocka_unit_test(a_receipt_is_found_in_a_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
