#include "tests/harness/json_vectors.h"

#include "attestation/evidence/aael.h"
#include "attestation/evidence/event_log.h"
#include "base/text.h"

static struct aael_event event_of(struct json_object *of)
{
    struct json_object *words = member_of(of, "event");

    return (struct aael_event){ json_object_get_string(json_object_array_get_idx(words, 0)),
                                json_object_get_string(json_object_array_get_idx(words, 1)),
                                json_object_get_string(json_object_array_get_idx(words, 2)) };
}

static void assert_hex(struct bytes got, const char *wanted)
{
    AUTO(buffer) struct buffer hex = { 0 };

    hex_append(&hex, got);
    assert_string_equal(buffer_text(&hex), wanted);
}

static void records_digests_and_registers_are_those_of_the_worked_cases(void **state)
{
    AUTO(json) struct json_object *whole = vector_json("aael/aael.json");

    (void) state;
    assert_int_equal(json_object_array_length(whole), 2);
    for (size_t i = 0; i < 2; i++) {
        struct json_object        *one   = json_object_array_get_idx(whole, i), *events = member_of(one, "events");
        const struct tpm_hash     *hash  = tpm_hash_by_id(i == 0 ? TPM_SHA384 : TPM_SHA256);
        AUTO(buffer) struct buffer log   = { 0 }, wanted = { 0 };
        uint8_t                    value[TPM_HASH_LEN_MAX] = { 0 }, digest[TPM_HASH_LEN_MAX];
        struct err                 err;

        assert_int_equal(json_object_array_length(events), 3);
        for (size_t k = 0; k < 3; k++) {
            struct json_object *row   = json_object_array_get_idx(events, k);
            struct aael_event   event = event_of(row);
            size_t              begin = log.len;

            assert_true(aael_append(&event, 4, hash, &log, digest, &err));
            assert_hex((struct bytes){ digest, hash->len }, member_text(row, "digest"));
            assert_hex((struct bytes){ log.at + begin, log.len - begin }, member_text(row, "entry_hex"));
            tpm_hash_of(hash, (struct bytes){ value, hash->len }, (struct bytes){ digest, hash->len }, value);
            assert_hex((struct bytes){ value, hash->len }, member_text(row, "register_after"));
        }
        vector_read(i == 0 ? "aael/aael-sha384.bin" : "aael/aael-sha256.bin", &wanted);
        assert_true(bytes_equal(buffer_bytes(&log), buffer_bytes(&wanted)));
    }
}

static void without_a_log_of_the_firmware_the_evidence_is_that_of_the_vector(void **state)
{
    AUTO(buffer) struct buffer records = { 0 }, made = { 0 }, wanted = { 0 };

    (void) state;
    vector_read("aael/aael-sha384.bin", &records);
    vector_read("aael/tdx-cc_eventlog.bin", &wanted);
    aael_continue_ccel((struct bytes){ 0 }, buffer_bytes(&records), &made);
    assert_true(bytes_equal(buffer_bytes(&made), buffer_bytes(&wanted)));
}

/* Replayed by the code that a broker runs: RTMR3 is what the events give, the others are as the firmware logged. */
static void a_firmwares_log_is_continued_where_its_filling_began(void **state)
{
    AUTO(buffer) struct buffer firmware = { 0 }, records = { 0 }, made = { 0 };
    struct aael_event          event = { "cloister", "StartContainer", "{\"id\":\"web\"}" };
    uint8_t                    digest[TPM_HASH_LEN_MAX], value[TPM_HASH_LEN_MAX] = { 0 };
    struct event_log           before, after;
    struct event_replay        replay = { 0 }, old = { 0 };
    struct err                 err;

    (void) state;
    vector_read("tpm/ccel_qemu.bin", &firmware);
    assert_true(event_log_parse(buffer_bytes(&firmware), EVENT_LOG_CCEL, &before, &err));
    assert_true(aael_append(&event, 4, tpm_hash_by_id(TPM_SHA384), &records, digest, &err));
    aael_continue_ccel(buffer_bytes(&firmware), buffer_bytes(&records), &made);
    assert_true(made.len < firmware.len); /* the filling went */
    assert_true(event_log_parse(buffer_bytes(&made), EVENT_LOG_CCEL, &after, &err));
    assert_int_equal(after.n_events, before.n_events + 1);
    assert_true(event_log_replay(&before, TPM_SHA384, &old, &err) && event_log_replay(&after, TPM_SHA384, &replay, &err));
    tpm_hash_of(tpm_hash_by_id(TPM_SHA384), (struct bytes){ value, SHA384_LEN }, (struct bytes){ digest, SHA384_LEN }, value);
    assert_memory_equal(replay.value[4], value, SHA384_LEN);
    for (size_t i = 1; i < 4; i++)
        assert_memory_equal(replay.value[i], old.value[i], SHA384_LEN);
}

static void refuses_one_defect_at_a_time(void **state)
{
    static char long_word[AAEL_DOMAIN_MAX + 2], long_content[AAEL_CONTENT_MAX + 2];
    const struct { struct aael_event event; enum err_kind kind; const char *why; } rows[] = {
        { { "", "o", "c" }, ERR_MALFORMED, "event: domain is empty" },
        { { "a b", "o", "c" }, ERR_MALFORMED, "event: domain: wanted printable ASCII without blanks" },
        { { "d", "o\tp", "c" }, ERR_MALFORMED, "event: operation: wanted printable ASCII without blanks" },
        { { "d", "\xc3\xa9", "c" }, ERR_MALFORMED, "event: operation: wanted printable ASCII without blanks" },
        { { "d", "o", "a\nb" }, ERR_MALFORMED, "event: content: wanted one line of UTF-8" },
        { { "d", "o", "\xff" }, ERR_MALFORMED, "event: content: wanted one line of UTF-8" },
        { { long_word, "o", "c" }, ERR_LIMIT, "event: domain over 128 bytes" },
        { { "d", long_word, "c" }, ERR_LIMIT, "event: operation over 64 bytes" },
        { { "d", "o", long_content }, ERR_LIMIT, "event: content over 4096 bytes" },
    };

    (void) state;
    memset(long_word, 'a', sizeof long_word - 1);
    memset(long_content, 'a', sizeof long_content - 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer log = { 0 };
        uint8_t                    digest[TPM_HASH_LEN_MAX];
        struct err                 err;

        assert_false(aael_append(&rows[i].event, 4, tpm_hash_by_id(TPM_SHA384), &log, digest, &err));
        assert_string_equal(err.text, rows[i].why);
        assert_int_equal(err.kind, rows[i].kind);
        assert_int_equal(log.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_digests_and_registers_are_those_of_the_worked_cases),
        cmocka_unit_test(without_a_log_of_the_firmware_the_evidence_is_that_of_the_vector),
        cmocka_unit_test(a_firmwares_log_is_continued_where_its_filling_began),
        cmocka_unit_test(refuses_one_defect_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
