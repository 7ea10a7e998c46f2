/* A broker that dies, breaks off or falls silent at each step of what a guest asks of it: an error with a name, in time. */
#include "tests/harness/certificate.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "keys/client/kbs.h"

enum { DEADLINE_MS = 2000, WITHOUT_HASTE_MS = 60000, STALLED_MAX = 8 };

enum how { CLOSES, BREAKS_OFF, STALLS, IS_BUSY, LIES };

/* A broker that does as it should but for one step. */
struct broker {
    struct MHD_Daemon     *daemon;
    char                   url[64];
    struct buffer          ca, key_pem; /* PEM */
    const char            *fails_at;    /* the end of a path */
    enum how               how;
    unsigned               n_asked;
    struct MHD_Connection *stalled[STALLED_MAX];
    size_t                 n_stalled;
};

static enum MHD_Result answer(struct MHD_Connection *to, unsigned status, const char *text)
{
    struct MHD_Response *r    = MHD_create_response_from_buffer(strlen(text), (void *) (uintptr_t) text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      sent = MHD_queue_response(to, status, r);

    MHD_destroy_response(r);
    return sent;
}

static ssize_t give_a_beginning(void *owner, uint64_t at, char *into, size_t len)
{
    (void) owner;
    if (at > 0 || len == 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    *into = '{';
    return 1;
}

static enum MHD_Result fail_now(struct broker *b, struct MHD_Connection *to)
{
    struct MHD_Response *r;
    enum MHD_Result      sent;

    if (b->how == CLOSES)
        return MHD_NO;
    if (b->how == IS_BUSY)
        return answer(to, 503, "{\"type\":\"x\",\"detail\":\"come again\"}");
    if (b->how == LIES)
        return answer(to, 200, "<html>a captive portal</html>");
    if (b->how == STALLS) {
        if (b->n_stalled == STALLED_MAX)
            return MHD_NO;
        MHD_suspend_connection(to);
        b->stalled[b->n_stalled++] = to;
        return MHD_YES;
    }
    r    = MHD_create_response_from_callback(4000, 1024, give_a_beginning, NULL, NULL);
    sent = MHD_queue_response(to, 200, r);
    MHD_destroy_response(r);
    return sent;
}

static enum MHD_Result asked(void *owner, struct MHD_Connection *from, const char *path, const char *method, const char *version,
                             const char *upload, size_t *len, void **state)
{
    static int     seen;
    struct broker *b    = owner;
    size_t         n    = strlen(path), suffix = strlen(b->fails_at);

    (void) method;
    (void) version;
    (void) upload;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*len > 0) {
        *len = 0;
        return MHD_YES;
    }
    b->n_asked++;
    if (n >= suffix && strcmp(path + n - suffix, b->fails_at) == 0)
        return fail_now(b, from);
    if (strcmp(path, "/kbs/v0/auth") == 0)
        return answer(from, 200, "{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"extra-params\":\"\"}");
    return answer(from, 200, "{\"token\":\"e30.eyJpYXQiOjF9.AAAA\"}"); /* {"iat":1} */
}

static void broker_start(struct broker *b, const char *fails_at, enum how how)
{
    struct err err;

    *b = (struct broker){ .fails_at = fails_at, .how = how };
    assert_true(secret_heap_open(&err));
    test_certificate_make(&b->ca, &b->key_pem);
    b->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, asked, b,
                                 MHD_OPTION_HTTPS_MEM_CERT, buffer_text(&b->ca), MHD_OPTION_HTTPS_MEM_KEY, buffer_text(&b->key_pem),
                                 MHD_OPTION_END);
    assert_non_null(b->daemon);
    (void) snprintf(b->url, sizeof b->url, "https://127.0.0.1:%u",
                    (unsigned) MHD_get_daemon_info(b->daemon, MHD_DAEMON_INFO_BIND_PORT)->port); /* fits */
}

static void auto_broker(struct broker *b)
{
    for (size_t i = 0; i < b->n_stalled; i++)
        MHD_resume_connection(b->stalled[i]);
    if (b->daemon)
        MHD_stop_daemon(b->daemon);
    buffer_free(&b->ca);
    buffer_free(&b->key_pem);
}

static bool evidence(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json, struct err *err)
{
    (void) owner;
    (void) err;
    (void) report_data;
    buffer_append_text(json, "{}");
    return true;
}

/* What a guest does at its start and with its first key. */
static bool obtain(struct broker *b, uint32_t timeout_ms, struct secret *out, struct err *err)
{
    AUTO(kbs_client) struct kbs_client *client   = NULL;
    struct kbs_options                  options  = { .url = b->url, .ca_pem = buffer_bytes(&b->ca), .timeout_ms = timeout_ms };
    struct kbs_attester                 attester = { .tee = "snp", .evidence = evidence };

    assert_true(kbs_client_new(&options, &client, err));
    return kbs_attest(client, &attester, NULL, err) && kbs_resource_get(client, "kbs:///a/b/c", out, err);
}

static void each_step_may_fail_in_each_way(void **state)
{
    static const char *const steps[] = { "/auth", "/attest", "/resource/a/b/c" };
    static const struct { enum how how; enum err_kind kind; const char *text; } ways[] = {
        { CLOSES, ERR_OS, "broker https://127.0.0.1:" },
        { BREAKS_OFF, ERR_OS, "broker https://127.0.0.1:" },
        { STALLS, ERR_TIMEOUT, "broker https://127.0.0.1:" },
        { IS_BUSY, ERR_OS, "come again" },
        { LIES, ERR_MALFORMED, "" },
    };

    (void) state;
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            AUTO(broker) struct broker b;
            AUTO(secret) struct secret got = { 0 };
            struct err                 err = { 0 };

            broker_start(&b, steps[s], ways[w].how);
            assert_false(obtain(&b, ways[w].how == STALLS ? DEADLINE_MS : WITHOUT_HASTE_MS, &got, &err));
            print_message("%s, %zu: %s\n", steps[s], w, err.text);
            assert_int_equal(err.kind, ways[w].kind);
            assert_non_null(strstr(err.text, ways[w].text));
            assert_true(b.n_asked > s); /* and not before */
            assert_int_equal(secret_expose(&got).len, 0);
        }
    }
}

/* Each of these is a listener, and no more than that. */
static int listener(char url[static 64])
{
    struct sockaddr_in at  = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          len = sizeof at;
    int                fd  = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *) &at, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &at, &len), 0);
    (void) snprintf(url, 64, "https://127.0.0.1:%u", (unsigned) ntohs(at.sin_port)); /* fits */
    return fd;
}

static void *hang_up(void *owner)
{
    const int    *fd     = owner;
    struct linger at_once = { 1, 0 };
    int           peer   = accept(*fd, NULL, NULL);

    (void) setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once); /* then it is no reset, and an error all the same */
    (void) close(peer);
    return NULL;
}

static void assert_unreachable(struct broker *b, enum err_kind kind)
{
    AUTO(secret) struct secret got = { 0 };
    struct err                 err = { 0 };

    assert_false(obtain(b, DEADLINE_MS, &got, &err));
    print_message("%s\n", err.text);
    assert_int_equal(err.kind, kind);
    assert_non_null(strstr(err.text, b->url));
}

static void one_that_is_away_or_says_nothing_is_named(void **state)
{
    AUTO(broker) struct broker b = { 0 };
    AUTO(fd) int               fd = listener(b.url);
    pthread_t                  thread;
    struct err                 err;

    (void) state;
    assert_true(secret_heap_open(&err));
    test_certificate_make(&b.ca, &b.key_pem);
    assert_unreachable(&b, ERR_TIMEOUT); /* the kernel takes the connection, and nobody reads from it */
    auto_fd(&fd);
    fd = NO_FD;
    assert_unreachable(&b, ERR_OS);
    fd = listener(b.url);
    assert_int_equal(pthread_create(&thread, NULL, hang_up, &fd), 0);
    assert_unreachable(&b, ERR_OS); /* in the middle of the handshake: nobody was judged */
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_may_fail_in_each_way),
        cmocka_unit_test(one_that_is_away_or_says_nothing_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
