/*
 * Trustee's own clients, byte for byte as they write: kbs-client's subcommands, and the handshake of guest-components' library,
 * with a broker of their own. [KBS 4 to 12]
 */
#pragma once

#include <time.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/jose/jcs.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"
#include "tests/harness/broker.h"
#include "tests/harness/raw_https.h"

#define AGENT       "kbs-client/0.1.0"
#define GUEST_AGENT "attestation-agent-kbs-client/0.1.0"
#define ERRORS      "https://github.com/confidential-containers/kbs/errors/"

static struct test_broker broker;
static struct buffer      admin_token;

/* A token as kbs-client makes it for --auth-private-key: two hours, no role, no subject. */
static inline void token_sign(EVP_PKEY *key, const char *more, struct buffer *out)
{
    char       payload[160];
    long long  now = (long long) time(NULL);
    struct err err;

    (void) snprintf(payload, sizeof payload, "{\"iat\":%lld,\"exp\":%lld%s}", now, now + 7200, more); /* short */
    assert_fine(jwt_sign("", bytes_of_text(payload), key, out, &err), &err);
}

static inline int trustee_make(void **state)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(bio) BIO             *bio = NULL;
    AUTO(pkey) EVP_PKEY       *key = NULL;
    char                       path[PATH_MAX];
    struct err                 err;

    (void) state;
    test_broker_make(&broker);
    test_broker_path(&broker, "admin.key", path);
    assert_fine(file_read(path, 1 << 16, &pem, &err), &err);
    bio = BIO_new_mem_buf(pem.at, (int) pem.len);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(key);
    token_sign(key, "", &admin_token);
    return 0;
}

static inline int trustee_clean(void **state)
{
    (void) state;
    buffer_free(&admin_token);
    test_broker_free(&broker);
    return 0;
}

/* ---- requests as reqwest writes them: names in lower case, in this order ---- */

struct sent {
    const char *method, *path, *type, *bearer, *cookie, *agent;
    struct bytes body;
    bool         is_chunked; /* as a proxy may make it: the body comes in pieces of CHUNK bytes */
};

enum { CHUNK = 700 };

static inline void chunks_append(struct bytes body, struct buffer *out)
{
    for (size_t at = 0; at < body.len; at += CHUNK) {
        size_t n = body.len - at < CHUNK ? body.len - at : CHUNK;

        buffer_printf(out, "%zx\r\n", n);
        buffer_append(out, (struct bytes){ body.at + at, n });
        buffer_append_text(out, "\r\n");
    }
    buffer_append_text(out, "0\r\n\r\n");
}

static inline void send_request(struct raw_https *c, const struct sent *s, struct raw_answer *out)
{
    AUTO(buffer) struct buffer request = { 0 };

    buffer_printf(&request, "%s %s HTTP/1.1\r\n", s->method, s->path);
    if (s->type)
        buffer_printf(&request, "content-type: %s\r\n", s->type);
    if (s->bearer)
        buffer_printf(&request, "authorization: Bearer %s\r\n", s->bearer);
    buffer_printf(&request, "accept: */*\r\nuser-agent: %s\r\n", s->agent ? s->agent : AGENT);
    if (s->cookie)
        buffer_printf(&request, "cookie: %s\r\n", s->cookie);
    buffer_printf(&request, "host: localhost%s\r\n", strrchr(broker.url, ':'));
    if (s->is_chunked)
        buffer_append_text(&request, "transfer-encoding: chunked\r\n");
    else if (strcmp(s->method, "GET") != 0)
        buffer_printf(&request, "content-length: %zu\r\n", s->body.len);
    buffer_append_text(&request, "\r\n");
    if (s->is_chunked)
        chunks_append(s->body, &request);
    else
        buffer_append(&request, s->body);
    raw_https_exchange(c, buffer_bytes(&request), out);
}

static inline struct raw_https connected(void) { return raw_https_connect(broker.url, buffer_bytes(&broker.ca)); }

static inline void administer(const char *method, const char *path, const char *type, struct bytes body, struct raw_answer *out)
{
    AUTO(raw_https) struct raw_https c = connected();
    struct sent                      s = { method, path, type, buffer_text(&admin_token), NULL, NULL, body };

    send_request(&c, &s, out);
}

static inline void assert_done_silently(const struct raw_answer *a)
{
    if (a->status != 200 || a->body.len != 0)
        fail_msg("%s%s", buffer_text((struct buffer *) (uintptr_t) &a->head), buffer_text((struct buffer *) (uintptr_t) &a->body));
}

/* Two members, both texts, and nothing that says what it is: what ErrorInformation is read from. */
static inline void assert_error(struct raw_answer *a, int status, const char *variant, const char *part)
{
    AUTO(json) struct json_object *body = NULL;
    const char                    *type, *detail;
    char                           wanted[160];
    struct err                     err;

    (void) snprintf(wanted, sizeof wanted, ERRORS "%s", variant); /* short */
    if (a->status != status || !json_read(buffer_bytes(&a->body), KBS_ANSWER_MAX, &body, &err) || !json_get_text(body, "type", &type, &err) ||
        !json_get_text(body, "detail", &detail, &err) || strcmp(type, wanted) != 0 || !strstr(detail, part))
        fail_msg("wanted %d %s %s: %s%s", status, variant, part, buffer_text(&a->head), buffer_text(&a->body));
    assert_int_equal(json_object_object_length(body), 2);
    assert_null(strcasestr(buffer_text(&a->head), "\r\nContent-Type:"));
}

/* ---- kbs-client config … ---- */

static inline void policy_body(struct buffer *out, const char *head, const char *text)
{
    buffer_printf(out, "{%s\"policy\":\"", head);
    base64_append(out, bytes_of_text(text), BASE64_URL);
    buffer_append_text(out, "\"}");
}

static inline void resource_policy_set(const char *text)
{
    AUTO(buffer) struct buffer         body   = { 0 };
    AUTO(raw_answer) struct raw_answer answer = { 0 };

    policy_body(&body, "", text);
    administer("POST", "/kbs/v0/resource-policy", "application/json", buffer_bytes(&body), &answer);
    assert_done_silently(&answer);
}

static inline void attestation_policy_set(const char *id, const char *text)
{
    AUTO(buffer) struct buffer         body = { 0 }, head = { 0 };
    AUTO(raw_answer) struct raw_answer answer = { 0 };

    buffer_printf(&head, "\"type\":\"rego\",\"policy_id\":\"%s\",", id);
    policy_body(&body, buffer_text(&head), text);
    administer("POST", "/kbs/v0/attestation-policy", "application/json", buffer_bytes(&body), &answer);
    assert_done_silently(&answer);
}

static inline void resource_set(const char *path, struct bytes value)
{
    AUTO(buffer) struct buffer         whole  = { 0 };
    AUTO(raw_answer) struct raw_answer answer = { 0 };

    buffer_printf(&whole, "/kbs/v0/resource/%s", path);
    administer("POST", buffer_text(&whole), "application/octet-stream", value, &answer);
    assert_done_silently(&answer);
    assert_non_null(strcasestr(buffer_text(&answer.head), "\r\nContent-Type: text/xml\r\n"));
}

/* As serde_json orders a json! object: by name. */
static inline void value_set(const char *values)
{
    AUTO(buffer) struct buffer         body   = { 0 };
    AUTO(raw_answer) struct raw_answer answer = { 0 };

    buffer_append_text(&body, "{\"payload\":\"");
    base64_append(&body, bytes_of_text(values), BASE64_STANDARD);
    buffer_append_text(&body, "\",\"type\":\"sample\",\"version\":\"0.1.0\"}");
    administer("POST", "/kbs/v0/reference-value", "application/json", buffer_bytes(&body), &answer);
    assert_done_silently(&answer);
    assert_non_null(strcasestr(buffer_text(&answer.head), "\r\nContent-Type: application/json\r\n"));
}

#define ALLOW_ALL "\n    package policy\n    allow = true\n"
#define DENY_ALL  "\n    package policy\n    allow = false\n"
#define NOT_CONTRAINDICATED "\npackage policy\nimport rego.v1\n\ndefault allow = false\n\nallow if {\n" \
                            "    input[\"submods\"][\"cpu0\"][\"ear.status\"] != \"contraindicated\"\n}\n"
#define BY_SVN "package policy\nimport rego.v1\n\ndefault hardware := 97\ndefault executables := 33\ndefault configuration := 36\n"                            \
               "default file_system := 0\n\ntrust_claims := {\n\t\"executables\": executables,\n\t\"hardware\": hardware,\n\t\"configuration\": configuration,\n" \
               "\t\"file-system\": file_system,\n}\n\nhardware := 2 if {\n    input.sample.svn in query_reference_value(\"svn\")\n}\n"

/* ---- a guest's library ---- */

struct guest {
    struct raw_https  c;
    EVP_PKEY         *key;
    struct jwk        jwk;
    const char       *initdata; /* NULL: null */
    const char       *additional; /* evidence of devices, a JSON text; NULL: "" */
    const char       *more_of_key; /* members that a JWK may have besides; NULL: none */
    char              cookie[80], nonce[KBS_NONCE_MAX + 1];
    struct raw_answer answer;
    struct buffer     token;
};

static inline void auto_guest(struct guest *g)
{
    raw_https_close(&g->c);
    EVP_PKEY_free(g->key);
    jwk_free(&g->jwk);
    raw_answer_free(&g->answer);
    buffer_free(&g->token);
}

static inline struct guest guest_new(bool is_rsa)
{
    struct guest g = { .c = connected(), .key = is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256") };
    struct err   err;

    assert_fine(jwk_of_key(g.key, is_rsa ? "RSA-OAEP-256" : "ECDH-ES+A256KW", &g.jwk, &err), &err);
    return g;
}

static inline void post(struct guest *g, const char *path, const struct buffer *body)
{
    struct sent s = { "POST", path, "application/json", NULL, g->cookie[0] ? g->cookie : NULL, GUEST_AGENT, buffer_bytes(body) };

    send_request(&g->c, &s, &g->answer);
}

/* The cookie as a jar keeps it: no attribute that would keep it from /kbs/v0, nor from plain HTTP behind a proxy. */
static inline void cookie_keep(struct guest *g)
{
    static const char START[] = "\r\nSet-Cookie: ";
    const char       *at      = strcasestr(buffer_text(&g->answer.head), START);
    char              line[200];

    assert_non_null(at);
    at += strlen(START);
    (void) snprintf(line, sizeof line, "%.*s", (int) strcspn(at, "\r"), at); /* cut by design */
    assert_int_equal(strncmp(line, KBS_COOKIE "=", strlen(KBS_COOKIE "=")), 0);
    assert_int_equal(strspn(line + strlen(KBS_COOKIE "="), "0123456789abcdef"), 32);
    assert_int_equal(strncmp(line + strlen(KBS_COOKIE "=") + 32, "; Expires=", 10), 0);
    assert_null(strchr(line + strlen(KBS_COOKIE "=") + 34, ';'));
    (void) snprintf(g->cookie, sizeof g->cookie, "%.*s", (int) strcspn(line, ";"), line); /* fits */
}

static inline void challenge(struct guest *g, const char *extra)
{
    AUTO(buffer) struct buffer     body = { 0 };
    AUTO(json) struct json_object *read = NULL;
    const char                    *nonce, *params;
    struct err                     err;

    buffer_printf(&body, "{\"version\":\"0.4.0\",\"tee\":\"sample\",\"extra-params\":%s}", extra);
    post(g, "/kbs/v0/auth", &body);
    assert_int_equal(g->answer.status, 200);
    assert_non_null(strcasestr(buffer_text(&g->answer.head), "\r\nContent-Type: application/json\r\n"));
    assert_fine(json_read(buffer_bytes(&g->answer.body), KBS_ANSWER_MAX, &read, &err) && json_get_text(read, "nonce", &nonce, &err) &&
                    json_get_text(read, "extra-params", &params, &err), &err);
    assert_int_equal(strlen(nonce), 44);
    (void) snprintf(g->nonce, sizeof g->nonce, "%s", nonce); /* fits */
    cookie_keep(g);
}

#define EXTRA "{\"supported-hash-algorithms\":[\"sha256\",\"sha384\",\"sha512\",\"sm3\"]}"

/* As kbs-types orders the members of a key. */
static inline void key_write(const struct jwk *jwk, const char *more, struct buffer *out)
{
    AUTO(json) struct json_object *key = NULL;
    static const char *const       EC[] = { "kty", "crv", "alg", "x", "y" }, *const RSA[] = { "kty", "alg", "n", "e" };
    bool                           is_rsa;
    struct err                     err;

    assert_fine(json_read(buffer_bytes(&jwk->canonical), KBS_ANSWER_MAX, &key, &err), &err);
    is_rsa = json_has(key, "n");
    for (size_t i = 0; i < (is_rsa ? 4U : 5U); i++) {
        const char *name = is_rsa ? RSA[i] : EC[i];

        buffer_printf(out, "%s\"%s\":\"%s\"", i ? "," : "{", name, json_object_get_string(json_object_object_get(key, name)));
    }
    buffer_printf(out, "%s}", more ? more : "");
}

/* Sends evidence; whatever the answer. */
static inline void attest_try(struct guest *g)
{
    AUTO(buffer) struct buffer     body = { 0 }, evidence = { 0 };
    const char                    *additional = g->additional ? g->additional : "";
    uint8_t                        digest[RCAR_DIGEST_LEN];
    struct err                     err;

    assert_fine(rcar_report_data(additional, g->nonce, &g->jwk, digest, &err), &err);
    base64_append(&evidence, BYTES_OF(digest), BASE64_STANDARD);
    if (g->initdata)
        buffer_printf(&body, "{\"init-data\":{\"format\":\"toml\",\"body\":\"%s\"},\"runtime-data\":{\"nonce\":\"%s\",\"tee-pubkey\":", g->initdata, g->nonce);
    else
        buffer_printf(&body, "{\"init-data\":null,\"runtime-data\":{\"nonce\":\"%s\",\"tee-pubkey\":", g->nonce);
    key_write(&g->jwk, g->more_of_key, &body);
    buffer_printf(&body, "},\"tee-evidence\":{\"primary_evidence\":{\"report_data\":\"%s\",\"svn\":\"1\"},\"additional_evidence\":", buffer_text(&evidence));
    jcs_append_text(bytes_of_text(additional), &body);
    buffer_append_text(&body, "}}");
    post(g, "/kbs/v0/attest", &body);
}

static inline void attest(struct guest *g)
{
    AUTO(json) struct json_object *read = NULL;
    const char                    *token;
    struct err                     err;

    attest_try(g);
    if (g->answer.status != 200)
        fail_msg("%s", buffer_text(&g->answer.body));
    cookie_keep(g);
    assert_fine(json_read(buffer_bytes(&g->answer.body), KBS_ANSWER_MAX, &read, &err) && json_get_text(read, "token", &token, &err), &err);
    buffer_free(&g->token);
    buffer_append_text(&g->token, token);
}

static inline void get(struct guest *g, const char *path, bool by_token)
{
    struct sent s = { "GET", path, NULL, by_token ? buffer_text(&g->token) : NULL, by_token ? NULL : g->cookie, GUEST_AGENT, { 0 } };

    if (!by_token && !g->cookie[0])
        s.cookie = NULL;
    send_request(&g->c, &s, &g->answer);
}

/* The library rebuilds the additional data from the header it read: alg, enc, then the rest by name, without a blank. */
static inline void assert_header_survives(struct guest *g)
{
    AUTO(json) struct json_object *jwe = NULL, *head = NULL, *epk = NULL;
    AUTO(buffer) struct buffer     raw = { 0 }, again = { 0 };
    const char                    *text;
    struct err                     err;

    assert_fine(json_read(buffer_bytes(&g->answer.body), KBS_ANSWER_MAX, &jwe, &err) && json_get_text(jwe, "protected", &text, &err) &&
                    base64_read(bytes_of_text(text), BASE64_URL, &raw, &err) && json_read(buffer_bytes(&raw), KBS_ANSWER_MAX, &head, &err), &err);
    assert_false(json_has(jwe, "aad"));
    buffer_printf(&again, "{\"alg\":\"%s\",\"enc\":\"%s\"", json_object_get_string(json_object_object_get(head, "alg")),
                  json_object_get_string(json_object_object_get(head, "enc")));
    if (json_object_object_get_ex(head, "epk", &epk)) {
        buffer_printf(&again, ",\"epk\":{\"crv\":\"%s\",\"kty\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}", json_object_get_string(json_object_object_get(epk, "crv")),
                      json_object_get_string(json_object_object_get(epk, "kty")), json_object_get_string(json_object_object_get(epk, "x")),
                      json_object_get_string(json_object_object_get(epk, "y")));
        json_object_get(epk); /* `head` has it too */
    }
    buffer_append_text(&again, "}");
    assert_string_equal(buffer_text(&raw), buffer_text(&again));
}

static inline void assert_opens(struct guest *g, const char *value)
{
    AUTO(secret) struct secret plain = { 0 };
    struct err                 err;

    if (g->answer.status != 200)
        fail_msg("%s", buffer_text(&g->answer.body));
    assert_non_null(strcasestr(buffer_text(&g->answer.head), "\r\nContent-Type: application/json\r\n"));
    assert_header_survives(g);
    assert_fine(jwe_open(buffer_bytes(&g->answer.body), KBS_ANSWER_MAX, g->key, &plain, &err), &err);
    assert_true(bytes_equal(secret_expose(&plain), bytes_of_text(value)));
}
