#include "firmware/stage0/boot_log.h"

#include "tests/harness/test.h"

enum { HEAD = 32, SPEC_ID = 29, DIGESTS_MAX = 256 };

static size_t put_digests(uint8_t *to, uint32_t n, const uint16_t *alg, const uint16_t *len)
{
    struct writer w = writer_over(to, DIGESTS_MAX);

    put_u32be(&w, n);
    for (uint32_t i = 0; i < n; i++) {
        put_u16be(&w, alg[i]);
        for (unsigned j = 0; j < len[i]; j++)
            put_u8(&w, (uint8_t) alg[i]);
    }
    return w.len;
}

static bool add(struct machine *m, const uint8_t *digests, size_t len, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(digests, len);

    return boot_log_add(m, 4, BOOT_LOG_EVENT_TAG, (struct bytes){ (const uint8_t *) "what", 4 },
                        reader_over((struct bytes){ exact, len }), err);
}

/* Two banks, two events: as bytes. [TCG PFP 10.4.5] */
static void the_first_event_names_the_banks(void **state)
{
    static const uint16_t      alg[] = { 11, 12 }, len[] = { 32, 48 };
    struct machine m     = { .log = NULL };
    uint8_t                    log[BOOT_LOG_LEN], digests[DIGESTS_MAX];
    size_t                     n = put_digests(digests, 2, alg, len), event = 12 + 2 + 32 + 2 + 48 + 4 + 4;
    struct err                 err;

    (void) state;
    m.log = log;
    assert_true(add(&m, digests, n, &err) && add(&m, digests, n, &err));
    assert_int_equal(m.log_len, HEAD + SPEC_ID + 8 + 2 * event);
    assert_memory_equal(log + HEAD, "Spec ID Event03", 16);
    assert_memory_equal(log + HEAD + 24, "\2\0\0\0\x0b\0\x20\0\x0c\0\x30\0\0", 13);
    assert_memory_equal(log + HEAD + SPEC_ID + 8, "\4\0\0\0\6\0\0\0\2\0\0\0\x0b\0\x0b\x0b", 16);
    assert_memory_equal(log + m.log_len - 8, "\4\0\0\0what", 8);
    assert_memory_equal(log + HEAD + SPEC_ID + 8, log + HEAD + SPEC_ID + 8 + event, event);
}

static void without_room_nothing_is_written(void **state)
{
    struct machine m = { .log = NULL };
    struct err                 err;

    (void) state;
    assert_true(add(&m, (const uint8_t *) "", 0, &err));
    assert_int_equal(m.log_len, 0);
}

static void rejects_every_truncation_of_an_answer(void **state)
{
    static const uint16_t      alg[] = { 4, 18 }, len[] = { 20, 32 };
    struct machine m     = { .log = NULL };
    uint8_t                    log[BOOT_LOG_LEN], digests[DIGESTS_MAX];
    size_t                     n = put_digests(digests, 2, alg, len);
    struct err                 err;

    (void) state;
    m.log = log;
    for (size_t cut = 0; cut < n; cut++) {
        m.log_len = 0;
        assert_false(add(&m, digests, cut, &err));
    }
    m.log_len = 0;
    assert_true(add(&m, digests, n, &err));
    for (size_t cut = 0; cut < n; cut++) { /* the banks are known by then */
        size_t before = m.log_len;

        assert_false(add(&m, digests, cut, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(m.log_len, before);
    }
}

static void rejects_an_unknown_bank_too_many_and_a_full_log(void **state)
{
    static const uint16_t      alg[] = { 0x27 }, sha1[9] = { 4, 4, 4, 4, 4, 4, 4, 4, 4 };
    static const uint16_t      len[] = { 32 }, sha1_len[9] = { 20, 20, 20, 20, 20, 20, 20, 20, 20 };
    struct machine m     = { .log = NULL };
    uint8_t                    log[BOOT_LOG_LEN], digests[DIGESTS_MAX];
    struct err                 err;

    (void) state;
    m.log = log;
    assert_false(add(&m, digests, put_digests(digests, 1, alg, len), &err));
    assert_string_equal(err.text, "a bank of algorithm 0x27");
    assert_false(add(&m, digests, put_digests(digests, 9, sha1, sha1_len), &err));
    assert_string_equal(err.text, "9 banks");

    size_t n = put_digests(digests, 1, sha1, sha1_len);

    m.log_len = 0;
    while (add(&m, digests, n, &err))
        ;
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(m.log_len <= BOOT_LOG_LEN && m.log_len > BOOT_LOG_LEN - 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_event_names_the_banks),
        cmocka_unit_test(without_room_nothing_is_written),
        cmocka_unit_test(rejects_every_truncation_of_an_answer),
        cmocka_unit_test(rejects_an_unknown_bank_too_many_and_a_full_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
