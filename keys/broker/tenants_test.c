/* Administrators with roles and tenants, on a listener of their own: by token, by client certificate, and what each may reach. */
#include <openssl/pem.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/admin.h"
#include "tests/harness/asking.h"

#define ALLOW_ALL "package policy\ndefault allow = false\nallow = true if data.plugin == \"resource\"\n"

static struct test_broker tenants; /* --config: administrators apart */

static void store_bio(const struct test_broker *b, const char *name, BIO *bio)
{
    char                      *at;
    long                       len  = BIO_get_mem_data(bio, &at);
    AUTO(buffer) struct buffer text = { 0 };

    buffer_append(&text, (struct bytes){ (const uint8_t *) at, (size_t) len });
    file_in(b, name, buffer_text(&text));
}

static void key_pair(const struct test_broker *b, const char *private_name, const char *public_name)
{
    AUTO(pkey) EVP_PKEY *key   = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    AUTO(bio) BIO       *first = BIO_new(BIO_s_mem()), *second = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(first, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(PEM_write_bio_PUBKEY(second, key), 1);
    store_bio(b, private_name, first);
    store_bio(b, public_name, second);
}

/* A certificate for administrators, of its own CA: itself. Writes client.key and client.pem; gives its SHA-256. */
static void client_certificate(const struct test_broker *b, char hex[static 65])
{
    AUTO(pkey) EVP_PKEY *key   = EVP_EC_gen("P-256");
    AUTO(x509) X509     *x509  = X509_new();
    AUTO(bio) BIO       *first = BIO_new(BIO_s_mem()), *second = BIO_new(BIO_s_mem());
    X509_NAME           *name  = X509_get_subject_name(x509);
    uint8_t              digest[SHA256_LEN];
    unsigned             len = sizeof digest;

    assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x509), 1), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "ci", -1, -1, 0), 1);
    assert_int_equal(X509_set_issuer_name(x509, name), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x509), -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x509), 86400));
    assert_int_equal(X509_set_pubkey(x509, key), 1);
    assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
    assert_int_equal(X509_digest(x509, EVP_sha256(), digest, &len), 1);
    for (size_t i = 0; i < sizeof digest; i++)
        (void) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_int_equal(PEM_write_bio_PrivateKey(first, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(PEM_write_bio_X509(second, x509), 1);
    store_bio(b, "client.key", first);
    store_bio(b, "client.pem", second);
}

static void tenants_make(void)
{
    static const char *const FILES[][2] = {
        { "store", "tenants.db" },          { "store_key", "store.key" }, { "tls_certificate", "server.pem" },
        { "tls_key", "server.key" },        { "token_certificate", "token.pem" }, { "token_key", "token.key" },
        { "administrators", "admins.toml" }, { "admin_client_ca", "client.pem" },
    };
    AUTO(buffer) struct buffer config = { 0 }, admins = { 0 };
    char                       hex[65];

    test_broker_make(&tenants);
    assert_int_equal(test_broker_stop(&tenants, SIGTERM), 0);
    key_pair(&tenants, "ann.key", "ann.pub");
    key_pair(&tenants, "ben.key", "ben.pub");
    client_certificate(&tenants, hex);
    buffer_append_text(&config, "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nsample = true\n");
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        buffer_printf(&config, "%s = \"%s/%s\"\n", FILES[i][0], tenants.folder, FILES[i][1]);
    buffer_append_text(&admins, "[[administrator]]\nname = \"ann\"\nkey = \"ann.pub\"\nroles = [\"admin\"]\ntenants = [\"acme\"]\n"
                                "[[administrator]]\nname = \"ben\"\nkey = \"ben.pub\"\nroles = [\"keys\", \"reference\"]\n"
                                "tenants = [\"lab\"]\n");
    buffer_append_text(&admins, "[[signer]]\nname = \"build\"\nkey = \"ann.pub\"\n");
    buffer_printf(&admins, "[[administrator]]\nname = \"ci\"\ncertificate_sha256 = \"%s\"\nroles = [\"admin\"]\ntenants = [\"*\"]\n", hex);
    file_in(&tenants, "admins.toml", buffer_text(&admins));
    file_in(&tenants, "broker.toml", buffer_text(&config));
    tenants.config             = "broker.toml";
    tenants.has_admin_listener = true;
    test_broker_start(&tenants);
}

static struct admin_client *client_as(const char *key_name, const char *certificate_name, const char *url)
{
    AUTO(buffer) struct buffer key = { 0 }, certificate = { 0 };
    struct admin_client       *client = NULL;
    char                       path[PATH_MAX];
    struct err                 err;

    test_broker_path(&tenants, key_name, path);
    assert_fine(file_read(path, 1 << 16, &key, &err), &err);
    if (certificate_name) {
        test_broker_path(&tenants, certificate_name, path);
        assert_fine(file_read(path, 1 << 16, &certificate, &err), &err);
    }
    struct admin_options options = { .url = url, .ca_pem = buffer_bytes(&tenants.ca), .key_pem = buffer_bytes(&key),
                                     .certificate_pem = buffer_bytes(&certificate) };
    assert_fine(admin_client_new(&options, &client, &err), &err);
    return client;
}

static void assert_denied(bool done, const struct err *err, const char *text)
{
    assert_false(done);
    if (err->kind != ERR_DENIED || !strstr(err->text, text))
        fail_msg("\"%s\" is not in: %s", text, err->text);
}

static void a_tenants_administrator_reaches_that_tenant_only(void **state)
{
    AUTO(admin_client) struct admin_client *ann   = client_as("ann.key", NULL, tenants.admin_url);
    AUTO(admin_client) struct admin_client *ben   = client_as("ben.key", NULL, tenants.admin_url);
    AUTO(secret) struct secret              value = { 0 }, got = { 0 };
    AUTO(json) struct json_object          *list  = NULL, *documents = NULL;
    struct admin_document  policy = { .kind = "resource-policy", .name = "acme", .text = bytes_of_text(ALLOW_ALL) };
    struct admin_reference all    = { .kind = "initdata", .tee = "snp", .value = "aa" };
    struct audit_head      head;
    uint64_t               version;
    struct err             err;

    (void) state;
    assert_fine(secret_copy(bytes_of_text("secret"), &value, &err), &err);
    assert_fine(admin_resource_put(ann, "kbs:///acme/key/1", &value, &err), &err);
    assert_fine(admin_resource_put(ben, "kbs:///lab/key/1", &value, &err), &err);
    assert_denied(admin_resource_put(ben, "kbs:///acme/key/1", &value, &err), &err, "ben may not put or remove resources of tenant acme");
    assert_denied(admin_resource_remove(ben, "kbs:///acme/key/1", &err), &err, "of tenant acme/key/1");
    assert_denied(admin_resource_get(ben, "kbs:///acme/key/1", &got, &err), &err, "ben may not read secrets");
    assert_denied(admin_resource_get(ben, "kbs:///lab/key/1", &got, &err), &err, "ben may not read secrets");
    assert_denied(admin_resource_get(ann, "kbs:///lab/key/1", &got, &err), &err, "of tenant lab/key/1");
    assert_fine(admin_resource_get(ann, "kbs:///acme/key/1", &got, &err), &err);
    assert_true(secret_equal(&got, &value));
    assert_fine(admin_resources(ben, &list, &err), &err); /* lists show its own only */
    assert_int_equal(json_object_array_length(list), 1);
    assert_fine(admin_document_put(ann, &policy, &version, &err), &err);
    assert_denied(admin_document_put(ben, &policy, &version, &err), &err, "ben may not set policies");
    policy.name = "lab";
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "ann may not set policies of tenant lab");
    policy.name = "*";
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "ann may not set policies of all tenants");
    policy = (struct admin_document){ .kind = "attestation-policy", .name = "default_cpu", .text = bytes_of_text("package policy\n") };
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "of all tenants");
    policy = (struct admin_document){ .kind = "attestation-policy", .name = "lab_cpu", .text = bytes_of_text("package policy\ntrust_claims := {}\n") };
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "ann may not set policies of tenant lab");
    policy.name = "acme_cpu";
    assert_fine(admin_document_put(ann, &policy, &version, &err) && admin_document_remove(ann, policy.kind, policy.name, &err), &err);
    policy = (struct admin_document){ .kind = "binding", .name = "lab/key/1", .text = bytes_of_text("{\"workload\":[\"x\"]}") };
    assert_denied(admin_document_put(ann, &policy, &version, &err), &err, "of tenant lab/key/1");
    all.value = "aa00000000000000000000000000000000000000000000000000000000000000";
    assert_denied(admin_reference_add(ben, &all, &version, &err), &err, "ben may not change reference values of all tenants");
    all.resource = "kbs:///lab/key/1";
    assert_fine(admin_reference_add(ben, &all, &version, &err), &err);
    assert_denied(admin_reference_remove(ann, version, &err), &err, "of tenant lab/key/1");
    assert_denied(admin_audit_head(ann, &head, &err), &err, "of all tenants");
    assert_fine(admin_documents(ben, "resource-policy", NULL, &documents, &err), &err);
    assert_int_equal(json_object_array_length(documents), 0);
}

static void a_client_certificate_is_as_good_as_a_token(void **state)
{
    AUTO(admin_client) struct admin_client *ci     = client_as("client.key", "client.pem", tenants.admin_url);
    AUTO(admin_client) struct admin_client *forged = client_as("client.key", NULL, tenants.admin_url);
    AUTO(secret) struct secret              value = { 0 }, got = { 0 };
    AUTO(json) struct json_object          *list  = NULL;
    AUTO(buffer) struct buffer              text  = { 0 };
    struct err                              err;

    (void) state;
    assert_fine(secret_copy(bytes_of_text("by certificate"), &value, &err) &&
                    admin_resource_put_counted(ci, "kbs:///other/key/1", &value, 1, &err) &&
                    admin_resource_get(ci, "kbs:///other/key/1", &got, &err) && admin_resources(ci, &list, &err),
                &err);
    assert_true(secret_equal(&got, &value));
    json_write(list, &text);
    assert_non_null(strstr(buffer_text(&text), "\"path\":\"other/key/1\",\"len\":14"));
    assert_non_null(strstr(buffer_text(&text), "\"uses\":1"));
    assert_false(admin_resources(forged, &list, &err)); /* its key signs no tokens here */
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, "the broker refuses this administrator: "));
}

/* Who hands a manifest over and who signed it are two questions. */
static void takes_a_manifest_that_the_command_signed(void **state)
{
    AUTO(admin_client) struct admin_client *ci = client_as("client.key", "client.pem", tenants.admin_url);
    AUTO(buffer) struct buffer              manifest = { 0 }, message = { 0 };
    AUTO(json) struct json_object          *list     = NULL;
    struct json_object                     *one;
    const char                             *build    = getenv("CLOISTER_BUILD");
    char                                    program[PATH_MAX], values[PATH_MAX], key[PATH_MAX];
    int                                     code = -1;
    struct err                              err;

    (void) state;
    file_in(&tenants, "values.json", "{\"signed_value\":[\"a\",1]}");
    (void) snprintf(program, sizeof program, "%s/cloister", build ? build : "."); /* a cut path does not start */
    test_broker_path(&tenants, "values.json", values);
    test_broker_path(&tenants, "ann.key", key);
    const char *argv[] = { program, "reference", "sign", values, "--sign-key", key, "--days", "2", NULL };

    assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, &manifest, &code, &err), &err);
    assert_int_equal(code, 0);
    manifest.len--; /* the line's end */
    buffer_append_text(&message, "{\"version\":\"0.1.0\",\"type\":\"jws\",\"payload\":\"");
    base64_append(&message, buffer_bytes(&manifest), BASE64_STANDARD);
    buffer_append_text(&message, "\"}");
    assert_fine(admin_reference_message(ci, buffer_bytes(&message), &err), &err);
    assert_fine(admin_documents(ci, "reference-value", NULL, &list, &err), &err);
    assert_int_equal(json_object_array_length(list), 1);
    one = json_object_array_get_idx(list, 0);
    assert_string_equal(json_object_get_string(json_object_object_get(one, "text")), "[\"a\",1]");
    assert_true(json_object_get_int64(json_object_object_get(one, "expires")) > (int64_t) time(NULL) + 86400);
    message.at[message.len - 8] ^= 1;
    assert_false(admin_reference_message(ci, buffer_bytes(&message), &err));
}

/* What one listener serves, the other does not know. */
static void administrators_and_guests_have_listeners_of_their_own(void **state)
{
    static const struct { const char *method, *path; } ADMINS[] = {
        { "GET", ADMIN_RESOURCES }, { "GET", ADMIN_REFERENCES }, { "GET", ADMIN_AUDIT }, { "GET", ADMIN_DOCUMENTS "/binding" },
        { "POST", KBS_PREFIX "/resource-policy" }, { "POST", KBS_PREFIX "/attestation-policy" },
        { "POST", KBS_PREFIX "/reference-value" },
    };
    AUTO(http) struct http              *guests = http_at(&tenants, tenants.url), *admins = http_at(&tenants, tenants.admin_url);
    AUTO(http_answer) struct http_answer answer = { 0 };
    AUTO(admin_client) struct admin_client *wrong = client_as("ann.key", NULL, tenants.url);
    AUTO(json) struct json_object       *list   = NULL;
    struct err                           err;

    (void) state;
    for (size_t i = 0; i < sizeof ADMINS / sizeof *ADMINS; i++) {
        assert_int_equal(ask(guests, ADMINS[i].method, ADMINS[i].path, NULL, "{}", &answer), 404);
        assert_int_equal(ask(admins, ADMINS[i].method, ADMINS[i].path, NULL, "{}", &answer), 401);
        assert_true(http_error_is(&answer, "AdminAuthAccess"));
    }
    assert_int_equal(ask(guests, "POST", KBS_PREFIX "/resource/acme/key/1", NULL, "x", &answer), 405);
    assert_false(admin_resources(wrong, &list, &err)); /* a good token at the wrong door */
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no administration at this address"));
    assert_false(admin_resource_remove(wrong, "kbs:///acme/key/1", &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(ask(admins, "POST", KBS_PREFIX "/auth", NULL, "{}", &answer), 404);
    assert_int_equal(ask(admins, "GET", "/healthz", NULL, NULL, &answer), 200);
}

static int make(void **state)
{
    (void) state;
    tenants_make();
    return 0;
}

static int clean(void **state)
{
    (void) state;
    test_broker_free(&tenants);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenants_administrator_reaches_that_tenant_only),
        cmocka_unit_test(a_client_certificate_is_as_good_as_a_token),
        cmocka_unit_test(takes_a_manifest_that_the_command_signed),
        cmocka_unit_test(administrators_and_guests_have_listeners_of_their_own),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
