/* A real broker, a real client: what a guest gets, and every way in which it gets nothing. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/client/http.h"
#include "keys/jose/jwt.h"
#include "tests/harness/broker.h"

#define URI   "kbs:///default/image-key/1"
#define OTHER "kbs:///default/image-key/2"

static struct test_broker broker;
static struct secret      key;

static void hex_of(const uint8_t *at, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        (void) snprintf(out + 2 * i, 3, "%02x", at[i]);
}

static uint64_t register_value(struct admin_client *admin, const char *kind, const uint8_t *value, size_t len,
                               const char *resource)
{
    char                   hex[129];
    struct admin_reference reference = { .kind = kind, .tee = "snp", .value = hex, .resource = resource };
    uint64_t               id = 0;
    struct err             err;

    hex_of(value, len, hex);
    assert_fine(admin_reference_add(admin, &reference, &id, &err), &err);
    return id;
}

static int make(void **state)
{
    AUTO(admin_client) struct admin_client *admin = NULL;
    struct test_guest                       good;
    struct err                              err;

    (void) state;
    test_broker_make(&broker);
    good  = test_guest_good(&broker);
    admin = test_admin(&broker);
    assert_fine(secret_random(32, &key, &err) && admin_resource_put(admin, URI, &key, &err) &&
                    admin_resource_put(admin, OTHER, &key, &err),
                &err);
    (void) register_value(admin, "measurement", good.measurement, 48, NULL);
    (void) register_value(admin, "initdata", good.host_data, 32, URI);
    return 0;
}

static int clean(void **state)
{
    (void) state;
    secret_free(&key);
    test_broker_free(&broker);
    return 0;
}

static struct kbs_client *client_of(const struct kbs_options *options)
{
    struct kbs_client *client = NULL;
    struct err         err;

    assert_fine(kbs_client_new(options, &client, &err), &err);
    return client;
}

static struct kbs_client *client_new(void)
{
    struct kbs_options options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca), .timeout_ms = 20000 };

    return client_of(&options);
}

static bool attest_as(struct kbs_client *client, struct test_guest *guest, struct kbs_verdict *verdict, struct err *err)
{
    struct kbs_attester attester = { .tee = "snp", .evidence = test_evidence, .owner = guest };

    return kbs_attest(client, &attester, verdict, err);
}

static void assert_attest_refused(struct test_guest *guest, const char *part)
{
    AUTO(kbs_client) struct kbs_client *client = client_new();
    AUTO(secret) struct secret          got    = { 0 };
    struct err                          err;

    assert_false(attest_as(client, guest, NULL, &err));
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_false(kbs_resource_get(client, URI, &got, &err));
    assert_null(got.held);
}

static void assert_key_refused(struct test_guest *guest, const char *uri, enum err_kind kind, const char *text)
{
    AUTO(kbs_client) struct kbs_client *client = client_new();
    AUTO(secret) struct secret          got    = { 0 };
    struct err                          err;

    assert_fine(attest_as(client, guest, NULL, &err), &err);
    assert_false(kbs_resource_get(client, uri, &got, &err));
    assert_string_equal(err.text, text);
    assert_int_equal(err.kind, kind);
    assert_null(got.held);
}

/* ---- what works ---- */

static void releases_the_key_to_the_registered_guest(void **state)
{
    AUTO(kbs_client) struct kbs_client *client  = client_new();
    AUTO(secret) struct secret          got     = { 0 };
    struct test_guest                   guest   = test_guest_good(&broker);
    struct kbs_verdict                  verdict = { 0 };
    struct err                          err;

    (void) state;
    assert_fine(attest_as(client, &guest, &verdict, &err), &err);
    assert_string_equal(verdict.status, "warning"); /* a development root is never affirmed */
    assert_string_equal(verdict.reason, "");
    assert_fine(kbs_resource_get(client, URI, &got, &err), &err);
    assert_true(secret_equal(&got, &key));
}

static int connect_by_hand(void *owner, struct err *err)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port        = htons((uint16_t) atoi(strrchr(broker.url, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ++*(int *) owner;
    if (fd < 0 || connect(fd, (struct sockaddr *) &to, sizeof to) < 0)
        (void) err_os(err, "connect");
    return fd;
}

static void speaks_through_a_socket_that_the_caller_connects(void **state)
{
    char               url[80];
    int                n_calls = 0;
    struct kbs_options options = { .ca_pem = buffer_bytes(&broker.ca), .connect = connect_by_hand, .owner = &n_calls };
    struct test_guest  guest   = test_guest_good(&broker);
    struct err         err;

    (void) state;
    (void) snprintf(url, sizeof url, "https://localhost%s", strrchr(broker.url, ':'));
    options.url = url;
    AUTO(kbs_client) struct kbs_client *client = client_of(&options);
    AUTO(secret) struct secret          got    = { 0 };

    assert_fine(attest_as(client, &guest, NULL, &err), &err);
    assert_fine(kbs_resource_get(client, URI, &got, &err), &err);
    assert_true(secret_equal(&got, &key));
    assert_int_equal(n_calls, 1);
}

static int connect_fails(void *owner, struct err *err)
{
    (void) owner;
    (void) fail_with(err, ERR_OS, "the tunnel is closed");
    return NO_FD;
}

static void says_why_the_callers_socket_failed(void **state)
{
    struct kbs_options options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca), .connect = connect_fails };
    AUTO(kbs_client) struct kbs_client *client = client_of(&options);
    struct test_guest  guest = test_guest_good(&broker);
    struct err         err;

    (void) state;
    assert_false(attest_as(client, &guest, NULL, &err));
    assert_string_equal(err.text, "broker: the tunnel is closed");
}

static void takes_initdata_whose_digest_is_in_the_report(void **state)
{
    static const char TEXT[] = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"a\" = \"b\"\n";
    struct test_guest guest  = test_guest_good(&broker);
    struct err        err;

    (void) state;
    for (int i = 0; i < 2; i++) {
        AUTO(kbs_client) struct kbs_client *client   = client_new();
        struct kbs_attester                 attester = { .tee = "snp", .evidence = test_evidence, .owner = &guest,
                                                         .initdata = bytes_of_text(TEXT) };
        struct kbs_verdict                  verdict;

        if (i == 0) {
            assert_false(kbs_attest(client, &attester, &verdict, &err));
            assert_string_equal(err.text, "RCAR handshake Attest failed: initdata: its digest is not the one in the report");
        } else {
            sha256_of(bytes_of_text(TEXT), guest.host_data);
            assert_fine(kbs_attest(client, &attester, &verdict, &err), &err);
            assert_non_null(strstr(verdict.reason, "initdata digest"));
        }
    }
}

/* ---- what the guest shows is wrong ---- */

static void refuses_a_measurement_that_is_not_registered(void **state)
{
    AUTO(kbs_client) struct kbs_client *client = client_new();
    struct test_guest                   guest  = test_guest_good(&broker);
    struct kbs_verdict                  verdict;
    struct err                          err;

    (void) state;
    memset(guest.measurement, 0xab, 48);
    assert_key_refused(&guest, URI, ERR_DENIED,
                       "measurement abababababababab... "
                       "is not a registered reference value for default/image-key/1");
    assert_fine(attest_as(client, &guest, &verdict, &err), &err);
    assert_non_null(strstr(verdict.reason, "measurement abababab"));
    assert_non_null(strstr(verdict.reason, "is not a registered reference value"));
}

static void refuses_initdata_that_is_not_expected(void **state)
{
    struct test_guest guest = test_guest_good(&broker);

    (void) state;
    memset(guest.host_data, 0xcd, 32);
    assert_key_refused(&guest, URI, ERR_DENIED,
                       "initdata digest cdcdcdcdcdcdcdcd... "
                       "is not a registered reference value for default/image-key/1");
}

static void refuses_a_resource_that_the_reference_is_not_bound_to(void **state)
{
    struct test_guest guest = test_guest_good(&broker);

    (void) state;
    assert_key_refused(&guest, OTHER, ERR_DENIED,
                       "initdata digest 2222222222222222... "
                       "is not a registered reference value for default/image-key/2");
}

static void answers_404_for_a_key_that_is_not_there(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    struct test_guest                       guest = test_guest_good(&broker);
    uint64_t                                id;
    struct err                              err;

    (void) state;
    id = register_value(admin, "initdata", guest.host_data, 32, "kbs:///no/such/key");
    assert_key_refused(&guest, "kbs:///no/such/key", ERR_NOT_FOUND, "there is no resource no/such/key");
    assert_fine(admin_reference_remove(admin, id, &err), &err);
}

static void refuses_a_tampered_signature(void **state)
{
    struct test_guest guest = test_guest_good(&broker);

    (void) state;
    guest.breaks_signature = true;
    assert_attest_refused(&guest, "signature");
}

static void refuses_report_data_of_another_key(void **state)
{
    static const uint8_t OTHERS[48] = { 1 };
    struct test_guest    guest      = test_guest_good(&broker);

    (void) state;
    guest.report_data = OTHERS;
    assert_attest_refused(&guest, "report-data");
}

static void refuses_a_guest_that_allows_debugging(void **state)
{
    struct test_guest guest = test_guest_good(&broker);

    (void) state;
    guest.policy |= 1 << 19;
    assert_attest_refused(&guest, "debug");
}

static void refuses_another_development_root(void **state)
{
    AUTO(development_root) struct development_root other = { 0 };
    struct test_guest                              guest = test_guest_good(&broker);
    char                                           path[PATH_MAX];
    struct err                                     err;

    (void) state;
    test_broker_path(&broker, "other-tee", path);
    assert_fine(development_root_make(path, (int64_t) time(NULL), &err) && development_root_load(path, &other, &err), &err);
    guest.root = &other;
    assert_attest_refused(&guest, "root");
}

/* ---- the handshake by hand ---- */

static struct http *http_new(void)
{
    struct http_options options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca) };
    struct http        *http    = NULL;
    struct err          err;

    assert_fine(http_open(&options, &http, &err), &err);
    return http;
}

static long ask(struct http *http, const char *method, const char *path, const char *cookie, const char *bearer,
                struct bytes body, struct http_answer *answer)
{
    struct http_request r = { .method = method, .path = path, .cookie = cookie, .bearer = bearer, .body = body };
    struct err          err;

    assert_fine(http_exchange(http, &r, KBS_COOKIE, answer, &err), &err);
    return answer->status;
}

/* POST auth; leaves the cookie in `answer`, the nonce in `nonce`. */
static void begin(struct http *http, struct http_answer *answer, char nonce[static 64])
{
    AUTO(buffer) struct buffer     body = { 0 };
    AUTO(json) struct json_object *read = NULL;
    const char                    *text;
    struct err                     err;

    rcar_request_write("snp", &body);
    assert_int_equal(ask(http, "POST", "/kbs/v0/auth", NULL, NULL, buffer_bytes(&body), answer), 200);
    assert_true(json_read(buffer_bytes(&answer->body), answer->body.len, &read, &err) && json_get_text(read, "nonce", &text, &err));
    (void) snprintf(nonce, 64, "%s", text);
}

static void attestation_for(const char *nonce, struct jwk *jwk, struct buffer *body)
{
    AUTO(buffer) struct buffer evidence = { 0 };
    struct test_guest          guest    = test_guest_good(&broker);
    uint8_t                    report_data[48];
    struct err                 err;

    assert_fine(rcar_report_data("", nonce, jwk, report_data, &err) && test_evidence(&guest, report_data, &evidence, &err), &err);
    rcar_attestation_write((struct bytes){ 0 }, nonce, jwk, buffer_bytes(&evidence), body);
}

static void fresh_key(struct jwk *out)
{
    AUTO(pkey) EVP_PKEY *fresh = NULL;
    struct err           err;

    assert_fine(jwk_generate_p256(&fresh, &err) && jwk_of_key(fresh, "ECDH-ES+A256KW", out, &err), &err);
}

static void assert_detail(const struct http_answer *answer, const char *part)
{
    struct err err;

    assert_false(http_succeeded(answer, &err));
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
}

static void refuses_a_nonce_of_another_session_and_a_replay_of_evidence(void **state)
{
    AUTO(http) struct http              *http  = http_new();
    AUTO(http_answer) struct http_answer one   = { 0 };
    AUTO(http_answer) struct http_answer two   = { 0 };
    AUTO(http_answer) struct http_answer got   = { 0 };
    AUTO(jwk) struct jwk                 jwk   = { 0 };
    AUTO(buffer) struct buffer           body  = { 0 };
    AUTO(buffer) struct buffer           first = { 0 };
    char                                 nonce[64], other[64];

    (void) state;
    fresh_key(&jwk);
    begin(http, &one, nonce);
    begin(http, &two, other);
    attestation_for(nonce, &jwk, &body);
    assert_int_equal(ask(http, "POST", "/kbs/v0/attest", two.cookie, NULL, buffer_bytes(&body), &got), 401);
    assert_detail(&got, "the nonce is not the one given to this session");
    assert_int_equal(ask(http, "POST", "/kbs/v0/attest", NULL, NULL, buffer_bytes(&body), &got), 401);
    assert_detail(&got, "no session cookie");

    assert_int_equal(ask(http, "POST", "/kbs/v0/attest", one.cookie, NULL, buffer_bytes(&body), &got), 200);
    buffer_append(&first, buffer_bytes(&got.body));
    assert_int_equal(ask(http, "POST", "/kbs/v0/attest", one.cookie, NULL, buffer_bytes(&body), &got), 200);
    assert_true(bytes_equal(buffer_bytes(&first), buffer_bytes(&got.body))); /* the stored token, nothing new */
}

static void keeps_a_session_spent_across_kill_9(void **state)
{
    AUTO(http) struct http              *http = http_new();
    AUTO(http_answer) struct http_answer one  = { 0 };
    AUTO(http_answer) struct http_answer got  = { 0 };
    AUTO(jwk) struct jwk                 jwk  = { 0 };
    AUTO(buffer) struct buffer           body = { 0 };
    AUTO(buffer) struct buffer           first = { 0 };
    char                                 nonce[64];

    (void) state;
    fresh_key(&jwk);
    begin(http, &one, nonce);
    attestation_for(nonce, &jwk, &body);
    assert_int_equal(ask(http, "POST", "/kbs/v0/attest", one.cookie, NULL, buffer_bytes(&body), &got), 200);
    buffer_append(&first, buffer_bytes(&got.body));
    assert_int_equal(test_broker_stop(&broker, SIGKILL), 128 + SIGKILL);
    test_broker_start(&broker);

    AUTO(http) struct http *again = http_new();
    assert_int_equal(ask(again, "POST", "/kbs/v0/attest", one.cookie, NULL, buffer_bytes(&body), &got), 200);
    assert_true(bytes_equal(buffer_bytes(&first), buffer_bytes(&got.body)));
    assert_int_equal(ask(again, "GET", "/kbs/v0/resource/default/image-key/1", one.cookie, NULL, (struct bytes){ 0 }, &got), 200);
}

static void gives_nothing_without_a_token_of_its_own(void **state)
{
    AUTO(http) struct http              *http   = http_new();
    AUTO(http_answer) struct http_answer one    = { 0 };
    AUTO(http_answer) struct http_answer got    = { 0 };
    AUTO(pkey) EVP_PKEY                 *forger = EVP_EC_gen("P-256");
    AUTO(buffer) struct buffer           token  = { 0 };
    static const char                    PATH[] = "/kbs/v0/resource/default/image-key/1";
    char                                 nonce[64];
    struct err                           err;

    (void) state;
    begin(http, &one, nonce);
    assert_int_equal(ask(http, "GET", PATH, NULL, NULL, (struct bytes){ 0 }, &got), 401);
    assert_true(http_error_is(&got, "TokenNotFound"));
    assert_int_equal(ask(http, "GET", PATH, one.cookie, NULL, (struct bytes){ 0 }, &got), 401);
    assert_true(http_error_is(&got, "TokenNotFound"));
    assert_true(jwt_sign("", bytes_of_text("{\"exp\":4102444800}"), forger, &token, &err));
    assert_int_equal(ask(http, "GET", PATH, NULL, buffer_text(&token), (struct bytes){ 0 }, &got), 401);
    assert_true(http_error_is(&got, "TokenVerifierError"));
}

static void takes_no_path_tricks(void **state)
{
    static const char *const PATHS[] = { "/kbs/v0/resource/a%2Fb/c/d", "/kbs/v0/resource/a/b", "/kbs/v0/resource/a/b/c/d",
                                         "/kbs/v0/resource//b/c", "/kbs/v0/resource/a/b/c%00", "/kbs/v0/resource/.a/b/c" };
    AUTO(http) struct http              *http = http_new();
    AUTO(http_answer) struct http_answer got  = { 0 };

    (void) state;
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        assert_int_equal(ask(http, "GET", PATHS[i], NULL, NULL, (struct bytes){ 0 }, &got), 404);
        assert_true(http_error_is(&got, "InvalidRequestPath"));
    }
    assert_int_equal(ask(http, "GET", "/kbs/v0/nonesuch/a", NULL, NULL, (struct bytes){ 0 }, &got), 404);
    assert_true(http_error_is(&got, "PluginNotFound"));
    assert_int_equal(ask(http, "GET", "/kbs/v0/auth", NULL, NULL, (struct bytes){ 0 }, &got), 405);
}

static void refuses_a_body_over_the_limit_and_garbage(void **state)
{
    AUTO(http) struct http              *http = http_new();
    AUTO(http_answer) struct http_answer got  = { 0 };
    AUTO(buffer) struct buffer           large = { 0 };

    (void) state;
    (void) buffer_grow(&large, KBS_BODY_MAX + 1);
    assert_int_equal(ask(http, "POST", "/kbs/v0/auth", NULL, NULL, buffer_bytes(&large), &got), 413);
    assert_int_equal(ask(http, "POST", "/kbs/v0/auth", NULL, NULL, bytes_of_text("{\"version\":"), &got), 401);
    assert_detail(&got, "RCAR handshake Auth failed: JSON");
    assert_int_equal(ask(http, "POST", "/kbs/v0/auth", NULL, NULL,
                         bytes_of_text("{\"version\":\"0.1.0\",\"tee\":\"snp\",\"extra-params\":\"\"}"), &got),
                     401);
    assert_detail(&got, "KBS Client Protocol Version Mismatch: expect =0.4.0 while the request is 0.1.0");
    assert_int_equal(ask(http, "POST", "/kbs/v0/auth", NULL, NULL,
                         bytes_of_text("{\"version\":\"0.4.0\",\"tee\":\"abacus\",\"extra-params\":\"\"}"), &got),
                     401);
    assert_detail(&got, " is not a name that the protocol knows");
}

/* ---- the connection ---- */

static void refuses_a_broker_under_another_ca(void **state)
{
    AUTO(buffer) struct buffer pem   = { 0 };
    struct test_guest          guest = test_guest_good(&broker);
    char                       path[PATH_MAX];
    struct err                 err;

    (void) state;
    test_broker_path(&broker, "token.pem", path); /* a certificate, but not the one that signed the server's */
    assert_fine(file_read(path, 1 << 16, &pem, &err), &err);
    struct kbs_options                  options = { .url = broker.url, .ca_pem = buffer_bytes(&pem) };
    AUTO(kbs_client) struct kbs_client *client  = client_of(&options);

    assert_false(attest_as(client, &guest, NULL, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
}

static void says_that_the_broker_is_down(void **state)
{
    struct kbs_options                  options = { .url = "https://127.0.0.1:1", .ca_pem = buffer_bytes(&broker.ca) };
    AUTO(kbs_client) struct kbs_client *client  = client_of(&options);
    struct test_guest                   guest   = test_guest_good(&broker);
    struct err                          err;

    (void) state;
    assert_false(attest_as(client, &guest, NULL, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_non_null(strstr(err.text, "broker https://127.0.0.1:1: "));
}

/* ---- administration ---- */

static void reads_back_lists_and_removes_keys(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    AUTO(secret) struct secret              got   = { 0 };
    AUTO(json) struct json_object          *list  = NULL;
    struct err                              err;

    (void) state;
    assert_fine(admin_resource_get(admin, URI, &got, &err), &err);
    assert_true(secret_equal(&got, &key));
    assert_fine(admin_resource_put(admin, "kbs:///a/b/gone", &key, &err), &err);
    assert_fine(admin_resources(admin, &list, &err), &err);
    assert_int_equal(json_object_array_length(list), 3);
    assert_fine(admin_resource_remove(admin, "kbs:///a/b/gone", &err), &err);
    assert_false(admin_resource_remove(admin, "kbs:///a/b/gone", &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void lets_no_one_else_administer(void **state)
{
    static const struct { const char *payload; const char *why; } TOKENS[] = {
        { "{\"role\":\"admin\",\"iat\":1,\"exp\":4102444800}", "lives longer than 7200 s" },
        { "{\"role\":\"admin\",\"iat\":1,\"exp\":2}", "expired" },
        { "{\"role\":\"admin\",\"iat\":1}", "\"exp\" is missing" },
    };
    AUTO(http) struct http              *http = http_new();
    AUTO(http_answer) struct http_answer got  = { 0 };
    AUTO(buffer) struct buffer           pem  = { 0 };
    AUTO(pkey) EVP_PKEY                 *admin_key = NULL;
    AUTO(pkey) EVP_PKEY                 *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    AUTO(buffer) struct buffer           forged = { 0 };
    char                                 path[PATH_MAX], payload[128];
    struct err                           err;

    (void) state;
    test_broker_path(&broker, "admin.key", path);
    assert_fine(file_read(path, 1 << 16, &pem, &err), &err);
    AUTO(bio) BIO *bio = BIO_new_mem_buf(pem.at, (int) pem.len);
    admin_key          = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof TOKENS / sizeof *TOKENS; i++) {
        AUTO(buffer) struct buffer token = { 0 };

        assert_true(jwt_sign("", bytes_of_text(TOKENS[i].payload), admin_key, &token, &err));
        assert_int_equal(ask(http, "GET", ADMIN_RESOURCES, NULL, buffer_text(&token), (struct bytes){ 0 }, &got), 401);
        assert_true(http_error_is(&got, "AdminAuthAccess"));
        assert_detail(&got, TOKENS[i].why);
    }
    (void) snprintf(payload, sizeof payload, "{\"role\":\"admin\",\"iat\":%lld,\"exp\":%lld}", (long long) time(NULL),
                    (long long) time(NULL) + 60);
    assert_true(jwt_sign("", bytes_of_text(payload), other, &forged, &err));
    assert_int_equal(ask(http, "GET", ADMIN_RESOURCES, NULL, buffer_text(&forged), (struct bytes){ 0 }, &got), 401);
    assert_int_equal(ask(http, "POST", "/kbs/v0/resource/a/b/c", NULL, NULL, bytes_of_text("x"), &got), 401);
    assert_int_equal(ask(http, "DELETE", "/kbs/v0/resource/default/image-key/1", NULL, NULL, (struct bytes){ 0 }, &got), 401);
    assert_int_equal(ask(http, "POST", ADMIN_REFERENCES, NULL, NULL, bytes_of_text("{}"), &got), 401);
}

static void forgets_a_reference_at_once(void **state)
{
    AUTO(admin_client) struct admin_client *admin  = test_admin(&broker);
    AUTO(kbs_client) struct kbs_client     *client = client_new();
    AUTO(secret) struct secret              got    = { 0 };
    struct test_guest                       guest  = test_guest_good(&broker);
    uint64_t                                id;
    struct err                              err;

    (void) state;
    id = register_value(admin, "initdata", guest.host_data, 32, OTHER);
    assert_fine(attest_as(client, &guest, NULL, &err), &err);
    assert_fine(kbs_resource_get(client, OTHER, &got, &err), &err);
    secret_free(&got);
    assert_fine(admin_reference_remove(admin, id, &err), &err);
    assert_false(kbs_resource_get(client, OTHER, &got, &err)); /* with the token it still holds */
    assert_int_equal(err.kind, ERR_DENIED);
}

static bool log_says(struct admin_client *admin, const char *const *parts, size_t n_parts)
{
    uint64_t from = 0;

    for (;;) {
        AUTO(json) struct json_object *entries = NULL;
        size_t                         n;
        struct err                     err;

        assert_fine(admin_audit_entries(admin, from, &entries, &err), &err);
        n = json_object_array_length(entries);
        for (size_t i = 0; i < n; i++) {
            const char *text  = json_object_get_string(json_object_array_get_idx(entries, i));
            bool        holds = true;

            for (size_t p = 0; p < n_parts; p++)
                holds = holds && strstr(text, parts[p]);
            if (holds)
                return true;
        }
        if (n == 0)
            return false;
        from += n;
    }
}

#define SAYS(...) log_says(admin, (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void logs_each_decision_in_a_tree_that_only_grows(void **state)
{
    AUTO(admin_client) struct admin_client *admin  = test_admin(&broker);
    AUTO(kbs_client) struct kbs_client     *client = client_new();
    AUTO(secret) struct secret              got    = { 0 };
    struct test_guest                       guest  = test_guest_good(&broker);
    struct audit_head                       before, after;
    struct merkle_proof                     proof;
    AUTO(json) struct json_object          *entries = NULL;
    struct merkle_hash                      leaf;
    struct err                              err;

    (void) state;
    assert_fine(admin_audit_head(admin, &before, &err), &err);
    assert_fine(attest_as(client, &guest, NULL, &err) && kbs_resource_get(client, URI, &got, &err), &err);
    assert_false(kbs_resource_get(client, OTHER, &got, &err));
    assert_fine(admin_audit_head(admin, &after, &err), &err);
    assert_int_equal(after.size, before.size + 3);
    assert_true(SAYS("\"event\":\"release\",\"verdict\":\"released\"", "\"resource\":\"default/image-key/1\"", "\"evidence\":\""));
    assert_true(SAYS("\"event\":\"release\",\"verdict\":\"denied\"", "\"resource\":\"default/image-key/2\"", "initdata digest"));
    assert_true(SAYS("\"event\":\"admin\"", "\"action\":\"put\"", "default/image-key/1"));
    assert_true(SAYS("\"event\":\"attest\",\"verdict\":\"refused\""));

    assert_fine(admin_audit_inclusion(admin, before.size + 1, after.size, &proof, &err), &err);
    assert_fine(admin_audit_entries(admin, before.size + 1, &entries, &err), &err);
    leaf = merkle_leaf(bytes_of_text(json_object_get_string(json_object_array_get_idx(entries, 0))));
    assert_true(merkle_check_inclusion(&leaf, before.size + 1, after.size, &proof, &after.root));
}

static void gives_a_counted_key_so_often_and_no_more(void **state)
{
    static const char                       COUNTED[] = "kbs:///counted/key/1";
    AUTO(admin_client) struct admin_client *admin  = test_admin(&broker);
    AUTO(kbs_client) struct kbs_client     *client = client_new();
    struct test_guest                       guest  = test_guest_good(&broker);
    AUTO(secret) struct secret              none   = { 0 };
    struct err                              err;

    (void) state;
    assert_fine(admin_resource_put_counted(admin, COUNTED, &key, 2, &err), &err);
    (void) register_value(admin, "initdata", guest.host_data, 32, COUNTED);
    assert_fine(attest_as(client, &guest, NULL, &err), &err);
    for (int i = 0; i < 2; i++) {
        AUTO(secret) struct secret got = { 0 };

        assert_fine(kbs_resource_get(client, COUNTED, &got, &err), &err);
        assert_true(secret_equal(&got, &key));
    }
    assert_int_equal(test_broker_stop(&broker, SIGKILL), 128 + SIGKILL);
    test_broker_start(&broker);
    AUTO(kbs_client) struct kbs_client *again = client_new();
    assert_fine(attest_as(again, &guest, NULL, &err), &err);
    assert_false(kbs_resource_get(again, COUNTED, &none, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "counted/key/1 was released as often as it may be");
}

static void holds_the_log_across_kill_9(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    struct audit_head                       before, after;
    struct err                              err;

    (void) state;
    assert_fine(admin_audit_head(admin, &before, &err), &err);
    assert_int_equal(test_broker_stop(&broker, SIGKILL), 128 + SIGKILL);
    test_broker_start(&broker);
    AUTO(admin_client) struct admin_client *again = test_admin(&broker);
    assert_fine(admin_audit_head(again, &after, &err), &err);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(&after.root, &before.root, sizeof after.root);
}

static void keeps_a_volumes_epoch_for_whoever_may_have_its_key(void **state)
{
    AUTO(kbs_client) struct kbs_client *client = client_new(), *other_client = client_new();
    struct test_guest                   guest = test_guest_good(&broker), other = guest;
    uint64_t                            epoch = 7;
    struct err                          err;

    (void) state;
    assert_false(kbs_epoch_get(client, URI, &epoch, &err)); /* not attested */
    assert_int_equal(err.kind, ERR_DENIED);
    assert_fine(attest_as(client, &guest, NULL, &err) && kbs_epoch_get(client, URI, &epoch, &err), &err);
    assert_int_equal(epoch, 0);
    assert_fine(kbs_epoch_advance(client, URI, 1, &err) && kbs_epoch_advance(client, URI, 5, &err), &err);
    assert_false(kbs_epoch_advance(client, URI, 5, &err)); /* a second guest that opened the same state */
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "epoch 5 of default/image-key/1 is not beyond 5, which is known");
    assert_fine(kbs_epoch_get(client, URI, &epoch, &err), &err);
    assert_int_equal(epoch, 5);
    assert_false(kbs_epoch_get(client, OTHER, &epoch, &err)); /* a key that this guest does not get */
    assert_int_equal(err.kind, ERR_DENIED);
    other.host_data[0] ^= 1;
    assert_fine(attest_as(other_client, &other, NULL, &err), &err);
    assert_false(kbs_epoch_advance(other_client, URI, 9, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_fine(kbs_epoch_get(client, URI, &epoch, &err), &err);
    assert_int_equal(epoch, 5);
}

static void ends_cleanly_on_sigterm(void **state)
{
    (void) state;
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    test_broker_start(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(releases_the_key_to_the_registered_guest),
        cmocka_unit_test(speaks_through_a_socket_that_the_caller_connects),
        cmocka_unit_test(says_why_the_callers_socket_failed),
        cmocka_unit_test(takes_initdata_whose_digest_is_in_the_report),
        cmocka_unit_test(refuses_a_measurement_that_is_not_registered),
        cmocka_unit_test(refuses_initdata_that_is_not_expected),
        cmocka_unit_test(refuses_a_resource_that_the_reference_is_not_bound_to),
        cmocka_unit_test(answers_404_for_a_key_that_is_not_there),
        cmocka_unit_test(refuses_a_tampered_signature),
        cmocka_unit_test(refuses_report_data_of_another_key),
        cmocka_unit_test(refuses_a_guest_that_allows_debugging),
        cmocka_unit_test(refuses_another_development_root),
        cmocka_unit_test(refuses_a_nonce_of_another_session_and_a_replay_of_evidence),
        cmocka_unit_test(keeps_a_session_spent_across_kill_9),
        cmocka_unit_test(gives_nothing_without_a_token_of_its_own),
        cmocka_unit_test(takes_no_path_tricks),
        cmocka_unit_test(refuses_a_body_over_the_limit_and_garbage),
        cmocka_unit_test(refuses_a_broker_under_another_ca),
        cmocka_unit_test(says_that_the_broker_is_down),
        cmocka_unit_test(reads_back_lists_and_removes_keys),
        cmocka_unit_test(lets_no_one_else_administer),
        cmocka_unit_test(forgets_a_reference_at_once),
        cmocka_unit_test(logs_each_decision_in_a_tree_that_only_grows),
        cmocka_unit_test(gives_a_counted_key_so_often_and_no_more),
        cmocka_unit_test(holds_the_log_across_kill_9),
        cmocka_unit_test(keeps_a_volumes_epoch_for_whoever_may_have_its_key),
        cmocka_unit_test(ends_cleanly_on_sigterm),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
