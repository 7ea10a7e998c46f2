#include "tests/harness/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/file.h"
#include "guest/registry/obtain.h"

enum { BLOB_LEN = 700000, ROOM = 1 << 20 };

#define MANIFEST "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:0\",\"size\":1},\"layers\":[]}"

/* ---- a registry in a process of its own: plain HTTP, one connection after the other ---- */

static void blob_fill(uint8_t *out, unsigned which)
{
    for (size_t i = 0; i < BLOB_LEN; i++)
        out[i] = (uint8_t) (i * 13 + i / 1000 + which);
}

static void blob_digest(unsigned which, char out[static DIGEST_TEXT_LEN_MAX + 1])
{
    AUTO(heap) uint8_t *blob = malloc(BLOB_LEN);
    struct digest       digest;

    blob_fill(blob, which);
    digest_of((struct bytes){ blob, BLOB_LEN }, DIGEST_SHA256, &digest);
    strcpy(out, digest_text(&digest).at);
}

static void send_all(int fd, const void *at, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, (const char *) at + done, len - done, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        done += (size_t) n;
    }
}

static void answer(int fd, const char *status, const char *headers, const void *body, size_t len, size_t sent)
{
    char head[1024];
    int  n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n", status, headers, len);

    send_all(fd, head, (size_t) n);
    send_all(fd, body, sent);
}

/* Breaks off in the middle, once for each blob. */
static void answer_blob(int fd, const char *request, unsigned which)
{
    static bool         has_broken[2];
    AUTO(heap) uint8_t *blob  = malloc(BLOB_LEN);
    const char         *range = strstr(request, "Range: bytes=");
    size_t              from  = range ? (size_t) strtoul(range + 13, NULL, 10) : 0;
    char                header[96];
    bool                breaks = !has_broken[which] && from == 0;

    blob_fill(blob, which);
    has_broken[which] = true;
    (void) snprintf(header, sizeof header, "Content-Range: bytes %zu-%d/%d\r\n", from, BLOB_LEN - 1, BLOB_LEN); /* fits */
    answer(fd, range ? "206 Partial Content" : "200 OK", range ? header : "", blob + from, BLOB_LEN - from,
           breaks ? BLOB_LEN / 2 : BLOB_LEN - from);
}

static void answer_guarded(int fd, const char *request, unsigned port)
{
    char challenge[160];

    (void) snprintf(challenge, sizeof challenge, "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%u/token\",service=\"s\"\r\n", port); /* fits */
    if (strstr(request, "Authorization: Bearer good\r\n"))
        answer(fd, "200 OK", "", MANIFEST, sizeof MANIFEST - 1, sizeof MANIFEST - 1);
    else
        answer(fd, "401 Unauthorized", challenge, "", 0, 0);
}

/* To another name of this host: what let us in at this one is not for it. */
static void answer_moved(int fd, const char *request, unsigned port)
{
    char where[96];

    (void) snprintf(where, sizeof where, "Location: http://localhost:%u/aside\r\n", port); /* fits */
    if (strstr(request, "Authorization: Bearer good\r\n"))
        answer(fd, "307 Moved", where, "", 0, 0);
    else
        answer_guarded(fd, request, port);
}

static void answer_request(int fd, const char *request, unsigned port)
{
    static int n_busy;
    char       digests[2][DIGEST_TEXT_LEN_MAX + 1];

    for (unsigned i = 0; i < 2; i++) {
        blob_digest(i, digests[i]);
        if (strstr(request, "/blobs/") && strstr(request, digests[i])) {
            answer_blob(fd, request, i);
            return;
        }
    }
    if (strncmp(request, "GET /v2/team/app/manifests/v1 ", 30) == 0 ||
        strncmp(request, "GET /v2/team/app/manifests/sha256:", 34) == 0)
        answer(fd, "200 OK", "", MANIFEST, sizeof MANIFEST - 1, sizeof MANIFEST - 1);
    else if (strncmp(request, "GET /v2/team/app/manifests/guarded ", 35) == 0)
        answer_guarded(fd, request, port);
    else if (strncmp(request, "GET /v2/team/app/manifests/moved ", 33) == 0)
        answer_moved(fd, request, port);
    else if (strncmp(request, "GET /aside ", 11) == 0 && !strstr(request, "Authorization:"))
        answer(fd, "200 OK", "", MANIFEST, sizeof MANIFEST - 1, sizeof MANIFEST - 1);
    else if (strncmp(request, "GET /token?", 11) == 0 && strstr(request, "Authorization:")) /* over plain HTTP */
        answer(fd, "400 Too Open", "", "", 0, 0);
    else if (strncmp(request, "GET /token?scope=repository%3Ateam/app%3Apull&service=s ", 56) == 0)
        answer(fd, "200 OK", "", "{\"token\":\"good\"}", 16, 16);
    else if (strncmp(request, "GET /v2/team/app/manifests/busy ", 32) == 0 && n_busy++ == 0)
        answer(fd, "503 Busy", "Retry-After: 0\r\n", "", 0, 0);
    else if (strncmp(request, "GET /v2/team/app/manifests/busy ", 32) == 0)
        answer(fd, "200 OK", "", MANIFEST, sizeof MANIFEST - 1, sizeof MANIFEST - 1);
    else if (strncmp(request, "GET /v2/team/app/manifests/locked ", 34) == 0)
        answer(fd, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "", 0, 0);
    else
        answer(fd, "404 Not Found", "", "", 0, 0);
}

static void serve(int listener, unsigned port)
{
    for (;;) {
        char         request[8192] = "";
        size_t       len           = 0;
        AUTO(fd) int fd            = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        while (fd >= 0 && !strstr(request, "\r\n\r\n") && len < sizeof request - 1) {
            ssize_t n = recv(fd, request + len, sizeof request - 1 - len, 0);

            if (n <= 0)
                break;
            len += (size_t) n;
        }
        if (len > 0)
            answer_request(fd, request, port);
    }
}

/* ---- the two processes of a guest ---- */

struct rig {
    pid_t               registry, fetcher;
    unsigned            port;
    int                 fetcher_fd;
    struct ttrpc_client client;
    struct pull         pull;
    char                name[64];
};

static void start_registry(struct rig *r)
{
    struct sockaddr_in at       = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          len      = sizeof at;
    AUTO(fd) int       listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(listener >= 0 && bind(listener, (struct sockaddr *) &at, len) == 0 && listen(listener, 16) == 0 &&
                getsockname(listener, (struct sockaddr *) &at, &len) == 0);
    r->port     = ntohs(at.sin_port);
    r->registry = fork();
    if (r->registry == 0)
        serve(listener, r->port); /* until it is killed */
    assert_true(r->registry > 0);
}

static void start_fetcher(struct rig *r)
{
    struct err err;
    int        ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    r->fetcher = fork();
    if (r->fetcher == 0) {
        (void) close(ends[0]);
        exit(fetcher_run(ends[1])); /* with the leak check of the sanitizer */
    }
    assert_true(r->fetcher > 0);
    (void) close(ends[1]);
    r->fetcher_fd = ends[0];
    assert_true(ttrpc_client_over(r->fetcher_fd, &r->client, &err));
}

static int set_up(void **state)
{
    struct rig        *r       = calloc(1, sizeof *r);
    char               conf[160], login[96];
    struct pull_config config  = { .backoff_ms = 1 };
    struct err         err;

    assert_non_null(r);
    start_registry(r);
    start_fetcher(r);
    (void) snprintf(r->name, sizeof r->name, "127.0.0.1:%u/team/app:v1", r->port); /* fits */
    (void) snprintf(conf, sizeof conf, "{\"registry\":[{\"location\":\"127.0.0.1:%u\",\"insecure\":true}]}", r->port); /* fits */
    (void) snprintf(login, sizeof login, "{\"auths\":{\"127.0.0.1:%u\":{\"auth\":\"aG9zdDox\"}}}", r->port); /* fits */
    config.registries  = bytes_of_text(conf);
    config.credentials = bytes_of_text(login);
    if (!pull_configure(&r->client, &config, &err) || !pull_open(&r->client, r->name, &r->pull, &err))
        fail_msg("%s", err.text);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    int         status = 1;

    pull_close(&r->pull);
    auto_ttrpc_client(&r->client);
    (void) close(r->fetcher_fd);
    assert_int_equal(waitpid(r->fetcher, &status, 0), r->fetcher);
    assert_int_equal(status, 0);
    if (r->registry > 0) {
        assert_int_equal(kill(r->registry, SIGKILL), 0);
        assert_int_equal(waitpid(r->registry, &status, 0), r->registry);
    }
    free(r);
    return 0;
}

static void reads_what_a_tag_names(void **state)
{
    struct rig   *r = *state;
    struct digest found, wanted;
    struct err    err;

    digest_of(bytes_of_text(MANIFEST), DIGEST_SHA256, &wanted);
    assert_int_equal(r->pull.n_origins, 1);
    if (!pull_resolve(&r->pull, "v1", &found, &err))
        fail_msg("%s", err.text);
    assert_true(digest_equal(&found, &wanted));
}

/* Each blob breaks off once in the middle, while the other is read ahead. */
static void goes_on_where_it_broke_off_and_reads_ahead(void **state)
{
    struct rig         *r      = *state;
    struct image_source source = pull_source(&r->pull.origins[0]);
    AUTO(heap) uint8_t *got = malloc(BLOB_LEN), *wanted = malloc(BLOB_LEN);
    struct descriptor   layers[2] = { { .size = BLOB_LEN }, { .size = BLOB_LEN } };
    struct manifest     manifest  = { .layers = layers, .n_layers = 2 };
    char                digests[2][DIGEST_TEXT_LEN_MAX + 1];
    struct err          err;

    for (unsigned i = 0; i < 2; i++) {
        blob_digest(i, digests[i]);
        assert_true(digest_read(bytes_of_text(digests[i]), &layers[i].digest, &err));
    }
    source.expect(source.owner, &manifest);
    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t offset = 0; offset < BLOB_LEN;) {
            uint64_t total = 0;
            size_t   n     = 0;

            if (!source.read(source.owner, digests[i], offset, got + offset, BLOB_LEN - offset < 100000 ? BLOB_LEN - offset : 100000, &n, &total, &err))
                fail_msg("%s", err.text);
            assert_int_equal(total, BLOB_LEN);
            assert_true(n > 0);
            offset += n;
        }
        blob_fill(wanted, i);
        assert_memory_equal(got, wanted, BLOB_LEN);
    }
}

static void reads_from_the_middle_when_asked_to(void **state)
{
    struct rig         *r      = *state;
    struct image_source source = pull_source(&r->pull.origins[0]);
    AUTO(heap) uint8_t *wanted = malloc(BLOB_LEN);
    uint8_t             got[1000];
    char                digest[DIGEST_TEXT_LEN_MAX + 1];
    struct err          err;

    blob_digest(0, digest);
    blob_fill(wanted, 0);
    for (uint64_t offset = BLOB_LEN - 1000; offset > 300000; offset -= 100000) {
        uint64_t total;
        size_t   n = 0;

        if (!source.read(source.owner, digest, offset, got, sizeof got, &n, &total, &err))
            fail_msg("%s", err.text);
        assert_int_equal(n, sizeof got);
        assert_memory_equal(got, wanted + offset, n);
    }
}

static void logs_in_and_tries_again(void **state)
{
    static const char *const tags[] = { "guarded", "busy", "moved" };
    struct rig              *r      = *state;

    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        AUTO(buffer) struct buffer document = { 0 };
        struct err                 err;

        if (!pull_document(&r->pull.origins[0], FETCHER__KIND__KIND_MANIFEST, tags[i], &document, &err))
            fail_msg("%s: %s", tags[i], err.text);
        assert_string_equal(buffer_text(&document), MANIFEST);
    }
}

static void says_what_it_cannot_get(void **state)
{
    static const struct { const char *tag, *why; enum err_kind kind; } rows[] = {
        { "gone", "no gone in team/app", ERR_NOT_FOUND },
        { "locked", "wants a name and a password, which are not sent over plain HTTP", ERR_DENIED },
        { "../x", "cannot be met", ERR_BUG },
        { "a?b", "cannot be met", ERR_BUG },
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer document = { 0 };
        struct err                 err;

        assert_false(pull_document(&r->pull.origins[0], FETCHER__KIND__KIND_MANIFEST, rows[i].tag, &document, &err));
        if (err.kind != rows[i].kind || !strstr(err.text, rows[i].why))
            fail_msg("%s: %s: %s", rows[i].tag, err_kind_name(err.kind), err.text);
    }
}

static void a_registry_that_dies_is_an_error_with_a_name(void **state)
{
    struct rig                *r        = *state;
    AUTO(buffer) struct buffer document = { 0 };
    struct err                 err;
    int                        status;

    assert_int_equal(kill(r->registry, SIGKILL), 0);
    assert_int_equal(waitpid(r->registry, &status, 0), r->registry);
    assert_false(pull_document(&r->pull.origins[0], FETCHER__KIND__KIND_MANIFEST, "v1", &document, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_non_null(strstr(err.text, "after 5 tries"));
    r->registry = 0;
}

static bool no_resource(void *owner, const char *kid, struct buffer *out, struct err *err)
{
    (void) owner;
    (void) out;
    return fail_with(err, ERR_DENIED, "the broker refuses %s", kid);
}

/* Up to where a layer would be fetched: names, tags and policies. */
static void an_image_is_judged_before_it_is_fetched(void **state)
{
    static const struct { const char *toml, *name, *why; enum err_kind kind; } rows[] = {
        { "", "tag", "a tag may name anything", ERR_DENIED },
        { "[image]\nimage_security_policy = '{\"default\":[{\"type\":\"reject\"}]}'", "tag", "rejects", ERR_DENIED },
        { "[image]\nimage_security_policy = '{\"default\":[]}'", "tag", "no requirements", ERR_MALFORMED },
        { "[image]\nimage_security_policy_uri = \"kbs:///a/b/c\"", "tag", "the broker refuses kbs:///a/b/c", ERR_DENIED },
        { "[image]\nimage_security_policy = '{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}'", "tag", "manifest", ERR_MALFORMED },
        { "", "oci:x", "by its digest", ERR_DENIED },
        { "", "Not A Name", "image name", ERR_MALFORMED },
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(image_settings) struct image_settings settings = { 0 };
        AUTO(image_config) struct image_config     config   = { 0 };
        struct image_progress                      progress;
        struct digest                              found;
        struct err                                 err;
        struct obtain o = { .settings = &settings, .fetcher = &r->client, .is_configured = true, .resource = no_resource,
                            .budget = IMAGE_BUDGET_DEFAULT, .scratch_fd = NO_FD };

        assert_true(image_settings_read(bytes_of_text(rows[i].toml), &settings, &err));
        assert_false(obtain_image(&o, strcmp(rows[i].name, "tag") == 0 ? r->name : rows[i].name, NULL, NO_FD, &config, &progress, &found, &err));
        if (err.kind != rows[i].kind || !strstr(err.text, rows[i].why))
            fail_msg("row %zu: %s: %s", i, err_kind_name(err.kind), err.text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(reads_what_a_tag_names),
        TEST(goes_on_where_it_broke_off_and_reads_ahead),
        TEST(reads_from_the_middle_when_asked_to),
        TEST(logs_in_and_tries_again),
        TEST(says_what_it_cannot_get),
        TEST(a_registry_that_dies_is_an_error_with_a_name),
        TEST(an_image_is_judged_before_it_is_fetched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
