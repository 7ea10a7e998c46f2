/* A broker as its operator sees it: monitoring, reloads, hostile connections, shutdown, the log, maintenance. */
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/rcar.h"
#include "keys/broker/credentials.h"
#include "keys/client/http.h"
#include "tests/harness/broker.h"

#define URI "kbs:///default/very-secret-name/1"

enum { IDLE_WANTED = 10000, IDLE_SANITIZED = 500, FDS_BESIDES = 256, PATIENCE_S = 120 };
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static struct test_broker broker;
static struct secret      key;

/* The broker's configuration; `more` are further keys. */
static void configure(const char *more)
{
    AUTO(buffer) struct buffer toml = { 0 };
    char                       path[PATH_MAX];

    test_broker_path(&broker, "store.db", path);
    buffer_append_text(&toml, "store = ");
    toml_append_text(&toml, path);
    buffer_printf(&toml, "\nmetrics_listen = \"127.0.0.1:0\"\n%s", more);
    test_broker_configure(&broker, TEST_BROKER_OBSERVED, buffer_text(&toml));
}

static void value_register(struct admin_client *admin, const char *kind, const uint8_t *value, size_t len)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint64_t                   id;
    struct err                 err;

    hex_append(&hex, (struct bytes){ value, len });
    struct admin_reference reference = { .kind = kind, .tee = "snp", .value = buffer_text(&hex) };
    assert_fine(admin_reference_add(admin, &reference, &id, &err), &err);
}

static int make(void **state)
{
    struct test_guest good;
    struct err        err;

    (void) state;
    test_broker_make(&broker);
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);

    good = test_guest_good(&broker);
    assert_fine(secret_random(32, &key, &err) && admin_resource_put(admin, URI, &key, &err), &err);
    value_register(admin, "measurement", good.measurement, 48);
    value_register(admin, "initdata", good.host_data, 32);
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    broker.config = TEST_BROKER_OBSERVED;
    configure("");
    test_broker_start(&broker);
    return 0;
}

static int clean(void **state)
{
    (void) state;
    secret_free(&key);
    test_broker_free(&broker);
    return 0;
}

static int port_of(const char *url) { return atoi(strrchr(url, ':') + 1); }

static int connected(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof to), 0);
    return fd;
}

static uint64_t metric(const char *name)
{
    AUTO(buffer) struct buffer answer = { 0 }, line = { 0 };
    const char                *at;

    test_broker_observe(&broker, "/metrics", &answer);
    buffer_printf(&line, "\ncloister_broker_%s ", name);
    at = strstr(buffer_text(&answer), buffer_text(&line));
    if (!at)
        fail_msg("there is no metric %s", name);
    return strtoull(at + line.len, NULL, 10);
}

static bool attests_and_gets_the_key(const struct test_broker *at, struct bytes ca, struct err *err)
{
    struct test_guest                   guest    = test_guest_good(&broker);
    struct kbs_attester                 attester = { .tee = "snp", .evidence = test_evidence, .owner = &guest };
    struct kbs_options                  options  = { .url = at->url, .ca_pem = ca };
    AUTO(kbs_client) struct kbs_client *client   = NULL;
    AUTO(secret) struct secret          got      = { 0 };

    return kbs_client_new(&options, &client, err) && kbs_attest(client, &attester, NULL, err) &&
           kbs_resource_get(client, URI, &got, err) && secret_equal(&got, &key);
}

static void assert_serves(void)
{
    struct err err = { 0 };

    assert_fine(attests_and_gets_the_key(&broker, buffer_bytes(&broker.ca), &err), &err);
}

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

/* ---- hostile connections ---- */

static void restart_with(const char *more)
{
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    configure(more);
    test_broker_start(&broker);
}

/* Sends a byte of `text` now and then until the broker ends the connection. */
static void drip_until_closed(const char *text)
{
    AUTO(fd) int    fd    = connected(port_of(broker.url));
    struct timespec pause = { .tv_nsec = 100000000 };
    size_t          len   = strlen(text);
    char            byte;

    for (int i = 0; i < PATIENCE_S * 10; i++) {
        if (len > 0 && send(fd, &text[(size_t) i % len], 1, MSG_NOSIGNAL) < 0)
            return;
        (void) nanosleep(&pause, NULL); /* a short one does no harm */
        if (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
            return; /* an alert, or the end */
    }
    fail_msg("the broker keeps a connection that says \"%s\" byte by byte", text);
}

static void closes_who_is_slow_although_bytes_keep_coming(void **state)
{
    (void) state;
    restart_with("handshake_seconds = 1\nrequest_seconds = 1\n");
    drip_until_closed("");
    drip_until_closed("\x16\x03\x01\x02"); /* the beginning of a TLS record, again and again */
    assert_true(metric("timed_out_total") >= 1);
    assert_serves();
    restart_with("");
}

static void serves_beside_ten_thousand_idle_connections(void **state)
{
    struct rlimit limit;
    size_t        n;
    int          *idle;

    (void) state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    n = IS_SANITIZED ? IDLE_SANITIZED : IDLE_WANTED;
    if (n > limit.rlim_cur - FDS_BESIDES)
        n = (size_t) limit.rlim_cur - FDS_BESIDES; /* this system lets us have no more */
    restart_with("handshake_seconds = 600\n");
    idle = calloc(n, sizeof *idle);
    assert_non_null(idle);
    for (size_t i = 0; i < n; i++)
        idle[i] = connected(port_of(broker.url));
    assert_serves();
    assert_true(metric("connections") >= n); /* all of them are there */
    for (size_t i = 0; i < n; i++)
        (void) close(idle[i]); /* nothing was ever sent */
    free(idle);
    assert_serves();
    restart_with("");
}

static void keeps_to_a_peers_quota(void **state)
{
    AUTO(fd) int one = NO_FD, two = NO_FD, three = NO_FD;
    char         byte;

    (void) state;
    restart_with("connections_per_peer = 2\nhandshake_seconds = 600\n");
    one   = connected(port_of(broker.url));
    two   = connected(port_of(broker.url));
    three = connected(port_of(broker.url));
    assert_int_equal(recv(three, &byte, 1, 0), 0); /* waits for the end, which comes */
    assert_int_equal(recv(one, &byte, 1, MSG_DONTWAIT), -1);
    (void) close(TAKE_FD(one)); /* makes room */
    (void) close(TAKE_FD(two)); /* the same */
    restart_with("");
}

static long post(struct http *http, const char *path, struct bytes body)
{
    struct http_request                  r      = { .method = "POST", .path = path, .body = body };
    AUTO(http_answer) struct http_answer answer = { 0 };
    struct err                           err;

    assert_fine(http_exchange(http, &r, NULL, &answer, &err), &err);
    return answer.status;
}

/* Who keeps the broker busy for longer than shed_ms makes it put new challenges off, and only until it has caught up. */
static void puts_new_challenges_off_when_it_is_behind(void **state)
{
    enum { NUMBERS = 400000, TRIES = 200 };
    struct http_options        options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca) };
    AUTO(http) struct http    *busy = NULL, *guest = NULL;
    AUTO(buffer) struct buffer heavy = { 0 }, hello = { 0 };
    long                       status = 0;
    struct err                 err;

    (void) state;
    restart_with("shed_ms = 10\n");
    options.url = broker.url;
    rcar_request_write("snp", &hello);
    buffer_append_text(&heavy, "[0");
    for (int i = 0; i < NUMBERS; i++)
        buffer_append_text(&heavy, ",255");
    buffer_append_text(&heavy, "]");
    assert_fine(http_open(&options, &busy, &err) && http_open(&options, &guest, &err), &err);
    for (int i = 0; i < TRIES && status != 503; i++) { /* this process may be the slow one */
        assert_int_not_equal(post(busy, "/kbs/v0/auth", buffer_bytes(&heavy)), 200); /* parsed whole, then refused */
        status = post(guest, "/kbs/v0/auth", buffer_bytes(&hello));
    }
    assert_int_equal(status, 503);
    assert_true(metric("shed_total") >= 1);
    for (int i = 0; i < PATIENCE_S * 20 && status != 200; i++) {
        struct timespec pause = { .tv_nsec = 50000000 };

        (void) nanosleep(&pause, NULL); /* a short one does no harm */
        status = post(guest, "/kbs/v0/auth", buffer_bytes(&hello));
    }
    assert_int_equal(status, 200);
    restart_with("");
}

/* ---- shutdown ---- */

static SSL *tls_over(int fd)
{
    AUTO(bio) BIO  *bio = BIO_new_mem_buf(broker.ca.at, (int) broker.ca.len);
    AUTO(x509) X509 *ca = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    SSL_CTX        *ctx = SSL_CTX_new(TLS_client_method());
    SSL            *ssl;

    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    ssl = SSL_new(ctx);
    assert_true(SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1);
    SSL_CTX_free(ctx);
    return ssl;
}

static void wait_for_metric(const char *name, uint64_t wanted)
{
    for (int i = 0; i < PATIENCE_S * 20; i++) {
        struct timespec pause = { .tv_nsec = 50000000 };

        if (metric(name) == wanted)
            return;
        (void) nanosleep(&pause, NULL); /* a short one does no harm */
    }
    fail_msg("%s does not become %llu", name, (unsigned long long) wanted);
}

static void answers_what_is_under_way_before_it_ends(void **state)
{
    static const char          HEAD[] = "POST /kbs/v0/auth HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n";
    AUTO(buffer) struct buffer head = { 0 }, body = { 0 };
    AUTO(fd) int               fd  = connected(port_of(broker.url));
    SSL                       *ssl = tls_over(fd);
    char                       answer[4096];
    int                        status = -1, n;
    struct err                 err;

    (void) state;
    rcar_request_write("snp", &body);
    buffer_printf(&head, HEAD, body.len);
    assert_int_equal(SSL_write(ssl, head.at, (int) head.len), (int) head.len);
    wait_for_metric("requests", 1);
    process_signal(&broker.process, SIGTERM);
    wait_for_metric("ready", 0); /* a balancer sends no more here */
    assert_int_equal(SSL_write(ssl, body.at, (int) body.len), (int) body.len);
    n = SSL_read(ssl, answer, sizeof answer - 1);
    assert_true(n > 0);
    answer[n] = 0;
    assert_int_equal(strncmp(answer, "HTTP/1.1 200", 12), 0);
    assert_fine(process_wait(&broker.process, PATIENCE_S * 1000, &status, &err), &err);
    broker.process = NO_PROCESS;
    assert_int_equal(process_exit_code(status), 0);
    SSL_free(ssl);
    test_broker_start(&broker);
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

/* ---- maintenance ---- */

static int maintain(const char *const *words, struct buffer *said)
{
    const char *build = getenv("CLOISTER_BUILD");
    const char *argv[8];
    char        program[PATH_MAX];
    size_t      n    = 1;
    int         code = -1;
    struct err  err;

    (void) snprintf(program, sizeof program, "%s/cloister-broker", build ? build : "."); /* a cut path does not start */
    argv[0] = program;
    while (words[n - 1])
        n++;
    memcpy(argv + 1, words, n * sizeof *argv);
    assert_fine(process_run(argv, (struct bytes){ 0 }, 64 << 10, PATIENCE_S * 1000, said, &code, &err), &err);
    (void) buffer_text(said); /* puts the zero behind it */
    return code;
}

static void backs_up_while_it_serves_verifies_and_restores(void **state)
{
    AUTO(buffer) struct buffer said = { 0 };
    char                       config[PATH_MAX], copy[PATH_MAX], store[PATH_MAX];

    (void) state;
    test_broker_path(&broker, TEST_BROKER_OBSERVED, config);
    test_broker_path(&broker, "copy.db", copy);
    test_broker_path(&broker, "store.db", store);
    assert_int_equal(maintain((const char *const[]){ "backup", "--config", config, copy, NULL }, &said), 0);
    assert_serves();
    assert_int_equal(maintain((const char *const[]){ "backup", "--config", config, copy, NULL }, &said), 1);
    assert_int_equal(maintain((const char *const[]){ "restore", "--config", config, copy, NULL }, &said), 1); /* not empty */
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    assert_int_equal(unlink(store), 0);
    assert_int_equal(maintain((const char *const[]){ "restore", "--config", config, copy, NULL }, &said), 0);
    assert_int_equal(maintain((const char *const[]){ "verify", "--config", config, NULL }, &said), 0);
    assert_int_equal(maintain((const char *const[]){ "migrate", "--config", config, NULL }, &said), 0);
    assert_int_equal(maintain((const char *const[]){ "migrate", NULL }, &said), 2);
    test_broker_start(&broker);
    assert_serves();
}

static void a_mistyped_folder_is_no_whole_broker(void **state)
{
    AUTO(buffer) struct buffer said = { 0 };
    char                       folder[PATH_MAX], copy[PATH_MAX];

    (void) state;
    test_broker_path(&broker, "mistyped", folder);
    test_broker_path(&broker, "mistyped.db", copy);
    assert_int_equal(maintain((const char *const[]){ "verify", "--dev", folder, NULL }, &said), 1);
    assert_int_equal(maintain((const char *const[]){ "backup", "--dev", folder, copy, NULL }, &said), 1);
    assert_int_equal(access(folder, F_OK), -1);
    assert_int_equal(access(copy, F_OK), -1);
}

static void prints_a_configuration_that_it_reads(void **state)
{
    AUTO(buffer) struct buffer said = { 0 };

    (void) state;
    assert_int_equal(maintain((const char *const[]){ "--print-config", NULL }, &said), 0);
    assert_non_null(strstr(buffer_text(&said), "\nstore = \"/var/lib/cloister/store.db\"\n"));
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
        cmocka_unit_test(closes_who_is_slow_although_bytes_keep_coming),
        cmocka_unit_test(serves_beside_ten_thousand_idle_connections),
        cmocka_unit_test(keeps_to_a_peers_quota),
        cmocka_unit_test(puts_new_challenges_off_when_it_is_behind),
        cmocka_unit_test(answers_what_is_under_way_before_it_ends),
        cmocka_unit_test(logs_lines_of_json),
        cmocka_unit_test(backs_up_while_it_serves_verifies_and_restores),
        cmocka_unit_test(a_mistyped_folder_is_no_whole_broker),
        cmocka_unit_test(prints_a_configuration_that_it_reads),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
