/* Tokens and resources: what a client relies on, and what a broker must not take. [KBS 5, 9, 11, 13] */
#include <string.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"
#include "tests/conformance/suite.h"

static FALLIBLE get(struct suite *s, const char *path, const char *cookie, const char *bearer, struct err *err)
{
    AUTO(buffer) struct buffer whole = { 0 };
    struct http_request        r     = { .method = "GET", .cookie = cookie, .bearer = bearer };

    buffer_printf(&whole, KBS_PREFIX "/resource/%s", path);
    r.path = buffer_text(&whole);
    return suite_exchange(s, &r, err);
}

static FALLIBLE attested(struct suite *s, struct json_object **body, const char **token, struct err *err)
{
    return suite_challenge(s, err) && suite_attest(s, s->nonce, false, err) && suite_token(s, body, token, err);
}

/* ---- tokens that are none ---- */

/* Trustee's own test token: of a key that no broker knows. */
#define FOREIGN_TOKEN                                                                                                              \
    "eyJhbGciOiJFUzI1NiIsImtpZCI6InNpbXBsZSIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE2OTA3ODk2MTgsImV4cCI6MjAwNjE0OTYxOCwibmJmIjoxNjkwNzg5NjE4fQ." \
    "_rGIt6XRHXfMiypJ38G55Qit5XiGEEQz1vvGjPE3jUJheJAbAfU4qR3BnsTVbchSTagwMgz2U45iA5eGiMo3sQ"

static FALLIBLE a_token_of_nobody_is_refused(struct suite *s, struct err *err)
{
    static const char *const TOKENS[] = {
        "x", "x.y.z",
        "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.", /* "alg":"none" */
        FOREIGN_TOKEN,
    };

    for (size_t i = 0; i < sizeof TOKENS / sizeof *TOKENS; i++) {
        if (!get(s, "default/key/1", NULL, TOKENS[i], err) || !wants_error(s, 401, "TokenVerifierError", NULL, err))
            return contextf(err, "token %zu", i + 1);
    }
    return true;
}

static FALLIBLE a_changed_token_is_refused(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body    = NULL;
    AUTO(buffer) struct buffer     changed = { 0 };
    const char                    *token;

    if (!attested(s, &body, &token, err))
        return false;
    buffer_append_text(&changed, token);
    changed.at[strcspn(token, ".") + 3] ^= 1; /* in the payload */
    return get(s, "default/key/1", NULL, buffer_text(&changed), err) && wants_error(s, 401, "TokenVerifierError", NULL, err);
}

/* ---- handshakes ---- */

static FALLIBLE evidence_of_an_attested_session_is_not_looked_at(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *first = NULL, *second = NULL;
    const char                    *one, *two;

    if (!attested(s, &first, &one, err) || !suite_attest(s, s->nonce, true, err) || !suite_token(s, &second, &two, err))
        return false;
    return strcmp(one, two) == 0 || fail_with(err, ERR_MALFORMED, "another token than the session's");
}

static FALLIBLE the_session_of_an_attestation_is_named_again(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body = NULL;
    const char                    *token;

    if (!attested(s, &body, &token, err))
        return false;
    return strcmp(s->answer.cookie, s->cookie) == 0 || fail_with(err, ERR_MALFORMED, "cookie \"%.80s\"", s->answer.cookie);
}

static FALLIBLE a_session_is_bound_to_its_nonce(struct suite *s, struct err *err)
{
    char nonce[sizeof s->nonce];

    if (!suite_challenge(s, err))
        return false;
    memcpy(nonce, s->nonce, sizeof nonce);
    return suite_challenge(s, err) && suite_attest(s, nonce, false, err) &&
           wants_error(s, 401, "AttestationError", NULL, err);
}

static FALLIBLE each_member_of_an_attestation_is_required(struct suite *s, struct err *err)
{
    static const char EVIDENCE[] = "\"tee-evidence\":{\"primary_evidence\":{\"svn\":\"1\",\"report_data\":\"\"},\"additional_evidence\":\"\"}";
    static const char *const RUNTIMES[] = {
        "", "\"runtime-data\":{\"tee-pubkey\":{\"kty\":\"EC\"}},", "\"runtime-data\":{\"nonce\":\"%s\"},",
        "\"runtime-data\":{\"nonce\":\"%s\",\"tee-pubkey\":{\"kty\":\"oct\",\"alg\":\"dir\"}},",
        /* no "alg" */
        "\"runtime-data\":{\"nonce\":\"%s\",\"tee-pubkey\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"8h6F31bmVU7Y-uPlR1Mtlvc7hyDOrxWcsYOBPOthjj0\","
        "\"y\":\"J2_-0LskBE0njZGnOJU4JnZRWu-BXLwoKp0WJyffLzw\"}},",
        /* a point that is not on the curve */
        "\"runtime-data\":{\"nonce\":\"%s\",\"tee-pubkey\":{\"alg\":\"ECDH-ES+A256KW\",\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"8h6F31bmVU7Y-uPlR1Mtlvc7hyDOrxWcsYOBPOthjj0\",\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}},",
        /* a coordinate of another width */
        "\"runtime-data\":{\"nonce\":\"%s\",\"tee-pubkey\":{\"alg\":\"ECDH-ES+A256KW\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"8h6F\","
        "\"y\":\"J2_-0LskBE0njZGnOJU4JnZRWu-BXLwoKp0WJyffLzw\"}},",
    };

    if (!suite_challenge(s, err))
        return false;
    for (size_t i = 0; i < sizeof RUNTIMES / sizeof *RUNTIMES; i++) {
        AUTO(buffer) struct buffer body = { 0 };
        const char                *hole = strstr(RUNTIMES[i], "%s");

        buffer_append_text(&body, "{\"init-data\":null,");
        if (hole)
            buffer_printf(&body, "%.*s%s%s", (int) (hole - RUNTIMES[i]), RUNTIMES[i], s->nonce, hole + 2);
        else
            buffer_append_text(&body, RUNTIMES[i]);
        buffer_printf(&body, "%s}", EVIDENCE);
        if (!suite_ask(s, "POST", KBS_PREFIX "/attest", s->cookie, buffer_text(&body), err) || !wants_error(s, 401, NULL, NULL, err))
            return contextf(err, "attestation %zu", i + 1);
    }
    return true;
}

/* ---- the token ---- */

static FALLIBLE text_is(struct json_object *object, const char *name, struct err *err)
{
    const char *text;

    return json_get_text(object, name, &text, err) && (text[0] || fail_with(err, ERR_MALFORMED, "%s is empty", name));
}

static FALLIBLE vector_check(struct json_object *vector, struct err *err)
{
    static const char *const NAMES[] = { "instance-identity", "configuration", "executables", "file-system", "hardware",
                                         "runtime-opaque", "storage-opaque", "sourced-data" };

    json_object_object_foreach(vector, name, value)
    {
        bool known = false;

        for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
            known = known || strcmp(NAMES[i], name) == 0;
        if (!known || !json_object_is_type(value, json_type_int) || json_object_get_int64(value) < -128 || json_object_get_int64(value) > 127)
            return fail_with(err, ERR_MALFORMED, "trust vector: \"%.40s\"", name);
    }
    return true;
}

/* The payload is an EAR as Trustee's verifiers and relying parties read it. */
static FALLIBLE the_token_is_an_ear(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body = NULL, *payload = NULL;
    struct json_object            *submods, *cpu, *vector, *id, *annotated;
    const char                    *token;
    uint64_t                       iat, exp;

    if (!attested(s, &body, &token, err) || !jwt_peek(bytes_of_text(token), KBS_TOKEN_MAX, &payload, err) ||
        !text_is(payload, "eat_profile", err) || !text_is(payload, "iss", err) || !json_get_u64(payload, "iat", INT64_MAX, &iat, err) ||
        !json_get_u64(payload, "exp", INT64_MAX, &exp, err) || !json_get(payload, "ear.verifier-id", json_type_object, &id, err) ||
        !text_is(id, "developer", err) || !text_is(id, "build", err) || !json_get(payload, "submods", json_type_object, &submods, err) ||
        !json_get(submods, "cpu0", json_type_object, &cpu, err) || !text_is(cpu, "ear.status", err) ||
        !text_is(cpu, "ear.appraisal-policy-id", err) || !json_get(cpu, "ear.trustworthiness-vector", json_type_object, &vector, err) ||
        !json_get(cpu, "ear.veraison.annotated-evidence", json_type_object, &annotated, err) || !json_has(annotated, "sample"))
        return context(err, "token");
    if (exp <= iat)
        return fail_with(err, ERR_MALFORMED, "the token ends before it begins");
    return vector_check(vector, err);
}

static FALLIBLE key_is_published(struct json_object *keys, const struct jwk *wanted)
{
    for (size_t i = 0; i < json_object_array_length(keys); i++) {
        AUTO(jwk) struct jwk one = { 0 };
        struct err           ignored; /* what is no key of ours to read is not the one */

        if (jwk_read(json_object_array_get_idx(keys, i), &one, &ignored) && EVP_PKEY_eq(one.key, wanted->key) == 1)
            return true;
    }
    return false;
}

/* Who publishes keys at all publishes the one that signs. */
static FALLIBLE the_tokens_key_is_published(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body = NULL, *header = NULL, *set = NULL;
    AUTO(buffer) struct buffer     text = { 0 };
    AUTO(jwk) struct jwk           jwk  = { 0 };
    struct json_object            *key, *keys;
    const char                    *token;

    if (!attested(s, &body, &token, err) ||
        !base64_read((struct bytes){ (const uint8_t *) token, strcspn(token, ".") }, BASE64_URL, &text, err) ||
        !json_read(buffer_bytes(&text), KBS_TOKEN_MAX, &header, err) || !json_get(header, "jwk", json_type_object, &key, err) ||
        !jwk_read(key, &jwk, err) || !suite_ask(s, "GET", "/.well-known/jwks.json", NULL, "", err))
        return false;
    if (s->answer.status == 404) /* Trustee's attestation service publishes them, its broker does not */
        return true;
    if (!wants_status(s, 200, err) || !json_read(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, &set, err) ||
        !json_get(set, "keys", json_type_array, &keys, err))
        return false;
    return key_is_published(keys, &jwk) || fail_with(err, ERR_MALFORMED, "the key that signed is not among those published");
}

/* ---- resources ---- */

static FALLIBLE a_path_of_other_than_three_parts_is_refused(struct suite *s, struct err *err)
{
    static const char *const PATHS[] = { "one", "one/two", "one/two/three/four", "one//three", "one/.two/three", "one/two/%2e%2e",
                                         "one/two%2fthree", "one/two/thr%00ee" };

    if (!suite_challenge(s, err) || !suite_attest(s, s->nonce, false, err) || !wants_status(s, 200, err))
        return false;
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        if (!get(s, PATHS[i], s->cookie, NULL, err))
            return false;
        if (s->answer.status != 404 && s->answer.status != 400 && !wants_error(s, 401, NULL, NULL, err)) /* 400: its HTTP server's */
            return context(err, PATHS[i]);
    }
    return true;
}

static FALLIBLE opens(struct suite *s, struct err *err)
{
    AUTO(secret) struct secret value = { 0 };

    return wants_status(s, 200, err) && wants_type(s, "application/json", err) &&
           jwe_open(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, s->key, &value, err);
}

static FALLIBLE the_session_counts_before_the_token(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body = NULL;
    const char                    *token;

    if (!s->resource)
        return true;
    if (!attested(s, &body, &token, err) || !get(s, s->resource, s->cookie, "not-a-token", err) || !opens(s, err) || !suite_challenge(s, err))
        return false;
    return (get(s, s->resource, s->cookie, token, err) && opens(s, err)) || context(err, "a session without a token, and a token");
}

static FALLIBLE a_query_is_the_policys_matter(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body = NULL;
    AUTO(buffer) struct buffer     path = { 0 };
    const char                    *token;

    if (!s->resource)
        return true;
    buffer_printf(&path, "%s?a=1&a=2&b=%%20&c", s->resource);
    return attested(s, &body, &token, err) && get(s, buffer_text(&path), s->cookie, NULL, err) && opens(s, err);
}

const struct test_case RESOURCE_CASES[] = {
    CASE(a_token_of_nobody_is_refused, false),
    CASE(each_member_of_an_attestation_is_required, false),
    CASE(a_session_is_bound_to_its_nonce, true),
    CASE(evidence_of_an_attested_session_is_not_looked_at, true),
    CASE(the_session_of_an_attestation_is_named_again, true),
    CASE(a_changed_token_is_refused, true),
    CASE(the_token_is_an_ear, true),
    CASE(the_tokens_key_is_published, true),
    CASE(a_path_of_other_than_three_parts_is_refused, true),
    CASE(the_session_counts_before_the_token, true),
    CASE(a_query_is_the_policys_matter, true),
};
const size_t N_RESOURCE_CASES = sizeof RESOURCE_CASES / sizeof *RESOURCE_CASES;
