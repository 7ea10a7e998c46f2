#include "keys/client/kbs.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>

#include "base/ossl.h"
#include "base/text.h"
#include "keys/api/epoch.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/client/http.h"
#include "keys/jose/jcs.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"

enum { KEY_LEN_MAX = 1024 };

/* One attestation, and what came of it. Clients that share it may be of several threads. */
struct session {
    pthread_mutex_t     lock; /* of all but the key, which stays; held during an attestation, so that there is one */
    unsigned            n_clients;
    EVP_PKEY           *key;
    struct jwk          jwk;
    struct kbs_attester attester; /* as it was given to kbs_attest */
    char                cookie[HTTP_COOKIE_MAX];
    char               *token;      /* of the last attestation */
    int64_t             token_ends; /* seconds since 1970 */
};

struct kbs_client {
    struct http    *http;
    struct session *session;
};

static void lock(struct session *session)
{
    if (pthread_mutex_lock(&session->lock) != 0)
        abort();
}

static void unlock(struct session *session)
{
    if (pthread_mutex_unlock(&session->lock) != 0)
        abort();
}

static void session_release(struct session *session)
{
    lock(session);
    unsigned left = --session->n_clients;
    unlock(session);
    if (left > 0)
        return;
    (void) pthread_mutex_destroy(&session->lock); /* nobody has it */
    EVP_PKEY_free(session->key);
    jwk_free(&session->jwk);
    wiped_free(session->token);
    wiped_free(session);
}

void kbs_client_free(struct kbs_client *client)
{
    if (!client)
        return;
    http_close(client->http);
    if (client->session)
        session_release(client->session);
    free(client);
}

static FALLIBLE client_new(const struct kbs_options *options, struct kbs_client **out, struct err *err)
{
    struct http_options http = { .url        = options->url,
                                 .ca_pem     = options->ca_pem,
                                 .timeout_ms = options->timeout_ms,
                                 .connect    = options->connect,
                                 .owner      = options->owner };
    AUTO(kbs_client) struct kbs_client *client = zeroed(1, sizeof *client);

    if (!http_open(&http, &client->http, err))
        return false;
    *out = TAKE(client);
    return true;
}

/* Without a key. */
static FALLIBLE client_with_session(const struct kbs_options *options, struct kbs_client **out, struct err *err)
{
    if (!client_new(options, out, err))
        return false;
    (*out)->session            = zeroed(1, sizeof *(*out)->session);
    (*out)->session->n_clients = 1;
    if (pthread_mutex_init(&(*out)->session->lock, NULL) != 0)
        abort();
    return true;
}

static FALLIBLE name_key(struct session *session, struct err *err)
{
    return jwk_of_key(session->key, "ECDH-ES+A256KW", &session->jwk, err);
}

FALLIBLE kbs_client_new(const struct kbs_options *options, struct kbs_client **out, struct err *err)
{
    AUTO(kbs_client) struct kbs_client *client = NULL;

    if (!client_with_session(options, &client, err) || !jwk_generate_p256(&client->session->key, err) || !name_key(client->session, err))
        return false;
    *out = TAKE(client);
    return true;
}

FALLIBLE kbs_client_share(const struct kbs_client *with, const struct kbs_options *options, struct kbs_client **out, struct err *err)
{
    if (!client_new(options, out, err))
        return false;
    lock(with->session);
    with->session->n_clients++;
    unlock(with->session);
    (*out)->session = with->session;
    return true;
}

/* ---- a session on its way to another process ---- */

static void write_part(struct buffer *out, struct bytes part)
{
    struct writer w = writer_over(buffer_grow(out, sizeof(uint32_t)), sizeof(uint32_t));

    put_u32le(&w, (uint32_t) part.len); /* of a key, a cookie or a token: all are bounded */
    buffer_append(out, part);
}

FALLIBLE kbs_session_write(const struct kbs_client *client, struct buffer *out, struct err *err)
{
    struct session *session = client->session;
    unsigned char  *der     = NULL;
    int             len     = i2d_PrivateKey(session->key, &der);

    if (len <= 0)
        return err_openssl(err, ERR_OS, "write the TEE key");
    write_part(out, (struct bytes){ der, (size_t) len });
    OPENSSL_clear_free(der, (size_t) len);
    lock(session);
    write_part(out, bytes_of_text(session->cookie));
    write_part(out, bytes_of_text(session->token));
    struct writer ends = writer_over(buffer_grow(out, sizeof(uint64_t)), sizeof(uint64_t));
    put_u64le(&ends, (uint64_t) session->token_ends);
    unlock(session);
    return true;
}

static FALLIBLE session_read(struct bytes from, struct session *session, struct err *err)
{
    struct reader r      = reader_over(from);
    struct bytes  key    = take(&r, take_u32le(&r));
    struct bytes  cookie = take(&r, take_u32le(&r));
    struct bytes  token  = take(&r, take_u32le(&r));
    const unsigned char *at = key.at;

    session->token_ends = (int64_t) take_u64le(&r);
    if (!reader_done(&r, err))
        return context(err, "session");
    if (cookie.len >= sizeof session->cookie || token.len > KBS_TOKEN_MAX || key.len > KEY_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "session: too long");
    session->key = d2i_AutoPrivateKey(NULL, &at, (long) key.len);
    if (!session->key || at != key.at + key.len || EVP_PKEY_get_base_id(session->key) != EVP_PKEY_EC)
        return fail_with(err, ERR_MALFORMED, "session: no key");
    if (cookie.len > 0)
        memcpy(session->cookie, cookie.at, cookie.len);
    session->token = token.len > 0 ? strndup((const char *) token.at, token.len) : NULL;
    return name_key(session, err);
}

FALLIBLE kbs_client_resume(const struct kbs_options *options, const struct kbs_attester *attester, struct bytes session,
                           struct kbs_client **out, struct err *err)
{
    AUTO(kbs_client) struct kbs_client *client = NULL;

    if (!client_with_session(options, &client, err) || !session_read(session, client->session, err))
        return false;
    if (attester)
        client->session->attester = *attester;
    *out = TAKE(client);
    return true;
}

/* The only algorithm that a Trustee ever picks for the TEEs that we are. [KBS 4] */
static FALLIBLE algorithm_check(struct json_object *challenge, struct err *err)
{
    struct json_object *extra = json_object_object_get(challenge, "extra-params");
    const char         *named;

    if (!json_object_is_type(extra, json_type_object) || !json_has(extra, "selected-hash-algorithm"))
        return true;
    if (!json_get_text(extra, "selected-hash-algorithm", &named, err))
        return false;
    if (strcasecmp(named, "sha384") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "the broker selects another hash than sha384");
    return true;
}

static FALLIBLE challenge_get(struct kbs_client *client, struct json_object **out, const char **nonce, struct err *err)
{
    AUTO(buffer) struct buffer           body   = { 0 };
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(json) struct json_object       *read   = NULL;
    struct http_request                  r      = { .method       = "POST",
                                                    .path         = KBS_PREFIX "/auth",
                                                    .content_type = "application/json" };

    rcar_request_write(client->session->attester.tee, &body);
    r.body = buffer_bytes(&body);
    if (!http_exchange(client->http, &r, KBS_COOKIE, &answer, err) || !http_succeeded(&answer, err))
        return false;
    if (!json_read(buffer_bytes(&answer.body), KBS_ANSWER_MAX, &read, err) ||
        !json_get_text(read, "nonce", nonce, err) || !algorithm_check(read, err))
        return context(err, "challenge");
    if (strlen(*nonce) > KBS_NONCE_MAX)
        return fail_with(err, ERR_LIMIT, "challenge: a nonce of more than %d characters", KBS_NONCE_MAX);
    memcpy(client->session->cookie, answer.cookie, sizeof client->session->cookie);
    *out = TAKE(read);
    return true;
}

static void copy_claim(struct json_object *from, const char *name, char *out, size_t len)
{
    AUTO(buffer) struct buffer shown = { 0 };
    const char                *text;
    struct err                 ignored; /* a claim that is not there stays empty */

    out[0] = 0;
    if (!json_get_text(from, name, &text, &ignored))
        return;
    printable_append(&shown, bytes_of_text(text), len - 1);
    (void) snprintf(out, len, "%s", buffer_text(&shown)); /* cut by design */
}

static FALLIBLE verdict_read(const char *token, struct kbs_verdict *out, int64_t *ends, struct err *err)
{
    AUTO(json) struct json_object *payload = NULL;
    struct json_object            *submods = NULL;
    struct json_object            *cpu     = NULL;

    if (!jwt_peek(bytes_of_text(token), KBS_TOKEN_MAX, &payload, err))
        return false;
    *ends   = json_object_get_int64(json_object_object_get(payload, "exp")); /* 0 when it does not say */
    out->issued_s = json_object_get_int64(json_object_object_get(payload, "iat")); /* likewise */
    submods = json_object_object_get(payload, "submods");
    cpu     = json_object_is_type(submods, json_type_object) ? json_object_object_get(submods, "cpu0") : NULL;
    copy_claim(cpu, "ear.status", out->status, sizeof out->status);
    copy_claim(cpu, "cloister.reason", out->reason, sizeof out->reason);
    return true;
}

static FALLIBLE token_get(struct kbs_client *client, const char *nonce, struct bytes evidence,
                          struct kbs_verdict *verdict, struct err *err)
{
    AUTO(buffer) struct buffer           body   = { 0 };
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(wiped_json) struct json_object *read   = NULL;
    struct http_request                  r      = { .method       = "POST",
                                                    .path         = KBS_PREFIX "/attest",
                                                    .cookie       = client->session->cookie,
                                                    .content_type = "application/json" };
    const char                          *token;

    rcar_attestation_write(client->session->attester.initdata, nonce, &client->session->jwk, evidence, &body);
    r.body = buffer_bytes(&body);
    if (!http_exchange(client->http, &r, NULL, &answer, err) || !http_succeeded(&answer, err))
        return false;
    if (!json_read_wiped(buffer_bytes(&answer.body), KBS_ANSWER_MAX, &read, err) ||
        !json_get_text(read, "token", &token, err) || !verdict_read(token, verdict, &client->session->token_ends, err))
        return context(err, "attestation response");
    wiped_free(client->session->token);
    client->session->token = strdup(token);
    if (!client->session->token)
        abort();
    return true;
}

/* The session is locked. */
static FALLIBLE attest(struct kbs_client *client, const struct kbs_attester *attester, struct kbs_verdict *verdict,
                    struct err *err)
{
    AUTO(json) struct json_object *challenge = NULL;
    AUTO(buffer) struct buffer     evidence  = { 0 };
    struct kbs_verdict             ignored;
    uint8_t                        report_data[KBS_REPORT_DATA_LEN];
    const char                    *nonce;

    return challenge_get(client, &challenge, &nonce, err) &&
           rcar_report_data("", nonce, &client->session->jwk, report_data, err) &&
           attester->evidence(attester->owner, report_data, &evidence, err) &&
           token_get(client, nonce, buffer_bytes(&evidence), verdict ? verdict : &ignored, err);
}

FALLIBLE kbs_attest(struct kbs_client *client, const struct kbs_attester *attester, struct kbs_verdict *verdict, struct err *err)
{
    bool ok;

    lock(client->session);
    client->session->attester = *attester;
    ok = attest(client, attester, verdict, err);
    unlock(client->session);
    return ok;
}

/* As one of the threads sees it now. */
struct cookie { char at[HTTP_COOKIE_MAX]; };

static struct cookie cookie_of(struct session *session)
{
    struct cookie out;

    lock(session);
    memcpy(out.at, session->cookie, sizeof out.at);
    unlock(session);
    return out;
}

static FALLIBLE resource_answer(struct kbs_client *client, const struct cookie *cookie, const char *path, struct http_answer *answer,
                                struct err *err)
{
    AUTO(buffer) struct buffer url = { 0 };
    struct http_request        r   = { .method = "GET", .cookie = cookie->at };

    buffer_printf(&url, KBS_PREFIX "/resource/%s", path);
    r.path = buffer_text(&url);
    return http_exchange(client->http, &r, NULL, answer, err);
}

/* Whether a new attestation may help. Trustee says 401 also to a policy's no and to a resource that is not there. [KBS 10] */
static bool is_session_lost(const struct http_answer *answer)
{
    return answer->status == 401 && !http_error_is(answer, "PolicyDeny") && !http_error_is(answer, "PluginInternalError");
}

/* Of several that find the session lost, the first attests; `cookie` then is the new one. False without a way to. */
static FALLIBLE session_renew(struct kbs_client *client, struct cookie *cookie, struct err *err)
{
    struct session     *session = client->session;
    struct kbs_attester attester;
    bool                ok      = true;

    lock(session);
    if (strcmp(session->cookie, cookie->at) == 0) {
        attester = session->attester;
        ok       = attest(client, &attester, NULL, err);
    }
    memcpy(cookie->at, session->cookie, sizeof cookie->at);
    unlock(session);
    return ok;
}

FALLIBLE kbs_resource_get(struct kbs_client *client, const char *uri, struct secret *out, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    struct cookie                        cookie = cookie_of(client->session);
    const char                          *path;

    if (!rcar_path_of_uri(uri, &path, err) || !resource_answer(client, &cookie, path, &answer, err))
        return false;
    if (is_session_lost(&answer) && client->session->attester.evidence) {
        if (!session_renew(client, &cookie, err) || !resource_answer(client, &cookie, path, &answer, err))
            return false;
    }
    if (answer.status == 401 && http_error_is(&answer, "PluginInternalError"))
        return fail_with(err, ERR_NOT_FOUND, "the broker has no %.200s, or cannot read it", uri);
    return http_succeeded(&answer, err) &&
           jwe_open(buffer_bytes(&answer.body), KBS_ANSWER_MAX, client->session->key, out, err);
}

/* ---- epochs of volumes ---- */

static FALLIBLE epoch_answer(struct kbs_client *client, const struct cookie *cookie, const char *path, struct bytes body,
                             struct http_answer *answer, struct err *err)
{
    AUTO(buffer) struct buffer url = { 0 };
    struct http_request        r   = { .method = body.len ? "POST" : "GET", .cookie = cookie->at, .body = body };

    if (body.len)
        r.content_type = "application/json";
    buffer_printf(&url, KBS_EPOCHS "%s", path);
    r.path = buffer_text(&url);
    return http_exchange(client->http, &r, NULL, answer, err);
}

/* One question about an epoch; attests again, once, when the session ended. An empty body asks. */
static FALLIBLE epoch_exchange(struct kbs_client *client, const char *uri, struct bytes body, uint64_t *out, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(json) struct json_object       *read   = NULL;
    struct cookie                        cookie = cookie_of(client->session);
    const char                          *path;

    if (!rcar_path_of_uri(uri, &path, err) || !epoch_answer(client, &cookie, path, body, &answer, err))
        return false;
    if (is_session_lost(&answer) && client->session->attester.evidence)
        if (!session_renew(client, &cookie, err) || !epoch_answer(client, &cookie, path, body, &answer, err))
            return false;
    if (answer.status == 404 && !http_error_is(&answer, "PluginInternalError"))
        return fail_with(err, ERR_NOT_FOUND, "the broker keeps no epochs of volumes");
    if (!http_succeeded(&answer, err))
        return false;
    return (json_read(buffer_bytes(&answer.body), KBS_ANSWER_MAX, &read, err) && json_get_u64(read, "epoch", INT64_MAX, out, err)) ||
           context(err, "the broker's epoch");
}

FALLIBLE kbs_epoch_get(struct kbs_client *client, const char *uri, uint64_t *out, struct err *err)
{
    return epoch_exchange(client, uri, (struct bytes){ 0 }, out, err);
}

FALLIBLE kbs_epoch_advance(struct kbs_client *client, const char *uri, uint64_t epoch, struct err *err)
{
    char     body[48];
    uint64_t now;

    (void) snprintf(body, sizeof body, "{\"epoch\":%llu}", (unsigned long long) epoch); /* fits */
    if (!epoch_exchange(client, uri, bytes_of_text(body), &now, err))
        return false;
    return now == epoch || fail_with(err, ERR_MALFORMED, "the broker says epoch %llu to %llu", (unsigned long long) now, (unsigned long long) epoch);
}

/* The session's private key is in it: no library's growing buffers, and none of ours that stay. */
static FALLIBLE pair_write(const struct session *session, struct secret *out, struct err *err)
{
    AUTO(bio) BIO             *bio  = BIO_new(BIO_s_secmem());
    AUTO(buffer) struct buffer text = WIPED_BUFFER;
    char                      *pem  = NULL;
    long                       len;

    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, session->key, NULL, NULL, 0, NULL, NULL) != 1)
        return err_openssl(err, ERR_OS, "write the TEE key");
    len = BIO_get_mem_data(bio, &pem);
    buffer_append_text(&text, "{\"token\":");
    jcs_append_text(bytes_of_text(session->token), &text);
    buffer_append_text(&text, ",\"tee_keypair\":");
    jcs_append_text((struct bytes){ (const uint8_t *) pem, (size_t) len }, &text);
    buffer_append_text(&text, "}");
    return secret_copy(buffer_bytes(&text), out, err);
}

FALLIBLE kbs_token_get(struct kbs_client *client, const struct kbs_attester *attester, int64_t now_s,
                       struct secret *out, struct err *err)
{
    enum { SPARE_S = 60 };
    struct session *session = client->session;
    bool            ok      = true;

    lock(session);
    session->attester = *attester;
    if (!session->token || session->token_ends < now_s + SPARE_S)
        ok = attest(client, attester, NULL, err);
    ok = ok && pair_write(session, out, err);
    unlock(session);
    return ok;
}
