/*
 * Conformance of a key broker with protocol 0.4.0, from outside: kbs-conformance --url URL --ca FILE. Points at any
 * broker, ours or a Trustee; with --sample it also walks the whole handshake with evidence of TEE "sample".
 */
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/options.h"
#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/client/http.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"
#include "tests/conformance/suite.h"

#define AUTH "/kbs/v0/auth"

static FALLIBLE challenge_has_the_documented_form(struct suite *s, struct err *err) { return suite_challenge(s, err); }

static FALLIBLE cookie_has_the_documented_form(struct suite *s, struct err *err)
{
    const char *value = s->cookie + strlen(KBS_COOKIE "=");

    if (strncmp(s->cookie, KBS_COOKIE "=", strlen(KBS_COOKIE "=")) != 0 || strlen(value) != KBS_SESSION_ID_LEN ||
        strspn(value, "0123456789abcdef") != KBS_SESSION_ID_LEN)
        return fail_with(err, ERR_MALFORMED, "cookie \"%.80s\"", s->cookie);
    return true;
}

static FALLIBLE nonces_differ(struct suite *s, struct err *err)
{
    char first[sizeof s->nonce];

    memcpy(first, s->nonce, sizeof first);
    if (!suite_challenge(s, err))
        return false;
    return strcmp(first, s->nonce) != 0 || fail_with(err, ERR_MALFORMED, "the same nonce twice");
}

static FALLIBLE extra_params_may_be_any_value_and_members_may_be_more(struct suite *s, struct err *err)
{
    return suite_ask(s, "POST", AUTH, NULL, "{\"x\":1,\"extra-params\":\"\",\"tee\":\"sample\",\"version\":\"0.4.0\"}", err) &&
           wants_status(s, 200, err);
}

static FALLIBLE another_version_is_told_by_the_known_phrase(struct suite *s, struct err *err)
{
    return suite_ask(s, "POST", AUTH, NULL, "{\"version\":\"0.1.0\",\"tee\":\"sample\",\"extra-params\":\"\"}", err) &&
           wants_error(s, 401, NULL, KBS_VERSION_MISMATCH, err);
}

static FALLIBLE an_unknown_tee_is_refused(struct suite *s, struct err *err)
{
    return suite_ask(s, "POST", AUTH, NULL, "{\"version\":\"0.4.0\",\"tee\":\"SNP\",\"extra-params\":\"\"}", err) &&
           wants_error(s, 401, NULL, NULL, err);
}

static FALLIBLE each_member_of_the_request_is_required(struct suite *s, struct err *err)
{
    static const char *const BODIES[] = { "{\"tee\":\"sample\",\"extra-params\":\"\"}",
                                          "{\"version\":\"0.4.0\",\"extra-params\":\"\"}",
                                          "{\"version\":\"0.4.0\",\"tee\":\"sample\"}", "[]", "", "{" };

    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        if (!suite_ask(s, "POST", AUTH, NULL, BODIES[i], err) || !wants_error(s, 401, NULL, NULL, err))
            return contextf(err, "body %s", BODIES[i]);
    }
    return true;
}

static FALLIBLE attesting_needs_a_session(struct suite *s, struct err *err)
{
    return suite_ask(s, "POST", "/kbs/v0/attest", NULL, "{}", err) && wants_error(s, 401, NULL, NULL, err) &&
           suite_ask(s, "POST", "/kbs/v0/attest", KBS_COOKIE "=00000000000040008000000000000000", "{}", err) &&
           wants_error(s, 401, NULL, NULL, err);
}

static FALLIBLE a_resource_needs_a_token(struct suite *s, struct err *err)
{
    return suite_ask(s, "GET", "/kbs/v0/resource/default/key/1", NULL, "", err) &&
           wants_error(s, 401, "TokenNotFound", NULL, err);
}

static FALLIBLE an_unattested_session_is_no_token(struct suite *s, struct err *err)
{
    return suite_ask(s, "GET", "/kbs/v0/resource/default/key/1", s->cookie, "", err) && wants_error(s, 401, NULL, NULL, err);
}

static FALLIBLE an_unknown_plugin_is_404(struct suite *s, struct err *err)
{
    return suite_ask(s, "GET", "/kbs/v0/no-such-plugin/x", NULL, "", err) && wants_error(s, 404, "PluginNotFound", NULL, err);
}

static FALLIBLE a_body_over_the_limit_is_413(struct suite *s, struct err *err)
{
    AUTO(buffer) struct buffer large = { 0 };

    memset(buffer_grow(&large, KBS_BODY_MAX + 1), ' ', KBS_BODY_MAX + 1);
    return suite_ask(s, "POST", AUTH, NULL, buffer_text(&large), err) && wants_status(s, 413, err);
}

static FALLIBLE health_is_200(struct suite *s, struct err *err)
{
    return suite_ask(s, "GET", "/healthz", NULL, "", err) && wants_status(s, 200, err);
}

/* ---- with TEE sample ---- */

static FALLIBLE wrong_report_data_is_refused_and_the_session_lives_on(struct suite *s, struct err *err)
{
    return suite_challenge(s, err) && suite_attest(s, s->nonce, true, err) &&
           wants_error(s, 401, "AttestationError", NULL, err);
}

static FALLIBLE another_nonce_is_refused(struct suite *s, struct err *err)
{
    return suite_attest(s, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false, err) &&
           wants_error(s, 401, "AttestationError", NULL, err);
}

static FALLIBLE token_claims_check(struct suite *s, const char *token, struct err *err)
{
    static const char *const PATH[] = { "submods", "cpu0", "ear.veraison.annotated-evidence", "runtime_data_claims" };
    AUTO(json) struct json_object *payload = NULL;
    AUTO(jwk) struct jwk           bound   = { 0 };
    struct json_object            *at, *jwk;
    const char                    *nonce, *status;
    uint64_t                       exp;

    if (!jwt_peek(bytes_of_text(token), KBS_TOKEN_MAX, &payload, err) ||
        !json_get_u64(payload, "exp", INT64_MAX, &exp, err))
        return false;
    at = payload;
    for (size_t i = 0; i < sizeof PATH / sizeof *PATH; i++) {
        if (!json_get(at, PATH[i], json_type_object, &at, err))
            return false;
        if (i == 1 && !json_get_text(at, "ear.status", &status, err))
            return false;
    }
    if (!json_get_text(at, "nonce", &nonce, err) || !json_get(at, "tee-pubkey", json_type_object, &jwk, err) ||
        !jwk_read(jwk, &bound, err))
        return false;
    if (strcmp(nonce, s->nonce) != 0 || EVP_PKEY_eq(bound.key, s->key) != 1)
        return fail_with(err, ERR_MALFORMED, "the token speaks of another nonce or key");
    return true;
}

static FALLIBLE right_evidence_gives_a_token_bound_to_nonce_and_key(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body = NULL;
    const char                    *token;

    return suite_attest(s, s->nonce, false, err) && wants_status(s, 200, err) &&
           json_read(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, &body, err) &&
           json_get_text(body, "token", &token, err) && token_claims_check(s, token, err);
}

static FALLIBLE attesting_again_gives_the_same_token(struct suite *s, struct err *err)
{
    AUTO(buffer) struct buffer first = { 0 };

    buffer_append(&first, buffer_bytes(&s->answer.body));
    return suite_attest(s, s->nonce, false, err) && wants_status(s, 200, err) &&
           (bytes_equal(buffer_bytes(&first), buffer_bytes(&s->answer.body)) ||
            fail_with(err, ERR_MALFORMED, "another body than the first time"));
}

static FALLIBLE a_resource_that_is_not_there_is_refused(struct suite *s, struct err *err)
{
    if (!suite_ask(s, "GET", "/kbs/v0/resource/no/such/resource-here", s->cookie, "", err))
        return false;
    return s->answer.status == 404 || wants_error(s, 401, NULL, NULL, err); /* Trustee says 401 */
}

static FALLIBLE the_resource_opens_with_the_tee_key_only(struct suite *s, struct err *err)
{
    AUTO(secret) struct secret value = { 0 };
    AUTO(pkey) EVP_PKEY       *other = NULL;
    AUTO(buffer) struct buffer path  = { 0 };

    if (!s->resource)
        return true;
    buffer_printf(&path, "/kbs/v0/resource/%s", s->resource);
    if (!jwk_generate_p256(&other, err) || !suite_ask(s, "GET", buffer_text(&path), s->cookie, "", err) ||
        !wants_status(s, 200, err))
        return false;
    if (jwe_open(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, other, &value, err))
        return fail_with(err, ERR_MALFORMED, "it opens with any key");
    return jwe_open(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, s->key, &value, err);
}

/* ---- traps [KBS 6.3, 8, 11, 13] ---- */

static FALLIBLE attest_again(struct suite *s, struct json_object **body, const char **token, struct err *err)
{
    return suite_challenge(s, err) && suite_attest(s, s->nonce, false, err) && suite_token(s, body, token, err);
}

/* {"typ":"JWT","alg":"ES256","jwk":{…,"x5c":[…]}}, and the key is one of the set that the broker publishes. */
static FALLIBLE the_tokens_header_carries_its_key_and_certificate(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body = NULL, *header = NULL, *payload = NULL;
    AUTO(buffer) struct buffer     text = { 0 };
    AUTO(jwk) struct jwk           jwk  = { 0 };
    struct json_object            *key, *chain;
    const char                    *token, *alg, *type;

    if (!attest_again(s, &body, &token, err) ||
        !base64_read((struct bytes){ (const uint8_t *) token, strcspn(token, ".") }, BASE64_URL, &text, err) ||
        !json_read(buffer_bytes(&text), KBS_TOKEN_MAX, &header, err) || !json_get_text(header, "typ", &type, err) ||
        !json_get_text(header, "alg", &alg, err) || !json_get(header, "jwk", json_type_object, &key, err) ||
        !json_get(key, "x5c", json_type_array, &chain, err) || !jwk_read(key, &jwk, err))
        return context(err, "token header");
    if (strcmp(type, "JWT") != 0 || strcmp(alg, "ES256") != 0 || json_has(header, "kid") || json_object_array_length(chain) == 0)
        return fail_with(err, ERR_MALFORMED, "token header: %.200s", buffer_text(&text));
    return jwt_verify(bytes_of_text(token), KBS_TOKEN_MAX, jwk.key, &payload, err);
}

/* Members of the JWK beyond those that count are dropped before it is hashed, also when the client sends them. */
static FALLIBLE members_of_the_jwk_that_do_not_count_are_not_hashed(struct suite *s, struct err *err)
{
    AUTO(buffer) struct buffer evidence = { 0 }, body = { 0 };
    uint8_t                    digest[RCAR_DIGEST_LEN];

    if (!suite_challenge(s, err) || !rcar_report_data("", s->nonce, &s->jwk, digest, err))
        return false;
    base64_append(&evidence, BYTES_OF(digest), BASE64_STANDARD);
    buffer_printf(&body, "{\"tee-evidence\":{\"additional_evidence\":\"\",\"primary_evidence\":{\"report_data\":\"%s\",\"svn\":\"1\"}},"
                         "\"runtime-data\":{\"tee-pubkey\":{\"use\":\"enc\",\"kid\":\"k\",%s,\"nonce\":\"%s\"}}", buffer_text(&evidence),
                  buffer_text(&s->jwk.canonical) + 1, s->nonce);
    return suite_ask(s, "POST", "/kbs/v0/attest", s->cookie, buffer_text(&body), err) && wants_status(s, 200, err);
}

static FALLIBLE resource_ask(struct suite *s, const char *bearer, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };
    struct http_request        r    = { .method = "GET", .cookie = bearer ? NULL : s->cookie, .bearer = bearer };

    buffer_printf(&path, "/kbs/v0/resource/%s", s->resource);
    r.path = buffer_text(&path);
    return suite_exchange(s, &r, err) && wants_status(s, 200, err) && wants_type(s, "application/json", err);
}

static FALLIBLE a_bearer_token_is_as_good_as_the_cookie(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *body  = NULL;
    AUTO(secret) struct secret     value = { 0 };
    const char                    *token;

    if (!s->resource)
        return true;
    return attest_again(s, &body, &token, err) && resource_ask(s, token, err) &&
           jwe_open(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, s->key, &value, err);
}

/* Trustee's client decrypts against its own serialisation of the header: no other text will do. */
static FALLIBLE the_jwe_header_is_the_text_that_clients_make_again(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *jwe    = NULL, *header = NULL;
    AUTO(buffer) struct buffer     text   = { 0 }, wanted = { 0 };
    struct json_object            *epk;
    const char                    *encoded, *x, *y;

    if (!s->resource)
        return true;
    if (!resource_ask(s, NULL, err) || !json_read(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, &jwe, err) ||
        !json_get_text(jwe, "protected", &encoded, err) || !base64_read(bytes_of_text(encoded), BASE64_URL, &text, err) ||
        !json_read(buffer_bytes(&text), KBS_ANSWER_MAX, &header, err) || !json_get(header, "epk", json_type_object, &epk, err) ||
        !json_get_text(epk, "x", &x, err) || !json_get_text(epk, "y", &y, err))
        return false;
    buffer_printf(&wanted, "{\"alg\":\"ECDH-ES+A256KW\",\"enc\":\"A256GCM\",\"epk\":{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}}", x, y);
    if (json_has(jwe, "aad") || json_object_object_length(jwe) != 5)
        return fail_with(err, ERR_MALFORMED, "a JWE of other members than the five");
    return bytes_equal(buffer_bytes(&text), buffer_bytes(&wanted)) ||
           fail_with(err, ERR_MALFORMED, "protected header %.200s", buffer_text(&text));
}

/* A whole walk with another kind of TEE key. */
static FALLIBLE walk_with(struct suite *s, EVP_PKEY *key, const char *alg, struct err *err)
{
    AUTO(json) struct json_object *body  = NULL;
    AUTO(secret) struct secret     value = { 0 };
    EVP_PKEY                      *kept  = s->key;
    struct jwk                     other = { 0 }, kept_jwk = s->jwk;
    const char                    *token;
    bool                           walked;

    if (!s->resource || !key || !jwk_of_key(key, alg, &other, err))
        return s->resource == NULL;
    s->jwk = other;
    s->key = key;
    walked = attest_again(s, &body, &token, err) && resource_ask(s, NULL, err) &&
             jwe_open(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, key, &value, err);
    s->jwk = kept_jwk;
    s->key = kept;
    jwk_free(&other);
    return walked;
}

static FALLIBLE a_key_on_p_521_works(struct suite *s, struct err *err)
{
    AUTO(pkey) EVP_PKEY *key = EVP_EC_gen("P-521");

    return walk_with(s, key, "ECDH-ES+A256KW", err);
}

static FALLIBLE an_rsa_key_works(struct suite *s, struct err *err)
{
    AUTO(pkey) EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);

    return walk_with(s, key, "RSA-OAEP-256", err);
}

static FALLIBLE another_format_of_initdata_is_refused(struct suite *s, struct err *err)
{
    static const char BODY[] = "{\"init-data\":{\"format\":\"json\",\"body\":\"{}\"},\"runtime-data\":{\"nonce\":\"x\",\"tee-pubkey\":{}},"
                               "\"tee-evidence\":{\"primary_evidence\":{},\"additional_evidence\":\"\"}}";

    return suite_challenge(s, err) && suite_ask(s, "POST", "/kbs/v0/attest", s->cookie, BODY, err) &&
           wants_error(s, 401, "AttestationError", NULL, err);
}

static FALLIBLE administration_needs_an_administrator(struct suite *s, struct err *err)
{
    static const char *const PATHS[] = { "/kbs/v0/resource/a/b/c", "/kbs/v0/resource-policy", "/kbs/v0/attestation-policy",
                                         "/kbs/v0/reference-value" };

    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        if (!suite_ask(s, "POST", PATHS[i], NULL, "{}", err))
            return false;
        if (s->answer.status == 404 || s->answer.status == 405) /* on a listener of its own */
            continue;
        if (!wants_error(s, 401, NULL, NULL, err))
            return context(err, PATHS[i]);
    }
    return true;
}

static FALLIBLE every_other_version_is_refused(struct suite *s, struct err *err)
{
    static const char *const VERSIONS[] = { "0.1.0", "0.1.1", "0.2.0", "0.3.0", "0.4.1", "0.5.0", "1.0.0" };

    for (size_t i = 0; i < sizeof VERSIONS / sizeof *VERSIONS; i++) {
        AUTO(buffer) struct buffer body = { 0 }, phrase = { 0 };

        buffer_printf(&body, "{\"version\":\"%s\",\"tee\":\"snp\",\"extra-params\":\"\"}", VERSIONS[i]);
        buffer_printf(&phrase, KBS_VERSION_MISMATCH ": expect =0.4.0 while the request is %s", VERSIONS[i]);
        if (!suite_ask(s, "POST", AUTH, NULL, buffer_text(&body), err) || !wants_error(s, 401, NULL, buffer_text(&phrase), err))
            return false;
    }
    return suite_ask(s, "POST", AUTH, NULL, "{\"version\":\"four\",\"tee\":\"snp\",\"extra-params\":\"\"}", err) &&
           wants_error(s, 401, NULL, NULL, err);
}

/* Names are those of 0.4.0, in lower case; older ones had no dashes. */
static FALLIBLE names_of_older_clients_are_refused(struct suite *s, struct err *err)
{
    static const char *const NAMES[] = { "azsnpvtpm", "aztdxvtpm", "Sample", "sev", "" };

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        AUTO(buffer) struct buffer body = { 0 };

        buffer_printf(&body, "{\"version\":\"0.4.0\",\"tee\":\"%s\",\"extra-params\":\"\"}", NAMES[i]);
        if (!suite_ask(s, "POST", AUTH, NULL, buffer_text(&body), err) || !wants_error(s, 401, NULL, NULL, err))
            return contextf(err, "tee \"%s\"", NAMES[i]);
    }
    return true;
}

/* With more, a client would not send it everywhere below /kbs/v0, or not over plain HTTP. */
static FALLIBLE the_cookie_has_an_expiry_and_no_other_attribute(struct suite *s, struct err *err)
{
    static const char EXPIRES[] = "; Expires=";
    const char       *date      = s->attributes + sizeof EXPIRES - 1;
    struct tm         tm        = { 0 };

    if (!suite_challenge(s, err))
        return false;
    if (strncmp(s->attributes, EXPIRES, sizeof EXPIRES - 1) != 0 || strchr(date, ';') ||
        !(date = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm)) || *date)
        return fail_with(err, ERR_MALFORMED, "attributes \"%.100s\"", s->attributes);
    return timegm(&tm) > time(NULL) || fail_with(err, ERR_MALFORMED, "it is over already: \"%.100s\"", s->attributes);
}

static const struct test_case CASES[] = {
    CASE(health_is_200, false),
    CASE(challenge_has_the_documented_form, false),
    CASE(cookie_has_the_documented_form, false),
    CASE(the_cookie_has_an_expiry_and_no_other_attribute, false),
    CASE(nonces_differ, false),
    CASE(extra_params_may_be_any_value_and_members_may_be_more, false),
    CASE(another_version_is_told_by_the_known_phrase, false),
    CASE(every_other_version_is_refused, false),
    CASE(an_unknown_tee_is_refused, false),
    CASE(names_of_older_clients_are_refused, false),
    CASE(each_member_of_the_request_is_required, false),
    CASE(attesting_needs_a_session, false),
    CASE(a_resource_needs_a_token, false),
    CASE(an_unattested_session_is_no_token, false),
    CASE(an_unknown_plugin_is_404, false),
    CASE(a_body_over_the_limit_is_413, false),
    CASE(administration_needs_an_administrator, false),
    CASE(another_format_of_initdata_is_refused, false),
    CASE(wrong_report_data_is_refused_and_the_session_lives_on, true),
    CASE(another_nonce_is_refused, true),
    CASE(right_evidence_gives_a_token_bound_to_nonce_and_key, true),
    CASE(attesting_again_gives_the_same_token, true),
    CASE(a_resource_that_is_not_there_is_refused, true),
    CASE(the_resource_opens_with_the_tee_key_only, true),
    CASE(the_jwe_header_is_the_text_that_clients_make_again, true),
    CASE(the_tokens_header_carries_its_key_and_certificate, true),
    CASE(members_of_the_jwk_that_do_not_count_are_not_hashed, true),
    CASE(a_bearer_token_is_as_good_as_the_cookie, true),
    CASE(a_key_on_p_521_works, true),
    CASE(an_rsa_key_works, true),
};

/* Runs a group, and numbers its cases from `*n` on. */
static int group_run(struct suite *s, const struct test_case *cases, size_t n_cases, bool is_left_out, size_t *n)
{
    int n_failed = 0;

    for (size_t i = 0; i < n_cases; i++) {
        struct err err = { 0 };

        (*n)++;
        if (s->transcript && !is_left_out)
            fprintf(s->transcript, "# %s\n", cases[i].name);
        if (is_left_out)
            printf("ok %zu - %s # SKIP without --admin-key\n", *n, cases[i].name);
        else if (cases[i].needs_sample && !s->sample)
            printf("ok %zu - %s # SKIP without --sample\n", *n, cases[i].name);
        else if (cases[i].run(s, &err))
            printf("ok %zu - %s\n", *n, cases[i].name);
        else
            printf("not ok %zu - %s: %s\n", *n, cases[i].name, err.text), n_failed++;
    }
    return n_failed;
}

static int run(struct suite *s)
{
    size_t n        = 0;
    int    n_failed = group_run(s, CASES, sizeof CASES / sizeof *CASES, false, &n);

    n_failed += group_run(s, RESOURCE_CASES, N_RESOURCE_CASES, false, &n);
    n_failed += group_run(s, ADMIN_CASES, N_ADMIN_CASES, !s->admin_key, &n);
    printf("1..%zu\n", n);
    return n_failed > 0;
}

static FALLIBLE admin_key_read(const char *path, EVP_PKEY **out, struct err *err)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(bio) BIO             *bio = NULL;

    if (!file_read(path, 1 << 16, &pem, err))
        return false;
    bio  = BIO_new_mem_buf(pem.at, (int) pem.len);
    *out = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    return *out || err_openssl(err, ERR_CONFIG, path);
}

int main(int argc, char **argv)
{
    const char             *url = NULL, *ca = NULL, *transcript = NULL, *admin_url = NULL, *admin_key = NULL;
    struct suite            s      = { 0 };
    const struct option_row rows[] = {
        { "url", OPTION_TEXT, &url, "URL", "the broker, https://HOST:PORT; or http:// on this machine", 0, 0 },
        { "ca", OPTION_TEXT, &ca, "FILE", "its CA, PEM; needless for http://", 0, 0 },
        { "sample", OPTION_FLAG, &s.sample, NULL, "also attest with evidence of TEE sample", 0, 0 },
        { "transcript", OPTION_TEXT, &transcript, "FILE", "write what was said, with all that is random masked", 0, 0 },
        { "resource", OPTION_TEXT, &s.resource, "R/T/T", "a resource that a sample guest may have", 0, 0 },
        { "admin-key", OPTION_TEXT, &admin_key, "FILE", "an administrator's key: also set policies, which leaves \"deny all\"", 0, 0 },
        { "admin-url", OPTION_TEXT, &admin_url, "URL", "where administrators are served, if it is not --url", 0, 0 },
    };
    const struct option_table table = { .command = "kbs-conformance", .synopsis = "--url URL [--ca FILE] [--sample]",
                                        .about = "Tries a key broker against protocol 0.4.0; prints TAP.",
                                        .rows = rows, .n_rows = sizeof rows / sizeof *rows };
    AUTO(buffer) struct buffer pem = { 0 };
    enum options_outcome       outcome;
    char                     **operands;
    size_t                     n_operands;
    struct err                 err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n_operands, &err) || !secret_heap_open(&err)) {
        fprintf(stderr, "kbs-conformance: %s\n", err.text);
        return 2;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (!url || (ca && !file_read(ca, 1 << 16, &pem, &err))) {
        fprintf(stderr, "kbs-conformance: %s\n", url ? err.text : "give --url and, for https://, --ca");
        return 2;
    }
    struct http_options options = { .url = url, .ca_pem = buffer_bytes(&pem), .plain_on_loopback = true };
    if (!http_open(&options, &s.http, &err) || !jwk_generate_p256(&s.key, &err) ||
        !jwk_of_key(s.key, "ECDH-ES+A256KW", &s.jwk, &err)) {
        fprintf(stderr, "kbs-conformance: %s\n", err.text);
        return 2;
    }
    struct http_options admin_options = { .url = admin_url ? admin_url : url, .ca_pem = buffer_bytes(&pem), .plain_on_loopback = true };
    if (!http_open(&admin_options, &s.admin, &err) || (admin_key && !admin_key_read(admin_key, &s.admin_key, &err))) {
        fprintf(stderr, "kbs-conformance: %s\n", err.text);
        return 2;
    }
    if (transcript && !(s.transcript = fopen(transcript, "we"))) {
        fprintf(stderr, "kbs-conformance: %s cannot be written\n", transcript);
        return 2;
    }
    int failed = run(&s);

    if (s.transcript && fclose(s.transcript) != 0)
        failed = 2;

    http_close(s.http);
    http_close(s.admin);
    EVP_PKEY_free(s.admin_key);
    EVP_PKEY_free(s.key);
    jwk_free(&s.jwk);
    buffer_free(&s.answer.body);
    return failed;
}
