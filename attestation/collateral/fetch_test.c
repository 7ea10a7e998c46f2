#include "tests/harness/test.h"

#include "attestation/collateral/fetch.h"
#include "tests/harness/http_service.h"

static const struct fetch_options loopback = { .timeout_ms = 5000, .patience_ms = 3000, .plain_http_allowed = true };

struct asked {
    bool          ok;
    struct answer answer;
    int64_t       retry_after_s;
    unsigned      n_asked;
    struct err    err;
};

static struct asked ask_row(struct http_row row, const char *retry_after, const char *path, const struct fetch_options *options)
{
    struct http_service s = { .rows = &row, .n_rows = 1, .retry_after = retry_after };
    struct asked        a = { 0 };
    char                url[200];

    http_service_start(&s);
    (void) snprintf(url, sizeof url, "%s%s", s.base, path); /* fits */
    a.ok      = fetch(url, options, &a.answer, &a.retry_after_s, &a.err);
    a.n_asked = s.n_asked;
    http_service_stop(&s);
    return a;
}

static struct bytes text(const char *t)
{
    return bytes_of_text(t);
}

static void takes_body_and_issuer_chain(void **state)
{
    const struct http_row row = { "/tcb?fmspc=00", 200, text("{}"), "TCB-Info-Issuer-Chain", "-----BEGIN%20X%0A", 0, 0 };
    struct asked          a   = ask_row(row, NULL, "/tcb?fmspc=00", &loopback);

    (void) state;
    if (!a.ok)
        fail_msg("%s", a.err.text);
    assert_true(bytes_equal(buffer_bytes(&a.answer.body), text("{}")));
    assert_string_equal(buffer_text(&a.answer.issuer_chain), "-----BEGIN X\n");
    assert_non_null(strstr(buffer_text(&a.answer.url), "/tcb?fmspc=00"));
    answer_free(&a.answer);
}

static void an_answer_may_be_empty_and_without_chain(void **state)
{
    const struct http_row row = { "/x", 200, text(""), "Other", "value", 0, 0 };
    struct asked          a   = ask_row(row, NULL, "/x", &loopback);

    (void) state;
    assert_true(a.ok);
    assert_int_equal(a.answer.body.len, 0);
    assert_int_equal(a.answer.issuer_chain.len, 0);
    answer_free(&a.answer);
}

static void every_other_status_is_a_failure_by_its_kind(void **state)
{
    static const struct { unsigned status; enum err_kind kind; const char *text; } cases[] = {
        { 404, ERR_NOT_FOUND, "the service knows no such thing (404)" },
        { 500, ERR_OS, "the service answers with status 500" },
        { 301, ERR_OS, "the service answers with status 301" },
        { 204, ERR_OS, "the service answers with status 204" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct http_row row = { "/x", cases[i].status, text(""), "Location", "/y", 0, 0 };
        struct asked          a   = ask_row(row, NULL, "/x", &loopback);

        assert_false(a.ok);
        assert_int_equal(a.err.kind, cases[i].kind);
        assert_non_null(strstr(a.err.text, cases[i].text));
        assert_int_equal(a.n_asked, 1);
        assert_int_equal(a.answer.url.len, 0);
    }
}

static void waits_as_long_as_a_busy_service_asks_and_tries_again(void **state)
{
    const struct http_row row = { "/x", 200, text("late"), NULL, NULL, 2, 0 };
    struct timespec       before, after;
    struct asked          a;

    (void) state;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
    a = ask_row(row, "1", "/x", &loopback);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
    assert_true(a.ok);
    assert_int_equal(a.n_asked, 3);
    assert_true(after.tv_sec - before.tv_sec >= 1); /* twice a second, less what the clock's seconds round away */
    answer_free(&a.answer);
}

static void beyond_our_patience_says_how_long_to_wait(void **state)
{
    static const struct { const char *retry_after; int64_t seconds; } cases[] = {
        { "120", 120 }, { "999999", 3600 }, { "99999999999", 30 }, { "Wed, 21 Oct 2026 07:28:00 GMT", 30 },
    };
    const struct http_row row = { "/x", 200, text("never"), NULL, NULL, 99, 0 };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked a = ask_row(row, cases[i].retry_after, "/x", &loopback);

        assert_false(a.ok);
        assert_int_equal(a.err.kind, ERR_LIMIT);
        assert_int_equal(a.retry_after_s, cases[i].seconds);
        assert_int_equal(a.n_asked, 1);
    }
}

static void gives_up_on_a_service_that_is_busy_for_ever(void **state)
{
    const struct http_row row = { "/x", 200, text("never"), NULL, NULL, 99, 0 };
    struct asked          a   = ask_row(row, "0", "/x", &loopback);

    (void) state;
    assert_false(a.ok);
    assert_int_equal(a.err.kind, ERR_LIMIT);
    assert_int_equal(a.n_asked, 8);
}

static void plain_http_other_protocols_and_nonsense_are_not_asked(void **state)
{
    static const char *const   urls[] = { "http://127.0.0.1:1/x", "file:///etc/hostname", "ftp://127.0.0.1/x", "", "https://" };
    const struct fetch_options strict = { 0 };
    struct answer              out    = { 0 };
    int64_t                    retry_after_s;
    struct err                 err;

    (void) state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        assert_false(fetch(urls[i], &strict, &out, &retry_after_s, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
    }
}

static void nobody_there_is_a_failure_of_the_system(void **state)
{
    struct answer out = { 0 };
    int64_t       retry_after_s;
    struct err    err;

    (void) state;
    assert_false(fetch("http://127.0.0.1:1/x", &loopback, &out, &retry_after_s, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_int_equal(retry_after_s, 0);
}

static void a_slow_answer_is_cut_off(void **state)
{
    const struct http_row      row   = { "/x", 200, text("late"), NULL, NULL, 0, 900 };
    const struct fetch_options hasty = { .timeout_ms = 100, .plain_http_allowed = true };
    struct asked               a     = ask_row(row, NULL, "/x", &hasty);

    (void) state;
    assert_false(a.ok);
    assert_int_equal(a.err.kind, ERR_TIMEOUT);
}

static void an_answer_that_is_too_large_is_cut_off(void **state)
{
    AUTO(heap) uint8_t   *big = calloc(1, ANSWER_BODY_LEN_MAX + 1);
    const struct http_row row = { "/x", 200, { big, ANSWER_BODY_LEN_MAX + 1 }, NULL, NULL, 0, 0 };
    struct asked          a;

    (void) state;
    assert_non_null(big);
    a = ask_row(row, NULL, "/x", &loopback);
    assert_false(a.ok);
    assert_int_equal(a.err.kind, ERR_LIMIT);
}

static void a_ca_file_that_is_missing_is_no_reason_to_trust(void **state)
{
    const struct fetch_options options = { .ca_file = "/nonexistent/ca.pem", .timeout_ms = 1000 };
    struct answer              out     = { 0 };
    int64_t                    retry_after_s;
    struct err                 err;

    (void) state;
    assert_false(fetch("https://127.0.0.1:1/x", &options, &out, &retry_after_s, &err));
    assert_int_equal(err.kind, ERR_OS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_body_and_issuer_chain),
        cmocka_unit_test(an_answer_may_be_empty_and_without_chain),
        cmocka_unit_test(every_other_status_is_a_failure_by_its_kind),
        cmocka_unit_test(waits_as_long_as_a_busy_service_asks_and_tries_again),
        cmocka_unit_test(beyond_our_patience_says_how_long_to_wait),
        cmocka_unit_test(gives_up_on_a_service_that_is_busy_for_ever),
        cmocka_unit_test(plain_http_other_protocols_and_nonsense_are_not_asked),
        cmocka_unit_test(nobody_there_is_a_failure_of_the_system),
        cmocka_unit_test(a_slow_answer_is_cut_off),
        cmocka_unit_test(an_answer_that_is_too_large_is_cut_off),
        cmocka_unit_test(a_ca_file_that_is_missing_is_no_reason_to_trust),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
