/* Three brokers on one PostgreSQL: a guest may meet another one at every step, and nothing is given twice. */
#include <sys/wait.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/client/http.h"
#include "keys/jose/jwe.h"
#include "tests/harness/broker.h"
#include "tests/harness/postgres.h"

#define URI  "kbs:///default/key/1"
#define PATH "/kbs/v0/resource/default/key/1"

enum { N_BROKERS = 3 };

static struct test_postgres server;
static struct test_broker   brokers[N_BROKERS];
static struct secret        key;

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
    AUTO(buffer) struct buffer more = { 0 };
    struct test_guest          good;
    struct err                 err;

    (void) state;
    test_broker_make(&brokers[0]); /* makes the keys that all of them share */
    assert_int_equal(test_broker_stop(&brokers[0], SIGTERM), 0);
    buffer_append_text(&more, "store = ");
    toml_append_text(&more, server.url);
    buffer_append_text(&more, "\n");
    test_broker_configure(&brokers[0], "broker.toml", buffer_text(&more));
    brokers[0].config = "broker.toml";
    for (int i = 1; i < N_BROKERS; i++)
        brokers[i] = (struct test_broker){ .folder = brokers[0].folder, .ca = brokers[0].ca, .config = "broker.toml",
                                           .process = NO_PROCESS };
    for (int i = 0; i < N_BROKERS; i++)
        test_broker_start(&brokers[i]);
    good = test_guest_good(&brokers[0]);

    AUTO(admin_client) struct admin_client *admin = test_admin(&brokers[2]);

    assert_fine(secret_random(32, &key, &err) && admin_resource_put(admin, URI, &key, &err), &err);
    value_register(admin, "measurement", good.measurement, 48);
    value_register(admin, "initdata", good.host_data, 32);
    return 0;
}

static int clean(void **state)
{
    (void) state;
    secret_free(&key);
    for (int i = 1; i < N_BROKERS; i++)
        process_kill(&brokers[i].process);
    test_broker_free(&brokers[0]);
    return 0;
}

/* ---- one guest, by hand ---- */

struct session {
    EVP_PKEY     *tee_key;
    struct jwk    jwk;
    char          cookie[HTTP_COOKIE_MAX], nonce[64];
    struct buffer attestation;
};

static void auto_session(struct session *s)
{
    EVP_PKEY_free(s->tee_key);
    jwk_free(&s->jwk);
    buffer_free(&s->attestation);
}

static long ask(const struct test_broker *broker, const char *method, const char *path, const char *cookie,
                struct bytes body, struct http_answer *answer)
{
    struct http_options    options = { .url = broker->url, .ca_pem = buffer_bytes(&broker->ca) };
    struct http_request    r       = { .method = method, .path = path, .cookie = cookie, .body = body };
    AUTO(http) struct http *http   = NULL;
    struct err             err;

    assert_fine(http_open(&options, &http, &err) && http_exchange(http, &r, KBS_COOKIE, answer, &err), &err);
    return answer->status;
}

static void challenge(const struct test_broker *broker, struct session *s)
{
    AUTO(http_answer) struct http_answer answer   = { 0 };
    AUTO(buffer) struct buffer           body     = { 0 };
    AUTO(buffer) struct buffer           evidence = { 0 };
    AUTO(json) struct json_object       *read     = NULL;
    struct test_guest                    guest    = test_guest_good(&brokers[0]);
    uint8_t                              report_data[KBS_REPORT_DATA_LEN];
    const char                          *nonce;
    struct err                           err;

    rcar_request_write("snp", &body);
    assert_int_equal(ask(broker, "POST", "/kbs/v0/auth", NULL, buffer_bytes(&body), &answer), 200);
    assert_fine(json_read(buffer_bytes(&answer.body), answer.body.len, &read, &err) &&
                    json_get_text(read, "nonce", &nonce, &err), &err);
    (void) snprintf(s->nonce, sizeof s->nonce, "%s", nonce);           /* 44 characters */
    (void) snprintf(s->cookie, sizeof s->cookie, "%s", answer.cookie); /* the same size */
    assert_fine(jwk_generate_p256(&s->tee_key, &err) && jwk_of_key(s->tee_key, "ECDH-ES+A256KW", &s->jwk, &err), &err);
    assert_fine(rcar_report_data("", nonce, &s->jwk, report_data, &err) && test_evidence(&guest, report_data, &evidence, &err),
                &err);
    rcar_attestation_write((struct bytes){ 0 }, nonce, &s->jwk, buffer_bytes(&evidence), &s->attestation);
}

static void any_replica_continues_a_handshake(void **state)
{
    (void) state;
    for (int i = 0; i < N_BROKERS * N_BROKERS; i++) {
        const struct test_broker            *second = &brokers[i % N_BROKERS], *third = &brokers[i / N_BROKERS];
        AUTO(session) struct session         s      = { 0 };
        AUTO(http_answer) struct http_answer answer = { 0 };
        AUTO(secret) struct secret           got    = { 0 };
        struct err                           err;

        challenge(&brokers[0], &s);
        assert_int_equal(ask(second, "POST", "/kbs/v0/attest", s.cookie, buffer_bytes(&s.attestation), &answer), 200);
        assert_int_equal(ask(third, "GET", PATH, s.cookie, (struct bytes){ 0 }, &answer), 200);
        assert_fine(jwe_open(buffer_bytes(&answer.body), KBS_ANSWER_MAX, s.tee_key, &got, &err), &err);
        assert_true(secret_equal(&got, &key));
    }
}

static void a_nonce_that_one_took_no_other_takes_for_other_evidence(void **state)
{
    AUTO(session) struct session         s      = { 0 };
    AUTO(http_answer) struct http_answer first  = { 0 };
    AUTO(http_answer) struct http_answer answer = { 0 };

    (void) state;
    challenge(&brokers[1], &s);
    assert_int_equal(ask(&brokers[0], "POST", "/kbs/v0/attest", s.cookie, buffer_bytes(&s.attestation), &first), 200);
    for (int i = 0; i < N_BROKERS; i++) {
        assert_int_equal(ask(&brokers[i], "POST", "/kbs/v0/attest", s.cookie, buffer_bytes(&s.attestation), &answer), 200);
        assert_true(bytes_equal(buffer_bytes(&first.body), buffer_bytes(&answer.body))); /* the stored token, nothing new */
    }
}

/* ---- at the same time ---- */

/* Tries to get the one-shot key from `broker`; exit code 0 when it was given, 1 when it was denied. */
static _Noreturn void one_shot_try(const struct test_broker *broker)
{
    struct test_guest   guest    = test_guest_good(&brokers[0]);
    struct kbs_attester attester = { .tee = "snp", .evidence = test_evidence, .owner = &guest };
    struct kbs_options  options  = { .url = broker->url, .ca_pem = buffer_bytes(&broker->ca) };
    struct kbs_client  *client   = NULL;
    struct secret       got      = { 0 };
    struct err          err;

    if (!kbs_client_new(&options, &client, &err) || !kbs_attest(client, &attester, NULL, &err))
        _exit(2);
    if (kbs_resource_get(client, "kbs:///one/shot/1", &got, &err))
        _exit(0);
    _exit(err.kind == ERR_DENIED ? 1 : 2);
}

static void a_one_shot_key_is_given_once_to_nine_who_ask_at_once(void **state)
{
    enum { N = 9 };
    AUTO(admin_client) struct admin_client *admin = test_admin(&brokers[0]);
    int                                     codes[3] = { 0 };
    pid_t                                   children[N];
    struct err                              err;

    (void) state;
    assert_fine(admin_resource_put_counted(admin, "kbs:///one/shot/1", &key, 1, &err), &err);
    for (int i = 0; i < N; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            one_shot_try(&brokers[i % N_BROKERS]);
    }
    for (int i = 0; i < N; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 3);
        codes[WEXITSTATUS(status)]++;
    }
    assert_int_equal(codes[0], 1);
    assert_int_equal(codes[1], N - 1);
}

static void all_show_one_log_that_only_grows(void **state)
{
    struct audit_head last = { 0 };

    (void) state;
    for (int i = 0; i < N_BROKERS * 2; i++) {
        AUTO(admin_client) struct admin_client *admin = test_admin(&brokers[i % N_BROKERS]);
        struct audit_head                       head;
        struct err                              err;

        assert_fine(admin_resource_put(admin, "kbs:///log/grows/1", &key, &err), &err);
        assert_fine(admin_audit_head(admin, &head, &err), &err);
        assert_true(i == 0 || head.size == last.size + 1);
        last = head;
    }
}

static void the_others_serve_when_one_dies_and_all_when_the_server_restarts(void **state)
{
    AUTO(session) struct session         s      = { 0 };
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(http_answer) struct http_answer down   = { 0 };

    (void) state;
    challenge(&brokers[1], &s);
    assert_int_equal(test_broker_stop(&brokers[1], SIGKILL), 128 + SIGKILL);
    assert_int_equal(ask(&brokers[0], "POST", "/kbs/v0/attest", s.cookie, buffer_bytes(&s.attestation), &answer), 200);
    test_postgres_crash(&server);
    assert_int_equal(ask(&brokers[2], "GET", PATH, s.cookie, (struct bytes){ 0 }, &down), 500); /* nothing, and no crash */
    test_postgres_start(&server);
    assert_int_equal(ask(&brokers[2], "GET", PATH, s.cookie, (struct bytes){ 0 }, &answer), 200);
    test_broker_start(&brokers[1]);
    assert_int_equal(ask(&brokers[1], "GET", PATH, s.cookie, (struct bytes){ 0 }, &answer), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_replica_continues_a_handshake),
        cmocka_unit_test(a_nonce_that_one_took_no_other_takes_for_other_evidence),
        cmocka_unit_test(a_one_shot_key_is_given_once_to_nine_who_ask_at_once),
        cmocka_unit_test(all_show_one_log_that_only_grows),
        cmocka_unit_test(the_others_serve_when_one_dies_and_all_when_the_server_restarts),
    };
    int failed;

    if (!test_postgres_make(&server)) {
        printf("PostgreSQL is not installed: apt-get install postgresql-15\n");
        return 77;
    }
    failed = cmocka_run_group_tests(tests, make, clean);
    test_postgres_free(&server);
    return failed;
}
