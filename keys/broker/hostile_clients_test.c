/*
 * Clients that lie, against a real broker: evidence relayed, replayed and reflected in twelve shapes, twenty tenants who
 * try each other's secrets, bytes that no client sends. Nothing may be released, and the answer says clearly why.
 */
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <sys/socket.h>
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

#define PATH "/kbs/v0/resource/default/image-key/1"

static struct test_broker broker;
static struct secret      key;
static size_t             n_opened_by_others; /* secrets that a key without evidence could open: stays 0 */

/* ---- one party: a connection, a TEE key, a session ---- */

struct party {
    struct http       *http;
    EVP_PKEY          *key;
    struct jwk         jwk;
    struct test_guest  guest;
    char               nonce[64], cookie[HTTP_COOKIE_MAX];
    struct buffer      body, token;
    struct http_answer got;
};

static void auto_party(struct party *p)
{
    http_close(p->http);
    EVP_PKEY_free(p->key);
    jwk_free(&p->jwk);
    buffer_free(&p->body);
    buffer_free(&p->token);
    buffer_free(&p->got.body);
}

static long ask(struct party *p, const char *method, const char *path, const char *cookie, const char *bearer, struct bytes body)
{
    struct http_request r = { .method = method, .path = path, .cookie = cookie, .bearer = bearer, .body = body };
    struct err          err;

    assert_fine(http_exchange(p->http, &r, KBS_COOKIE, &p->got, &err), &err);
    return p->got.status;
}

static struct party party_new(void)
{
    struct http_options options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca), .timeout_ms = 60000 };
    struct party        p       = { .guest = test_guest_good(&broker) };
    struct err          err;

    assert_fine(http_open(&options, &p.http, &err) && jwk_generate_p256(&p.key, &err) &&
                    jwk_of_key(p.key, "ECDH-ES+A256KW", &p.jwk, &err),
                &err);
    return p;
}

static void begin_as(struct party *p, const char *tee)
{
    AUTO(buffer) struct buffer     body = { 0 };
    AUTO(json) struct json_object *read = NULL;
    const char                    *text;
    struct err                     err;

    rcar_request_write(tee, &body);
    assert_int_equal(ask(p, "POST", "/kbs/v0/auth", NULL, NULL, buffer_bytes(&body)), 200);
    assert_true(json_read(buffer_bytes(&p->got.body), 1 << 16, &read, &err) && json_get_text(read, "nonce", &text, &err));
    (void) snprintf(p->nonce, sizeof p->nonce, "%s", text); /* 44 characters */
    memcpy(p->cookie, p->got.cookie, sizeof p->cookie);
}

/* Evidence of this party's guest over a nonce and a key, in a body that claims `claimed`. */
static void body_write(struct party *p, const char *nonce, const struct jwk *bound, const struct jwk *claimed,
                       struct bytes initdata)
{
    AUTO(buffer) struct buffer evidence = { 0 };
    uint8_t                    report_data[48];
    struct err                 err;

    assert_fine(rcar_report_data("", nonce, bound, report_data, &err) && test_evidence(&p->guest, report_data, &evidence, &err), &err);
    p->body.len = 0;
    rcar_attestation_write(initdata, nonce, claimed, buffer_bytes(&evidence), &p->body);
}

static long attest(struct party *p, const char *cookie)
{
    AUTO(json) struct json_object *read = NULL;
    const char                    *text;
    struct err                     err;
    long                           status = ask(p, "POST", "/kbs/v0/attest", cookie, NULL, buffer_bytes(&p->body));

    if (status != 200)
        return status;
    assert_true(json_read(buffer_bytes(&p->got.body), 1 << 20, &read, &err) && json_get_text(read, "token", &text, &err));
    p->token.len = 0;
    buffer_append_text(&p->token, text);
    return status;
}

/* A guest in good standing, attested. */
static struct party victim_new(void)
{
    struct party p = party_new();

    begin_as(&p, "snp");
    body_write(&p, p.nonce, &p.jwk, &p.jwk, (struct bytes){ 0 });
    assert_int_equal(attest(&p, p.cookie), 200);
    return p;
}

static bool opens(struct party *p, EVP_PKEY *with)
{
    AUTO(secret) struct secret plain = { 0 };
    struct err                 err;

    return jwe_open(buffer_bytes(&p->got.body), KBS_ANSWER_MAX, with, &plain, &err) && secret_equal(&plain, &key);
}

static void assert_refused(struct party *p, long status, const char *variant, const char *part)
{
    if (p->got.status != status || !http_error_is(&p->got, variant) || (part && !strstr(buffer_text(&p->got.body), part)))
        fail_msg("%ld %s", p->got.status, buffer_text(&p->got.body));
    n_opened_by_others += opens(p, p->key);
}

/* ---- twelve shapes ---- */

static void a_relay_that_puts_its_own_key_beside_genuine_evidence(void **state)
{
    AUTO(party) struct party attacker = party_new(), victim = party_new();

    (void) state;
    begin_as(&attacker, "snp"); /* the attacker's challenge, handed on to a genuine guest, which binds its own key */
    body_write(&victim, attacker.nonce, &victim.jwk, &attacker.jwk, (struct bytes){ 0 });
    buffer_append(&attacker.body, buffer_bytes(&victim.body));
    assert_int_equal(attest(&attacker, attacker.cookie), 401);
    assert_refused(&attacker, 401, "AttestationError", "snp-report-data");
    assert_int_equal(ask(&attacker, "GET", PATH, attacker.cookie, NULL, (struct bytes){ 0 }), 401);
    assert_refused(&attacker, 401, "TokenNotFound", NULL);
}

static void a_relay_of_a_whole_handshake_gets_what_only_the_guest_opens(void **state)
{
    AUTO(party) struct party attacker = party_new(), victim = party_new();

    (void) state;
    begin_as(&attacker, "snp");
    body_write(&victim, attacker.nonce, &victim.jwk, &victim.jwk, (struct bytes){ 0 });
    buffer_append(&attacker.body, buffer_bytes(&victim.body));
    assert_int_equal(attest(&attacker, attacker.cookie), 200);
    assert_int_equal(ask(&attacker, "GET", PATH, attacker.cookie, NULL, (struct bytes){ 0 }), 200);
    assert_false(opens(&attacker, attacker.key));
    assert_true(opens(&attacker, victim.key));
}

static void a_stolen_token_gets_what_only_the_guest_opens(void **state)
{
    AUTO(party) struct party attacker = party_new(), victim = victim_new();

    (void) state;
    assert_int_equal(ask(&attacker, "GET", PATH, NULL, buffer_text(&victim.token), (struct bytes){ 0 }), 200);
    assert_false(opens(&attacker, attacker.key));
    assert_true(opens(&attacker, victim.key));
}

static void a_stolen_cookie_cannot_attest_another_key(void **state)
{
    AUTO(party) struct party attacker = party_new(), victim = victim_new();

    (void) state;
    body_write(&attacker, victim.nonce, &attacker.jwk, &attacker.jwk, (struct bytes){ 0 });
    assert_int_equal(attest(&attacker, victim.cookie), 200); /* the stored token: the session is spent */
    assert_string_equal(buffer_text(&attacker.token), buffer_text(&victim.token));
    assert_int_equal(ask(&attacker, "GET", PATH, victim.cookie, NULL, (struct bytes){ 0 }), 200);
    assert_false(opens(&attacker, attacker.key));
}

static void evidence_of_one_session_in_another(void **state)
{
    AUTO(party) struct party attacker = party_new(), victim = victim_new();

    (void) state;
    begin_as(&attacker, "snp");
    buffer_append(&attacker.body, buffer_bytes(&victim.body));
    assert_int_equal(attest(&attacker, attacker.cookie), 401);
    assert_refused(&attacker, 401, "AttestationError", "the nonce is not the one given to this session");
}

static void old_evidence_under_a_fresh_nonce(void **state)
{
    AUTO(party) struct party      attacker = party_new(), victim = victim_new();
    AUTO(json) struct json_object *body    = NULL;
    struct json_object            *runtime = NULL;
    struct err                     err;

    (void) state;
    begin_as(&attacker, "snp");
    assert_true(json_read(buffer_bytes(&victim.body), 1 << 20, &body, &err) &&
                json_get(body, "runtime-data", json_type_object, &runtime, &err));
    json_object_object_del(runtime, "nonce");
    json_add_text(runtime, "nonce", attacker.nonce);
    json_write(body, &attacker.body);
    assert_int_equal(attest(&attacker, attacker.cookie), 401);
    assert_refused(&attacker, 401, "AttestationError", "snp-report-data");
}

static void a_replay_across_a_killed_broker(void **state)
{
    AUTO(party) struct party attacker = party_new(), victim = victim_new(), late = party_new();

    (void) state;
    begin_as(&late, "snp");
    assert_int_equal(test_broker_stop(&broker, SIGKILL), 128 + SIGKILL);
    test_broker_start(&broker);
    http_close(attacker.http);
    http_close(late.http);
    struct http_options options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca), .timeout_ms = 60000 };
    struct err          err;
    assert_fine(http_open(&options, &attacker.http, &err) && http_open(&options, &late.http, &err), &err);
    begin_as(&attacker, "snp");
    buffer_append(&attacker.body, buffer_bytes(&victim.body)); /* spent before the broker died */
    assert_int_equal(attest(&attacker, attacker.cookie), 401);
    assert_refused(&attacker, 401, "AttestationError", "the nonce is not the one given to this session");
    attacker.body.len = 0;
    body_write(&attacker, victim.nonce, &attacker.jwk, &attacker.jwk, (struct bytes){ 0 });
    assert_int_equal(attest(&attacker, victim.cookie), 200);
    assert_string_equal(buffer_text(&attacker.token), buffer_text(&victim.token)); /* and it stays what it was spent for */
    body_write(&late, late.nonce, &late.jwk, &late.jwk, (struct bytes){ 0 });
    assert_int_equal(attest(&late, late.cookie), 200); /* a challenge that was open goes on */
}

/* header.payload with something changed in the payload */
static void token_with(const struct buffer *token, const char *was, const char *is, struct buffer *out)
{
    AUTO(buffer) struct buffer payload = { 0 }, changed = { 0 }, copy = { 0 };
    const char                *first, *second, *found;
    struct err                 err;

    buffer_append(&copy, buffer_bytes(token));
    first  = strchr(buffer_text(&copy), '.');
    second = strrchr(buffer_text(&copy), '.');
    assert_true(base64_read((struct bytes){ (const uint8_t *) first + 1, (size_t) (second - first - 1) }, BASE64_URL, &payload, &err));
    found = strstr(buffer_text(&payload), was);
    assert_non_null(found);
    buffer_append(&changed, (struct bytes){ payload.at, (size_t) (found - buffer_text(&payload)) });
    buffer_append_text(&changed, is);
    buffer_append_text(&changed, found + strlen(was));
    buffer_append(out, (struct bytes){ copy.at, (size_t) (first + 1 - buffer_text(&copy)) });
    base64_append(out, buffer_bytes(&changed), BASE64_URL);
    buffer_append_text(out, second);
}

static void a_token_with_another_key_put_in(void **state)
{
    AUTO(party) struct party   attacker = party_new(), victim = victim_new();
    AUTO(buffer) struct buffer forged   = { 0 }, was = { 0 }, is = { 0 };

    (void) state;
    buffer_append(&was, buffer_bytes(&victim.jwk.canonical));
    buffer_append(&is, buffer_bytes(&attacker.jwk.canonical));
    token_with(&victim.token, buffer_text(&was), buffer_text(&is), &forged);
    assert_int_equal(ask(&attacker, "GET", PATH, NULL, buffer_text(&forged), (struct bytes){ 0 }), 401);
    assert_refused(&attacker, 401, "TokenVerifierError", "signature");
}

static void a_token_signed_by_the_attacker_who_names_the_key_itself(void **state)
{
    AUTO(party) struct party      attacker = party_new(), victim = victim_new();
    AUTO(json) struct json_object *payload = NULL;
    AUTO(buffer) struct buffer     header  = { 0 }, text = { 0 }, forged = { 0 };
    struct err                     err;

    (void) state;
    assert_true(jwt_peek(buffer_bytes(&victim.token), KBS_TOKEN_MAX, &payload, &err));
    json_write(payload, &text);
    buffer_append_text(&header, ",\"jwk\":{\"alg\":\"ES256\",");
    assert_true(jwk_append_point(attacker.key, &header, &err));
    buffer_append_text(&header, "}");
    assert_true(jwt_sign(buffer_text(&header), buffer_bytes(&text), attacker.key, &forged, &err));
    assert_int_equal(ask(&attacker, "GET", PATH, NULL, buffer_text(&forged), (struct bytes){ 0 }), 401);
    assert_refused(&attacker, 401, "TokenVerifierError", NULL);
}

static void a_token_without_a_signature(void **state)
{
    AUTO(party) struct party   attacker = party_new(), victim = victim_new();
    AUTO(buffer) struct buffer none     = { 0 }, copy = { 0 };
    char                      *first, *second;

    (void) state;
    buffer_append(&copy, buffer_bytes(&victim.token));
    first  = strchr((char *) (uintptr_t) buffer_text(&copy), '.');
    second = strrchr(first, '.');
    *second = 0;
    base64_append(&none, bytes_of_text("{\"alg\":\"none\",\"typ\":\"JWT\"}"), BASE64_URL);
    buffer_append_text(&none, first);
    buffer_append_text(&none, ".");
    assert_int_equal(ask(&attacker, "GET", PATH, NULL, buffer_text(&none), (struct bytes){ 0 }), 401);
    assert_refused(&attacker, 401, "TokenVerifierError", "alg");
}

/* The broker signs heads of its log with the key of its tokens, and administrators sign tokens too: none is another. */
static void signed_things_reflected_as_what_they_are_not(void **state)
{
    AUTO(party) struct party      attacker = party_new(), victim = victim_new();
    AUTO(json) struct json_object *answer  = NULL;
    AUTO(buffer) struct buffer     pem     = { 0 }, admin_token = { 0 };
    AUTO(bio) BIO                 *bio     = NULL;
    AUTO(pkey) EVP_PKEY           *admin   = NULL;
    char                           path[PATH_MAX], payload[128];
    const char                    *head;
    struct err                     err;

    (void) state;
    test_broker_path(&broker, "admin.key", path);
    assert_fine(file_read(path, 1 << 16, &pem, &err), &err);
    bio   = BIO_new_mem_buf(pem.at, (int) pem.len);
    admin = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    (void) snprintf(payload, sizeof payload, "{\"iat\":%lld,\"exp\":%lld}", (long long) time(NULL), (long long) time(NULL) + 60);
    assert_true(jwt_sign("", bytes_of_text(payload), admin, &admin_token, &err));
    assert_int_equal(ask(&attacker, "GET", ADMIN_AUDIT, NULL, buffer_text(&admin_token), (struct bytes){ 0 }), 200);
    assert_true(json_read(buffer_bytes(&attacker.got.body), 1 << 16, &answer, &err) && json_get_text(answer, "head", &head, &err));
    assert_int_equal(ask(&attacker, "GET", PATH, NULL, head, (struct bytes){ 0 }), 401); /* a head of the log is no attestation */
    assert_refused(&attacker, 401, "TokenVerifierError", "is missing");
    assert_int_equal(ask(&attacker, "GET", PATH, NULL, buffer_text(&admin_token), (struct bytes){ 0 }), 401); /* nor an administrator's */
    assert_refused(&attacker, 401, "TokenVerifierError", NULL);
    assert_int_equal(ask(&attacker, "GET", ADMIN_RESOURCES, NULL, buffer_text(&victim.token), (struct bytes){ 0 }), 401); /* nor back */
    assert_refused(&attacker, 401, "AdminAuthAccess", NULL);
    assert_int_equal(ask(&attacker, "GET", ADMIN_RESOURCES, NULL, head, (struct bytes){ 0 }), 401);
    assert_refused(&attacker, 401, "AdminAuthAccess", NULL);
}

static void evidence_of_another_kind_than_was_announced(void **state)
{
    AUTO(party) struct party   attacker = party_new();
    AUTO(buffer) struct buffer sample   = { 0 };
    uint8_t                    digest[RCAR_DIGEST_LEN];
    struct err                 err;

    (void) state;
    begin_as(&attacker, "sample"); /* anyone can make sample evidence: the token must say that it is */
    body_write(&attacker, attacker.nonce, &attacker.jwk, &attacker.jwk, (struct bytes){ 0 });
    assert_int_equal(attest(&attacker, attacker.cookie), 401);
    assert_refused(&attacker, 401, "AttestationError", "sample evidence");
    begin_as(&attacker, "snp");
    assert_true(rcar_report_data("", attacker.nonce, &attacker.jwk, digest, &err));
    buffer_append_text(&sample, "{\"svn\":\"1\",\"report_data\":\"");
    base64_append(&sample, BYTES_OF(digest), BASE64_STANDARD);
    buffer_append_text(&sample, "\"}");
    attacker.body.len = 0;
    rcar_attestation_write((struct bytes){ 0 }, attacker.nonce, &attacker.jwk, buffer_bytes(&sample), &attacker.body);
    assert_int_equal(attest(&attacker, attacker.cookie), 401);
    assert_refused(&attacker, 401, "AttestationError", NULL);
}

static void initdata_of_another_guest(void **state)
{
    AUTO(party) struct party   attacker = party_new();
    AUTO(buffer) struct buffer initdata = { 0 };
    struct initdata_entry      entry    = { "policy.json", "{\"containers\":[]}" };

    (void) state;
    initdata_write(INITDATA_SHA256, &entry, 1, &initdata);
    begin_as(&attacker, "snp");
    body_write(&attacker, attacker.nonce, &attacker.jwk, &attacker.jwk, buffer_bytes(&initdata));
    assert_int_equal(attest(&attacker, attacker.cookie), 401);
    assert_refused(&attacker, 401, "AttestationError", "initdata: its digest is not the one in the report");
}

/* ---- twenty tenants ---- */

enum { TENANTS = 20 };

static void no_tenants_guest_gets_another_tenants_secret(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    size_t                                  n_released = 0, n_denied = 0;
    struct err                              err;

    (void) state;
    for (int i = 0; i < TENANTS; i++) {
        AUTO(buffer) struct buffer hex = { 0 };
        char                       uri[64];
        uint8_t                    host_data[32];
        struct admin_reference     r = { .kind = "initdata", .tee = "snp", .resource = uri };
        uint64_t                   id;

        (void) snprintf(uri, sizeof uri, "kbs:///tenant%d/key/1", i);
        memset(host_data, 0x80 + i, sizeof host_data);
        hex_append(&hex, BYTES_OF(host_data));
        r.value = buffer_text(&hex);
        assert_fine(admin_resource_put(admin, uri, &key, &err) && admin_reference_add(admin, &r, &id, &err), &err);
    }
    for (int i = 0; i < TENANTS; i++) {
        AUTO(party) struct party guest = party_new();

        memset(guest.guest.host_data, 0x80 + i, 32);
        begin_as(&guest, "snp");
        body_write(&guest, guest.nonce, &guest.jwk, &guest.jwk, (struct bytes){ 0 });
        assert_int_equal(attest(&guest, guest.cookie), 200);
        for (int j = 0; j < TENANTS; j++) {
            char path[96];
            long status;

            (void) snprintf(path, sizeof path, "/kbs/v0/resource/tenant%d/key/1", j);
            status = j % 2 ? ask(&guest, "GET", path, guest.cookie, NULL, (struct bytes){ 0 })
                           : ask(&guest, "GET", path, NULL, buffer_text(&guest.token), (struct bytes){ 0 });
            if (i == j) {
                assert_int_equal(status, 200);
                n_released += opens(&guest, guest.key);
            } else {
                assert_refused(&guest, 401, "PolicyDeny", "initdata digest");
                n_denied++;
            }
        }
    }
    assert_int_equal(n_released, TENANTS);
    assert_int_equal(n_denied, TENANTS * (TENANTS - 1));
}

/* ---- bytes that no client sends ---- */

#define OFF_CURVE                                                                                                    \
    "{\"runtime-data\":{\"nonce\":\"x\",\"tee-pubkey\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ECDH-ES+A256KW\",\"x\":\"AA\"," \
    "\"y\":\"AA\"}},\"tee-evidence\":{\"primary_evidence\":{},\"additional_evidence\":\"\"}}"

static void malformed_bodies_and_tokens_are_refused_by_name(void **state)
{
    static const char *const BODIES[] = {
        "", "{", "null", "[]", "\"x\"", "{\"a\":1,\"a\":2}", "\xff\xfe", "{}",
        "{\"init-data\":null,\"runtime-data\":{\"nonce\":\"x\"},\"tee-evidence\":{}}",
        OFF_CURVE,
        "{\"runtime-data\":{\"nonce\":\"x\",\"tee-pubkey\":{\"kty\":\"oct\",\"k\":\"AA\",\"alg\":\"dir\"}},\"tee-evidence\":{}}",
        "{\"init-data\":{\"format\":\"json\",\"body\":\"\"},\"runtime-data\":{},\"tee-evidence\":{}}",
    };
    static const char *const TOKENS[] = { "x", "..", "a.b.c", "eyJhbGciOiJFUzI1NiJ9.e30.", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
                                          "eyJhbGciOiJIUzI1NiJ9.e30.AAAA", "%00", "\x80" };
    AUTO(party) struct party p = party_new();

    (void) state;
    begin_as(&p, "snp");
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        assert_int_equal(ask(&p, "POST", "/kbs/v0/attest", p.cookie, NULL, bytes_of_text(BODIES[i])), 401);
        assert_refused(&p, 401, "AttestationError", NULL);
        assert_int_equal(ask(&p, "POST", "/kbs/v0/auth", NULL, NULL, bytes_of_text(BODIES[i])), 401);
        assert_refused(&p, 401, "AttestationError", NULL);
    }
    for (size_t i = 0; i < sizeof TOKENS / sizeof *TOKENS; i++) {
        assert_int_equal(ask(&p, "GET", PATH, NULL, TOKENS[i], (struct bytes){ 0 }), 401);
        assert_refused(&p, 401, "TokenVerifierError", NULL);
        assert_int_equal(ask(&p, "POST", "/kbs/v0/resource-policy", NULL, TOKENS[i], bytes_of_text("{}")), 401);
        assert_refused(&p, 401, "AdminAuthAccess", NULL);
    }
}

static int connect_raw(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port        = htons((uint16_t) atoi(strrchr(broker.url, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return fd >= 0 && connect(fd, (struct sockaddr *) &to, sizeof to) == 0 ? fd : -1;
}

/* Connections that say nothing, or a byte of a handshake, hold up nobody else. */
static void silent_connections_hold_up_nobody(void **state)
{
    enum { SILENT = 400 };
    int                      fds[SILENT];
    AUTO(party) struct party victim = { 0 };

    (void) state;
    for (int i = 0; i < SILENT; i++) {
        fds[i] = connect_raw();
        assert_true(fds[i] >= 0);
        if (i % 2)
            assert_int_equal(send(fds[i], "\x16", 1, MSG_NOSIGNAL), 1);
    }
    victim = victim_new();
    assert_int_equal(ask(&victim, "GET", PATH, victim.cookie, NULL, (struct bytes){ 0 }), 200);
    assert_true(opens(&victim, victim.key));
    for (int i = 0; i < SILENT; i++)
        (void) close(fds[i]); /* a socket */
}

static void no_secret_was_opened_by_anyone_without_evidence(void **state)
{
    (void) state;
    assert_int_equal(n_opened_by_others, 0);
}

static int make(void **state)
{
    AUTO(admin_client) struct admin_client *admin = NULL;
    AUTO(buffer) struct buffer              measurement = { 0 }, host_data = { 0 };
    struct test_guest                       good;
    struct admin_reference                  r = { .kind = "measurement", .tee = "snp" };
    uint64_t                                id;
    struct err                              err;

    (void) state;
    test_broker_make(&broker);
    good  = test_guest_good(&broker);
    admin = test_admin(&broker);
    hex_append(&measurement, BYTES_OF(good.measurement));
    hex_append(&host_data, BYTES_OF(good.host_data));
    assert_fine(secret_random(32, &key, &err) && admin_resource_put(admin, "kbs:///default/image-key/1", &key, &err), &err);
    r.value = buffer_text(&measurement);
    assert_fine(admin_reference_add(admin, &r, &id, &err), &err);
    r = (struct admin_reference){ .kind = "initdata", .tee = "snp", .value = buffer_text(&host_data),
                                  .resource = "kbs:///default/image-key/1" };
    assert_fine(admin_reference_add(admin, &r, &id, &err), &err);
    return 0;
}

static int clean(void **state)
{
    (void) state;
    secret_free(&key);
    test_broker_free(&broker);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_that_puts_its_own_key_beside_genuine_evidence),
        cmocka_unit_test(a_relay_of_a_whole_handshake_gets_what_only_the_guest_opens),
        cmocka_unit_test(a_stolen_token_gets_what_only_the_guest_opens),
        cmocka_unit_test(a_stolen_cookie_cannot_attest_another_key),
        cmocka_unit_test(evidence_of_one_session_in_another),
        cmocka_unit_test(old_evidence_under_a_fresh_nonce),
        cmocka_unit_test(a_replay_across_a_killed_broker),
        cmocka_unit_test(a_token_with_another_key_put_in),
        cmocka_unit_test(a_token_signed_by_the_attacker_who_names_the_key_itself),
        cmocka_unit_test(a_token_without_a_signature),
        cmocka_unit_test(signed_things_reflected_as_what_they_are_not),
        cmocka_unit_test(evidence_of_another_kind_than_was_announced),
        cmocka_unit_test(initdata_of_another_guest),
        cmocka_unit_test(no_tenants_guest_gets_another_tenants_secret),
        cmocka_unit_test(malformed_bodies_and_tokens_are_refused_by_name),
        cmocka_unit_test(silent_connections_hold_up_nobody),
        cmocka_unit_test(no_secret_was_opened_by_anyone_without_evidence),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
