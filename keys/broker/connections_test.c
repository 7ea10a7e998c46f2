/* Who is slow, idle or many, and what a broker that ends or is behind does for those that it has. */
#include "tests/harness/operated_broker.h"

/* ---- hostile connections ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closes_who_is_slow_although_bytes_keep_coming),
        cmocka_unit_test(serves_beside_ten_thousand_idle_connections),
        cmocka_unit_test(keeps_to_a_peers_quota),
        cmocka_unit_test(puts_new_challenges_off_when_it_is_behind),
        cmocka_unit_test(answers_what_is_under_way_before_it_ends),
    };

    return cmocka_run_group_tests(tests, operated_make, operated_clean);
}
