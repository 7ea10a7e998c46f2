/* A broker without TLS: where it may be, who is served there, and that it says so. */
#include "tests/harness/trustee_client.h"

#include "keys/client/http.h"

enum { PATIENCE_MS = 60000 };

#define PLAIN "plain.toml"

/* A configuration with a store of its own; the default one has administrators where guests are. */
static void configure(const char *name, const char *more)
{
    AUTO(buffer) struct buffer toml = { 0 };

    buffer_printf(&toml, "store = \"%s/store.db\"\nsample = true\n%s", broker.folder, more);
    test_broker_configure(&broker, name, buffer_text(&toml));
}

/* The configuration as a file of a single text, with `from` replaced. */
static void replace(const char *name, const char *from, const char *to)
{
    AUTO(buffer) struct buffer text = { 0 }, changed = { 0 };
    char                       path[PATH_MAX];
    const char                *at;
    struct err                 err;

    test_broker_path(&broker, name, path);
    assert_fine(file_read(path, 1 << 16, &text, &err), &err);
    at = strstr(buffer_text(&text), from);
    assert_non_null(at);
    buffer_printf(&changed, "%.*s%s%s", (int) (at - buffer_text(&text)), buffer_text(&text), to, at + strlen(from));
    assert_fine(file_write(path, buffer_bytes(&changed), 0600, &err), &err);
}

/* Runs the broker to its end; what it says on both its outputs. */
static int said_by(const char *first, const char *config, const char *listen, struct buffer *said)
{
    const char *build = getenv("CLOISTER_BUILD");
    char        program[PATH_MAX], path[PATH_MAX];
    int         code = -1;
    struct err  err;

    (void) snprintf(program, sizeof program, "%s/cloister-broker", build ? build : "."); /* a cut path does not start */
    test_broker_path(&broker, config, path);
    const char *check[] = { "sh", "-c", "exec \"$0\" \"$@\" 2>&1", program, first, "--config", path, NULL };
    const char *serve[] = { "sh", "-c", "exec \"$0\" \"$@\" 2>&1", program, "--config", path, "--listen", listen, NULL };

    buffer_free(said);
    assert_fine(process_run(first ? check : serve, (struct bytes){ 0 }, 64 << 10, PATIENCE_MS, said, &code, &err), &err);
    (void) buffer_text(said); /* puts the zero behind it */
    return code;
}

static void assert_said(const struct buffer *said, const char *part)
{
    if (!strstr(buffer_text((struct buffer *) (uintptr_t) said), part))
        fail_msg("\"%s\" is not in: %s", part, buffer_text((struct buffer *) (uintptr_t) said));
}

static void restart(const char *config)
{
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    broker.config = config;
    test_broker_start(&broker);
}

/* kbs-client's default: http://127.0.0.1:8080, for its administrators too; and no file of TLS is asked for. */
static void guests_and_administrators_of_trustee_are_served(void **state)
{
    AUTO(guest) struct guest g = { 0 };

    (void) state;
    configure(PLAIN, "insecure_http = true\n");
    replace(PLAIN, "tls_certificate = ", "#");
    replace(PLAIN, "tls_key = ", "#");
    restart(PLAIN);
    assert_int_equal(strncmp(broker.url, "http://127.0.0.1:", strlen("http://127.0.0.1:")), 0);
    resource_policy_set(ALLOW_ALL);
    resource_set("default/test/secret", bytes_of_text("shhhhhhh"));
    g = guest_new(false);
    get(&g, "/kbs/v0/resource/default/test/secret", false);
    assert_error(&g.answer, 401, "TokenNotFound", "attest");
    challenge(&g, EXTRA);
    attest(&g);
    get(&g, "/kbs/v0/resource/default/test/secret", false);
    assert_opens(&g, "shhhhhhh");
    get(&g, "/kbs/v0/resource/default/test/secret", true);
    assert_opens(&g, "shhhhhhh");
}

static void administrators_need_their_token_all_the_same(void **state)
{
    AUTO(raw_answer) struct raw_answer answer = { 0 };
    AUTO(raw_https) struct raw_https   c      = connected();
    struct sent                        s      = { "POST", "/kbs/v0/resource/a/b/c", "application/octet-stream", NULL, NULL, NULL, bytes_of_text("x") };

    (void) state;
    send_request(&c, &s, &answer);
    assert_error(&answer, 401, "AdminAuthAccess", "Authorization");
}

/* Ours take it where they are told to, on this machine; a guest of ours never. */
static void our_own_clients_are_told_to_or_refuse(void **state)
{
    static const char *const FAR[] = { "http://192.0.2.1:8080", "http://127.0.0.1.example:80", "http://localhost.example", "http://127.0.0.1@192.0.2.1",
                                       "http://127.0.0.1:80@192.0.2.1", "http://localhost:80/x/../@a", "HTTP://127.0.0.1" };
    struct kbs_options                  options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca) };
    AUTO(admin_client) struct admin_client *admin = NULL;
    AUTO(kbs_client) struct kbs_client *guest   = NULL;
    AUTO(buffer) struct buffer          key     = { 0 };
    AUTO(json) struct json_object      *all     = NULL;
    char                                path[PATH_MAX];
    struct err                          err;

    (void) state;
    assert_false(kbs_client_new(&options, &guest, &err));
    assert_string_equal(err.text, "broker: http:// proves to nobody who answers: the URL must begin with https://");
    test_broker_path(&broker, "admin.key", path);
    assert_fine(file_read(path, 1 << 16, &key, &err), &err);
    struct admin_options told = { .url = broker.url, .key_pem = buffer_bytes(&key), .ca_pem = buffer_bytes(&broker.ca) };
    assert_false(admin_client_new(&told, &admin, &err));
    told.insecure_http = true;
    for (size_t i = 0; i < sizeof FAR / sizeof *FAR; i++) {
        told.url = FAR[i];
        assert_false(admin_client_new(&told, &admin, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
    }
    told.url    = broker.url;
    told.ca_pem = (struct bytes){ 0 };
    assert_fine(admin_client_new(&told, &admin, &err) && admin_resources(admin, &all, &err), &err);
    assert_true(json_object_array_length(all) > 0);
}

/* An end, and the next one is served. */
static void a_tls_hello_is_no_request(void **state)
{
    static const char                  HELLO[] = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n";
    AUTO(raw_https) struct raw_https   c       = connected(), next = connected();
    struct sent                        s       = { "GET", "/healthz", NULL, NULL, NULL, NULL, { 0 } };
    AUTO(raw_answer) struct raw_answer answer  = { 0 };
    char                               byte;

    (void) state;
    raw_https_write(&c, (struct bytes){ (const uint8_t *) HELLO, sizeof HELLO - 1 });
    while (raw_https_read(&c, &byte))
        ;
    send_request(&next, &s, &answer);
    assert_int_equal(answer.status, 200);
}

/* Behind a proxy one connection carries many clients: whoever hides a request in another's body must not get it answered. */
static void a_body_that_could_end_in_two_places_is_refused_and_nothing_after_it_answered(void **state)
{
#define HIDDEN "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    static const char *const HEADS[] = {
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\nContent-Length: 4\r\n\r\n", "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "Transfer-Encoding: identity\r\n\r\n", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof HEADS / sizeof *HEADS; i++) {
        AUTO(raw_https) struct raw_https c     = connected();
        AUTO(buffer) struct buffer       whole = { 0 }, said = { 0 };
        char                             byte;

        buffer_printf(&whole, "POST /kbs/v0/auth HTTP/1.1\r\nHost: x\r\n%s" HIDDEN, HEADS[i]);
        raw_https_write(&c, buffer_bytes(&whole));
        while (raw_https_read(&c, &byte))
            buffer_append(&said, (struct bytes){ (const uint8_t *) &byte, 1 });
        if (strncmp(buffer_text(&said), "HTTP/1.1 400 ", 13) != 0 || strstr(buffer_text(&said) + 13, "HTTP/1.1"))
            fail_msg("%s: %s", HEADS[i], buffer_text(&said));
    }
#undef HIDDEN
}

static void says_it_loudly_at_the_start_and_when_it_is_checked(void **state)
{
    AUTO(buffer) struct buffer said = { 0 }, log = { 0 };
    char                       path[PATH_MAX];
    struct err                 err;

    (void) state;
    assert_int_equal(said_by("check", PLAIN, NULL, &said), 0);
    assert_said(&said, "warning: INSECURE HTTP SERVED: 127.0.0.1:8443: no TLS");
    assert_said(&said, "warning: sample evidence taken");
    test_broker_path(&broker, "log", path);
    broker.log = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(broker.log > 0);
    restart(PLAIN);
    assert_fine(file_read(path, 1 << 20, &log, &err), &err);
    (void) buffer_text(&log); /* puts the zero behind it */
    (void) close(broker.log);
    broker.log = 0;
    assert_said(&log, "INSECURE HTTP SERVED");
}

static void other_addresses_want_another_word_and_administrators_apart(void **state)
{
    AUTO(buffer) struct buffer said = { 0 };

    (void) state;
    configure("far.toml", "insecure_http = true\n");
    assert_int_equal(said_by(NULL, "far.toml", "0.0.0.0:0", &said), 1);
    assert_said(&said, "administration in plain HTTP is served on loopback addresses only, not on 0.0.0.0:");
    configure("far.toml", "insecure_http = true\ninsecure_http_anywhere = true\n");
    assert_int_equal(said_by(NULL, "far.toml", "[::]:0", &said), 1);
    assert_said(&said, "give admin_listen an address of its own");
    configure("far.toml", "insecure_http = true\n");
    replace("far.toml", "admin_listen = \"same\"", "admin_listen = \"127.0.0.1:0\"");
    assert_int_equal(said_by(NULL, "far.toml", "0.0.0.0:0", &said), 1);
    assert_said(&said, "is no loopback address");
    assert_said(&said, "insecure_http_anywhere = true");
    replace("far.toml", "insecure_http = true", "listen = \"0.0.0.0:80\"\ninsecure_http = true");
    assert_int_equal(said_by("check", "far.toml", NULL, &said), 1);
    assert_said(&said, "insecure_http: 0.0.0.0:80 is no loopback address");
    configure("far.toml", "insecure_http_anywhere = true\n");
    assert_int_equal(said_by("check", "far.toml", NULL, &said), 1);
    assert_said(&said, "insecure_http = true may be, which is not set");
    configure("far.toml", "insecure_http = true\n");
    replace("far.toml", "admin_listen = \"same\"", "admin_listen = \"127.0.0.1:0\"");
    replace("far.toml", "tls_key = ", "#");
    assert_int_equal(said_by("check", "far.toml", NULL, &said), 1);
    assert_said(&said, "tls_key is missing");
}

/* Guests through the mesh, administrators over TLS beside it. */
static void administrators_of_their_own_address_have_tls(void **state)
{
    AUTO(guest) struct guest                g     = { 0 };
    AUTO(admin_client) struct admin_client *admin = NULL;
    AUTO(json) struct json_object          *all   = NULL;
    AUTO(raw_answer) struct raw_answer      answer = { 0 };
    struct err                              err;

    (void) state;
    configure("mesh.toml", "insecure_http = true\ninsecure_http_anywhere = true\n");
    replace("mesh.toml", "admin_listen = \"same\"", "admin_listen = \"127.0.0.1:0\"");
    broker.has_admin_listener = true;
    restart("mesh.toml");
    assert_int_equal(strncmp(broker.url, "http://", strlen("http://")), 0);
    assert_int_equal(strncmp(broker.admin_url, "https://", strlen("https://")), 0);
    admin = test_admin(&broker);
    assert_fine(admin_resources(admin, &all, &err), &err);
    administer("GET", "/kbs/v0/resource-policy", NULL, (struct bytes){ 0 }, &answer); /* where guests are */
    assert_error(&answer, 404, "PluginNotFound", "");
    g = guest_new(false);
    challenge(&g, EXTRA);
    attest(&g);
    broker.has_admin_listener = false;
}

static void a_reload_takes_no_tls_away(void **state)
{
    AUTO(http) struct http    *kept    = NULL;
    struct http_request        ask     = { .method = "GET", .path = "/healthz" };
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(buffer) struct buffer log     = { 0 };
    char                       path[PATH_MAX];
    struct err                 err;

    (void) state;
    configure("tls.toml", "");
    test_broker_path(&broker, "reload.log", path);
    broker.log = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(broker.log > 0);
    restart("tls.toml");
    configure("tls.toml", "insecure_http = true\n");
    process_signal(&broker.process, SIGHUP);
    for (int i = 0; i < PATIENCE_MS / 10 && !strstr(buffer_text(&log), "reload refused"); i++) {
        const struct timespec soon = { .tv_nsec = 10000000 };

        (void) nanosleep(&soon, NULL); /* cut short, it looks sooner */
        buffer_free(&log);
        assert_fine(file_read(path, 1 << 20, &log, &err), &err);
    }
    assert_said(&log, "insecure_http and log change by a restart only");
    struct http_options options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca) };
    assert_fine(http_open(&options, &kept, &err) && http_exchange(kept, &ask, NULL, &answer, &err), &err);
    assert_int_equal(answer.status, 200);
    (void) close(broker.log);
    broker.log = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guests_and_administrators_of_trustee_are_served),
        cmocka_unit_test(administrators_need_their_token_all_the_same),
        cmocka_unit_test(our_own_clients_are_told_to_or_refuse),
        cmocka_unit_test(a_tls_hello_is_no_request),
        cmocka_unit_test(a_body_that_could_end_in_two_places_is_refused_and_nothing_after_it_answered),
        cmocka_unit_test(says_it_loudly_at_the_start_and_when_it_is_checked),
        cmocka_unit_test(other_addresses_want_another_word_and_administrators_apart),
        cmocka_unit_test(administrators_of_their_own_address_have_tls),
        cmocka_unit_test(a_reload_takes_no_tls_away),
    };

    return cmocka_run_group_tests(tests, trustee_make, trustee_clean);
}
