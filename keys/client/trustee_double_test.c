/*
 * Our guest's client against what a Trustee answers, bit by bit as [KBS 4-10] has it: a double of that peer, which cannot be
 * run here. It checks every byte that the client sends.
 */
#include "tests/harness/certificate.h"

#include <microhttpd.h>
#include <stdio.h>

#include "base/text.h"
#include "keys/api/rcar.h"
#include "keys/client/kbs.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"

#define NONCE   "RW5GqkLjAtxrsB9ZOmyQFn+9YaMTaMqxkl3iomnKzNg="
#define SESSION "8c1c2f7e9a5f4c7d9c1b4b5f0a3d2e11"
#define COOKIE  "kbs-session-id=" SESSION
#define ERRORS  "{\"type\":\"https://github.com/confidential-containers/kbs/errors/"

/* What the double does, and what it saw. */
struct trustee {
    struct MHD_Daemon *daemon;
    char               url[64];
    struct buffer      ca, key_pem; /* PEM */
    EVP_PKEY          *token_key;
    struct jwk         guest; /* the key that was attested last */
    const char        *auth_error; /* answer POST auth with this document */
    const char        *extra;      /* of the challenge */
    int                n_attested, n_asked; /* resources */
    bool               is_session_lost;     /* at the next GET, once */
    bool               is_path_odd, is_body_odd, is_cookie_odd;
};

struct body { struct buffer text; };

static enum MHD_Result answer(struct MHD_Connection *to, unsigned status, const char *type, const char *cookie, const char *text)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *) (uintptr_t) text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      sent;

    if ((type && MHD_add_response_header(r, "Content-Type", type) != MHD_YES) ||
        (cookie && MHD_add_response_header(r, "Set-Cookie", cookie) != MHD_YES))
        abort();
    sent = MHD_queue_response(to, status, r);
    MHD_destroy_response(r);
    return sent;
}

static enum MHD_Result auth(struct trustee *t, struct MHD_Connection *to, struct buffer *body)
{
    static const char WANTED[] = "{\"version\":\"0.4.0\",\"tee\":\"snp\",\"extra-params\":{\"supported-hash-algorithms\":[\"sha384\"]}}";
    AUTO(buffer) struct buffer text = { 0 };

    t->is_body_odd = t->is_body_odd || strcmp(buffer_text(body), WANTED) != 0;
    if (t->auth_error)
        return answer(to, 401, NULL, NULL, t->auth_error);
    buffer_printf(&text, "{\"nonce\":\"" NONCE "\",\"extra-params\":%s}", t->extra);
    return answer(to, 200, "application/json", COOKIE "; Expires=Thu, 01 Jan 2026 00:05:00 GMT", buffer_text(&text));
}

/* The key out of the body, and the whole body made again from it: the client must have sent exactly that. */
static bool attestation_read(struct trustee *t, struct buffer *body)
{
    AUTO(json) struct json_object *whole    = NULL;
    AUTO(buffer) struct buffer     wanted   = { 0 };
    struct json_object            *runtime, *key;
    uint8_t                        digest[RCAR_DIGEST_LEN];
    struct err                     err;

    jwk_free(&t->guest);
    t->guest = (struct jwk){ 0 };
    if (!json_read(buffer_bytes(body), 1 << 20, &whole, &err) || !json_get(whole, "runtime-data", json_type_object, &runtime, &err) ||
        !json_get(runtime, "tee-pubkey", json_type_object, &key, &err) || !jwk_read(key, &t->guest, &err) ||
        !rcar_report_data("", NONCE, &t->guest, digest, &err))
        return false;
    buffer_append_text(&wanted, "{\"init-data\":{\"format\":\"toml\",\"body\":\"version = \\\"0.1.0\\\"\\n\"},\"runtime-data\":{\"nonce\":\"" NONCE
                                "\",\"tee-pubkey\":");
    buffer_append(&wanted, buffer_bytes(&t->guest.canonical));
    buffer_append_text(&wanted, "},\"tee-evidence\":{\"primary_evidence\":{\"report\":\"");
    hex_append(&wanted, BYTES_OF(digest));
    buffer_append_text(&wanted, "\"},\"additional_evidence\":\"\"}}");
    return strcmp(buffer_text(&wanted), buffer_text(body)) == 0;
}

static enum MHD_Result attest(struct trustee *t, struct MHD_Connection *to, struct buffer *body)
{
    static const char PAYLOAD[] = "{\"eat_profile\":\"tag:github.com,2024:confidential-containers/Trustee\",\"iat\":1760426134,"
                                  "\"submods\":{\"cpu0\":{\"ear.status\":\"affirming\"}},\"exp\":1760426434,\"iss\":\"CoCo-Attestation-Service\"}";
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    t->n_attested++;
    t->is_body_odd = t->is_body_odd || !attestation_read(t, body);
    buffer_append_text(&text, "{\"token\":\"");
    if (!jwt_sign("", bytes_of_text(PAYLOAD), t->token_key, &text, &err))
        abort();
    buffer_append_text(&text, "\"}");
    return answer(to, 200, "application/json", COOKIE "; Expires=Thu, 01 Jan 2026 00:05:00 GMT", buffer_text(&text));
}

static enum MHD_Result resource(struct trustee *t, struct MHD_Connection *to, const char *path)
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(secret) struct secret value = { 0 };
    struct err                 err;

    t->n_asked++;
    if (t->is_session_lost) {
        t->is_session_lost = false;
        return answer(to, 401, NULL, NULL, ERRORS "TokenNotFound\",\"detail\":\"Attestation Token not found\"}");
    }
    if (strcmp(path, "/kbs/v0/resource/a/b/missing") == 0)
        return answer(to, 401, NULL, NULL, ERRORS "PluginInternalError\",\"detail\":\"Plugin internal error\"}");
    if (strcmp(path, "/kbs/v0/resource/a/b/denied") == 0)
        return answer(to, 401, NULL, NULL, ERRORS "PolicyDeny\",\"detail\":\"Access denied by policy\"}");
    t->is_path_odd = t->is_path_odd || strcmp(path, "/kbs/v0/resource/a/b/c") != 0;
    if (!secret_copy(bytes_of_text("the secret"), &value, &err) || !jwe_seal(&t->guest, &value, &text, &err))
        abort();
    return answer(to, 200, "application/json", NULL, buffer_text(&text));
}

static enum MHD_Result asked(void *owner, struct MHD_Connection *from, const char *path, const char *method, const char *version,
                             const char *upload, size_t *len, void **state)
{
    struct trustee *t    = owner;
    struct body    *body = *state;
    const char     *cookie;

    (void) version;
    if (!body) {
        *state = calloc(1, sizeof *body);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*len > 0) {
        buffer_append(&body->text, (struct bytes){ (const uint8_t *) upload, *len });
        *len = 0;
        return MHD_YES;
    }
    if (strcmp(method, "POST") == 0 && strcmp(path, "/kbs/v0/auth") == 0)
        return auth(t, from, &body->text);
    cookie           = MHD_lookup_connection_value(from, MHD_COOKIE_KIND, "kbs-session-id");
    t->is_cookie_odd = t->is_cookie_odd || !cookie || strcmp(cookie, SESSION) != 0;
    if (strcmp(method, "POST") == 0 && strcmp(path, "/kbs/v0/attest") == 0)
        return attest(t, from, &body->text);
    if (strcmp(method, "GET") == 0)
        return resource(t, from, path);
    t->is_path_odd = true;
    return answer(from, 404, NULL, NULL, ERRORS "InvalidRequestPath\",\"detail\":\"\"}");
}

static void ended(void *owner, struct MHD_Connection *from, void **state, enum MHD_RequestTerminationCode code)
{
    (void) owner;
    (void) from;
    (void) code;
    if (*state)
        buffer_free(&((struct body *) *state)->text);
    free(*state);
}

static void trustee_start(struct trustee *t)
{
    struct err err;

    *t = (struct trustee){ .extra = "\"\"", .token_key = EVP_EC_gen("P-256") };
    assert_true(secret_heap_open(&err));
    test_certificate_make(&t->ca, &t->key_pem);
    t->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS, 0, NULL, NULL, asked, t,
                                 MHD_OPTION_HTTPS_MEM_CERT, buffer_text(&t->ca), MHD_OPTION_HTTPS_MEM_KEY, buffer_text(&t->key_pem),
                                 MHD_OPTION_NOTIFY_COMPLETED, ended, t, MHD_OPTION_END);
    assert_non_null(t->daemon);
    (void) snprintf(t->url, sizeof t->url, "https://127.0.0.1:%u",
                    (unsigned) MHD_get_daemon_info(t->daemon, MHD_DAEMON_INFO_BIND_PORT)->port); /* fits */
}

static void auto_trustee(struct trustee *t)
{
    if (t->daemon)
        MHD_stop_daemon(t->daemon);
    buffer_free(&t->ca);
    buffer_free(&t->key_pem);
    EVP_PKEY_free(t->token_key);
    jwk_free(&t->guest);
}

static bool evidence(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json, struct err *err)
{
    (void) owner;
    (void) err;
    buffer_append_text(json, "{\"report\":\"");
    hex_append(json, (struct bytes){ report_data, KBS_REPORT_DATA_LEN });
    buffer_append_text(json, "\"}");
    return true;
}

static bool attested(struct trustee *t, struct kbs_client **client, struct kbs_verdict *verdict, struct err *err)
{
    struct kbs_options  options  = { .url = t->url, .ca_pem = buffer_bytes(&t->ca), .timeout_ms = 60000 };
    struct kbs_attester attester = { .tee = "snp", .evidence = evidence, .initdata = bytes_of_text("version = \"0.1.0\"\n") };

    assert_true(kbs_client_new(&options, client, err));
    return kbs_attest(*client, &attester, verdict, err);
}

static void attests_and_fetches_and_every_byte_it_sends_is_the_protocols(void **state)
{
    AUTO(trustee) struct trustee        t;
    AUTO(kbs_client) struct kbs_client *client  = NULL;
    AUTO(secret) struct secret          got     = { 0 };
    struct kbs_verdict                  verdict = { 0 };
    struct err                          err;

    (void) state;
    trustee_start(&t);
    if (!attested(&t, &client, &verdict, &err) || !kbs_resource_get(client, "kbs:///a/b/c", &got, &err))
        fail_msg("%s", err.text);
    assert_true(bytes_equal(secret_expose(&got), bytes_of_text("the secret")));
    assert_string_equal(verdict.status, "affirming");
    assert_false(t.is_body_odd || t.is_path_odd || t.is_cookie_odd);
    assert_int_equal(t.n_attested, 1);
}

static void attests_again_once_when_the_session_is_lost(void **state)
{
    AUTO(trustee) struct trustee        t;
    AUTO(kbs_client) struct kbs_client *client = NULL;
    AUTO(secret) struct secret          got    = { 0 };
    struct err                          err;

    (void) state;
    trustee_start(&t);
    assert_true(attested(&t, &client, NULL, &err));
    t.is_session_lost = true;
    assert_true(kbs_resource_get(client, "kbs:///a/b/c", &got, &err));
    assert_int_equal(t.n_attested, 2);
    assert_int_equal(t.n_asked, 2);
    assert_false(t.is_body_odd || t.is_cookie_odd);
}

static void clients_that_share_a_session_attest_once_for_all(void **state)
{
    AUTO(trustee) struct trustee        t;
    AUTO(kbs_client) struct kbs_client *first = NULL, *second = NULL;
    AUTO(secret) struct secret          one = { 0 }, two = { 0 }, three = { 0 };
    struct err                          err;

    (void) state;
    trustee_start(&t);
    assert_true(attested(&t, &first, NULL, &err));
    struct kbs_options options = { .url = t.url, .ca_pem = buffer_bytes(&t.ca), .timeout_ms = 60000 };
    assert_true(kbs_client_share(first, &options, &second, &err));
    assert_true(kbs_resource_get(second, "kbs:///a/b/c", &one, &err) && kbs_resource_get(first, "kbs:///a/b/c", &two, &err));
    assert_int_equal(t.n_attested, 1);
    kbs_client_free(TAKE(first)); /* the session stays with the other */
    t.is_session_lost = true;
    assert_true(kbs_resource_get(second, "kbs:///a/b/c", &three, &err));
    assert_int_equal(t.n_attested, 2);
    assert_true(bytes_equal(secret_expose(&three), bytes_of_text("the secret")));
    assert_false(t.is_body_odd || t.is_path_odd || t.is_cookie_odd);
}

static bool resumed(struct trustee *t, struct bytes session, struct kbs_client **client, struct err *err)
{
    struct kbs_options  options  = { .url = t->url, .ca_pem = buffer_bytes(&t->ca), .timeout_ms = 60000 };
    struct kbs_attester attester = { .tee = "snp", .evidence = evidence, .initdata = bytes_of_text("version = \"0.1.0\"\n") };

    return kbs_client_resume(&options, &attester, session, client, err);
}

static void a_session_goes_on_in_another_client(void **state)
{
    AUTO(trustee) struct trustee        t;
    AUTO(kbs_client) struct kbs_client *first = NULL, *second = NULL, *third = NULL;
    AUTO(secret) struct secret          one = { 0 }, two = { 0 };
    AUTO(buffer) struct buffer          session = { 0 }, again = { 0 };
    struct err                          err;

    (void) state;
    trustee_start(&t);
    assert_true(attested(&t, &first, NULL, &err) && kbs_session_write(first, &session, &err));
    kbs_client_free(TAKE(first));
    if (!resumed(&t, buffer_bytes(&session), &second, &err) || !kbs_resource_get(second, "kbs:///a/b/c", &one, &err))
        fail_msg("%s", err.text);
    assert_true(bytes_equal(secret_expose(&one), bytes_of_text("the secret")));
    assert_int_equal(t.n_attested, 1);
    assert_true(kbs_session_write(second, &again, &err));
    assert_true(bytes_equal(buffer_bytes(&session), buffer_bytes(&again)));
    t.is_session_lost = true; /* the one that goes on can attest, too */
    assert_true(kbs_resource_get(second, "kbs:///a/b/c", &two, &err));
    assert_int_equal(t.n_attested, 2);
    assert_false(t.is_body_odd || t.is_path_odd || t.is_cookie_odd);
    for (size_t len = 0; len < session.len; len++)
        assert_false(resumed(&t, (struct bytes){ session.at, len }, &third, &err));
    session.at[5] ^= 0xff; /* in the key */
    assert_false(resumed(&t, buffer_bytes(&session), &third, &err));
    assert_string_equal(err.text, "session: no key");
}

static void takes_no_as_no_and_does_not_attest_for_it(void **state)
{
    static const struct { const char *uri; enum err_kind kind; const char *text; } CASES[] = {
        { "kbs:///a/b/missing", ERR_NOT_FOUND, "the broker has no kbs:///a/b/missing, or cannot read it" },
        { "kbs:///a/b/denied", ERR_DENIED, "Access denied by policy" },
    };
    AUTO(trustee) struct trustee        t;
    AUTO(kbs_client) struct kbs_client *client = NULL;
    struct err                          err;

    (void) state;
    trustee_start(&t);
    assert_true(attested(&t, &client, NULL, &err));
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(secret) struct secret got = { 0 };

        assert_false(kbs_resource_get(client, CASES[i].uri, &got, &err));
        assert_int_equal(err.kind, CASES[i].kind);
        assert_string_equal(err.text, CASES[i].text);
    }
    assert_int_equal(t.n_attested, 1);
    assert_int_equal(t.n_asked, 2);
}

static void says_what_the_broker_says_of_its_version_and_hash(void **state)
{
    AUTO(trustee) struct trustee        t;
    AUTO(kbs_client) struct kbs_client *first = NULL, *second = NULL, *third = NULL;
    struct err                          err;

    (void) state;
    trustee_start(&t);
    t.auth_error = ERRORS "AttestationError\",\"detail\":\"RCAR handshake Auth failed: KBS Client Protocol Version Mismatch: expect "
                          "=0.5.0 while the request is 0.4.0\"}";
    assert_false(attested(&t, &first, NULL, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, "KBS Client Protocol Version Mismatch: expect =0.5.0"));
    t.auth_error = NULL;
    t.extra      = "{\"selected-hash-algorithm\":\"SHA384\"}";
    assert_true(attested(&t, &second, NULL, &err));
    t.extra = "{\"selected-hash-algorithm\":\"sm3\"}";
    assert_false(attested(&t, &third, NULL, &err));
    assert_string_equal(err.text, "challenge: the broker selects another hash than sha384");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attests_and_fetches_and_every_byte_it_sends_is_the_protocols),
        cmocka_unit_test(attests_again_once_when_the_session_is_lost),
        cmocka_unit_test(clients_that_share_a_session_attest_once_for_all),
        cmocka_unit_test(a_session_goes_on_in_another_client),
        cmocka_unit_test(takes_no_as_no_and_does_not_attest_for_it),
        cmocka_unit_test(says_what_the_broker_says_of_its_version_and_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
