/* Against a double of Vault: see tests/harness/vault.h. */
#include "tests/harness/vault.h"

#include "keys/external/vault.h"
#include "keys/external/vault_answer.h"

#define PATH "acme/key/1"

static int open_heap(void **state)
{
    struct err err;

    (void) state;
    return secret_heap_open(&err) ? 0 : 1;
}

static struct vault_double double_of(void)
{
    return (struct vault_double){ .path = "/v1/secret/data/cloister/" PATH, .data = "{\"value\":\"geheim\"}", .raw_status = 200,
                                  .role_id = "role-1", .secret_id = "id \"1\"", .lease_s = 3600 };
}

static struct vault *client_of(struct vault_double *d, const char *token, const char *space, uint32_t timeout_ms)
{
    AUTO(secret) struct secret given = { 0 };
    struct vault              *vault = NULL;
    struct err                 err;

    assert_true(secret_copy(bytes_of_text(token ? token : d->secret_id), &given, &err));
    struct vault_options options = { .url = d->url, .ca_pem = buffer_bytes(&d->ca), .mount = "secret", .folder = "cloister", .space = space,
                                     .token = token ? &given : NULL, .role_id = token ? NULL : d->role_id, .secret_id = &given,
                                     .timeout_ms = timeout_ms };
    if (!vault_new(&options, &vault, &err))
        fail_msg("%s", err.text);
    return vault;
}

static void assert_got(struct vault *vault)
{
    AUTO(secret) struct secret got = { 0 };
    struct err                 err;

    if (!vault_get(vault, PATH, &got, &err))
        fail_msg("%s", err.text);
    assert_true(bytes_equal(secret_expose(&got), bytes_of_text("geheim")));
}

static void assert_fails(struct vault *vault, const char *path, enum err_kind kind, const char *text)
{
    AUTO(secret) struct secret got = { 0 };
    struct err                 err;

    assert_false(vault_get(vault, path, &got, &err));
    assert_null(got.held);
    if (text && !strstr(err.text, text))
        fail_msg("\"%s\" is not in: %s", text, err.text);
    assert_int_equal(err.kind, kind);
}

static void reads_with_a_token_and_asks_anew_each_time(void **state)
{
    struct vault_double         d = double_of();
    AUTO(vault) struct vault   *vault = NULL;

    (void) state;
    vault_double_start(&d);
    vault = client_of(&d, "hvs.double-0", NULL, 60000);
    assert_got(vault);
    d.data = "{\"base64\":\"Z2VoZWlt\"}";
    assert_got(vault);
    assert_int_equal(d.n_reads, 2);
    assert_int_equal(d.n_odd, 0);
    assert_fails(vault, "acme/key/2", ERR_NOT_FOUND, "Vault has no secret acme/key/2");
    vault_double_stop(&d);
}

static void a_namespace_is_named(void **state)
{
    struct vault_double       d = double_of();
    AUTO(vault) struct vault *with = NULL, *without = NULL;

    (void) state;
    d.space = "team/a";
    vault_double_start(&d);
    with    = client_of(&d, "hvs.double-0", "team/a", 60000);
    without = client_of(&d, "hvs.double-0", NULL, 60000);
    assert_got(with);
    assert_fails(without, PATH, ERR_NOT_FOUND, "Vault has no secret");
    vault_double_stop(&d);
}

static void logs_in_by_approle_once_and_again_when_the_token_is_gone(void **state)
{
    struct vault_double       d = double_of();
    AUTO(vault) struct vault *vault = NULL;

    (void) state;
    vault_double_start(&d);
    vault = client_of(&d, NULL, NULL, 60000);
    assert_got(vault);
    assert_got(vault);
    assert_int_equal(d.n_logins, 1);
    d.valid_login = 99; /* revoked */
    assert_got(vault);
    assert_int_equal(d.n_logins, 2);
    vault_double_stop(&d);
}

static void a_lease_that_is_nearly_over_is_not_used(void **state)
{
    struct vault_double       d = double_of();
    AUTO(vault) struct vault *vault = NULL;

    (void) state;
    d.lease_s = 1; /* of which 0 whole seconds are kept */
    vault_double_start(&d);
    vault = client_of(&d, NULL, NULL, 60000);
    assert_got(vault);
    assert_got(vault);
    assert_int_equal(d.n_logins, 2);
    vault_double_stop(&d);
}

static void a_refusal_stays_one(void **state)
{
    struct vault_double       d = double_of();
    AUTO(vault) struct vault *vault = NULL, *stranger = NULL;

    (void) state;
    vault_double_start(&d);
    vault = client_of(&d, "hvs.wrong", NULL, 60000);
    assert_fails(vault, PATH, ERR_DENIED, "Vault answers secret acme/key/1 with status 403: permission denied");
    assert_int_equal(d.n_reads, 1);
    d.secret_id = "id 2";
    stranger    = client_of(&d, NULL, NULL, 60000);
    d.secret_id = "id 3";
    assert_fails(stranger, PATH, ERR_DENIED, "Vault answers the login by AppRole with status 400: invalid role or secret ID");
    vault_double_stop(&d);
}

static void sealed_and_silent_are_told_apart_and_nothing_is_kept(void **state)
{
    struct vault_double       d = double_of();
    AUTO(vault) struct vault *vault = NULL, *hasty = NULL;

    (void) state;
    vault_double_start(&d);
    vault = client_of(&d, "hvs.double-0", NULL, 60000);
    hasty = client_of(&d, "hvs.double-0", NULL, 200);
    assert_got(vault);
    d.is_sealed = true;
    assert_fails(vault, PATH, ERR_OS, "with status 503: Vault is sealed");
    d.is_sealed = false;
    assert_got(vault);
    d.hangs = true;
    assert_fails(hasty, PATH, ERR_TIMEOUT, NULL);
    vault_double_wake(&d);
    assert_got(vault);
    vault_double_stop(&d);
    assert_fails(vault, PATH, ERR_OS, "Vault https://127.0.0.1:");
}

static void hostile_answers_are_refused(void **state)
{
    AUTO(buffer) struct buffer large = { 0 }, deep = { 0 };
    struct vault_double        d     = double_of();
    AUTO(vault) struct vault  *vault = NULL;

    (void) state;
    memset(buffer_grow(&large, VAULT_ANSWER_MAX + 1), ' ', VAULT_ANSWER_MAX + 1);
    for (int i = 0; i < 30000; i++)
        buffer_append_text(&deep, "{\"data\":");
    const struct { struct buffer *raw; const char *text; unsigned status; enum err_kind kind; const char *part; } CASES[] = {
        { &large, NULL, 200, ERR_LIMIT, "Vault: an answer of more than 262144 bytes" },
        { &deep, NULL, 200, ERR_MALFORMED, "Vault: acme/key/1: " },
        { NULL, "<html>", 200, ERR_MALFORMED, "Vault: acme/key/1: " },
        { NULL, "{\"data\":{\"data\":{\"other\":\"x\"}}}", 200, ERR_MALFORMED, "neither a text \"value\"" },
        { NULL, "{\"data\":{\"data\":{\"value\":\"x\"}}}", 202, ERR_OS, "with status 202" },
        { NULL, "{\"data\":{\"data\":{\"value\":\"x\"}}}", 302, ERR_OS, "with status 302" },
        { NULL, "{\"errors\":[]}", 429, ERR_LIMIT, "with status 429" },
        { NULL, "{\"data\":{\"data\":null,\"metadata\":{\"deletion_time\":\"2026-01-01T00:00:00Z\"}}}", 404, ERR_NOT_FOUND, "Vault has no secret" },
    };

    vault_double_start(&d);
    vault = client_of(&d, "hvs.double-0", NULL, 60000);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        d.raw        = CASES[i].raw ? (const char *) CASES[i].raw->at : CASES[i].text;
        d.raw_len    = CASES[i].raw ? CASES[i].raw->len : strlen(CASES[i].text);
        d.raw_status = CASES[i].status;
        assert_fails(vault, PATH, CASES[i].kind, CASES[i].part);
    }
    d.raw = NULL;
    assert_got(vault);
    vault_double_stop(&d);
}

static void another_servers_certificate_is_refused(void **state)
{
    struct vault_double        d = double_of();
    AUTO(vault) struct vault  *vault = NULL;
    AUTO(buffer) struct buffer other = { 0 }, key = { 0 }, kept = { 0 };

    (void) state;
    vault_double_start(&d);
    test_certificate_make(&other, &key);
    kept = d.ca;
    d.ca = other;
    vault = client_of(&d, "hvs.double-0", NULL, 60000);
    d.ca = kept;
    kept = (struct buffer){ 0 };
    assert_fails(vault, PATH, ERR_UNTRUSTED, NULL);
    assert_int_equal(d.n_reads, 0);
    vault_double_stop(&d);
}

static void a_bad_configuration_is_told(void **state)
{
    AUTO(secret) struct secret token = { 0 }, line = { 0 };
    AUTO(buffer) struct buffer ca = { 0 }, key = { 0 };
    struct err                 err;

    (void) state;
    assert_true(secret_copy(bytes_of_text("hvs.x"), &token, &err) && secret_copy(bytes_of_text("hvs\r\nx"), &line, &err));
    test_certificate_make(&ca, &key);
    const struct { struct vault_options o; const char *text; } CASES[] = {
        { { .url = "http://127.0.0.1", .ca_pem = buffer_bytes(&ca), .mount = "secret", .token = &token }, "Vault: http:// proves to nobody who answers: the URL must begin with https://" },
        { { .url = "https://127.0.0.1", .mount = "secret", .token = &token }, "Vault: no CA certificate to trust" },
        { { .url = "https://127.0.0.1", .ca_pem = buffer_bytes(&ca), .mount = "a//b", .token = &token }, "Vault: mount and folder are names with single slashes between, such as \"secret\"" },
        { { .url = "https://127.0.0.1", .ca_pem = buffer_bytes(&ca), .mount = "secret", .folder = "../sys", .token = &token }, "Vault: mount and folder are names with single slashes between, such as \"secret\"" },
        { { .url = "https://127.0.0.1", .ca_pem = buffer_bytes(&ca), .mount = "secret" }, "Vault: give either a token or an AppRole" },
        { { .url = "https://127.0.0.1", .ca_pem = buffer_bytes(&ca), .mount = "secret", .token = &token, .role_id = "r" }, "Vault: give either a token or an AppRole" },
        { { .url = "https://127.0.0.1", .ca_pem = buffer_bytes(&ca), .mount = "secret", .role_id = "r" }, "Vault: an AppRole needs its secret id" },
        { { .url = "https://127.0.0.1", .ca_pem = buffer_bytes(&ca), .mount = "secret", .token = &line }, "Vault: the token has a blank or what is not printable in it" },
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(vault) struct vault *vault = NULL;

        assert_false(vault_new(&CASES[i].o, &vault, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_string_equal(err.text, CASES[i].text);
    }
}

/* Eight threads, one login. */
struct asker { struct vault *vault; int n_failed; };

static void *asks(void *owner)
{
    struct asker *a = owner;

    for (int i = 0; i < 20; i++) {
        AUTO(secret) struct secret got = { 0 };
        struct err                 err;

        a->n_failed += !vault_get(a->vault, PATH, &got, &err) || !bytes_equal(secret_expose(&got), bytes_of_text("geheim"));
    }
    return NULL;
}

static void several_threads_ask_at_once(void **state)
{
    struct vault_double       d = double_of();
    AUTO(vault) struct vault *vault = NULL;
    struct asker              askers[8];
    pthread_t                 threads[8];

    (void) state;
    vault_double_start(&d);
    vault = client_of(&d, NULL, NULL, 60000);
    for (int i = 0; i < 8; i++) {
        askers[i] = (struct asker){ vault, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, asks, &askers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(askers[i].n_failed, 0);
    }
    assert_int_equal(d.n_logins, 1);
    assert_int_equal(d.n_reads, 160);
    vault_double_stop(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_with_a_token_and_asks_anew_each_time),
        cmocka_unit_test(a_namespace_is_named),
        cmocka_unit_test(logs_in_by_approle_once_and_again_when_the_token_is_gone),
        cmocka_unit_test(a_lease_that_is_nearly_over_is_not_used),
        cmocka_unit_test(a_refusal_stays_one),
        cmocka_unit_test(sealed_and_silent_are_told_apart_and_nothing_is_kept),
        cmocka_unit_test(hostile_answers_are_refused),
        cmocka_unit_test(another_servers_certificate_is_refused),
        cmocka_unit_test(a_bad_configuration_is_told),
        cmocka_unit_test(several_threads_ask_at_once),
    };

    return cmocka_run_group_tests(tests, open_heap, NULL);
}
