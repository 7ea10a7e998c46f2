#include "tests/harness/test.h"

#include "keys/broker/metrics.h"

static const char *shown(const struct metrics *m, struct buffer *out)
{
    const struct gauges g = { .connections = 7, .audit_entries = 42, .is_ready = true };

    metrics_write(m, &g, out);
    return buffer_text(out);
}

static void assert_shows(const struct metrics *m, const char *line)
{
    AUTO(buffer) struct buffer out = { 0 };

    if (!strstr(shown(m, &out), line))
        fail_msg("\"%s\" is not in:\n%s", line, buffer_text(&out));
}

static void counts_answers_by_activity_and_status(void **state)
{
    struct metrics m = { 0 };

    (void) state;
    metrics_answered(&m, ACTIVITY_RESOURCE, 200, 90);
    metrics_answered(&m, ACTIVITY_RESOURCE, 204, 300);
    metrics_answered(&m, ACTIVITY_RESOURCE, 401, 2000000);
    metrics_answered(&m, ACTIVITY_OTHER, 999, 0);
    assert_shows(&m, "\ncloister_broker_answers_total{activity=\"resource\",status=\"2xx\"} 2\n");
    assert_shows(&m, "\ncloister_broker_answers_total{activity=\"resource\",status=\"4xx\"} 1\n");
    assert_shows(&m, "\ncloister_broker_answers_total{activity=\"challenge\",status=\"2xx\"} 0\n");
    assert_shows(&m, "\ncloister_broker_answer_seconds_bucket{activity=\"resource\",le=\"0.0001\"} 1\n");
    assert_shows(&m, "\ncloister_broker_answer_seconds_bucket{activity=\"resource\",le=\"0.0005\"} 2\n");
    assert_shows(&m, "\ncloister_broker_answer_seconds_bucket{activity=\"resource\",le=\"1\"} 2\n");
    assert_shows(&m, "\ncloister_broker_answer_seconds_bucket{activity=\"resource\",le=\"+Inf\"} 3\n");
    assert_shows(&m, "\ncloister_broker_answer_seconds_sum{activity=\"resource\"} 2.000390\n");
    assert_shows(&m, "\ncloister_broker_answer_seconds_count{activity=\"resource\"} 3\n");
}

static void counts_commits_and_shows_gauges(void **state)
{
    struct metrics m = { .shed = 3 };

    (void) state;
    metrics_committed(&m, 1000, true);
    metrics_committed(&m, 1001, false);
    assert_shows(&m, "\ncloister_broker_commit_seconds_bucket{le=\"0.001\"} 1\n");
    assert_shows(&m, "\ncloister_broker_commit_seconds_count 2\n");
    assert_shows(&m, "\ncloister_broker_commits_failed_total 1\n");
    assert_shows(&m, "\ncloister_broker_shed_total 3\n");
    assert_shows(&m, "\ncloister_broker_connections 7\n");
    assert_shows(&m, "\ncloister_broker_audit_entries 42\n");
    assert_shows(&m, "\ncloister_broker_ready 1\n");
}

static void counts_questions_to_whom_the_configuration_names(void **state)
{
    AUTO(buffer) struct buffer out = { 0 };
    const struct gauges        g   = { .outsides = 1 << OUTSIDE_VAULT | 1 << OUTSIDE_AMD }, none = { 0 };
    struct metrics             m   = { 0 };

    (void) state;
    metrics_asked(&m, OUTSIDE_VAULT, OUTCOME_ANSWERED, 2000);
    metrics_asked(&m, OUTSIDE_VAULT, OUTCOME_ABSENT, 2000);
    metrics_asked(&m, OUTSIDE_VAULT, OUTCOME_FAILED, 5000000);
    metrics_asked(&m, OUTSIDE_AMD, OUTCOME_FAILED, 1);
    metrics_asked(&m, OUTSIDE_AMD, OUTCOME_ANSWERED, 1);
    metrics_asked(&m, OUTSIDE_AMD, OUTCOME_KEPT, 1);
    metrics_asked(&m, OUTSIDE_INTEL, OUTCOME_ANSWERED, 1);
    metrics_write(&m, &g, &out);
    assert_non_null(strstr(buffer_text(&out), "\ncloister_broker_outside_questions_total{peer=\"vault\",outcome=\"answered\"} 1\n"));
    assert_non_null(strstr(buffer_text(&out), "\ncloister_broker_outside_questions_total{peer=\"vault\",outcome=\"absent\"} 1\n"));
    assert_non_null(strstr(buffer_text(&out), "\ncloister_broker_outside_questions_total{peer=\"vault\",outcome=\"failed\"} 1\n"));
    assert_non_null(strstr(buffer_text(&out), "\ncloister_broker_outside_questions_total{peer=\"amd_kds\",outcome=\"kept\"} 1\n"));
    assert_non_null(strstr(buffer_text(&out), "\ncloister_broker_outside_seconds_sum{peer=\"vault\"} 5.004000\n"));
    assert_non_null(strstr(buffer_text(&out), "\ncloister_broker_outside_seconds_count{peer=\"amd_kds\"} 2\n")); /* what was kept took no question */
    assert_non_null(strstr(buffer_text(&out), "\ncloister_broker_outside_up{peer=\"vault\"} 0\n"));
    assert_non_null(strstr(buffer_text(&out), "\ncloister_broker_outside_up{peer=\"amd_kds\"} 1\n"));
    assert_null(strstr(buffer_text(&out), "intel_pcs"));
    assert_null(strstr(buffer_text(&out), "pkcs11"));
    buffer_free(&out);
    out = (struct buffer){ 0 };
    metrics_write(&m, &none, &out);
    assert_null(strstr(buffer_text(&out), "outside"));
}

static void every_line_has_the_form_of_the_text_format(void **state)
{
    struct metrics             m   = { 0 };
    AUTO(buffer) struct buffer out = { 0 };
    const char                *at;

    (void) state;
    at = shown(&m, &out);
    while (*at) {
        size_t len = strcspn(at, "\n");

        assert_int_equal(at[len], '\n');
        if (at[0] == '#')
            assert_true(strncmp(at, "# HELP cloister_broker_", 23) == 0 || strncmp(at, "# TYPE cloister_broker_", 23) == 0);
        else
            assert_true(strncmp(at, "cloister_broker_", 16) == 0 && memchr(at, ' ', len));
        at += len + 1;
    }
}

static void names_an_activity_by_the_path_alone(void **state)
{
    (void) state;
    assert_int_equal(activity_of("POST", "/kbs/v0/auth"), ACTIVITY_CHALLENGE);
    assert_int_equal(activity_of("POST", "/kbs/v0/attest"), ACTIVITY_ATTESTATION);
    assert_int_equal(activity_of("GET", "/kbs/v0/resource/secret/name/1"), ACTIVITY_RESOURCE);
    assert_int_equal(activity_of("DELETE", "/kbs/v0/resource/secret/name/1"), ACTIVITY_ADMINISTRATION);
    assert_int_equal(activity_of("GET", "/cloister/v1/audit"), ACTIVITY_ADMINISTRATION);
    assert_int_equal(activity_of("GET", "/"), ACTIVITY_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_answers_by_activity_and_status),
        cmocka_unit_test(counts_commits_and_shows_gauges),
        cmocka_unit_test(counts_questions_to_whom_the_configuration_names),
        cmocka_unit_test(every_line_has_the_form_of_the_text_format),
        cmocka_unit_test(names_an_activity_by_the_path_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
