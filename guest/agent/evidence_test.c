#include "tests/harness/test.h"

#include "attestation/evidence/event_log.h"
#include "attestation/evidence/snp_report.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/agent/evidence.h"
#include "attestation/evidence/snp_evidence.h"

/* A source whose reports this test writes itself: unsigned, which is not for the guest to judge. */
struct source {
    struct attester attester;
    bool            is_stale; /* answers with other report data than was asked for */
    size_t          len;
};

static bool give(struct attester *self, const uint8_t report_data[static REPORT_DATA_LEN], struct attested *out,
                 struct err *err)
{
    struct source *s = (struct source *) self;
    uint8_t       *r = buffer_grow(&out->report, SNP_REPORT_LEN);

    (void) err;
    r[0]          = 3;    /* version */
    r[8 + 2]      = 0x03; /* policy: bits 16 and 17 */
    r[0x34]       = 1;    /* ECDSA P-384 */
    r[0x188]      = 0x19; /* Genoa's family */
    r[0x189]      = 0x11;
    memcpy(r + 0x50, report_data, REPORT_DATA_LEN);
    r[0x50] = (uint8_t) (r[0x50] + s->is_stale);
    memset(r + 0xC0, 0xd1, SNP_HOST_DATA_LEN);
    out->report.len = s->len;
    return true;
}

static const struct bytes no_initdata = { 0 };

static void keep_open(struct attester *self)
{
    (void) self;
}

static struct source source(const char *tee)
{
    return (struct source){ { tee, give, keep_open }, false, SNP_REPORT_LEN };
}

static void reads_host_data_from_a_fresh_report(void **state)
{
    struct source              s     = source("snp");
    AUTO(buffer) struct buffer field = { 0 };
    struct err                 err;

    (void) state;
    assert_true(evidence_own_field(&s.attester, no_initdata, &field, &err));
    assert_int_equal(field.len, SNP_HOST_DATA_LEN);
    assert_int_equal(field.at[0], 0xd1);
    assert_int_equal(field.at[31], 0xd1);
}

static void refuses_a_report_that_answers_to_something_else(void **state)
{
    struct source              s     = source("snp");
    AUTO(buffer) struct buffer field = { 0 };
    struct err                 err;

    (void) state;
    s.is_stale = true;
    assert_false(evidence_own_field(&s.attester, no_initdata, &field, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "own report: it answers to another request");
    s.is_stale = false;
    s.len      = SNP_REPORT_LEN - 1;
    assert_false(evidence_own_field(&s.attester, no_initdata, &field, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_int_equal(field.len, 0);
}

static void what_the_broker_gets_is_the_same_report(void **state)
{
    struct source                          s    = source("snp");
    struct measurements                    measured = { .attester = &s.attester };
    AUTO(buffer) struct buffer             json = { 0 };
    AUTO(json) struct json_object         *read = NULL;
    AUTO(snp_evidence) struct snp_evidence back = { 0 };
    uint8_t                                data[KBS_REPORT_DATA_LEN];
    struct err                             err;

    (void) state;
    memset(data, 0x77, sizeof data);
    assert_true(evidence_for_broker(&measured, data, &json, &err));
    assert_true(json_read(buffer_bytes(&json), 1 << 20, &read, &err));
    if (!snp_evidence_read(read, &back, &err))
        fail_msg("%s", err.text);
    assert_memory_equal(back.report + 0x50, data, sizeof data);
    assert_true(bytes_are_zero((struct bytes){ back.report + 0x50 + sizeof data, 64 - sizeof data }));
}

static void another_tee_is_told_by_name(void **state)
{
    struct source              s        = source("sgx");
    struct attester           *attester = NULL;
    AUTO(buffer) struct buffer field    = { 0 };
    struct err                 err;

    (void) state;
    assert_false(evidence_own_field(&s.attester, no_initdata, &field, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "own report: of TEE sgx");
    assert_false(evidence_open_device(CMDLINE_TEE_SIM, &attester, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
}

/* A synthetic quote with this report data and MRCONFIGID in its body; nobody signed the change. */
static bool give_quote(struct attester *self, const uint8_t report_data[static REPORT_DATA_LEN], struct attested *out,
                       struct err *err)
{
    AUTO(buffer) struct buffer quote = { 0 };
    AUTO(text) char           *path  = NULL;

    (void) self;
    assert_true(asprintf(&path, "%s/tests/vectors/tdx/synthetic/quote.bin", getenv("CLOISTER_SOURCE")) > 0);
    if (!file_read(path, 1 << 16, &quote, err))
        fail_msg("%s", err->text);
    memcpy(quote.at + 48 + 520, report_data, REPORT_DATA_LEN);
    memset(quote.at + 48 + 184, 0xc1, 48); /* MRCONFIGID */
    buffer_append(&out->report, buffer_bytes(&quote));
    return true;
}

static void a_quote_binds_by_mrconfigid(void **state)
{
    struct attester            attester = { "tdx", give_quote, keep_open };
    struct measurements        measured = { .attester = &attester };
    AUTO(buffer) struct buffer field = { 0 }, json = { 0 };
    uint8_t                    data[KBS_REPORT_DATA_LEN] = { 0 };
    struct err                 err;

    (void) state;
    if (!evidence_own_field(&attester, no_initdata, &field, &err))
        fail_msg("%s", err.text);
    assert_int_equal(field.len, 48);
    assert_int_equal(field.at[47], 0xc1);
    assert_true(evidence_for_broker(&measured, data, &json, &err));
    assert_memory_equal(buffer_text(&json), "{\"cc_eventlog\":null,\"quote\":\"BAAC", 33);
}

static bool extend_nothing(struct attester *self, struct bytes digest, struct err *err)
{
    (void) self;
    (void) digest;
    (void) err;
    return true;
}

static bool begins_with(const char *json, const char *begin)
{
    return strncmp(json, begin, strlen(begin)) == 0;
}

/* Only what RTMR3 vouches for: a verifier replays it. */
static void a_quotes_log_goes_on_with_the_guests_events(void **state)
{
    struct attester            attester = { .tee = "tdx", .evidence = give_quote, .close = keep_open };
    struct measurements        measured = { .attester = &attester };
    struct aael_event          event    = { "domain", "operation", "content" };
    AUTO(buffer) struct buffer bare = { 0 }, json = { 0 }, log = { 0 };
    AUTO(json) struct json_object *read = NULL;
    struct event_log           parsed;
    struct event_replay        replay = { 0 };
    const char                *encoded;
    uint8_t                    data[KBS_REPORT_DATA_LEN] = { 0 };
    struct err                 err;

    (void) state;
    assert_true(measurements_add(&measured, &event, false, &err));
    assert_true(evidence_for_broker(&measured, data, &bare, &err));
    assert_true(begins_with(buffer_text(&bare), "{\"cc_eventlog\":null,"));
    attester.extend  = extend_nothing;
    attester.runtime = (struct runtime_register){ "rtmr3", CC_RTMR3, TPM_SHA384 };
    assert_true(evidence_for_broker(&measured, data, &json, &err));
    assert_true(json_read(buffer_bytes(&json), 1 << 20, &read, &err) && json_get_text(read, "cc_eventlog", &encoded, &err));
    assert_true(base64_read(bytes_of_text(encoded), BASE64_STANDARD, &log, &err));
    assert_true(event_log_parse(buffer_bytes(&log), EVENT_LOG_CCEL, &parsed, &err));
    assert_true(event_log_replay(&parsed, TPM_SHA384, &replay, &err));
    assert_memory_equal(replay.value[CC_RTMR3], measured.value, SHA384_LEN);
    assert_int_equal(parsed.n_events, 1);
    measurements_free(&measured);
}

/* The report data are the role, the register and what the asker gave: a register of software is in evidence so. */
static void evidence_of_events_is_over_the_register(void **state)
{
    static const char              role[] = "cloister runtime measurements"; /* with its zero byte */
    struct source                  s        = source("snp");
    struct measurements            measured = { .attester = &s.attester };
    struct aael_event              event    = { "domain", "operation", "content" };
    AUTO(buffer) struct buffer     json = { 0 }, hashed = { 0 };
    AUTO(json) struct json_object *read = NULL;
    AUTO(snp_evidence) struct snp_evidence back = { 0 };
    const char                    *text;
    uint8_t                        wanted[SHA384_LEN], value[SHA384_LEN];
    struct err                     err;

    (void) state;
    assert_true(measurements_add(&measured, &event, false, &err));
    assert_true(evidence_of_events(&measured, bytes_of_text("nonce"), &json, &err));
    assert_true(json_read(buffer_bytes(&json), 1 << 20, &read, &err));
    assert_true(json_get_text(read, "register", &text, &err));
    assert_string_equal(text, "software");
    assert_true(json_get_text(read, "value", &text, &err) && hex_read_exact(text, value, sizeof value, &err));
    assert_memory_equal(value, measured.value, sizeof value);
    buffer_append(&hashed, BYTES_OF(role));
    buffer_append(&hashed, BYTES_OF(value));
    buffer_append_text(&hashed, "nonce");
    sha384_of(buffer_bytes(&hashed), wanted);
    assert_true(snp_evidence_read(json_object_object_get(read, "evidence"), &back, &err));
    assert_memory_equal(back.report + 0x50, wanted, sizeof wanted);
    measurements_free(&measured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_host_data_from_a_fresh_report),
        cmocka_unit_test(refuses_a_report_that_answers_to_something_else),
        cmocka_unit_test(what_the_broker_gets_is_the_same_report),
        cmocka_unit_test(a_quote_binds_by_mrconfigid),
        cmocka_unit_test(a_quotes_log_goes_on_with_the_guests_events),
        cmocka_unit_test(evidence_of_events_is_over_the_register),
        cmocka_unit_test(another_tee_is_told_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
