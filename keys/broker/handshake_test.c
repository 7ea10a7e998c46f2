/* A real broker, a real client: what a guest gets, and every way in which it gets nothing. */
#include "tests/harness/registered_guest.h"

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
    };

    return cmocka_run_group_tests(tests, registered_make, registered_clean);
}
