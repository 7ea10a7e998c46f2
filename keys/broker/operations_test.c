/* A broker as its operator sees it: monitoring, confinement, reloads, the log. */
#include "tests/harness/operated_broker.h"

/* ---- monitoring ---- */

static void shows_counts_and_no_name_of_a_secret(void **state)
{
    AUTO(buffer) struct buffer answer = { 0 };
    uint64_t                   before = metric("answers_total{activity=\"resource\",status=\"2xx\"}");

    (void) state;
    assert_serves();
    assert_int_equal(metric("answers_total{activity=\"resource\",status=\"2xx\"}"), before + 1);
    assert_true(metric("audit_entries") > 0);
    assert_true(metric("commit_seconds_count") > 0);
    assert_int_equal(metric("ready"), 1);
    test_broker_observe(&broker, "/metrics", &answer);
    assert_null(strstr(buffer_text(&answer), "very-secret"));
    assert_null(strstr(buffer_text(&answer), "default"));
}

static void tells_health_and_readiness_and_nothing_else(void **state)
{
    static const struct { const char *path, *status; } ASKED[] = {
        { "/healthz", "HTTP/1.1 200" }, { "/readyz", "HTTP/1.1 200" }, { "/", "HTTP/1.1 404" },
        { "/kbs/v0/resource/default/very-secret-name/1", "HTTP/1.1 404" }, { "/cloister/v1/audit", "HTTP/1.1 404" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof ASKED / sizeof *ASKED; i++) {
        AUTO(buffer) struct buffer answer = { 0 };

        test_broker_observe(&broker, ASKED[i].path, &answer);
        assert_int_equal(strncmp(buffer_text(&answer), ASKED[i].status, strlen(ASKED[i].status)), 0);
    }
}

/* ---- confinement ---- */

static bool proc_says(const char *file, const char *part)
{
    AUTO(buffer) struct buffer content = { 0 };
    char                       path[64];
    struct err                 err;

    (void) snprintf(path, sizeof path, "/proc/%d/%s", (int) broker.process.pid, file); /* fits */
    assert_fine(file_read(path, 64 << 10, &content, &err), &err);
    return strstr(buffer_text(&content), part) != NULL;
}

static void is_confined_and_leaves_no_core(void **state)
{
    (void) state;
    assert_true(proc_says("status", "\nSeccomp:\t2\n"));
    assert_true(proc_says("status", "\nNoNewPrivs:\t1\n"));
    assert_true(proc_says("limits", "Max core file size        0                    0 "));
}

/* ---- reloads ---- */

static uint64_t reload_and_wait(const char *counter)
{
    uint64_t before = metric(counter), after = before;

    process_signal(&broker.process, SIGHUP);
    for (int i = 0; i < PATIENCE_S * 20 && after == before; i++) {
        struct timespec pause = { .tv_nsec = 50000000 };

        (void) nanosleep(&pause, NULL); /* a short one does no harm */
        after = metric(counter);
    }
    return after - before;
}

static long ask_on(struct http *http, const char *path)
{
    struct http_request              r      = { .method = "GET", .path = path };
    AUTO(http_answer) struct http_answer answer = { 0 };
    struct err                       err;

    assert_fine(http_exchange(http, &r, NULL, &answer, &err), &err);
    return answer.status;
}

static void takes_a_new_certificate_on_sighup_and_drops_nobody(void **state)
{
    struct http_options        options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca) };
    AUTO(http) struct http    *kept    = NULL;
    AUTO(buffer) struct buffer ca = { 0 };
    char                       fresh[PATH_MAX], path[PATH_MAX + 16];
    struct err                 err = { 0 };

    (void) state;
    assert_fine(http_open(&options, &kept, &err), &err);
    assert_int_equal(ask_on(kept, "/healthz"), 200);

    test_broker_path(&broker, "fresh", fresh);
    assert_fine(directory_make(fresh, &err) && credentials_make(fresh, (int64_t) time(NULL), &err), &err);
    (void) snprintf(path, sizeof path, "%s/ca.pem", fresh); /* fits */
    assert_fine(file_read(path, 1 << 16, &ca, &err), &err);
    for (int i = 0; i < 2; i++) { /* over the old files, as certificate tools do */
        AUTO(buffer) struct buffer content = { 0 };
        char                       to[PATH_MAX];

        (void) snprintf(path, sizeof path, "%s/%s", fresh, i ? "server.key" : "server.pem"); /* fits */
        test_broker_path(&broker, i ? "server.key" : "server.pem", to);
        assert_fine(file_read(path, 1 << 16, &content, &err) && file_write(to, buffer_bytes(&content), 0600, &err), &err);
    }
    assert_int_equal(reload_and_wait("reloads_total"), 1);

    assert_int_equal(ask_on(kept, "/healthz"), 200); /* on the connection of before */
    assert_false(attests_and_gets_the_key(&broker, buffer_bytes(&broker.ca), &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    buffer_free(&broker.ca);
    broker.ca = TAKE(ca);
    assert_serves();
}

static void refuses_a_broken_configuration_and_goes_on(void **state)
{
    static const char *const BROKEN[] = { "connections = 0\n", "no_such_key = 1\n", "session_seconds = 1\n", "log = \"xml\"\n",
                                          "tls_key = \"/nonexistent\"\n" };

    (void) state;
    for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++) {
        configure(BROKEN[i]);
        assert_int_equal(reload_and_wait("reloads_failed_total"), 1);
        assert_serves();
    }
    configure("");
    assert_int_equal(reload_and_wait("reloads_total"), 1);
}

static void refuses_a_certificate_of_another_key_and_goes_on(void **state)
{
    AUTO(buffer) struct buffer right = { 0 }, wrong = { 0 };
    char                       path[PATH_MAX], other[PATH_MAX];
    struct err                 err;

    (void) state;
    test_broker_path(&broker, "server.key", path);
    test_broker_path(&broker, "token.key", other);
    assert_fine(file_read(path, 1 << 16, &right, &err) && file_read(other, 1 << 16, &wrong, &err), &err);
    assert_fine(file_write(path, buffer_bytes(&wrong), 0600, &err), &err);
    assert_int_equal(reload_and_wait("reloads_failed_total"), 1);
    assert_serves();
    assert_fine(file_write(path, bytes_of_text("no key at all"), 0600, &err), &err);
    assert_int_equal(reload_and_wait("reloads_failed_total"), 1);
    assert_serves();
    assert_fine(file_write(path, buffer_bytes(&right), 0600, &err), &err);
    assert_int_equal(reload_and_wait("reloads_total"), 1);
    assert_serves();
}

/* ---- the log ---- */

static void logs_lines_of_json(void **state)
{
    AUTO(buffer) struct buffer log = { 0 };
    char                       path[PATH_MAX];
    size_t                     n = 0;
    struct err                 err;

    (void) state;
    test_broker_path(&broker, "log", path);
    broker.log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(broker.log > 0);
    restart_with("log = \"json\"\n");
    assert_serves();
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    assert_fine(file_read(path, 1 << 20, &log, &err), &err);
    for (const char *at = buffer_text(&log); *at; n++) {
        AUTO(json) struct json_object *line = NULL;
        size_t                         len  = strcspn(at, "\n");
        const char                    *event;

        assert_fine(json_read((struct bytes){ (const uint8_t *) at, len }, len, &line, &err) &&
                        json_get_text(line, "event", &event, &err), &err);
        at += len + (at[len] == '\n');
    }
    assert_true(n >= 4); /* the development root, three answers */
    (void) close(broker.log); /* read to its end */
    broker.log = 0;
    configure("");
    test_broker_start(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_counts_and_no_name_of_a_secret),
        cmocka_unit_test(tells_health_and_readiness_and_nothing_else),
        cmocka_unit_test(is_confined_and_leaves_no_core),
        cmocka_unit_test(takes_a_new_certificate_on_sighup_and_drops_nobody),
        cmocka_unit_test(refuses_a_broken_configuration_and_goes_on),
        cmocka_unit_test(refuses_a_certificate_of_another_key_and_goes_on),
        cmocka_unit_test(logs_lines_of_json),
    };

    return cmocka_run_group_tests(tests, operated_make, operated_clean);
}
