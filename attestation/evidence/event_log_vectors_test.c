/* Every log of ../shared/vectors/tdx/eventlog and tpm/eventlogs replays to what its provenance says. */
#include "tests/harness/test.h"
#include "attestation/evidence/event_log.h"
#include "attestation/evidence/tdx_quote.h"
#include "base/json.h"
#include "base/text.h"
#include "tests/harness/vectors.h"

static struct json_object *expected_read(const char *path)
{
    AUTO(buffer) struct buffer text = shared_vector(path);
    struct json_object        *read = NULL;
    struct err                 err;

    if (!json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &read, &err))
        fail_msg("%s: %s", path, err.text);
    return read;
}

static void assert_register(const char *log, const char *name, struct json_object *wanted_hex,
                            const struct event_replay *got, size_t index)
{
    uint8_t    wanted[TPM_HASH_LEN_MAX];
    struct err err;

    assert_true(hex_read_exact(json_object_get_string(wanted_hex), wanted, got->hash->len, &err));
    if (memcmp(wanted, got->value[index], got->hash->len) != 0)
        fail_msg("%s: %s of %s differs", log, name, got->hash->name);
}

/* Genuine logs: every event of a type whose digest is of its data keeps to it, and some data can be believed. */
static void assert_data_is_honest(const char *name, const struct event_log *log, size_t bank)
{
    struct reader r    = reader_over(log->events);
    size_t        n[3] = { 0 };
    struct event  e;

    while (event_next(log, &r, &e))
        n[event_data_judge(log, &e, bank)]++;
    print_message("%-42s %3zu events: %2zu authentic, %2zu labels\n", name, log->n_events, n[EVENT_DATA_AUTHENTIC],
                  n[EVENT_DATA_LABEL]);
    assert_int_equal(n[EVENT_DATA_FORGED], 0);
    assert_true(n[EVENT_DATA_AUTHENTIC] > 0);
}

static void ccel_logs_replay_to_their_registers(void **state)
{
    AUTO(json) struct json_object *expected = expected_read("tdx/eventlog/expected.json");
    size_t                         n        = 0;

    (void) state;
    json_object_object_foreach(expected, name, row) {
        char                path[128];
        struct event_log    log;
        struct event_replay replay;
        struct err          err;

        if (!json_has(row, "original_size"))
            continue; /* a list of events in another form */
        (void) snprintf(path, sizeof path, "tdx/eventlog/%s.ccel.bin", name); /* short names */
        AUTO(buffer) struct buffer file      = shared_vector(path);
        const char                *algorithm = json_object_get_string(json_object_object_get(row, "algorithm"));

        if (!event_log_parse(buffer_bytes(&file), EVENT_LOG_CCEL, &log, &err))
            fail_msg("%s: %s", name, err.text);
        assert_int_equal(log.n_events, json_object_get_int(json_object_object_get(row, "events")));
        if (!event_log_replay(&log, tpm_hash_by_name(algorithm)->id, &replay, &err))
            fail_msg("%s: %s", name, err.text);
        for (size_t i = 0; i < 4; i++) {
            char rtmr[8];

            (void) snprintf(rtmr, sizeof rtmr, "rtmr%zu", i); /* one digit */
            assert_register(name, rtmr, json_object_object_get(json_object_object_get(row, "replayed"), rtmr), &replay,
                            i + 1);
        }
        assert_data_is_honest(name, &log, event_log_bank(&log, replay.hash->id));
        n++;
    }
    assert_true(n >= 10);
}

static void tpm_logs_replay_to_their_registers(void **state)
{
    AUTO(json) struct json_object *expected = expected_read("tpm/eventlogs/expected.json");

    (void) state;
    json_object_object_foreach(expected, name, row) {
        char                path[128];
        struct event_log    log;
        struct event_replay replay;
        struct err          err;

        (void) snprintf(path, sizeof path, "tpm/eventlogs/%s", name); /* short names */
        AUTO(buffer) struct buffer file = shared_vector(path);
        bool                       read = event_log_parse(buffer_bytes(&file), EVENT_LOG_TPM, &log, &err);

        assert_int_equal(read, !json_has(row, "parse"));
        if (!read) {
            print_message("%-40s %s\n", name, err.text);
            continue;
        }
        json_object_object_foreach(json_object_object_get(row, "replayed"), bank, registers) {
            if (!event_log_replay(&log, tpm_hash_by_name(bank)->id, &replay, &err))
                fail_msg("%s: %s", name, err.text);
            json_object_object_foreach(registers, index, value) {
                assert_register(name, index, value, &replay, (size_t) atoi(index));
            }
            assert_data_is_honest(name, &log, event_log_bank(&log, replay.hash->id));
            for (size_t i = 0; i < 8 && strcmp(name, "sb_cert_eventlog") != 0; i++) /* that one is a fragment */
                assert_int_equal(replay.n_separators[i], 1);
            assert_false(replay.has_error_separator);
        }
    }
}

/* The quote that the log belongs to, and a copy of the log with a second separator. */
static void a_ccel_log_explains_its_quote_and_no_other(void **state)
{
    AUTO(buffer) struct buffer good = shared_vector("tdx/eventlog/gce_cos113.ccel.bin");
    AUTO(buffer) struct buffer bad  = shared_vector("tdx/eventlog/gce_cos113_dupe_separator_NEGATIVE.ccel.bin");
    AUTO(buffer) struct buffer file = shared_vector("tdx/real/quotes/gce_00806f_v4_cos113.bin");
    struct event_replay        replay;
    struct event_log           log;
    struct tdx_quote           quote;
    struct err                 err;

    (void) state;
    assert_true(tdx_quote_parse(buffer_bytes(&file), &quote, &err));
    assert_true(event_log_parse(buffer_bytes(&good), EVENT_LOG_CCEL, &log, &err));
    assert_true(event_log_replay(&log, TPM_SHA384, &replay, &err));
    for (size_t i = 0; i < TDX_RTMRS; i++)
        assert_memory_equal(replay.value[i + 1], quote.body.rtmr[i].at, TDX_MR_LEN);
    assert_false(event_replay_has_extra_separators(&log, &replay));
    assert_true(event_log_parse(buffer_bytes(&bad), EVENT_LOG_CCEL, &log, &err));
    assert_true(event_log_replay(&log, TPM_SHA384, &replay, &err));
    assert_memory_not_equal(replay.value[1], quote.body.rtmr[0].at, TDX_MR_LEN);
    assert_true(event_replay_has_extra_separators(&log, &replay));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ccel_logs_replay_to_their_registers),
        cmocka_unit_test(a_ccel_log_explains_its_quote_and_no_other),
        cmocka_unit_test(tpm_logs_replay_to_their_registers),
    };

    vectors_required("tdx/eventlog/expected.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
