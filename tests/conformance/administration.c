/*
 * An administrator's calls as Trustee's client `kbs-client config` makes them, with its signed token, and what a guest then
 * gets. They change the broker's policies, and leave the one that denies everything. [KBS 9, 12]
 */
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/jose/jcs.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"
#include "tests/conformance/suite.h"

enum { TOKEN_LIFE_S = 240 };

#define PATH       "conformance/key/one"
#define ALLOW_ALL  "package policy\ndefault allow = true\n"
#define DENY_ALL   "package policy\ndefault allow = false\n"
#define APPRAISAL  "package policy\nimport rego.v1\ntrust_claims := {\"executables\": 3, \"hardware\": 2, \"configuration\": 36}\n"

static FALLIBLE token_sign(EVP_PKEY *key, int64_t life_s, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer payload = { 0 };
    long long                  now     = (long long) time(NULL), began;

    began = life_s > 0 ? now : now + life_s - TOKEN_LIFE_S;
    buffer_printf(&payload, "{\"iat\":%lld,\"exp\":%lld,\"nbf\":%lld,\"role\":\"admin\"}", began, now + (long long) life_s, began);
    return jwt_sign("", buffer_bytes(&payload), key, out, err);
}

static FALLIBLE call(struct suite *s, const char *method, const char *path, const char *type, struct bytes body, struct err *err)
{
    AUTO(buffer) struct buffer token   = { 0 };
    struct http               *guests  = s->http;
    bool                       is_done = false;

    if (!token_sign(s->admin_key, TOKEN_LIFE_S, &token, err))
        return false;

    struct http_request r = { .method = method, .path = path, .bearer = buffer_text(&token), .content_type = type, .body = body };

    s->http = s->admin;
    is_done = suite_exchange(s, &r, err);
    s->http = guests;
    return is_done;
}

static FALLIBLE is_done_silently(struct suite *s, struct err *err)
{
    return wants_status(s, 200, err) && (s->answer.body.len == 0 || fail_with(err, ERR_MALFORMED, "the answer has a body"));
}

static FALLIBLE policy_set(struct suite *s, const char *path, const char *head, const char *text, struct err *err)
{
    AUTO(buffer) struct buffer body = { 0 };

    buffer_printf(&body, "{%s\"policy\":\"", head);
    base64_append(&body, bytes_of_text(text), BASE64_URL);
    buffer_append_text(&body, "\"}");
    return call(s, "POST", path, "application/json", buffer_bytes(&body), err);
}

static FALLIBLE resource_policy_set(struct suite *s, const char *text, struct err *err)
{
    return policy_set(s, KBS_PREFIX "/resource-policy", "", text, err);
}

/* ---- who may ---- */

static FALLIBLE bearer_is_refused(struct suite *s, const char *bearer, struct err *err)
{
    struct http_request r      = { .method = "GET", .path = KBS_PREFIX "/resource-policy", .bearer = bearer };
    struct http        *guests = s->http;
    bool                is_done;

    s->http = s->admin;
    is_done = suite_exchange(s, &r, err);
    s->http = guests;
    return is_done && wants_error(s, 401, "AdminAuthAccess", NULL, err);
}

static FALLIBLE another_administrators_key_is_refused(struct suite *s, struct err *err)
{
    AUTO(pkey) EVP_PKEY       *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    AUTO(buffer) struct buffer token = { 0 };

    return token_sign(other, TOKEN_LIFE_S, &token, err) && bearer_is_refused(s, buffer_text(&token), err);
}

static FALLIBLE an_administrators_token_that_is_over_is_refused(struct suite *s, struct err *err)
{
    AUTO(buffer) struct buffer token = { 0 };

    return token_sign(s->admin_key, -120, &token, err) && bearer_is_refused(s, buffer_text(&token), err);
}

static FALLIBLE a_guests_token_is_no_administrators(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body = NULL;
    const char                    *token;

    return suite_challenge(s, err) && suite_attest(s, s->nonce, false, err) && suite_token(s, &body, &token, err) &&
           bearer_is_refused(s, token, err);
}

/* ---- kbs-client config ... ---- */

static FALLIBLE set_resource_takes_raw_bytes(struct suite *s, struct err *err)
{
    return call(s, "POST", KBS_PREFIX "/resource/" PATH, "application/octet-stream", bytes_of_text("raw \x01 bytes"), err) &&
           is_done_silently(s, err);
}

static FALLIBLE set_resource_policy_takes_a_text(struct suite *s, struct err *err)
{
    return resource_policy_set(s, ALLOW_ALL, err) && is_done_silently(s, err);
}

static FALLIBLE resource_policies_are_listed_by_name(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *list = NULL;

    if (!call(s, "GET", KBS_PREFIX "/resource-policy", NULL, (struct bytes){ 0 }, err) || !wants_status(s, 200, err) ||
        !json_read(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, &list, err))
        return false;
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0)
        return fail_with(err, ERR_MALFORMED, "not an array of names");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (!json_object_is_type(json_object_array_get_idx(list, i), json_type_string))
            return fail_with(err, ERR_MALFORMED, "not an array of texts");
    }
    return true;
}

static FALLIBLE resource_get(struct suite *s, struct err *err)
{
    return suite_challenge(s, err) && suite_attest(s, s->nonce, false, err) && wants_status(s, 200, err) &&
           suite_ask(s, "GET", KBS_PREFIX "/resource/" PATH, s->cookie, "", err);
}

static FALLIBLE a_guest_then_gets_those_bytes(struct suite *s, struct err *err)
{
    AUTO(secret) struct secret value = { 0 };

    if (!resource_get(s, err) || !wants_status(s, 200, err) ||
        !jwe_open(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, s->key, &value, err))
        return false;
    return bytes_equal(secret_expose(&value), bytes_of_text("raw \x01 bytes")) || fail_with(err, ERR_MALFORMED, "other bytes than were set");
}

static FALLIBLE the_policy_that_denies_all_denies(struct suite *s, struct err *err)
{
    return resource_policy_set(s, DENY_ALL, err) && is_done_silently(s, err) && resource_get(s, err) &&
           wants_error(s, 401, "PolicyDeny", NULL, err);
}

static FALLIBLE a_policy_that_is_no_rego_is_refused(struct suite *s, struct err *err)
{
    return resource_policy_set(s, "no rego {", err) && wants_error(s, 401, NULL, NULL, err) &&
           call(s, "POST", KBS_PREFIX "/resource-policy", "application/json", bytes_of_text("{}"), err) && wants_error(s, 401, NULL, NULL, err);
}

/* "default" alone would never be used: the class stands behind it. */
static FALLIBLE set_attestation_policy_decides_what_the_token_says(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body = NULL, *payload = NULL;
    struct json_object            *submods, *cpu, *vector;
    const char                    *token;
    uint64_t                       executables, hardware, configuration;

    if (!policy_set(s, KBS_PREFIX "/attestation-policy", "\"type\":\"rego\",\"policy_id\":\"default_cpu\",", APPRAISAL, err) ||
        !is_done_silently(s, err) || !suite_challenge(s, err) || !suite_attest(s, s->nonce, false, err) ||
        !suite_token(s, &body, &token, err) || !jwt_peek(bytes_of_text(token), KBS_TOKEN_MAX, &payload, err) ||
        !json_get(payload, "submods", json_type_object, &submods, err) || !json_get(submods, "cpu0", json_type_object, &cpu, err) ||
        !json_get(cpu, "ear.trustworthiness-vector", json_type_object, &vector, err) ||
        !json_get_u64(vector, "executables", 127, &executables, err) || !json_get_u64(vector, "hardware", 127, &hardware, err) ||
        !json_get_u64(vector, "configuration", 127, &configuration, err))
        return false;
    return (executables == 3 && hardware == 2 && configuration == 36) ||
           fail_with(err, ERR_MALFORMED, "the token's vector is not the policy's");
}

static FALLIBLE a_reference_value_is_read_back(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *value = NULL, *wanted = NULL;
    AUTO(buffer) struct buffer     body  = { 0 };

    buffer_append_text(&body, "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"");
    base64_append(&body, bytes_of_text("{\"conformance/digest\":[\"aa\",\"bb\"]}"), BASE64_STANDARD);
    buffer_append_text(&body, "\"}");
    if (!call(s, "POST", KBS_PREFIX "/reference-value", "application/json", buffer_bytes(&body), err) || !is_done_silently(s, err) ||
        !call(s, "GET", KBS_PREFIX "/reference-value/conformance/digest", NULL, (struct bytes){ 0 }, err) ||
        !wants_status(s, 200, err) || !json_read(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, &value, err) ||
        !json_read(bytes_of_text("[\"aa\",\"bb\"]"), KBS_ANSWER_MAX, &wanted, err))
        return false;
    return json_object_equal(value, wanted) == 1 || fail_with(err, ERR_MALFORMED, "another value than was registered");
}

static FALLIBLE a_reference_value_that_is_not_there_is_401(struct suite *s, struct err *err)
{
    return call(s, "GET", KBS_PREFIX "/reference-value/conformance/none", NULL, (struct bytes){ 0 }, err) &&
           wants_error(s, 401, "RvpsError", NULL, err);
}

static FALLIBLE a_deleted_resource_is_gone(struct suite *s, struct err *err)
{
    if (!call(s, "DELETE", KBS_PREFIX "/resource/" PATH, NULL, (struct bytes){ 0 }, err) || !wants_status(s, 200, err) ||
        !resource_policy_set(s, ALLOW_ALL, err) || !is_done_silently(s, err) || !resource_get(s, err))
        return false;
    if (s->answer.status != 404 && !wants_error(s, 401, NULL, NULL, err)) /* Trustee says 401 */
        return false;
    return resource_policy_set(s, DENY_ALL, err) && is_done_silently(s, err);
}

const struct test_case ADMIN_CASES[] = {
    CASE(another_administrators_key_is_refused, false),
    CASE(an_administrators_token_that_is_over_is_refused, false),
    CASE(a_guests_token_is_no_administrators, true),
    CASE(set_resource_takes_raw_bytes, false),
    CASE(set_resource_policy_takes_a_text, false),
    CASE(resource_policies_are_listed_by_name, false),
    CASE(a_guest_then_gets_those_bytes, true),
    CASE(the_policy_that_denies_all_denies, true),
    CASE(a_policy_that_is_no_rego_is_refused, false),
    CASE(set_attestation_policy_decides_what_the_token_says, true),
    CASE(a_reference_value_is_read_back, false),
    CASE(a_reference_value_that_is_not_there_is_401, false),
    CASE(a_deleted_resource_is_gone, true),
};
const size_t N_ADMIN_CASES = sizeof ADMIN_CASES / sizeof *ADMIN_CASES;
