#include "tests/harness/test.h"
#include "attestation/evidence/event_log.h"
#include "tests/harness/vectors.h"

enum { N_BANKS_AT = 32 + 24 }; /* in the header record */

static bool parse_copy(struct bytes from, enum event_log_kind kind, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(from.at, from.len);
    struct event_log    log;

    return event_log_parse((struct bytes){ exact, from.len }, kind, &log, err);
}

static void steps_through_a_ccel_log_to_its_padding(void **state)
{
    AUTO(buffer) struct buffer file = own_vector("tpm/ccel_qemu.bin");
    struct event_replay        replay;
    struct event_log           log;
    struct event               e;
    struct err                 err;

    (void) state;
    assert_true(event_log_parse(buffer_bytes(&file), EVENT_LOG_CCEL, &log, &err));
    assert_int_equal(log.n_events, 20);
    assert_int_equal(log.events.at + log.events.len - file.at, 2120);

    struct reader r = reader_over(log.events);

    assert_true(event_next(&log, &r, &e));
    assert_string_equal(event_type_name(e.type), "EV_EFI_HANDOFF_TABLES2");
    assert_int_equal(event_data_judge(&log, &e, 0), EVENT_DATA_LABEL);
    assert_true(event_log_replay(&log, TPM_SHA384, &replay, &err));
    assert_memory_equal(replay.value[1], "\x85\x66\xf9\x98", 4);
    assert_memory_equal(replay.value[3], "\x94\xea\xf7\xa7", 4);
    assert_true(bytes_are_zero((struct bytes){ replay.value[4], 48 }));
    assert_true(event_replay_has_extra_separators(&log, &replay)); /* firmware of that age puts two into RTMR0 */
    assert_false(event_log_replay(&log, TPM_SHA256, &replay, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

/* A log of registers may be cut between two events and still be well formed; its replay then shows it. */
static void refuses_truncations_inside_an_event(void **state)
{
    AUTO(buffer) struct buffer file    = own_vector("tpm/eventlog.bin");
    size_t                     n_whole = 0;
    struct event_log           log;
    struct err                 err;

    (void) state;
    assert_true(event_log_parse(buffer_bytes(&file), EVENT_LOG_TPM, &log, &err));
    for (size_t len = 0; len < file.len; len++)
        n_whole += parse_copy((struct bytes){ file.at, len }, EVENT_LOG_TPM, &err);
    assert_int_equal(n_whole, log.n_events);
}

static void refuses_one_defect_by_name(void **state)
{
    static const struct { size_t at; uint8_t byte; enum err_kind kind; const char *text; } rows[] = {
        { 0, 1, ERR_UNSUPPORTED, "event log header: does not start with \"Spec ID Event03\"" },
        { 4, 4, ERR_UNSUPPORTED, "event log header: does not start with \"Spec ID Event03\"" },
        { 8, 1, ERR_UNSUPPORTED, "event log header: does not start with \"Spec ID Event03\"" },
        { 32, 's', ERR_UNSUPPORTED, "event log header: does not start with \"Spec ID Event03\"" },
        { N_BANKS_AT, 0, ERR_LIMIT, "event log header: 0 banks; 1 to 8 are allowed" },
        { N_BANKS_AT, 9, ERR_LIMIT, "event log header: 9 banks; 1 to 8 are allowed" },
        { N_BANKS_AT + 6, 21, ERR_UNSUPPORTED, NULL },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(buffer) struct buffer file = own_vector("tpm/eventlog.bin");
        struct err                 err;

        file.at[rows[i].at] = rows[i].byte;
        assert_false(parse_copy(buffer_bytes(&file), EVENT_LOG_TPM, &err));
        assert_int_equal(err.kind, rows[i].kind);
        if (rows[i].text)
            assert_string_equal(err.text, rows[i].text);
    }
}

/* A log of one SHA-256 bank, made event by event. */
static void log_start(struct buffer *log)
{
    struct writer w = writer_over(buffer_grow(log, 65), 65);
    struct err    err;

    put_u32le(&w, 0);
    put_u32le(&w, EV_NO_ACTION);
    put_zeros(&w, 20);
    put_u32le(&w, 33);
    put(&w, (struct bytes){ (const uint8_t *) "Spec ID Event03", 16 });
    put_zeros(&w, 8);
    put_u32le(&w, 1);
    put_u16le(&w, TPM_SHA256);
    put_u16le(&w, 32);
    put_u8(&w, 0);
    assert_true(writer_ok(&w, &err));
}

static void event_add(struct buffer *log, uint32_t pcr, uint32_t type, struct bytes data)
{
    uint8_t       digest[SHA256_LEN];
    size_t        len = 4 + 4 + 4 + 2 + 32 + 4 + data.len;
    struct writer w   = writer_over(buffer_grow(log, len), len);
    struct err    err;

    sha256_of(data, digest);
    put_u32le(&w, pcr);
    put_u32le(&w, type);
    put_u32le(&w, 1);
    put_u16le(&w, TPM_SHA256);
    put(&w, BYTES_OF(digest));
    put_u32le(&w, (uint32_t) data.len);
    put(&w, data);
    assert_true(writer_ok(&w, &err));
}

static void startup_locality_begins_pcr_0(void **state)
{
    AUTO(buffer) struct buffer made = { 0 };
    struct event_replay        replay;
    struct event_log           log;
    struct err                 err;
    uint8_t                    wanted[32 + 32] = { [31] = 3 }, pcr[32];

    (void) state;
    log_start(&made);
    event_add(&made, 0, EV_NO_ACTION, (struct bytes){ (const uint8_t *) "StartupLocality\0\3", 17 });
    event_add(&made, 0, EV_S_CRTM_VERSION, bytes_of_text("v"));
    sha256_of(bytes_of_text("v"), wanted + 32);
    sha256_of(BYTES_OF(wanted), pcr);
    assert_true(event_log_parse(buffer_bytes(&made), EVENT_LOG_TPM, &log, &err));
    assert_true(event_log_replay(&log, TPM_SHA256, &replay, &err));
    assert_memory_equal(replay.value[0], pcr, 32);
    assert_int_equal(replay.value[17][0], 0xff); /* dynamic registers wait for a dynamic launch */
    assert_int_equal(replay.value[16][0], 0);
}

static void an_error_separator_is_noticed(void **state)
{
    static const uint8_t       error[4] = { 0xff, 0xff, 0xff, 0xff }, good[4];
    AUTO(buffer) struct buffer made = { 0 };
    struct event_replay        replay;
    struct event_log           log;
    struct err                 err;

    (void) state;
    log_start(&made);
    for (uint32_t pcr = 0; pcr < 8; pcr++)
        event_add(&made, pcr, EV_SEPARATOR, BYTES_OF(good));
    assert_true(event_log_parse(buffer_bytes(&made), EVENT_LOG_TPM, &log, &err));
    assert_true(event_log_replay(&log, TPM_SHA256, &replay, &err));
    assert_false(event_replay_has_extra_separators(&log, &replay));
    event_add(&made, 8, EV_SEPARATOR, BYTES_OF(error));
    assert_true(event_log_parse(buffer_bytes(&made), EVENT_LOG_TPM, &log, &err));
    assert_true(event_log_replay(&log, TPM_SHA256, &replay, &err));
    assert_true(event_replay_has_extra_separators(&log, &replay));
}

/* Events of 16 zero bytes look like padding until the last byte: telling them apart must not cost quadratic time. */
static void zeros_before_a_last_byte_are_read_in_linear_time(void **state)
{
    AUTO(buffer) struct buffer made = { 0 };
    struct event_log           log;
    struct err                 err;

    (void) state;
    log_start(&made);
    buffer_grow(&made, EVENT_LOG_LEN_MAX - made.len - 16);
    made.at[made.len - 1] = 1;
    assert_false(event_log_parse(buffer_bytes(&made), EVENT_LOG_CCEL, &log, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    made.at[made.len - 1] = 0;
    assert_true(event_log_parse(buffer_bytes(&made), EVENT_LOG_CCEL, &log, &err));
    assert_int_equal(log.n_events, 0);
}

static void says_which_data_is_authentic(void **state)
{
    static const struct { uint32_t type; const char *measured, *logged; enum event_data wanted; } rows[] = {
        { EV_SEPARATOR, "abc", "abc", EVENT_DATA_AUTHENTIC },
        { EV_SEPARATOR, "abc", "abd", EVENT_DATA_FORGED },
        { EV_EFI_ACTION, "abc", "abd", EVENT_DATA_FORGED },
        { EV_EVENT_TAG, "abc", "abd", EVENT_DATA_LABEL },
        { EV_IPL, "linux /vmlinuz", "grub_cmd: linux /vmlinuz", EVENT_DATA_AUTHENTIC },
        { EV_IPL, "linux /vmlinuz", "grub_cmd: linux /vmlinuX", EVENT_DATA_LABEL },
        { EV_EFI_VARIABLE_BOOT, "abc", "abd", EVENT_DATA_LABEL },
        { EV_NO_ACTION, "abc", "abc", EVENT_DATA_LABEL },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct event_log log = { .hash = { tpm_hash_by_id(TPM_SHA256) }, .n_hashes = 1 };
        uint8_t                digest[SHA256_LEN];
        struct event           e = { .type = rows[i].type, .data = bytes_of_text(rows[i].logged) };

        sha256_of(bytes_of_text(rows[i].measured), digest);
        e.digest[0] = BYTES_OF(digest);
        if (event_data_judge(&log, &e, 0) != rows[i].wanted)
            fail_msg("row %zu: %s", i, event_data_name(event_data_judge(&log, &e, 0)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_through_a_ccel_log_to_its_padding),
        cmocka_unit_test(refuses_truncations_inside_an_event),
        cmocka_unit_test(refuses_one_defect_by_name),
        cmocka_unit_test(startup_locality_begins_pcr_0),
        cmocka_unit_test(an_error_separator_is_noticed),
        cmocka_unit_test(zeros_before_a_last_byte_are_read_in_linear_time),
        cmocka_unit_test(says_which_data_is_authentic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
