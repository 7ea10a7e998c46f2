/* A broker that knows one guest and two keys, and what tests ask of it: through our client, or by hand. */
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/client/http.h"
#include "keys/jose/jwt.h"
#include "tests/harness/broker.h"

#define URI   "kbs:///default/image-key/1"
#define OTHER "kbs:///default/image-key/2"

static struct test_broker broker;
static struct secret      key;

static inline void hex_of(const uint8_t *at, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        (void) snprintf(out + 2 * i, 3, "%02x", at[i]);
}

static inline uint64_t register_value(struct admin_client *admin, const char *kind, const uint8_t *value, size_t len,
                               const char *resource)
{
    char                   hex[129];
    struct admin_reference reference = { .kind = kind, .tee = "snp", .value = hex, .resource = resource };
    uint64_t               id = 0;
    struct err             err;

    hex_of(value, len, hex);
    assert_fine(admin_reference_add(admin, &reference, &id, &err), &err);
    return id;
}

static inline int registered_make(void **state)
{
    AUTO(admin_client) struct admin_client *admin = NULL;
    struct test_guest                       good;
    struct err                              err;

    (void) state;
    test_broker_make(&broker);
    good  = test_guest_good(&broker);
    admin = test_admin(&broker);
    assert_fine(secret_random(32, &key, &err) && admin_resource_put(admin, URI, &key, &err) &&
                    admin_resource_put(admin, OTHER, &key, &err),
                &err);
    (void) register_value(admin, "measurement", good.measurement, 48, NULL);
    (void) register_value(admin, "initdata", good.host_data, 32, URI);
    return 0;
}

static inline int registered_clean(void **state)
{
    (void) state;
    secret_free(&key);
    test_broker_free(&broker);
    return 0;
}

static inline struct kbs_client *client_of(const struct kbs_options *options)
{
    struct kbs_client *client = NULL;
    struct err         err;

    assert_fine(kbs_client_new(options, &client, &err), &err);
    return client;
}

static inline struct kbs_client *client_new(void)
{
    struct kbs_options options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca), .timeout_ms = 20000 };

    return client_of(&options);
}

static inline bool attest_as(struct kbs_client *client, struct test_guest *guest, struct kbs_verdict *verdict, struct err *err)
{
    struct kbs_attester attester = { .tee = "snp", .evidence = test_evidence, .owner = guest };

    return kbs_attest(client, &attester, verdict, err);
}

static inline void assert_attest_refused(struct test_guest *guest, const char *part)
{
    AUTO(kbs_client) struct kbs_client *client = client_new();
    AUTO(secret) struct secret          got    = { 0 };
    struct err                          err;

    assert_false(attest_as(client, guest, NULL, &err));
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_false(kbs_resource_get(client, URI, &got, &err));
    assert_null(got.held);
}

static inline void assert_key_refused(struct test_guest *guest, const char *uri, enum err_kind kind, const char *text)
{
    AUTO(kbs_client) struct kbs_client *client = client_new();
    AUTO(secret) struct secret          got    = { 0 };
    struct err                          err;

    assert_fine(attest_as(client, guest, NULL, &err), &err);
    assert_false(kbs_resource_get(client, uri, &got, &err));
    assert_string_equal(err.text, text);
    assert_int_equal(err.kind, kind);
    assert_null(got.held);
}

static inline struct http *http_new(void)
{
    struct http_options options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca) };
    struct http        *http    = NULL;
    struct err          err;

    assert_fine(http_open(&options, &http, &err), &err);
    return http;
}

static inline long ask(struct http *http, const char *method, const char *path, const char *cookie, const char *bearer,
                struct bytes body, struct http_answer *answer)
{
    struct http_request r = { .method = method, .path = path, .cookie = cookie, .bearer = bearer, .body = body };
    struct err          err;

    assert_fine(http_exchange(http, &r, KBS_COOKIE, answer, &err), &err);
    return answer->status;
}

/* POST auth; leaves the cookie in `answer`, the nonce in `nonce`. */
static inline void begin(struct http *http, struct http_answer *answer, char nonce[static 64])
{
    AUTO(buffer) struct buffer     body = { 0 };
    AUTO(json) struct json_object *read = NULL;
    const char                    *text;
    struct err                     err;

    rcar_request_write("snp", &body);
    assert_int_equal(ask(http, "POST", "/kbs/v0/auth", NULL, NULL, buffer_bytes(&body), answer), 200);
    assert_true(json_read(buffer_bytes(&answer->body), answer->body.len, &read, &err) && json_get_text(read, "nonce", &text, &err));
    (void) snprintf(nonce, 64, "%s", text);
}

static inline void attestation_for(const char *nonce, struct jwk *jwk, struct buffer *body)
{
    AUTO(buffer) struct buffer evidence = { 0 };
    struct test_guest          guest    = test_guest_good(&broker);
    uint8_t                    report_data[48];
    struct err                 err;

    assert_fine(rcar_report_data("", nonce, jwk, report_data, &err) && test_evidence(&guest, report_data, &evidence, &err), &err);
    rcar_attestation_write((struct bytes){ 0 }, nonce, jwk, buffer_bytes(&evidence), body);
}

static inline void fresh_key(struct jwk *out)
{
    AUTO(pkey) EVP_PKEY *fresh = NULL;
    struct err           err;

    assert_fine(jwk_generate_p256(&fresh, &err) && jwk_of_key(fresh, "ECDH-ES+A256KW", out, &err), &err);
}

static inline void assert_detail(const struct http_answer *answer, const char *part)
{
    struct err err;

    assert_false(http_succeeded(answer, &err));
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
}
