/* What administrators set must be what guests then meet: policies, reference values, bindings, as Trustee's client sets them and as ours does. */
#include <openssl/pem.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/initdata.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"
#include "tests/harness/asking.h"
#include "tests/harness/tpm_guest.h"

static struct test_broker broker; /* --dev: one listener, one administrator */

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

    *g = (struct guest){ .http = http_at(&broker, url) };
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
    AUTO(http) struct http              *http   = http_at(&broker, broker.url);
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
    AUTO(http) struct http              *http   = http_at(&broker, broker.url);
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
    AUTO(http) struct http    *http  = http_at(&broker, broker.url);
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

static int make(void **state)
{
    (void) state;
    test_broker_make(&broker);
    return 0;
}

static int clean(void **state)
{
    (void) state;
    test_broker_free(&broker);
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
    };

    return cmocka_run_group_tests(tests, make, clean);
}
