#include "tests/harness/test.h"

#include <stdio.h>

#include "attestation/evidence/evidence_envelope.h"

static const char zero_pcr[] = "\"0000000000000000000000000000000000000000000000000000000000000000\"";

/* A TPM quote object with `n` values, all of them `pcr`. */
static void quote_append(struct buffer *to, const char *message, size_t n, const char *pcr)
{
    buffer_printf(to, "{\"signature\":\"00ff\",\"message\":%s,\"pcrs\":[", message);
    for (size_t i = 0; i < n; i++)
        buffer_printf(to, "%s%s", i ? "," : "", pcr);
    buffer_append_text(to, "]}");
}

static struct json_object *parsed(struct buffer *text)
{
    struct json_object *out = NULL;
    struct err          err;

    if (!json_read(buffer_bytes(text), text->len, &out, &err))
        fail_msg("%s: %s", err.text, buffer_text(text));
    return out;
}

static void assert_refused(enum envelope_kind kind, struct buffer *text, enum err_kind wanted, const char *why)
{
    AUTO(json) struct json_object                   *from = parsed(text);
    AUTO(evidence_envelope) struct evidence_envelope out  = { .version = 77 };
    struct err                                       err;

    assert_false(evidence_envelope_read(kind, from, &out, &err));
    assert_string_equal(err.text, why);
    assert_int_equal(err.kind, wanted);
    assert_int_equal(out.version, 77);
    buffer_free(text);
}

static void reads_azure_evidence(void **state)
{
    AUTO(buffer) struct buffer                       text = { 0 };
    AUTO(evidence_envelope) struct evidence_envelope e    = { 0 };
    struct err                                       err;

    (void) state;
    buffer_append_text(&text, "{\"version\":2,\"unknown\":1,\"hcl_report\":\"AAE\",\"vcek\":\"_w==\",\"tpm_quote\":");
    quote_append(&text, "\"fF\"", 24, zero_pcr);
    buffer_append_text(&text, "}");
    AUTO(json) struct json_object *from = parsed(&text);

    if (!evidence_envelope_read(ENVELOPE_AZ_SNP_VTPM, from, &e, &err))
        fail_msg("%s", err.text);
    assert_int_equal(e.version, 2);
    assert_true(bytes_equal(buffer_bytes(&e.hcl_report), BYTES_OF(((uint8_t[]){ 0, 1 })))); /* with padding or without */
    assert_true(bytes_equal(buffer_bytes(&e.snp.vek), BYTES_OF(((uint8_t[]){ 0xff }))));
    assert_true(bytes_equal(buffer_bytes(&e.tpm.message), BYTES_OF(((uint8_t[]){ 0xff }))));
    assert_true(bytes_equal(buffer_bytes(&e.tpm.signature), BYTES_OF(((uint8_t[]){ 0x00, 0xff }))));
}

static void azure_text(struct buffer *text, const char *front, const char *message, size_t n, const char *pcr)
{
    buffer_append_text(text, front);
    buffer_append_text(text, ",\"tpm_quote\":");
    quote_append(text, message, n, pcr);
    buffer_append_text(text, "}");
}

static void names_what_azure_evidence_breaks(void **state)
{
    static const char front[] = "{\"version\":1,\"hcl_report\":\"AAE=\",\"vcek\":\"AAE=\",\"td_quote\":\"AAE=\"";
    static const struct { const char *front, *message; size_t n; const char *pcr; enum envelope_kind kind; enum err_kind wanted;
                          const char *why; } rows[] = {
        { "{\"version\":3", "\"00\"", 24, zero_pcr, ENVELOPE_AZ_SNP_VTPM, ERR_UNSUPPORTED,
          "az-snp-vtpm evidence: version 3; at most 2 is known" },
        { "{\"version\":\"2\"", "\"00\"", 24, zero_pcr, ENVELOPE_AZ_TDX_VTPM, ERR_MALFORMED,
          "az-tdx-vtpm evidence: \"version\": int wanted, found string" },
        { front, "\"00\"", 23, zero_pcr, ENVELOPE_AZ_SNP_VTPM, ERR_MALFORMED,
          "az-snp-vtpm evidence: \"tpm_quote\": \"pcrs\": 23 values; wanted 24" },
        { front, "\"00\"", 24, "\"00\"", ENVELOPE_AZ_SNP_VTPM, ERR_MALFORMED,
          "az-snp-vtpm evidence: \"tpm_quote\": \"pcrs\"[0]: 1 bytes; wanted 32" },
        { front, "\"00\"", 24, "[0]", ENVELOPE_AZ_SNP_VTPM, ERR_MALFORMED,
          "az-snp-vtpm evidence: \"tpm_quote\": \"pcrs\"[0]: a string is wanted" },
        { front, "\"\"", 24, zero_pcr, ENVELOPE_AZ_TDX_VTPM, ERR_LIMIT,
          "az-tdx-vtpm evidence: \"tpm_quote\": \"message\": 0 bytes; wanted 1 to 2304" },
        { front, "\"0\"", 24, zero_pcr, ENVELOPE_AZ_TDX_VTPM, ERR_MALFORMED,
          "az-tdx-vtpm evidence: \"tpm_quote\": \"message\": hex of odd length 1" },
        { "{\"version\":1,\"hcl_report\":\"AA+=\",\"vcek\":\"AAE=\"", "\"00\"", 24, zero_pcr, ENVELOPE_AZ_SNP_VTPM,
          ERR_MALFORMED, "az-snp-vtpm evidence: \"hcl_report\": not a base64 character at offset 2" },
        { "{\"version\":1,\"hcl_report\":\"AAE=\"", "\"00\"", 24, zero_pcr, ENVELOPE_AZ_SNP_VTPM, ERR_MALFORMED,
          "az-snp-vtpm evidence: \"vcek\" is missing" },
        { "{\"version\":1,\"hcl_report\":\"AAE=\",\"td_quote\":null", "\"00\"", 24, zero_pcr, ENVELOPE_AZ_TDX_VTPM,
          ERR_MALFORMED, "az-tdx-vtpm evidence: \"td_quote\": a string is wanted" },
        { "{\"hcl_report\":[]", "[1]", 24, zero_pcr, ENVELOPE_AZ_TDX_VTPM, ERR_MALFORMED,
          "az-tdx-vtpm evidence: \"tpm_quote\": \"signature\": an array of numbers is wanted" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer text = { 0 };

        azure_text(&text, rows[i].front, rows[i].message, rows[i].n, rows[i].pcr);
        assert_refused(rows[i].kind, &text, rows[i].wanted, rows[i].why);
    }
}

/* The oldest form: numbers, and a certificate in PEM. */
static void names_what_version_0_breaks(void **state)
{
    static const struct { const char *member; enum err_kind wanted; const char *why; } rows[] = {
        { "\"report\":[1,256],\"vcek\":\"x\"", ERR_MALFORMED, "az-snp-vtpm evidence: \"report\": element 1 is not a byte" },
        { "\"report\":[1,-1],\"vcek\":\"x\"", ERR_MALFORMED, "az-snp-vtpm evidence: \"report\": element 1 is not a byte" },
        { "\"report\":[1,1.0],\"vcek\":\"x\"", ERR_MALFORMED, "az-snp-vtpm evidence: \"report\": element 1 is not a byte" },
        { "\"report\":[],\"vcek\":\"x\"", ERR_LIMIT, "az-snp-vtpm evidence: \"report\": 0 bytes; wanted 1 to 16384" },
        { "\"report\":[1],\"vcek\":\"\"", ERR_LIMIT, "az-snp-vtpm evidence: \"vcek\": 0 characters; wanted 1 to 8192" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer text = { 0 };

        buffer_append_text(&text, "{\"quote\":{\"signature\":[1],\"message\":[2],\"pcrs\":[");
        for (size_t pcr = 0; pcr < TPM_PCRS; pcr++)
            buffer_printf(&text, "%s[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,%zu]", pcr ? "," : "", pcr);
        buffer_printf(&text, "]},%s}", rows[i].member);
        assert_refused(ENVELOPE_AZ_SNP_VTPM, &text, rows[i].wanted, rows[i].why);
    }
}

static void names_what_tdx_and_tpm_evidence_breaks(void **state)
{
    static const struct { enum envelope_kind kind; const char *text; enum err_kind wanted; const char *why; } rows[] = {
        { ENVELOPE_TDX, "{}", ERR_MALFORMED, "tdx evidence: \"quote\" is missing" },
        { ENVELOPE_TDX, "[]", ERR_MALFORMED, "tdx evidence: an object is wanted" },
        { ENVELOPE_TDX, "null", ERR_MALFORMED, "tdx evidence: an object is wanted" },
        { ENVELOPE_TDX, "{\"quote\":\"AA\"}", ERR_MALFORMED, "tdx evidence: \"quote\": base64 of length 2 lacks padding" },
        { ENVELOPE_TDX, "{\"quote\":\"AA_=\"}", ERR_MALFORMED, "tdx evidence: \"quote\": not a base64 character at offset 2" },
        { ENVELOPE_TDX, "{\"quote\":\"AAE=\",\"cc_eventlog\":7}", ERR_MALFORMED,
          "tdx evidence: \"cc_eventlog\": a string is wanted" },
        { ENVELOPE_TPM, "{\"tpm_quote\":[]}", ERR_MALFORMED, "tpm evidence: \"tpm_quote\": object wanted, found array" },
        { ENVELOPE_TPM, "{\"tpm_quote\":{\"message\":\"AAE=\",\"signature\":\"AAE=\"}}", ERR_MALFORMED,
          "tpm evidence: \"tpm_quote\": \"pcrs\" is missing" },
        { N_ENVELOPE_KINDS, "{}", ERR_BUG, "unknown evidence: no such kind" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer text = { 0 };

        buffer_append_text(&text, rows[i].text);
        assert_refused(rows[i].kind, &text, rows[i].wanted, rows[i].why);
    }
}

static void an_empty_log_is_not_a_missing_one(void **state)
{
    static const struct { const char *text; bool has_log; } rows[] = {
        { "{\"quote\":\"AAE=\"}", false }, { "{\"quote\":\"AAE=\",\"cc_eventlog\":null}", false },
        { "{\"quote\":\"AAE=\",\"cc_eventlog\":\"\"}", true },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(evidence_envelope) struct evidence_envelope e = { 0 };
        AUTO(buffer) struct buffer                       text = { 0 };
        struct err                                       err;

        buffer_append_text(&text, rows[i].text);
        AUTO(json) struct json_object *from = parsed(&text);

        assert_true(evidence_envelope_read(ENVELOPE_TDX, from, &e, &err));
        assert_int_equal(e.has_event_log, rows[i].has_log);
    }
}

static void writes_no_version_that_it_does_not_know(void **state)
{
    struct evidence_envelope   future = { .kind = ENVELOPE_AZ_TDX_VTPM, .version = 3 }, none = { .kind = N_ENVELOPE_KINDS };
    AUTO(buffer) struct buffer json   = { 0 };
    struct err                 err;

    (void) state;
    assert_false(evidence_envelope_write(&future, &json, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_false(evidence_envelope_write(&none, &json, &err));
    assert_int_equal(err.kind, ERR_BUG);
    assert_int_equal(json.len, 0);
}

static void kinds_have_the_protocols_names(void **state)
{
    enum envelope_kind kind = N_ENVELOPE_KINDS;

    (void) state;
    for (int i = 0; i < N_ENVELOPE_KINDS; i++) {
        assert_true(envelope_kind_by_name(envelope_kind_name((enum envelope_kind) i), &kind));
        assert_int_equal(kind, i);
    }
    assert_false(envelope_kind_by_name("sample", &kind));
    assert_string_equal(envelope_kind_name(N_ENVELOPE_KINDS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_azure_evidence),
        cmocka_unit_test(names_what_azure_evidence_breaks),
        cmocka_unit_test(names_what_version_0_breaks),
        cmocka_unit_test(names_what_tdx_and_tpm_evidence_breaks),
        cmocka_unit_test(an_empty_log_is_not_a_missing_one),
        cmocka_unit_test(writes_no_version_that_it_does_not_know),
        cmocka_unit_test(kinds_have_the_protocols_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
