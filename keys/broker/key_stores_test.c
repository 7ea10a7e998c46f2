/*
 * A real broker whose resources are kept elsewhere: in a double of Vault (tests/harness/vault.h) and in a software token; and
 * which asks a double of AMD's service for collateral.
 */
#include "tests/harness/broker.h"
#include "tests/harness/http_service.h"
#include "tests/harness/softhsm.h"
#include "tests/harness/vault.h"

#include "base/text.h"
#include "keys/api/rcar.h"

#define IN_VAULT "acme/key/1"

static struct vault_double vault_of(void)
{
    return (struct vault_double){ .path = "/v1/secret/data/cloister/" IN_VAULT, .data = "{\"value\":\"geheim\"}", .raw_status = 200,
                                  .role_id = "role-1", .secret_id = "id-1", .lease_s = 3600 };
}

static void file_put(const struct test_broker *b, const char *name, struct bytes content, char path[static PATH_MAX])
{
    struct err err;

    test_broker_path(b, name, path);
    assert_fine(file_write(path, content, 0600, &err), &err);
}

/* A broker of --dev, started again with `more` in its configuration. */
static void broker_with(struct test_broker *b, const char *more)
{
    AUTO(buffer) struct buffer all = { 0 };
    char                       store[PATH_MAX];

    (void) test_broker_stop(b, SIGTERM);
    test_broker_path(b, "other.db", store);
    buffer_printf(&all, "store = \"%s\"\nsample = true\nmetrics_listen = \"127.0.0.1:0\"\n%s", store, more);
    test_broker_configure(b, TEST_BROKER_OBSERVED, buffer_text(&all));
    b->config = TEST_BROKER_OBSERVED;
    test_broker_start(b);
}

static void vault_lines(const struct test_broker *b, const struct vault_double *v, const char *secret_id, struct buffer *out)
{
    char ca[PATH_MAX], id[PATH_MAX];

    file_put(b, "vault-ca.pem", buffer_bytes(&v->ca), ca);
    file_put(b, "vault-id", bytes_of_text(secret_id), id);
    buffer_printf(out, "vault = \"%s\"\nvault_ca = \"%s\"\nvault_folder = \"cloister\"\nvault_resources = \"acme\"\n"
                       "vault_role_id = \"role-1\"\nvault_secret_id = \"%s\"\nvault_seconds = 60\n", v->url, ca, id);
}

static void allow_all(struct admin_client *admin)
{
    struct admin_document policy = { .kind = "resource-policy", .name = "*", .text = bytes_of_text("package policy\ndefault allow = true\n") };
    uint64_t              version;
    struct err            err;

    assert_fine(admin_document_put(admin, &policy, &version, &err), &err);
}

static bool sample_evidence(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json, struct err *err)
{
    (void) owner;
    (void) err;
    buffer_append_text(json, "{\"svn\":\"1\",\"report_data\":\"");
    base64_append(json, (struct bytes){ report_data, RCAR_DIGEST_LEN }, BASE64_STANDARD);
    buffer_append_text(json, "\"}");
    return true;
}

static struct kbs_client *attested(const struct test_broker *b)
{
    struct kbs_client  *client   = NULL;
    struct kbs_options  options  = { .url = b->url, .ca_pem = buffer_bytes(&b->ca), .timeout_ms = 120000 };
    struct kbs_attester attester = { .tee = "sample", .evidence = sample_evidence };
    struct err          err;

    assert_fine(kbs_client_new(&options, &client, &err) && kbs_attest(client, &attester, NULL, &err), &err);
    return client;
}

static void assert_got(struct kbs_client *client, const char *uri, const char *value)
{
    AUTO(secret) struct secret got = { 0 };
    struct err                 err;

    assert_fine(kbs_resource_get(client, uri, &got, &err), &err);
    assert_true(bytes_equal(secret_expose(&got), bytes_of_text(value)));
}

static void assert_refused(struct kbs_client *client, const char *uri, enum err_kind kind, const char *text)
{
    AUTO(secret) struct secret got = { 0 };
    struct err                 err;

    assert_false(kbs_resource_get(client, uri, &got, &err));
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in: %s", text, err.text);
    assert_int_equal(err.kind, kind);
}

/* What a monitor sees of it; nothing of it says which secret was asked for. */
static void assert_observed(const struct test_broker *b, const char *path, const char *part)
{
    AUTO(buffer) struct buffer answer = { 0 };

    test_broker_observe(b, path, &answer);
    if (!strstr(buffer_text(&answer), part))
        fail_msg("\"%s\" is not in: %s", part, buffer_text(&answer));
    assert_null(strstr(buffer_text(&answer), "acme"));
    assert_null(strstr(buffer_text(&answer), "key/1"));
}

static void a_secret_of_vault_is_released_and_never_kept(void **state)
{
    AUTO(buffer) struct buffer          more = { 0 };
    struct test_broker                  b;
    struct vault_double                 v = vault_of();
    AUTO(kbs_client) struct kbs_client *guest = NULL;
    struct admin_client                *admin;

    (void) state;
    vault_double_start(&v);
    test_broker_make(&b);
    vault_lines(&b, &v, "id-1\n", &more);
    broker_with(&b, buffer_text(&more));
    admin = test_admin(&b);
    guest = attested(&b);
    assert_refused(guest, "kbs:///" IN_VAULT, ERR_DENIED, "is not a registered reference value");
    assert_int_equal(v.n_reads, 0); /* who may not have it does not make us ask */
    allow_all(admin);
    assert_got(guest, "kbs:///" IN_VAULT, "geheim");
    v.data = "{\"base64\":\"bmV1\"}";
    assert_got(guest, "kbs:///" IN_VAULT, "neu");
    assert_int_equal(v.n_reads, 2);
    assert_int_equal(v.n_logins, 1);
    assert_refused(guest, "kbs:///acme/key/2", ERR_NOT_FOUND, "acme/key/2");
    admin_client_free(admin);
    test_broker_free(&b);
    vault_double_stop(&v);
}

static void a_vault_that_fails_is_told_and_costs_nobody_else(void **state)
{
    AUTO(buffer) struct buffer          more = { 0 };
    AUTO(secret) struct secret          own  = { 0 };
    struct test_broker                  b;
    struct vault_double                 v = vault_of();
    AUTO(kbs_client) struct kbs_client *guest = NULL;
    struct admin_client                *admin;
    struct err                          err;

    (void) state;
    vault_double_start(&v);
    test_broker_make(&b);
    vault_lines(&b, &v, "id-1", &more);
    broker_with(&b, buffer_text(&more));
    admin = test_admin(&b);
    allow_all(admin);
    guest       = attested(&b);
    v.is_sealed = true;
    assert_refused(guest, "kbs:///" IN_VAULT, ERR_OS, "Vault, which keeps acme/key/1, does not give it now: ask again later");
    assert_observed(&b, "/metrics", "\ncloister_broker_outside_questions_total{peer=\"vault\",outcome=\"failed\"} 1\n");
    assert_observed(&b, "/metrics", "\ncloister_broker_outside_seconds_count{peer=\"vault\"} 1\n");
    assert_observed(&b, "/metrics", "\ncloister_broker_outside_up{peer=\"vault\"} 0\n");
    assert_observed(&b, "/readyz", "HTTP/1.1 200 ");
    assert_observed(&b, "/readyz", "\r\n\r\nready\nvault does not answer: the last question to it failed; the log says why\n");
    v.is_sealed   = false;
    v.secret_id   = "id-2"; /* as if ours had been withdrawn */
    assert_refused(guest, "kbs:///" IN_VAULT, ERR_OS, "internal error; the broker's log has the cause");
    v.secret_id = "id-1";
    assert_got(guest, "kbs:///" IN_VAULT, "geheim");
    assert_observed(&b, "/metrics", "\ncloister_broker_outside_up{peer=\"vault\"} 1\n");
    assert_observed(&b, "/readyz", "\r\n\r\nready\n");
    assert_refused(guest, "kbs:///acme/key/2", ERR_NOT_FOUND, "acme/key/2");
    assert_observed(&b, "/metrics", "\ncloister_broker_outside_questions_total{peer=\"vault\",outcome=\"absent\"} 1\n");
    assert_fine(secret_copy(bytes_of_text("mine"), &own, &err) && admin_resource_put(admin, "kbs:///own/key/1", &own, &err), &err);
    assert_got(guest, "kbs:///own/key/1", "mine");
    assert_false(admin_resource_put(admin, "kbs:///" IN_VAULT, &own, &err));
    assert_string_equal(err.text, "acme/key/1 is kept by Vault: put, read and remove it there");
    assert_false(admin_resource_remove(admin, "kbs:///" IN_VAULT, &err));
    admin_client_free(admin);
    test_broker_free(&b);
    vault_double_stop(&v);
}

/* While one guest waits for Vault, another is served; the broker then ends although somebody still waits. */
struct waiting { struct kbs_client *guest; bool is_got; struct err err; };

static void *waits(void *owner)
{
    struct waiting            *w   = owner;
    AUTO(secret) struct secret got = { 0 };

    w->is_got = kbs_resource_get(w->guest, "kbs:///" IN_VAULT, &got, &w->err);
    return NULL;
}

static void who_waits_for_vault_holds_up_nobody(void **state)
{
    AUTO(buffer) struct buffer          more = { 0 };
    struct test_broker                  b;
    struct vault_double                 v = vault_of();
    AUTO(kbs_client) struct kbs_client *first = NULL, *second = NULL;
    AUTO(secret) struct secret          own = { 0 };
    struct waiting                      w;
    struct admin_client                *admin;
    pthread_t                           thread;
    struct err                          err;

    (void) state;
    vault_double_start(&v);
    test_broker_make(&b);
    vault_lines(&b, &v, "id-1", &more);
    broker_with(&b, buffer_text(&more));
    admin = test_admin(&b);
    allow_all(admin);
    assert_fine(secret_copy(bytes_of_text("mine"), &own, &err) && admin_resource_put(admin, "kbs:///own/key/1", &own, &err), &err);
    first   = attested(&b);
    second  = attested(&b);
    w       = (struct waiting){ .guest = first };
    v.hangs = true;
    assert_int_equal(pthread_create(&thread, NULL, waits, &w), 0);
    for (size_t n = 0; n == 0;) { /* until it hangs */
        const struct timespec pause = { .tv_nsec = 20000000 };

        (void) pthread_mutex_lock(&v.mutex);
        n = v.n_hung;
        (void) pthread_mutex_unlock(&v.mutex);
        (void) nanosleep(&pause, NULL); /* woken early is fine */
    }
    assert_got(second, "kbs:///own/key/1", "mine");
    vault_double_wake(&v);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (!w.is_got)
        fail_msg("%s", w.err.text);
    admin_client_free(admin);
    assert_int_equal(test_broker_stop(&b, SIGTERM), 0);
    test_broker_free(&b);
    vault_double_stop(&v);
}

static void a_secret_of_a_token_is_released(void **state)
{
    AUTO(buffer) struct buffer          more = { 0 };
    struct test_broker                  b;
    AUTO(kbs_client) struct kbs_client *guest = NULL;
    struct admin_client                *admin;
    char                                uri[PATH_MAX];

    (void) state;
    test_broker_make(&b);
    if (!softhsm_make(b.folder, uri)) {
        test_broker_free(&b);
        skip();
    }
    softhsm_put(uri, "acme/hsm/1", "of the token", CKO_SECRET_KEY, true);
    softhsm_put(uri, "acme/hsm/2", "of the token", CKO_SECRET_KEY, false);
    buffer_printf(&more, "pkcs11 = \"%s\"\npkcs11_resources = \"acme/hsm\"\n", uri);
    broker_with(&b, buffer_text(&more));
    admin = test_admin(&b);
    allow_all(admin);
    guest = attested(&b);
    assert_got(guest, "kbs:///acme/hsm/1", "of the token");
    assert_refused(guest, "kbs:///acme/hsm/2", ERR_OS, "internal error; the broker's log has the cause");
    assert_refused(guest, "kbs:///acme/hsm/3", ERR_NOT_FOUND, "acme/hsm/3");
    admin_client_free(admin);
    test_broker_free(&b);
}

/* ---- collateral ---- */

static bool evidence_without_certificates(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json, struct err *err)
{
    AUTO(buffer) struct buffer     whole = { 0 };
    AUTO(json) struct json_object *read  = NULL;

    if (!test_evidence(owner, report_data, &whole, err) || !json_read(buffer_bytes(&whole), 1 << 20, &read, err))
        return false;
    json_object_object_del(read, "cert_chain");
    json_write(read, json);
    return true;
}

static void assert_attestation_refused(const struct test_broker *b, struct test_guest *guest, const char *text)
{
    AUTO(kbs_client) struct kbs_client *client   = NULL;
    struct kbs_options                  options  = { .url = b->url, .ca_pem = buffer_bytes(&b->ca), .timeout_ms = 120000 };
    struct kbs_attester                 attester = { .tee = "snp", .evidence = evidence_without_certificates, .owner = guest };
    struct err                          err;

    assert_fine(kbs_client_new(&options, &client, &err), &err);
    assert_false(kbs_attest(client, &attester, NULL, &err));
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in: %s", text, err.text);
}

/* Confined as it is, with a name to resolve and a folder to keep things in. */
static void collateral_is_asked_for_when_hosts_are_listed_and_what_fails_is_told(void **state)
{
    AUTO(buffer) struct buffer more = { 0 }, ca = { 0 }, key = { 0 };
    struct http_service        service = { .n_rows = 0 };
    struct test_broker         b;
    struct test_guest          guest;
    char                       ca_path[PATH_MAX], cache[PATH_MAX];
    const char                *port;

    (void) state;
    test_certificate_make(&ca, &key);
    service.certificate_pem = buffer_text(&ca);
    service.key_pem         = buffer_text(&key);
    http_service_start(&service); /* it has nothing: 404 */
    port = strrchr(service.base, ':');
    test_broker_make(&b);
    guest = test_guest_good(&b);
    file_put(&b, "service-ca.pem", buffer_bytes(&ca), ca_path);
    test_broker_path(&b, "cache", cache);
    broker_with(&b, "");
    assert_attestation_refused(&b, &guest, "snp-");
    assert_int_equal(service.n_asked, 0); /* offline unless told otherwise */
    buffer_printf(&more, "collateral_hosts = \"localhost%s\"\namd_kds = \"https://localhost%s\"\ncollateral_ca = \"%s\"\n"
                         "collateral_cache = \"%s\"\ncollateral_seconds = 60\n", port, port, ca_path, cache);
    broker_with(&b, buffer_text(&more));
    assert_attestation_refused(&b, &guest, "the service knows no such thing (404)");
    assert_int_equal(service.n_asked, 2); /* VCEK and list */
    assert_observed(&b, "/metrics", "\ncloister_broker_outside_questions_total{peer=\"amd_kds\",outcome=\"absent\"} 2\n");
    test_broker_free(&b);
    http_service_stop(&service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_of_vault_is_released_and_never_kept),
        cmocka_unit_test(a_vault_that_fails_is_told_and_costs_nobody_else),
        cmocka_unit_test(who_waits_for_vault_holds_up_nobody),
        cmocka_unit_test(a_secret_of_a_token_is_released),
        cmocka_unit_test(collateral_is_asked_for_when_hosts_are_listed_and_what_fails_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
