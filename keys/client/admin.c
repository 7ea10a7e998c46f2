#include "keys/client/admin.h"

#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/client/http.h"
#include "keys/jose/jcs.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"

enum { TOKEN_LIFE_S = 120, CLOCK_SKEW_S = 30 };

struct admin_client {
    struct http *http;
    EVP_PKEY    *key; /* NULL: a certificate is shown instead of tokens */
    const char  *name;
};

void admin_client_free(struct admin_client *client)
{
    if (!client)
        return;
    http_close(client->http);
    EVP_PKEY_free(client->key);
    free(client);
}

FALLIBLE admin_client_new(const struct admin_options *options, struct admin_client **out, struct err *err)
{
    bool                                    shows  = options->certificate_pem.len > 0;
    struct http_options                     http   = { .url = options->url, .ca_pem = options->ca_pem,
                                                       .plain_on_loopback = options->insecure_http,
                                                       .certificate_pem = options->certificate_pem,
                                                       .key_pem = shows ? options->key_pem : (struct bytes){ 0 } };
    AUTO(admin_client) struct admin_client *client = calloc(1, sizeof *client);
    AUTO(bio) BIO                          *bio    = NULL;

    if (!client || options->key_pem.len > INT32_MAX)
        abort();
    bio         = BIO_new_mem_buf(options->key_pem.at, (int) options->key_pem.len);
    client->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    if (!client->key)
        return err_openssl(err, ERR_CONFIG, "the administrator's key is no private key in PEM");
    if (shows) {
        EVP_PKEY_free(client->key);
        client->key = NULL;
    }
    if (!http_open(&http, &client->http, err))
        return false;
    client->name = options->name;
    *out         = TAKE(client);
    return true;
}

static void append_member(struct buffer *body, const char *name, const char *value)
{
    buffer_printf(body, "%s\"%s\":", body->len > 1 ? "," : "", name);
    jcs_append_text(bytes_of_text(value), body);
}

/* What a call says besides who calls, inside its signed token. */
struct call_claims {
    const struct jwk *reply_key; /* to encrypt the answer's secret to; NULL: there is none */
    uint64_t          uses;      /* of the resource that is put; 0: any number */
};

static void claims_write(const struct call_claims *claims, struct buffer *out)
{
    if (claims && claims->reply_key) {
        buffer_append_text(out, ",\"reply-key\":");
        buffer_append(out, buffer_bytes(&claims->reply_key->canonical));
    }
    if (claims && claims->uses > 0)
        buffer_printf(out, ",\"uses\":%llu", (unsigned long long) claims->uses);
    buffer_append_text(out, "}");
}

static FALLIBLE token_make(struct admin_client *client, const struct call_claims *claims, struct buffer *token,
                           struct err *err)
{
    AUTO(buffer) struct buffer payload = { 0 };
    long long                  now     = (long long) time(NULL);

    buffer_printf(&payload, "{\"iss\":\"cloister\",\"iat\":%lld,\"exp\":%lld", now - CLOCK_SKEW_S, now + TOKEN_LIFE_S);
    if (client->name)
        append_member(&payload, "sub", client->name);
    claims_write(claims, &payload);
    return jwt_sign("", buffer_bytes(&payload), client->key, token, err);
}

/* The two that a wrong key or address brings. Always false. */
static FALLIBLE refusal_explain(const struct http_answer *answer, struct err *err)
{
    if (http_error_is(answer, "AdminAuthAccess"))
        return context(err, "the broker refuses this administrator");
    if (answer->status == 405 || strcmp(err->text, NO_SUCH_PATH) == 0) /* where guests are served */
        return fail_with(err, ERR_NOT_FOUND, "no administration at this address: give the broker's admin_listen as --broker");
    return false;
}

static FALLIBLE call(struct admin_client *client, struct http_request r, const struct call_claims *claims,
                     struct http_answer *answer, struct err *err)
{
    AUTO(buffer) struct buffer token = { 0 }, rest = { 0 };

    if (client->key) {
        if (!token_make(client, claims, &token, err))
            return false;
        r.bearer = buffer_text(&token);
    } else {
        buffer_append_text(&rest, "{\"iss\":\"cloister\"");
        claims_write(claims, &rest);
        r.claims = buffer_text(&rest);
    }
    return http_exchange(client->http, &r, NULL, answer, err) && (http_succeeded(answer, err) || refusal_explain(answer, err));
}

static FALLIBLE path_for(const char *prefix, const char *uri, struct buffer *path, struct err *err)
{
    const char *rest;

    if (!rcar_path_of_uri(uri, &rest, err))
        return false;
    buffer_printf(path, "%s/%s", prefix, rest);
    return true;
}

FALLIBLE admin_resource_put(struct admin_client *client, const char *uri, const struct secret *value, struct err *err)
{
    return admin_resource_put_counted(client, uri, value, 0, err);
}

FALLIBLE admin_resource_put_counted(struct admin_client *client, const char *uri, const struct secret *value,
                                    uint64_t uses, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(buffer) struct buffer           path   = { 0 };
    struct call_claims                   claims = { .uses = uses };

    if (!path_for(KBS_PREFIX "/resource", uri, &path, err))
        return false;
    return call(client,
                (struct http_request){ .method = "POST", .path = buffer_text(&path),
                                       .content_type = "application/octet-stream", .body = secret_expose(value) },
                &claims, &answer, err);
}

FALLIBLE admin_resource_get(struct admin_client *client, const char *uri, struct secret *out, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(buffer) struct buffer           path   = { 0 };
    AUTO(pkey) EVP_PKEY                 *key    = NULL;
    AUTO(jwk) struct jwk                 jwk    = { 0 };
    struct call_claims                   claims = { .reply_key = &jwk };

    return path_for(ADMIN_RESOURCES, uri, &path, err) && jwk_generate_p256(&key, err) &&
           jwk_of_key(key, "ECDH-ES+A256KW", &jwk, err) &&
           call(client, (struct http_request){ .method = "GET", .path = buffer_text(&path) }, &claims, &answer, err) &&
           jwe_open(buffer_bytes(&answer.body), KBS_ANSWER_MAX, key, out, err);
}

FALLIBLE admin_resource_remove(struct admin_client *client, const char *uri, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(buffer) struct buffer           path   = { 0 };

    return path_for(KBS_PREFIX "/resource", uri, &path, err) &&
           call(client, (struct http_request){ .method = "DELETE", .path = buffer_text(&path) }, NULL, &answer, err);
}

/* The array named `name` in what GET `path` answers. */
static FALLIBLE list_get(struct admin_client *client, const char *path, const char *name, struct json_object **out,
                         struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(json) struct json_object       *read   = NULL;
    struct json_object                  *array;

    if (!call(client, (struct http_request){ .method = "GET", .path = path }, NULL, &answer, err))
        return false;
    if (!json_read(buffer_bytes(&answer.body), KBS_ANSWER_MAX, &read, err) ||
        !json_get(read, name, json_type_array, &array, err))
        return context(err, "the broker's list");
    *out = json_object_get(array);
    return true;
}

FALLIBLE admin_resources(struct admin_client *client, struct json_object **out, struct err *err)
{
    return list_get(client, ADMIN_RESOURCES, "resources", out, err);
}

FALLIBLE admin_references(struct admin_client *client, struct json_object **out, struct err *err)
{
    return list_get(client, ADMIN_REFERENCES, "references", out, err);
}

FALLIBLE admin_reference_add(struct admin_client *client, const struct admin_reference *reference, uint64_t *id,
                             struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(json) struct json_object       *read   = NULL;
    AUTO(buffer) struct buffer           body   = { 0 };
    const char                          *path;

    buffer_append_text(&body, "{");
    append_member(&body, "kind", reference->kind);
    append_member(&body, "tee", reference->tee);
    append_member(&body, "value", reference->value);
    if (reference->resource) {
        if (!rcar_path_of_uri(reference->resource, &path, err))
            return false;
        append_member(&body, "resource", path);
    }
    buffer_printf(&body, ",\"expires\":%llu}", (unsigned long long) reference->expires);
    return call(client,
                (struct http_request){ .method = "POST", .path = ADMIN_REFERENCES, .content_type = "application/json",
                                       .body = buffer_bytes(&body) },
                NULL, &answer, err) &&
           json_read(buffer_bytes(&answer.body), KBS_ANSWER_MAX, &read, err) &&
           json_get_u64(read, "id", INT64_MAX, id, err);
}

FALLIBLE admin_reference_remove(struct admin_client *client, uint64_t id, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(buffer) struct buffer           path   = { 0 };

    buffer_printf(&path, ADMIN_REFERENCES "/%llu", (unsigned long long) id);
    return call(client, (struct http_request){ .method = "DELETE", .path = buffer_text(&path) }, NULL, &answer, err);
}

/* ---- documents ---- */

/* Names go into the path as they are: a broker decodes nothing. */
static FALLIBLE document_path(const char *prefix, const char *kind, const char *name, struct buffer *path, struct err *err)
{
    for (const char *at = name; *at; at++) {
        if (*at <= ' ' || *at >= 0x7f || strchr("?#%", *at))
            return fail_with(err, ERR_CONFIG, "\"%.60s\": a name has neither blanks nor ? # %% in it", name);
    }
    buffer_printf(path, "%s/%s/%s", prefix, kind, name);
    return true;
}

FALLIBLE admin_document_put(struct admin_client *client, const struct admin_document *document, uint64_t *version,
                            struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(json) struct json_object       *read   = NULL;
    AUTO(buffer) struct buffer           body   = { 0 }, path = { 0 };

    if (!is_utf8(document->text) || (document->text.len > 0 && memchr(document->text.at, 0, document->text.len)))
        return fail_with(err, ERR_CONFIG, "%s: the text is not UTF-8", document->name);
    buffer_append_text(&body, "{\"text\":");
    jcs_append_text(document->text, &body);
    buffer_printf(&body, ",\"expires\":%llu,\"add\":%s}", (unsigned long long) document->expires,
                  document->adds ? "true" : "false");
    return document_path(ADMIN_DOCUMENTS, document->kind, document->name, &path, err) &&
           call(client,
                (struct http_request){ .method = "POST", .path = buffer_text(&path), .content_type = "application/json",
                                       .body = buffer_bytes(&body) },
                NULL, &answer, err) &&
           json_read(buffer_bytes(&answer.body), KBS_ANSWER_MAX, &read, err) &&
           json_get_u64(read, "version", INT64_MAX, version, err);
}

FALLIBLE admin_document_remove(struct admin_client *client, const char *kind, const char *name, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(buffer) struct buffer           path   = { 0 };

    return document_path(ADMIN_DOCUMENTS, kind, name, &path, err) &&
           call(client, (struct http_request){ .method = "DELETE", .path = buffer_text(&path) }, NULL, &answer, err);
}

FALLIBLE admin_documents(struct admin_client *client, const char *kind, const char *name_or_null, struct json_object **out,
                         struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    if (!name_or_null)
        buffer_printf(&path, ADMIN_DOCUMENTS "/%s", kind);
    else if (!document_path(ADMIN_HISTORY, kind, name_or_null, &path, err))
        return false;
    return list_get(client, buffer_text(&path), "documents", out, err);
}

FALLIBLE admin_manifest_sign(struct bytes key_pem, struct json_object *values, uint64_t expires, struct buffer *out,
                             struct err *err)
{
    AUTO(buffer) struct buffer payload = { 0 };
    AUTO(bio) BIO             *bio     = BIO_new_mem_buf(key_pem.at, (int) (key_pem.len < INT32_MAX ? key_pem.len : 0));
    AUTO(pkey) EVP_PKEY       *key     = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

    if (!key)
        return err_openssl(err, ERR_CONFIG, "the signer's key is no private key in PEM");
    if (!json_object_is_type(values, json_type_object) || json_object_object_length(values) == 0)
        return fail_with(err, ERR_CONFIG, "a manifest wants an object {NAME: VALUE}");
    buffer_printf(&payload, "{\"iat\":%lld,\"reference-values\":", (long long) time(NULL));
    json_write(values, &payload);
    if (expires > 0)
        buffer_printf(&payload, ",\"exp\":%llu", (unsigned long long) expires);
    buffer_append_text(&payload, "}");
    return jwt_sign("", buffer_bytes(&payload), key, out, err);
}

FALLIBLE admin_reference_message(struct admin_client *client, struct bytes message, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };

    return call(client,
                (struct http_request){ .method = "POST", .path = KBS_PREFIX "/reference-value",
                                       .content_type = "application/json", .body = message },
                NULL, &answer, err);
}

/* ---- the audit log ---- */

static FALLIBLE signing_key_get(struct admin_client *client, struct jwk *out, struct err *err)
{
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(json) struct json_object       *read   = NULL;
    struct json_object                  *keys;

    if (!call(client, (struct http_request){ .method = "GET", .path = "/.well-known/jwks.json" }, NULL, &answer, err))
        return false;
    if (!json_read(buffer_bytes(&answer.body), KBS_ANSWER_MAX, &read, err) ||
        !json_get(read, "keys", json_type_array, &keys, err) ||
        !jwk_read(json_object_array_get_idx(keys, 0), out, err))
        return context(err, "the broker's keys");
    return true;
}

static FALLIBLE head_read(struct json_object *payload, struct audit_head *out, struct err *err)
{
    const char *root;

    return json_get_u64(payload, "iat", INT64_MAX, &out->at, err) &&
           json_get_u64(payload, "size", INT64_MAX, &out->size, err) && json_get_text(payload, "root", &root, err) &&
           hex_read_exact(root, out->root.at, sizeof out->root.at, err);
}

FALLIBLE admin_audit_head(struct admin_client *client, struct audit_head *out, struct err *err)
{
    AUTO(http_answer) struct http_answer answer  = { 0 };
    AUTO(json) struct json_object       *read    = NULL;
    AUTO(json) struct json_object       *payload = NULL;
    AUTO(jwk) struct jwk                 jwk     = { 0 };
    struct audit_head                    head;
    const char                          *token;

    if (!signing_key_get(client, &jwk, err) ||
        !call(client, (struct http_request){ .method = "GET", .path = ADMIN_AUDIT }, NULL, &answer, err))
        return false;
    if (!json_read(buffer_bytes(&answer.body), KBS_ANSWER_MAX, &read, err) || !json_get_text(read, "head", &token, err) ||
        !jwt_verify(bytes_of_text(token), ADMIN_TOKEN_MAX, jwk.key, &payload, err) || !head_read(payload, &head, err))
        return context(err, "the head of the audit log");
    *out = head;
    return true;
}

FALLIBLE admin_audit_entries(struct admin_client *client, uint64_t from, struct json_object **out, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    buffer_printf(&path, ADMIN_AUDIT "/entries/%llu", (unsigned long long) from);
    return list_get(client, buffer_text(&path), "entries", out, err);
}

FALLIBLE admin_audit_inclusion(struct admin_client *client, uint64_t index, uint64_t size, struct merkle_proof *out,
                               struct err *err)
{
    AUTO(buffer) struct buffer     path   = { 0 };
    AUTO(json) struct json_object *hashes = NULL;
    struct merkle_proof            proof  = { 0 };

    buffer_printf(&path, ADMIN_AUDIT "/inclusion/%llu/%llu", (unsigned long long) index, (unsigned long long) size);
    if (!list_get(client, buffer_text(&path), "hashes", &hashes, err))
        return false;
    if (json_object_array_length(hashes) > MERKLE_LEVELS)
        return fail_with(err, ERR_LIMIT, "a proof of more than %d hashes", MERKLE_LEVELS);
    for (; proof.n < json_object_array_length(hashes); proof.n++) {
        struct json_object *one = json_object_array_get_idx(hashes, proof.n);

        if (!json_object_is_type(one, json_type_string) ||
            !hex_read_exact(json_object_get_string(one), proof.at[proof.n].at, MERKLE_HASH_LEN, err))
            return fail_with(err, ERR_MALFORMED, "a proof that is not of hashes");
    }
    *out = proof;
    return true;
}
