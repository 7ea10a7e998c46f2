/*
 * Administration against a real broker: as Trustee's client does it, with roles and tenants on a listener of its own, and
 * with client certificates. What administrators set must be what guests then meet.
 */
#include <openssl/pem.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/initdata.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/client/http.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"
#include "tests/harness/broker.h"
#include "tests/harness/tpm_guest.h"

static struct test_broker broker;  /* --dev: one listener, one administrator */
static struct test_broker tenants; /* --config: administrators apart */

/* ---- talking to a broker ---- */

static struct http *http_at(const char *url)
{
    struct http_options options = { .url = url, .ca_pem = buffer_bytes(&broker.ca), .timeout_ms = 60000 };
    struct http        *http    = NULL;
    struct err          err;

    options.ca_pem = strcmp(url, broker.url) == 0 ? buffer_bytes(&broker.ca) : buffer_bytes(&tenants.ca);
    assert_fine(http_open(&options, &http, &err), &err);
    return http;
}

static long ask(struct http *http, const char *method, const char *path, const char *token, const char *body,
                struct http_answer *answer)
{
    struct http_request r = { .method = method, .path = path, .bearer = token, .content_type = "application/json",
                              .body = bytes_of_text(body ? body : "") };
    struct err          err;

    assert_fine(http_exchange(http, &r, KBS_COOKIE, answer, &err), &err);
    return answer->status;
}

static EVP_PKEY *key_of(const struct test_broker *b, const char *name)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(bio) BIO             *bio = NULL;
    char                       path[PATH_MAX];
    EVP_PKEY                  *key;
    struct err                 err;

    test_broker_path(b, name, path);
    assert_fine(file_read(path, 1 << 16, &pem, &err), &err);
    bio = BIO_new_mem_buf(pem.at, (int) pem.len);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(key);
    return key;
}

/* A token as kbs-client makes it: two hours, no role. */
static void kbs_client_token(struct buffer *token)
{
    AUTO(pkey) EVP_PKEY *key = key_of(&broker, "admin.key");
    char                 payload[128];
    long long            now = (long long) time(NULL);
    struct err           err;

    (void) snprintf(payload, sizeof payload, "{\"iat\":%lld,\"exp\":%lld,\"nbf\":%lld}", now, now + 7200, now);
    assert_fine(jwt_sign("", bytes_of_text(payload), key, token, &err), &err);
}

/* ---- a sample guest, as kbs-client attests ---- */

struct guest {
    struct http *http;
    EVP_PKEY    *key;
    struct jwk   jwk;
    char         cookie[HTTP_COOKIE_MAX];
    struct http_answer answer;
};

static void guest_free(struct guest *g)
{
    http_close(g->http);
    EVP_PKEY_free(g->key);
    jwk_free(&g->jwk);
    buffer_free(&g->answer.body);
}
static void auto_guest(struct guest *g) { guest_free(g); }

static void sample_evidence(struct guest *g, const char *nonce, struct buffer *body)
{
    AUTO(buffer) struct buffer evidence = { 0 };
    uint8_t                    digest[RCAR_DIGEST_LEN];
    struct err                 err;

    assert_fine(rcar_report_data("", nonce, &g->jwk, digest, &err), &err);
    buffer_append_text(&evidence, "{\"svn\":\"1\",\"report_data\":\"");
    base64_append(&evidence, BYTES_OF(digest), BASE64_STANDARD);
    buffer_append_text(&evidence, "\"}");
    rcar_attestation_write((struct bytes){ 0 }, nonce, &g->jwk, buffer_bytes(&evidence), body);
}

/* Attests at `url`; returns the status of POST attest. */
static long guest_attest(struct guest *g, const char *url)
{
    AUTO(json) struct json_object *challenge = NULL;
    AUTO(buffer) struct buffer     body      = { 0 };
    struct http_request            r = { .method = "POST", .path = KBS_PREFIX "/attest", .content_type = "application/json" };
    const char                    *nonce;
    struct err                     err;

    *g = (struct guest){ .http = http_at(url) };
    assert_fine(jwk_generate_p256(&g->key, &err) && jwk_of_key(g->key, "ECDH-ES+A256KW", &g->jwk, &err), &err);
    assert_int_equal(ask(g->http, "POST", KBS_PREFIX "/auth", NULL,
                         "{\"version\":\"0.4.0\",\"tee\":\"sample\",\"extra-params\":\"\"}", &g->answer), 200);
    assert_fine(json_read(buffer_bytes(&g->answer.body), KBS_ANSWER_MAX, &challenge, &err) &&
                    json_get_text(challenge, "nonce", &nonce, &err),
                &err);
    memcpy(g->cookie, g->answer.cookie, sizeof g->cookie);
    sample_evidence(g, nonce, &body);
    r.body   = buffer_bytes(&body);
    r.cookie = g->cookie;
    assert_fine(http_exchange(g->http, &r, NULL, &g->answer, &err), &err);
    return g->answer.status;
}

static long guest_get(struct guest *g, const char *path)
{
    struct http_request r = { .method = "GET", .path = path, .cookie = g->cookie };
    struct err          err;

    assert_fine(http_exchange(g->http, &r, NULL, &g->answer, &err), &err);
    return g->answer.status;
}

static void assert_opens(struct guest *g, const char *value)
{
    AUTO(secret) struct secret plain = { 0 };
    struct err                 err;

    assert_fine(jwe_open(buffer_bytes(&g->answer.body), KBS_ANSWER_MAX, g->key, &plain, &err), &err);
    assert_true(bytes_equal(secret_expose(&plain), bytes_of_text(value)));
}

/* The member of cpu0 in the token that was just given. */
static void token_member(struct guest *g, const char *name, char out[static 256])
{
    AUTO(json) struct json_object *body = NULL, *payload = NULL;
    struct json_object            *submods, *cpu, *member;
    const char                    *token;
    struct err                     err;

    assert_fine(json_read(buffer_bytes(&g->answer.body), KBS_ANSWER_MAX, &body, &err) && json_get_text(body, "token", &token, &err) &&
                    jwt_peek(bytes_of_text(token), KBS_TOKEN_MAX, &payload, &err) &&
                    json_get(payload, "submods", json_type_object, &submods, &err) &&
                    json_get(submods, "cpu0", json_type_object, &cpu, &err),
                &err);
    if (!json_object_object_get_ex(cpu, name, &member))
        fail_msg("cpu0 has no %s", name);
    (void) snprintf(out, 256, "%s", json_object_is_type(member, json_type_string) ? json_object_get_string(member)
                                                                                   : json_object_to_json_string_ext(member, 0));
}

/* ---- as kbs-client administers ---- */

static void set_resource_policy(struct http *http, const char *token, const char *text, long status)
{
    AUTO(buffer) struct buffer           body   = { 0 };
    AUTO(http_answer) struct http_answer answer = { 0 };

    buffer_append_text(&body, "{\"policy\":\"");
    base64_append(&body, bytes_of_text(text), BASE64_URL);
    buffer_append_text(&body, "\"}");
    if (ask(http, "POST", KBS_PREFIX "/resource-policy", token, buffer_text(&body), &answer) != status)
        fail_msg("%s", buffer_text(&answer.body));
}

static void set_attestation_policy(struct http *http, const char *token, const char *id, const char *text, long status)
{
    AUTO(buffer) struct buffer           body   = { 0 };
    AUTO(http_answer) struct http_answer answer = { 0 };

    buffer_printf(&body, "{\"type\":\"rego\",\"policy_id\":\"%s\",\"policy\":\"", id);
    base64_append(&body, bytes_of_text(text), BASE64_URL);
    buffer_append_text(&body, "\"}");
    if (ask(http, "POST", KBS_PREFIX "/attestation-policy", token, buffer_text(&body), &answer) != status)
        fail_msg("%s", buffer_text(&answer.body));
}

static void set_sample_values(struct http *http, const char *token, const char *values)
{
    AUTO(buffer) struct buffer           body   = { 0 };
    AUTO(http_answer) struct http_answer answer = { 0 };

    buffer_append_text(&body, "{\"payload\":\"");
    base64_append(&body, bytes_of_text(values), BASE64_STANDARD);
    buffer_append_text(&body, "\",\"type\":\"sample\",\"version\":\"0.1.0\"}");
    if (ask(http, "POST", KBS_PREFIX "/reference-value", token, buffer_text(&body), &answer) != 200)
        fail_msg("%s", buffer_text(&answer.body));
    assert_int_equal(answer.body.len, 0);
}

#define AFFIRMING "package policy\ndefault allow := false\nallow if {\n\tcount(input.submods) > 0\n" \
                  "\tevery part in input.submods {\n\t\tpart[\"ear.status\"] == \"affirming\"\n\t}\n}\n"
#define ALLOW_ALL "package policy\ndefault allow = false\nallow = true if data.plugin == \"resource\"\n"

/* The walk of Trustee's own test: a secret, a policy that wants affirmed evidence, then the values that affirm it. */
static void trustees_client_sets_what_guests_then_meet(void **state)
{
    AUTO(http) struct http              *http   = http_at(broker.url);
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(buffer) struct buffer           token  = { 0 };
    AUTO(guest) struct guest             plain = { 0 }, affirmed = { 0 };
    char                                 status[256];

    (void) state;
    kbs_client_token(&token);
    assert_int_equal(ask(http, "POST", KBS_PREFIX "/resource/one/two/three", buffer_text(&token), "shibboleth", &answer), 200);
    assert_int_equal(answer.body.len, 0);
    set_resource_policy(http, buffer_text(&token), AFFIRMING, 200);
    assert_int_equal(ask(http, "GET", KBS_PREFIX "/resource-policy", buffer_text(&token), NULL, &answer), 200);
    assert_string_equal(buffer_text(&answer.body), "[\"*\"]");
    assert_int_equal(guest_attest(&plain, broker.url), 200);
    token_member(&plain, "ear.status", status);
    assert_string_equal(status, "contraindicated");
    assert_int_equal(guest_get(&plain, KBS_PREFIX "/resource/one/two/three"), 401);
    assert_true(http_error_is(&plain.answer, "PolicyDeny"));

    set_sample_values(http, buffer_text(&token),
                      "{\"svn\":[\"1\"],\"launch_digest\":[\"abcde\"],\"major_version\":1,\"minimum_minor_version\":4}");
    assert_int_equal(ask(http, "GET", KBS_PREFIX "/reference-value/svn", buffer_text(&token), NULL, &answer), 200);
    assert_string_equal(buffer_text(&answer.body), "[\"1\"]");
    assert_int_equal(ask(http, "GET", KBS_PREFIX "/reference-value/none", buffer_text(&token), NULL, &answer), 401);
    assert_true(http_error_is(&answer, "RvpsError"));
    assert_int_equal(guest_attest(&affirmed, broker.url), 200);
    token_member(&affirmed, "ear.status", status);
    assert_string_equal(status, "affirming");
    token_member(&affirmed, "ear.trustworthiness-vector", status);
    assert_string_equal(status, "{\"instance-identity\":0,\"configuration\":2,\"executables\":3,\"file-system\":0,\"hardware\":2,"
                                "\"runtime-opaque\":0,\"storage-opaque\":0,\"sourced-data\":0}");
    token_member(&affirmed, "ear.trustee.identifiers", status);
    assert_string_equal(status, "{\"validated\":{}}");
    assert_int_equal(guest_get(&affirmed, KBS_PREFIX "/resource/one/two/three"), 200);
    assert_opens(&affirmed, "shibboleth");
    assert_int_equal(guest_get(&plain, KBS_PREFIX "/resource/one/two/three"), 401); /* its own token still says what it said */
    assert_int_equal(guest_get(&affirmed, KBS_PREFIX "/resource/one/two/four"), 404);

    set_resource_policy(http, buffer_text(&token), ALLOW_ALL, 200);
    assert_int_equal(guest_get(&plain, KBS_PREFIX "/resource/one/two/three"), 200);
    assert_int_equal(ask(http, "DELETE", KBS_PREFIX "/resource/one/two/three", buffer_text(&token), NULL, &answer), 200);
    assert_int_equal(guest_get(&affirmed, KBS_PREFIX "/resource/one/two/three"), 404);
    assert_int_equal(ask(http, "DELETE", ADMIN_DOCUMENTS "/resource-policy/*", buffer_text(&token), NULL, &answer), 200);
    assert_int_equal(guest_get(&affirmed, KBS_PREFIX "/resource/one/two/three"), 401); /* the built-in rule again: nothing expected */
}

static void a_policy_that_does_not_compile_changes_nothing(void **state)
{
    static const char BAD[] = "{\"policy\":\"%%\"}";
    AUTO(http) struct http              *http   = http_at(broker.url);
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(buffer) struct buffer           token  = { 0 };

    (void) state;
    kbs_client_token(&token);
    set_resource_policy(http, buffer_text(&token), "package policy\nallow if {", 401);
    set_attestation_policy(http, buffer_text(&token), "default_cpu", "package policy\ntrust_claims := x\n", 401);
    set_attestation_policy(http, buffer_text(&token), "../x", "package policy\n", 401);
    set_resource_policy(http, buffer_text(&token), "package policies\ndefault allow := true\n", 401);
    set_resource_policy(http, buffer_text(&token), "package policy\ndefault allowed := true\n", 401);
    set_attestation_policy(http, buffer_text(&token), "default_cpu", "package attestation\ntrust_claims := {\"hardware\": 2}\n", 401);
    assert_int_equal(ask(http, "POST", KBS_PREFIX "/resource-policy", buffer_text(&token), BAD, &answer), 401);
    assert_true(http_error_is(&answer, "ParsePolicyError"));
    assert_int_equal(ask(http, "GET", ADMIN_DOCUMENTS "/attestation-policy", buffer_text(&token), NULL, &answer), 200);
    assert_string_equal(buffer_text(&answer.body), "{\"documents\":[]}");
}

static void document_set(struct admin_client *admin, const char *kind, const char *name, const char *text)
{
    struct admin_document d = { .kind = kind, .name = name, .text = bytes_of_text(text) };
    uint64_t              version;
    struct err            err;

    assert_fine(admin_document_put(admin, &d, &version, &err), &err);
}

/* It judges the evidence anew for that tenant's resources, and for nobody else's. */
static void a_tenant_may_have_an_attestation_policy_of_its_own(void **state)
{
    static const char CONFIGURED[] = "package policy\nimport rego.v1\nallow if input.submods.cpu0[\"ear.trustworthiness-vector\"].configuration == 4\n"
                                   "reason := input.submods.cpu0[\"ear.appraisal-policy-id\"]\n";
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    AUTO(secret) struct secret              value = { 0 };
    AUTO(guest) struct guest                guest = { 0 };
    struct err                              err;

    (void) state;
    assert_fine(secret_copy(bytes_of_text("tenant's"), &value, &err) && admin_resource_put(admin, "kbs:///own1/key/1", &value, &err) &&
                    admin_resource_put(admin, "kbs:///own2/key/1", &value, &err), &err);
    document_set(admin, "resource-policy", "own1", CONFIGURED);
    document_set(admin, "resource-policy", "own2", CONFIGURED);
    assert_int_equal(guest_attest(&guest, broker.url), 200);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/own1/key/1"), 401);
    document_set(admin, "attestation-policy", "own1_cpu", "package policy\nimport rego.v1\ntrust_claims := {\"hardware\": 2, \"configuration\": 4} "
                                                          "if { input.sample.svn == \"1\"; input.endorsement.root == \"nobody\" }\n");
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/own1/key/1"), 200);
    assert_opens(&guest, "tenant's");
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/own2/key/1"), 401);
    assert_non_null(strstr(buffer_text(&guest.answer.body), "to this guest: default"));
    document_set(admin, "attestation-policy", "own1_cpu", "package policy\ntrust_claims := {\"hardware\": 258}\n");
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/own1/key/1"), 500);
    document_set(admin, "attestation-policy", "own1_cpu", "package policy\ntrust_claims := {\"hardware\": 97}\n");
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/own1/key/1"), 401);
    assert_non_null(strstr(buffer_text(&guest.answer.body), "to this guest: own1"));
    assert_fine(admin_document_remove(admin, "attestation-policy", "own1_cpu", &err), &err);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/own1/key/1"), 401);
    assert_non_null(strstr(buffer_text(&guest.answer.body), "to this guest: default"));
    assert_fine(admin_document_remove(admin, "resource-policy", "own1", &err) && admin_document_remove(admin, "resource-policy", "own2", &err), &err);
}

/* An administrator's policy may be wrong in what it gives: no token then, and no crash. */
static void bad_output_of_an_attestation_policy_gives_no_token(void **state)
{
    static const char *const TEXTS[] = { "package policy\ntrust_claims := {\"hardware\": 258}\n",
                                         "package policy\ntrust_claims := {\"hardwear\": 2}\n",
                                         "package policy\ntrust_claims := {} if { false }\n" };
    AUTO(http) struct http    *http  = http_at(broker.url);
    AUTO(buffer) struct buffer token = { 0 };
    AUTO(http_answer) struct http_answer answer = { 0 };

    (void) state;
    kbs_client_token(&token);
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        AUTO(guest) struct guest guest = { 0 };

        set_attestation_policy(http, buffer_text(&token), "default_cpu", TEXTS[i], 200);
        assert_int_equal(guest_attest(&guest, broker.url), 500);
        assert_true(http_error_is(&guest.answer, "AttestationError"));
        assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/one/two/three"), 401);
    }
    assert_int_equal(ask(http, "DELETE", ADMIN_DOCUMENTS "/attestation-policy/default_cpu", buffer_text(&token), NULL, &answer), 200);
    AUTO(guest) struct guest again = { 0 };
    assert_int_equal(guest_attest(&again, broker.url), 200);
}

static void documents_keep_their_history(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    AUTO(json) struct json_object          *list = NULL, *all = NULL;
    AUTO(buffer) struct buffer              text = { 0 };
    struct admin_document                   d    = { .kind = "reference-value", .name = "h/x", .adds = true };
    uint64_t                                version;
    struct err                              err;

    (void) state;
    d.text = bytes_of_text("[\"a\"]");
    assert_fine(admin_document_put(admin, &d, &version, &err), &err);
    d.text = bytes_of_text("[\"a\",\"b\"]");
    assert_fine(admin_document_put(admin, &d, &version, &err), &err);
    assert_int_equal(version, 2);
    assert_fine(admin_document_remove(admin, d.kind, d.name, &err), &err);
    assert_false(admin_document_remove(admin, d.kind, d.name, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_fine(admin_documents(admin, d.kind, d.name, &list, &err), &err);
    assert_int_equal(json_object_array_length(list), 3);
    for (size_t i = 0; i < 3; i++)
        buffer_printf(&text, "%s;", json_object_to_json_string_ext(json_object_object_get(json_object_array_get_idx(list, i), "text"), 0));
    assert_string_equal(buffer_text(&text), "\"[\\\"a\\\"]\";\"[\\\"a\\\",\\\"b\\\"]\";null;");
    assert_fine(admin_documents(admin, d.kind, NULL, &all, &err), &err);
    for (size_t i = 0; i < json_object_array_length(all); i++)
        assert_string_not_equal(json_object_get_string(json_object_object_get(json_object_array_get_idx(all, i), "name")), "h/x");
}

static void a_binding_holds_against_a_policy_that_allows_all(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    AUTO(secret) struct secret              value = { 0 };
    AUTO(guest) struct guest                guest = { 0 };
    struct admin_document policy  = { .kind = "resource-policy", .name = "bound", .text = bytes_of_text(ALLOW_ALL) };
    struct admin_document binding = { .kind = "binding", .name = "bound/key/1", .text = bytes_of_text("{\"initdata\":[\"aa\"]}") };
    uint64_t              version;
    struct err            err;

    (void) state;
    assert_fine(secret_copy(bytes_of_text("bound"), &value, &err) && admin_resource_put(admin, "kbs:///bound/key/1", &value, &err) &&
                    admin_document_put(admin, &policy, &version, &err),
                &err);
    assert_int_equal(guest_attest(&guest, broker.url), 200);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/bound/key/1"), 200);
    assert_fine(admin_document_put(admin, &binding, &version, &err), &err);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/bound/key/1"), 401);
    assert_non_null(strstr(buffer_text(&guest.answer.body), "bound/key/1 is bound to other initdata"));
    binding.text = bytes_of_text("{\"initdata\":[\"0000000000000000000000000000000000000000000000000000000000000000\"]}");
    assert_fine(admin_document_put(admin, &binding, &version, &err), &err);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/bound/key/1"), 200);
}

static void a_policy_sees_the_query(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    AUTO(secret) struct secret              value = { 0 };
    AUTO(guest) struct guest                guest = { 0 };
    struct admin_document policy = { .kind = "resource-policy", .name = "asked",
                                     .text = bytes_of_text("package policy\nallow if data.query.stage == \"2\"\n") };
    uint64_t              version;
    struct err            err;

    (void) state;
    assert_fine(secret_copy(bytes_of_text("asked"), &value, &err) && admin_resource_put(admin, "kbs:///asked/key/1", &value, &err) &&
                    admin_document_put(admin, &policy, &version, &err),
                &err);
    assert_int_equal(guest_attest(&guest, broker.url), 200);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/asked/key/1"), 401);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/asked/key/1?stage=1"), 401);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/asked/key/1?stage=1&stage=2"), 200);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/asked/key/1?x=\"&stage=2"), 200);
    assert_int_equal(guest_get(&guest, KBS_PREFIX "/resource/asked/key/1?stage=2\",\"stage\":\"2"), 401);
}

/* ---- a TPM: registers and keys registered by name ---- */

static bool tpm_evidence(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json, struct err *err)
{
    (void) err;
    tpm_guest_evidence(owner, report_data, json);
    return true;
}

static bool tpm_fetch(struct tpm_guest *guest, struct bytes initdata, struct kbs_verdict *verdict, struct secret *out,
                      struct err *err)
{
    struct kbs_options                  options  = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca), .timeout_ms = 60000 };
    struct kbs_attester                 attester = { .tee = "tpm", .evidence = tpm_evidence, .owner = guest, .initdata = initdata };
    AUTO(kbs_client) struct kbs_client *client   = NULL;

    assert_fine(kbs_client_new(&options, &client, err), err);
    return kbs_attest(client, &attester, verdict, err) && kbs_resource_get(client, "kbs:///tpm/key/1", out, err);
}

static void value_add(struct admin_client *admin, const char *name, struct buffer *text)
{
    AUTO(buffer) struct buffer list = { 0 };
    struct admin_document      d    = { .kind = "reference-value", .name = name, .adds = true };
    uint64_t                   version;
    struct err                 err;

    buffer_printf(&list, "[\"%s\"]", buffer_text(text));
    d.text = buffer_bytes(&list);
    assert_fine(admin_document_put(admin, &d, &version, &err), &err);
}

static void a_tpm_gets_a_key_once_its_key_registers_and_initdata_are_known(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    AUTO(tpm_guest) struct tpm_guest        guest = tpm_guest_new();
    AUTO(buffer) struct buffer              initdata = { 0 }, ak = { 0 }, pcr = { 0 }, hex = { 0 };
    AUTO(secret) struct secret              value = { 0 }, got = { 0 };
    struct initdata_entry                   entry   = { "policy.json", "{\"containers\":[{\"image\":\"sha256:aa\"}]}" };
    struct admin_document   binding   = { .kind = "binding", .name = "tpm/key/1", .text = bytes_of_text("{\"workload\":[\"sha256:aa\"]}") };
    struct admin_reference  reference = { .kind = "initdata", .tee = "tpm", .resource = "kbs:///tpm/key/1" };
    struct kbs_verdict      verdict   = { 0 };
    uint8_t                 digest[SHA256_LEN];
    uint64_t                id;
    struct err              err;

    (void) state;
    initdata_write(INITDATA_SHA256, &entry, 1, &initdata);
    sha256_of(buffer_bytes(&initdata), digest);
    hex_append(&hex, BYTES_OF(digest));
    tpm_guest_extend(&guest, 8, digest);
    tpm_guest_ak(&guest, &ak);
    hex_append(&pcr, BYTES_OF(guest.pcr[11]));
    assert_fine(secret_copy(bytes_of_text("tpm"), &value, &err) && admin_resource_put(admin, "kbs:///tpm/key/1", &value, &err) &&
                    admin_document_put(admin, &binding, &id, &err),
                &err);
    reference.value = buffer_text(&hex);
    assert_fine(admin_reference_add(admin, &reference, &id, &err), &err);
    assert_false(tpm_fetch(&guest, buffer_bytes(&initdata), &verdict, &got, &err)); /* nobody vouches for its key */
    assert_string_equal(verdict.status, "contraindicated");
    assert_string_equal(err.text, "the attestation policy does not affirm this guest's hardware and executables");
    value_add(admin, "trusted_aks", &ak);
    assert_false(tpm_fetch(&guest, buffer_bytes(&initdata), &verdict, &got, &err)); /* nor are its registers known */
    assert_string_equal(verdict.status, "warning");
    value_add(admin, "tpm_pcr11", &pcr);
    assert_fine(tpm_fetch(&guest, buffer_bytes(&initdata), &verdict, &got, &err), &err);
    assert_string_equal(verdict.status, "affirming");
    assert_true(secret_equal(&got, &value));
    secret_free(&got);
    binding.text = bytes_of_text("{\"workload\":[\"sha256:bb\"]}");
    assert_fine(admin_document_put(admin, &binding, &id, &err), &err);
    assert_false(tpm_fetch(&guest, buffer_bytes(&initdata), &verdict, &got, &err));
    assert_string_equal(err.text, "tpm/key/1 is bound to another workload than this guest's");
}

/* ---- the key provider of skopeo, buildah and nerdctl ---- */

static void keyprovider_run(const char *request, struct buffer *answer)
{
    const char *build = getenv("CLOISTER_BUILD");
    char        program[PATH_MAX], key[PATH_MAX], ca[PATH_MAX];
    int         code = -1;
    struct err  err;

    (void) snprintf(program, sizeof program, "%s/cloister-keyprovider", build ? build : "."); /* a cut path does not start */
    test_broker_path(&broker, "admin.key", key);
    test_broker_path(&broker, "ca.pem", ca);
    const char *argv[] = { program, "--broker", broker.url, "--admin-key", key, "--broker-ca", ca, NULL };

    assert_fine(process_run(argv, bytes_of_text(request), 1 << 16, 60000, answer, &code, &err), &err);
    assert_int_equal(code, 0);
}

/* The numbers of the answer's one array, as text: what the other request carries. */
static void answer_numbers(struct buffer *answer, struct buffer *out)
{
    const char *from = strchr(buffer_text(answer), '['), *to = strchr(buffer_text(answer), ']');

    assert_true(from && to && from < to);
    buffer_append(out, (struct bytes){ (const uint8_t *) from, (size_t) (to + 1 - from) });
}

static void the_key_provider_makes_a_key_here_and_opens_with_it(void **state)
{
    AUTO(admin_client) struct admin_client *admin  = test_admin(&broker);
    AUTO(buffer) struct buffer              params = { 0 }, request = { 0 }, answer = { 0 }, packet = { 0 }, opened = { 0 }, again = { 0 };
    AUTO(secret) struct secret              key    = { 0 };
    struct err                              err;

    (void) state;
    base64_append(&params, bytes_of_text("keyid=kbs:///provided/key/1"), BASE64_STANDARD);
    buffer_printf(&request, "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"attestation-agent\":[\"%s\"]}},"
                            "\"optsdata\":[7,8,9]}}", buffer_text(&params));
    keyprovider_run(buffer_text(&request), &answer);
    assert_fine(admin_resource_get(admin, "kbs:///provided/key/1", &key, &err), &err);
    assert_int_equal(key.len, 32);
    answer_numbers(&answer, &packet);
    buffer_printf(&again, "{\"op\":\"keyunwrap\",\"keyunwrapparams\":{\"dc\":{\"Parameters\":{\"attestation-agent\":[\"%s\"]}},"
                          "\"annotation\":%s}}", buffer_text(&params), buffer_text(&packet));
    keyprovider_run(buffer_text(&again), &opened);
    assert_string_equal(buffer_text(&opened), "{\"keyunwrapresults\":{\"optsdata\":[7,8,9]}}");
}

static void file_in(const struct test_broker *b, const char *name, const char *text)
{
    char       path[PATH_MAX];
    struct err err;

    test_broker_path(b, name, path);
    assert_fine(file_write(path, bytes_of_text(text), 0600, &err), &err);
}

/* ---- the command that people use ---- */

#define SOME_DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Runs `cloister WORDS... --broker ... --admin-key ...`; the words are split at blanks. */
static int cloister(const char *words, struct buffer *out)
{
    const char *build = getenv("CLOISTER_BUILD"), *argv[32];
    char        program[PATH_MAX], key[PATH_MAX], copy[512], *save = NULL;
    size_t      n    = 0;
    int         code = -1;
    struct err  err;

    (void) snprintf(program, sizeof program, "%s/cloister", build ? build : "."); /* a cut path does not start */
    (void) snprintf(copy, sizeof copy, "%s", words);
    test_broker_path(&broker, "admin.key", key);
    argv[n++] = program;
    for (char *word = strtok_r(copy, " ", &save); word && n < 26; word = strtok_r(NULL, " ", &save))
        argv[n++] = word;
    argv[n++] = "--broker";
    argv[n++] = broker.url;
    argv[n++] = "--admin-key";
    argv[n++] = key;
    argv[n]   = NULL;
    out->len  = 0;
    assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, out, &code, &err), &err);
    return code;
}

static void assert_cloister(const char *words, int code, const char *part)
{
    AUTO(buffer) struct buffer out = { 0 };
    int                        got = cloister(words, &out);

    if (got != code || !strstr(buffer_text(&out), part))
        fail_msg("cloister %s: exit %d, wanted %d with \"%s\": %s", words, got, code, part, buffer_text(&out));
}

/* As `cloister measure snp --corim` writes one, with a short digest. */
static void corim_store(const char *name)
{
    static const uint8_t CORIM[] = {
        0xd9, 0x01, 0xf5, 0xa2, 0x00, 0x61, 'x', 0x01, 0x81, 0xd9, 0x01, 0xfa, 0x58, 0x2f, 0xa1, 0x04, 0xa1, 0x00, 0x81, 0x82,
        0xa1, 0x00, 0xa2, 0x01, 0x63, 'A', 'M', 'D', 0x02, 0x67, 'S', 'E', 'V', '-', 'S', 'N', 'P', 0x81, 0xa1, 0x01, 0xa1,
        0x0e, 0xa1, 0x6b, 'm', 'e', 'a', 's', 'u', 'r', 'e', 'm', 'e', 'n', 't', 0x81, 0x82, 0x07, 0x42, 0xaa, 0xbb,
    };
    char       path[PATH_MAX];
    struct err err;

    test_broker_path(&broker, name, path);
    assert_fine(file_write(path, (struct bytes){ CORIM, sizeof CORIM }, 0600, &err), &err);
}

static void a_command_line_without_a_broker_is_a_wrong_one(void **state)
{
    static const char *const VERBS[][2] = { { "key", "list" }, { "reference", "list" }, { "audit", "list" }, { "policy", "list" } };
    const char              *build = getenv("CLOISTER_BUILD");
    char                     program[PATH_MAX];

    (void) state;
    (void) snprintf(program, sizeof program, "%s/cloister", build ? build : "."); /* a cut path does not start */
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) {
        const char                *argv[] = { program, VERBS[i][0], VERBS[i][1], i == 3 ? "resource" : NULL, NULL };
        AUTO(buffer) struct buffer out    = { 0 };
        int                        code   = -1;
        struct err                 err;

        assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, &out, &code, &err), &err);
        assert_int_equal(code, 2);
    }
}

static void the_command_line_keeps_policies_values_and_bindings(void **state)
{
    char words[PATH_MAX + 128], path[PATH_MAX];

    (void) state;
    file_in(&broker, "allow.rego", ALLOW_ALL);
    file_in(&broker, "bad.rego", "package policy\nallow if {");
    file_in(&broker, "values.json", "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"eyJjbGkiOlsxXX0=\"}\n");
    corim_store("values.corim");
    test_broker_path(&broker, "allow.rego", path);
    (void) snprintf(words, sizeof words, "policy set resource %s --name cli/x", path);
    assert_cloister(words, 0, "resource-policy cli/x version 1");
    test_broker_path(&broker, "bad.rego", path);
    (void) snprintf(words, sizeof words, "policy set resource %s --name cli/x", path);
    assert_cloister(words, 1, "");
    assert_cloister("policy list resource", 0, "cli/x  version 1  ");
    assert_cloister("policy history resource --name cli/x", 0, "    package policy");
    assert_cloister("policy unset resource --name cli/x", 0, "resource-policy cli/x removed");
    assert_cloister("policy unset resource --name cli/x", 1, "");
    assert_cloister("policy history resource --name cli/x --json", 0, "\"version\":2");
    assert_cloister("reference add --name cli_tcb --number 4 --number 5 --value x --days 3", 0, "cli_tcb version 1");
    assert_cloister("reference list", 0, "[\"x\",4,5]");
    assert_cloister("reference rm cli_tcb", 0, "reference cli_tcb removed");
    assert_cloister("reference history cli_none", 1, "");
    assert_cloister("policy history resource --name cli/none", 1, "");
    assert_cloister("reference history cli_tcb", 0, "version 2");
    test_broker_path(&broker, "values.json", path);
    (void) snprintf(words, sizeof words, "reference add --rvps %s", path);
    assert_cloister(words, 0, " added");
    test_broker_path(&broker, "values.corim", path);
    (void) snprintf(words, sizeof words, "reference add --corim %s", path);
    assert_cloister(words, 0, " added");
    assert_cloister("reference list --json", 0, "\"text\":\"[\\\"aabb\\\"]\"");
    assert_cloister("reference list", 0, "cli  version 1");
    assert_cloister("reference rm snp_launch_measurement", 0, "");
    assert_cloister("key bind kbs:///cli/key/1 --workload sha256:aa --initdata aabb", 0, "bound kbs:///cli/key/1");
    assert_cloister("key bind kbs:///cli/key/1", 1, "");
    assert_cloister("key unbind kbs:///cli/key/1", 0, "unbound kbs:///cli/key/1");
    assert_cloister("key unbind kbs:///cli/key/1", 1, "");
}

static void assert_into_a_full_disk(const char *command, const char *word)
{
    const char *build = getenv("CLOISTER_BUILD");
    char        script[2 * PATH_MAX], key[PATH_MAX];
    const char *const          argv[] = { "/bin/sh", "-c", script, NULL };
    AUTO(buffer) struct buffer out    = { 0 };
    int                        code   = -1;
    struct err                 err;

    test_broker_path(&broker, "admin.key", key);
    (void) snprintf(script, sizeof script, "%s/cloister %s %s %s%s%s%s 2>&1 >/dev/full", build ? build : ".", command, word,
                    strcmp(command, "key") == 0 ? "--broker " : "", strcmp(command, "key") == 0 ? broker.url : "",
                    strcmp(command, "key") == 0 ? " --admin-key " : "", strcmp(command, "key") == 0 ? key : ""); /* cut does not run */
    assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, &out, &code, &err), &err);
    assert_int_equal(code, 1);
    assert_string_equal(buffer_text(&out), "cloister: standard output: No space left on device\n");
}

/* For a person in words, for a script as JSON; a wrong word is unusable, and never a success. */
static void the_command_line_says_what_it_did(void **state)
{
    char words[PATH_MAX + 128], path[PATH_MAX];

    (void) state;
    file_in(&broker, "two", "xy");
    test_broker_path(&broker, "two", path);
    (void) snprintf(words, sizeof words, "key put kbs:///cli/said/1 %s", path);
    assert_cloister(words, 0, "stored kbs:///cli/said/1: 2 bytes\n");
    assert_cloister("key rm kbs:///cli/said/1", 0, "removed kbs:///cli/said/1\n");
    assert_cloister("reference add --initdata " SOME_DIGEST " --resource kbs:///cli/said/1", 0,
                    " added: snp initdata for kbs:///cli/said/1\n");
    assert_cloister("reference add --initdata " SOME_DIGEST, 0, " added: snp initdata for all resources\n");
    assert_cloister("reference add --name cli_said --number 4 --json", 0, "[{\"name\":\"cli_said\",\"version\":1}]\n");
    assert_cloister("reference add --initdata " SOME_DIGEST " --initdata 00 --json", 1, "\"kind\":\"initdata\",\"value\":\"" SOME_DIGEST "\"}]\n");
    assert_cloister("audit verify --json", 0, "\"grown\":null}\n");
    assert_cloister("audit prove 0 --json", 0, "{\"entry\":\"{\\\"at\\\":");
    for (size_t i = 0; i < 5; i++) {
        static const char *const GROUPS[] = { "key", "reference", "audit", "verify", "measure" };

        (void) snprintf(words, sizeof words, "%s nonsense", GROUPS[i]);
        assert_cloister(words, 2, "");
        (void) snprintf(words, sizeof words, "%s --help", GROUPS[i]);
        assert_cloister(words, 0, "Usage: cloister ");
    }
    assert_into_a_full_disk("key", "list");
    assert_into_a_full_disk("help", "policy");
    assert_into_a_full_disk("measure", "--help");
}

/* ---- administrators, roles, tenants, on a listener of their own ---- */

static void store_bio(const struct test_broker *b, const char *name, BIO *bio)
{
    char                      *at;
    long                       len  = BIO_get_mem_data(bio, &at);
    AUTO(buffer) struct buffer text = { 0 };

    buffer_append(&text, (struct bytes){ (const uint8_t *) at, (size_t) len });
    file_in(b, name, buffer_text(&text));
}

static void key_pair(const struct test_broker *b, const char *private_name, const char *public_name)
{
    AUTO(pkey) EVP_PKEY *key   = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    AUTO(bio) BIO       *first = BIO_new(BIO_s_mem()), *second = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(first, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(PEM_write_bio_PUBKEY(second, key), 1);
    store_bio(b, private_name, first);
    store_bio(b, public_name, second);
}

/* A certificate for administrators, of its own CA: itself. Writes client.key and client.pem; gives its SHA-256. */
static void client_certificate(const struct test_broker *b, char hex[static 65])
{
    AUTO(pkey) EVP_PKEY *key   = EVP_EC_gen("P-256");
    AUTO(x509) X509     *x509  = X509_new();
    AUTO(bio) BIO       *first = BIO_new(BIO_s_mem()), *second = BIO_new(BIO_s_mem());
    X509_NAME           *name  = X509_get_subject_name(x509);
    uint8_t              digest[SHA256_LEN];
    unsigned             len = sizeof digest;

    assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x509), 1), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "ci", -1, -1, 0), 1);
    assert_int_equal(X509_set_issuer_name(x509, name), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x509), -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x509), 86400));
    assert_int_equal(X509_set_pubkey(x509, key), 1);
    assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
    assert_int_equal(X509_digest(x509, EVP_sha256(), digest, &len), 1);
    for (size_t i = 0; i < sizeof digest; i++)
        (void) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_int_equal(PEM_write_bio_PrivateKey(first, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(PEM_write_bio_X509(second, x509), 1);
    store_bio(b, "client.key", first);
    store_bio(b, "client.pem", second);
}

static void tenants_make(void)
{
    static const char *const FILES[][2] = {
        { "store", "tenants.db" },          { "store_key", "store.key" }, { "tls_certificate", "server.pem" },
        { "tls_key", "server.key" },        { "token_certificate", "token.pem" }, { "token_key", "token.key" },
        { "administrators", "admins.toml" }, { "admin_client_ca", "client.pem" },
    };
    AUTO(buffer) struct buffer config = { 0 }, admins = { 0 };
    char                       hex[65];

    test_broker_make(&tenants);
    assert_int_equal(test_broker_stop(&tenants, SIGTERM), 0);
    key_pair(&tenants, "ann.key", "ann.pub");
    key_pair(&tenants, "ben.key", "ben.pub");
    client_certificate(&tenants, hex);
    buffer_append_text(&config, "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nsample = true\n");
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        buffer_printf(&config, "%s = \"%s/%s\"\n", FILES[i][0], tenants.folder, FILES[i][1]);
    buffer_append_text(&admins, "[[administrator]]\nname = \"ann\"\nkey = \"ann.pub\"\nroles = [\"admin\"]\ntenants = [\"acme\"]\n"
                                "[[administrator]]\nname = \"ben\"\nkey = \"ben.pub\"\nroles = [\"keys\", \"reference\"]\n"
                                "tenants = [\"lab\"]\n");
    buffer_append_text(&admins, "[[signer]]\nname = \"build\"\nkey = \"ann.pub\"\n");
    buffer_printf(&admins, "[[administrator]]\nname = \"ci\"\ncertificate_sha256 = \"%s\"\nroles = [\"admin\"]\ntenants = [\"*\"]\n", hex);
    file_in(&tenants, "admins.toml", buffer_text(&admins));
    file_in(&tenants, "broker.toml", buffer_text(&config));
    tenants.config             = "broker.toml";
    tenants.has_admin_listener = true;
    test_broker_start(&tenants);
}

static struct admin_client *client_as(const char *key_name, const char *certificate_name, const char *url)
{
    AUTO(buffer) struct buffer key = { 0 }, certificate = { 0 };
    struct admin_client       *client = NULL;
    char                       path[PATH_MAX];
    struct err                 err;

    test_broker_path(&tenants, key_name, path);
    assert_fine(file_read(path, 1 << 16, &key, &err), &err);
    if (certificate_name) {
        test_broker_path(&tenants, certificate_name, path);
        assert_fine(file_read(path, 1 << 16, &certificate, &err), &err);
    }
    struct admin_options options = { .url = url, .ca_pem = buffer_bytes(&tenants.ca), .key_pem = buffer_bytes(&key),
                                     .certificate_pem = buffer_bytes(&certificate) };
    assert_fine(admin_client_new(&options, &client, &err), &err);
    return client;
}

static void assert_denied(bool done, const struct err *err, const char *text)
{
    assert_false(done);
    if (err->kind != ERR_DENIED || !strstr(err->text, text))
        fail_msg("\"%s\" is not in: %s", text, err->text);
}

static void a_tenants_administrator_reaches_that_tenant_only(void **state)
{
    AUTO(admin_client) struct admin_client *ann   = client_as("ann.key", NULL, tenants.admin_url);
    AUTO(admin_client) struct admin_client *ben   = client_as("ben.key", NULL, tenants.admin_url);
    AUTO(secret) struct secret              value = { 0 }, got = { 0 };
    AUTO(json) struct json_object          *list  = NULL, *documents = NULL;
    struct admin_document  policy = { .kind = "resource-policy", .name = "acme", .text = bytes_of_text(ALLOW_ALL) };
    struct admin_reference all    = { .kind = "initdata", .tee = "snp", .value = "aa" };
    struct audit_head      head;
    uint64_t               version;
    struct err             err;

    (void) state;
    assert_fine(secret_copy(bytes_of_text("secret"), &value, &err), &err);
    assert_fine(admin_resource_put(ann, "kbs:///acme/key/1", &value, &err), &err);
    assert_fine(admin_resource_put(ben, "kbs:///lab/key/1", &value, &err), &err);
    assert_denied(admin_resource_put(ben, "kbs:///acme/key/1", &value, &err), &err, "ben may not put or remove resources of tenant acme");
    assert_denied(admin_resource_remove(ben, "kbs:///acme/key/1", &err), &err, "of tenant acme/key/1");
    assert_denied(admin_resource_get(ben, "kbs:///acme/key/1", &got, &err), &err, "ben may not read secrets");
    assert_denied(admin_resource_get(ben, "kbs:///lab/key/1", &got, &err), &err, "ben may not read secrets");
    assert_denied(admin_resource_get(ann, "kbs:///lab/key/1", &got, &err), &err, "of tenant lab/key/1");
    assert_fine(admin_resource_get(ann, "kbs:///acme/key/1", &got, &err), &err);
    assert_true(secret_equal(&got, &value));
    assert_fine(admin_resources(ben, &list, &err), &err); /* lists show its own only */
    assert_int_equal(json_object_array_length(list), 1);
    assert_fine(admin_document_put(ann, &policy, &version, &err), &err);
    assert_denied(admin_document_put(ben, &policy, &version, &err), &err, "ben may not set policies");
    policy.name = "lab";
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "ann may not set policies of tenant lab");
    policy.name = "*";
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "ann may not set policies of all tenants");
    policy = (struct admin_document){ .kind = "attestation-policy", .name = "default_cpu", .text = bytes_of_text("package policy\n") };
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "of all tenants");
    policy = (struct admin_document){ .kind = "attestation-policy", .name = "lab_cpu", .text = bytes_of_text("package policy\ntrust_claims := {}\n") };
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "ann may not set policies of tenant lab");
    policy.name = "acme_cpu";
    assert_fine(admin_document_put(ann, &policy, &version, &err) && admin_document_remove(ann, policy.kind, policy.name, &err), &err);
    policy = (struct admin_document){ .kind = "binding", .name = "lab/key/1", .text = bytes_of_text("{\"workload\":[\"x\"]}") };
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "of tenant lab/key/1");
    all.value = "aa00000000000000000000000000000000000000000000000000000000000000";
    assert_denied(admin_reference_add(ben, &all, &version, &err), &err, "ben may not change reference values of all tenants");
    all.resource = "kbs:///lab/key/1";
    assert_fine(admin_reference_add(ben, &all, &version, &err), &err);
    assert_denied(admin_reference_remove(ann, version, &err), &err, "of tenant lab/key/1");
    assert_denied(admin_audit_head(ann, &head, &err), &err, "of all tenants");
    assert_fine(admin_documents(ben, "resource-policy", NULL, &documents, &err), &err);
    assert_int_equal(json_object_array_length(documents), 0);
}

static void a_client_certificate_is_as_good_as_a_token(void **state)
{
    AUTO(admin_client) struct admin_client *ci     = client_as("client.key", "client.pem", tenants.admin_url);
    AUTO(admin_client) struct admin_client *forged = client_as("client.key", NULL, tenants.admin_url);
    AUTO(secret) struct secret              value = { 0 }, got = { 0 };
    AUTO(json) struct json_object          *list  = NULL;
    AUTO(buffer) struct buffer              text  = { 0 };
    struct err                              err;

    (void) state;
    assert_fine(secret_copy(bytes_of_text("by certificate"), &value, &err) &&
                    admin_resource_put_counted(ci, "kbs:///other/key/1", &value, 1, &err) &&
                    admin_resource_get(ci, "kbs:///other/key/1", &got, &err) && admin_resources(ci, &list, &err),
                &err);
    assert_true(secret_equal(&got, &value));
    json_write(list, &text);
    assert_non_null(strstr(buffer_text(&text), "\"path\":\"other/key/1\",\"len\":14"));
    assert_non_null(strstr(buffer_text(&text), "\"uses\":1"));
    assert_false(admin_resources(forged, &list, &err)); /* its key signs no tokens here */
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, "the broker refuses this administrator: "));
}

/* Who hands a manifest over and who signed it are two questions. */
static void takes_a_manifest_that_the_command_signed(void **state)
{
    AUTO(admin_client) struct admin_client *ci = client_as("client.key", "client.pem", tenants.admin_url);
    AUTO(buffer) struct buffer              manifest = { 0 }, message = { 0 };
    AUTO(json) struct json_object          *list     = NULL;
    struct json_object                     *one;
    const char                             *build    = getenv("CLOISTER_BUILD");
    char                                    program[PATH_MAX], values[PATH_MAX], key[PATH_MAX];
    int                                     code = -1;
    struct err                              err;

    (void) state;
    file_in(&tenants, "values.json", "{\"signed_value\":[\"a\",1]}");
    (void) snprintf(program, sizeof program, "%s/cloister", build ? build : "."); /* a cut path does not start */
    test_broker_path(&tenants, "values.json", values);
    test_broker_path(&tenants, "ann.key", key);
    const char *argv[] = { program, "reference", "sign", values, "--sign-key", key, "--days", "2", NULL };

    assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, &manifest, &code, &err), &err);
    assert_int_equal(code, 0);
    manifest.len--; /* the line's end */
    buffer_append_text(&message, "{\"version\":\"0.1.0\",\"type\":\"jws\",\"payload\":\"");
    base64_append(&message, buffer_bytes(&manifest), BASE64_STANDARD);
    buffer_append_text(&message, "\"}");
    assert_fine(admin_reference_message(ci, buffer_bytes(&message), &err), &err);
    assert_fine(admin_documents(ci, "reference-value", NULL, &list, &err), &err);
    assert_int_equal(json_object_array_length(list), 1);
    one = json_object_array_get_idx(list, 0);
    assert_string_equal(json_object_get_string(json_object_object_get(one, "text")), "[\"a\",1]");
    assert_true(json_object_get_int64(json_object_object_get(one, "expires")) > (int64_t) time(NULL) + 86400);
    message.at[message.len - 8] ^= 1;
    assert_false(admin_reference_message(ci, buffer_bytes(&message), &err));
}

/* What one listener serves, the other does not know. */
static void administrators_and_guests_have_listeners_of_their_own(void **state)
{
    static const struct { const char *method, *path; } ADMINS[] = {
        { "GET", ADMIN_RESOURCES }, { "GET", ADMIN_REFERENCES }, { "GET", ADMIN_AUDIT }, { "GET", ADMIN_DOCUMENTS "/binding" },
        { "POST", KBS_PREFIX "/resource-policy" }, { "POST", KBS_PREFIX "/attestation-policy" },
        { "POST", KBS_PREFIX "/reference-value" },
    };
    AUTO(http) struct http              *guests = http_at(tenants.url), *admins = http_at(tenants.admin_url);
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(admin_client) struct admin_client *wrong = client_as("ann.key", NULL, tenants.url);
    AUTO(json) struct json_object       *list   = NULL;
    struct err                           err;

    (void) state;
    for (size_t i = 0; i < sizeof ADMINS / sizeof *ADMINS; i++) {
        assert_int_equal(ask(guests, ADMINS[i].method, ADMINS[i].path, NULL, "{}", &answer), 404);
        assert_int_equal(ask(admins, ADMINS[i].method, ADMINS[i].path, NULL, "{}", &answer), 401);
        assert_true(http_error_is(&answer, "AdminAuthAccess"));
    }
    assert_int_equal(ask(guests, "POST", KBS_PREFIX "/resource/acme/key/1", NULL, "x", &answer), 405);
    assert_false(admin_resources(wrong, &list, &err)); /* a good token at the wrong door */
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no administration at this address"));
    assert_false(admin_resource_remove(wrong, "kbs:///acme/key/1", &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(ask(admins, "POST", KBS_PREFIX "/auth", NULL, "{}", &answer), 404);
    assert_int_equal(ask(admins, "GET", "/healthz", NULL, NULL, &answer), 200);
}

static int make(void **state)
{
    (void) state;
    test_broker_make(&broker);
    tenants_make();
    return 0;
}

static int clean(void **state)
{
    (void) state;
    test_broker_free(&broker);
    test_broker_free(&tenants);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trustees_client_sets_what_guests_then_meet),
        cmocka_unit_test(a_policy_that_does_not_compile_changes_nothing),
        cmocka_unit_test(a_tenant_may_have_an_attestation_policy_of_its_own),
        cmocka_unit_test(bad_output_of_an_attestation_policy_gives_no_token),
        cmocka_unit_test(documents_keep_their_history),
        cmocka_unit_test(a_binding_holds_against_a_policy_that_allows_all),
        cmocka_unit_test(a_policy_sees_the_query),
        cmocka_unit_test(a_tpm_gets_a_key_once_its_key_registers_and_initdata_are_known),
        cmocka_unit_test(the_key_provider_makes_a_key_here_and_opens_with_it),
        cmocka_unit_test(a_command_line_without_a_broker_is_a_wrong_one),
        cmocka_unit_test(the_command_line_keeps_policies_values_and_bindings),
        cmocka_unit_test(the_command_line_says_what_it_did),
        cmocka_unit_test(a_tenants_administrator_reaches_that_tenant_only),
        cmocka_unit_test(a_client_certificate_is_as_good_as_a_token),
        cmocka_unit_test(takes_a_manifest_that_the_command_signed),
        cmocka_unit_test(administrators_and_guests_have_listeners_of_their_own),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
