/* What administrators do to a real broker, what it means for guests at once, and that the audit log has it all. */
#include "tests/harness/registered_guest.h"

static void reads_back_lists_and_removes_keys(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    AUTO(secret) struct secret              got   = { 0 };
    AUTO(json) struct json_object          *list  = NULL;
    struct err                              err;

    (void) state;
    assert_fine(admin_resource_get(admin, URI, &got, &err), &err);
    assert_true(secret_equal(&got, &key));
    assert_fine(admin_resource_put(admin, "kbs:///a/b/gone", &key, &err), &err);
    assert_fine(admin_resources(admin, &list, &err), &err);
    assert_int_equal(json_object_array_length(list), 3);
    assert_fine(admin_resource_remove(admin, "kbs:///a/b/gone", &err), &err);
    assert_false(admin_resource_remove(admin, "kbs:///a/b/gone", &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void lets_no_one_else_administer(void **state)
{
    static const struct { const char *payload; const char *why; } TOKENS[] = {
        { "{\"role\":\"admin\",\"iat\":1,\"exp\":4102444800}", "lives longer than 7200 s" },
        { "{\"role\":\"admin\",\"iat\":1,\"exp\":2}", "expired" },
        { "{\"role\":\"admin\",\"iat\":1}", "\"exp\" is missing" },
    };
    AUTO(http) struct http              *http = http_new();
    AUTO(http_answer) struct http_answer got  = { 0 };
    AUTO(buffer) struct buffer           pem  = { 0 };
    AUTO(pkey) EVP_PKEY                 *admin_key = NULL;
    AUTO(pkey) EVP_PKEY                 *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    AUTO(buffer) struct buffer           forged = { 0 };
    char                                 path[PATH_MAX], payload[128];
    struct err                           err;

    (void) state;
    test_broker_path(&broker, "admin.key", path);
    assert_fine(file_read(path, 1 << 16, &pem, &err), &err);
    AUTO(bio) BIO *bio = BIO_new_mem_buf(pem.at, (int) pem.len);
    admin_key          = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof TOKENS / sizeof *TOKENS; i++) {
        AUTO(buffer) struct buffer token = { 0 };

        assert_true(jwt_sign("", bytes_of_text(TOKENS[i].payload), admin_key, &token, &err));
        assert_int_equal(ask(http, "GET", ADMIN_RESOURCES, NULL, buffer_text(&token), (struct bytes){ 0 }, &got), 401);
        assert_true(http_error_is(&got, "AdminAuthAccess"));
        assert_detail(&got, TOKENS[i].why);
    }
    (void) snprintf(payload, sizeof payload, "{\"role\":\"admin\",\"iat\":%lld,\"exp\":%lld}", (long long) time(NULL),
                    (long long) time(NULL) + 60);
    assert_true(jwt_sign("", bytes_of_text(payload), other, &forged, &err));
    assert_int_equal(ask(http, "GET", ADMIN_RESOURCES, NULL, buffer_text(&forged), (struct bytes){ 0 }, &got), 401);
    assert_int_equal(ask(http, "POST", "/kbs/v0/resource/a/b/c", NULL, NULL, bytes_of_text("x"), &got), 401);
    assert_int_equal(ask(http, "DELETE", "/kbs/v0/resource/default/image-key/1", NULL, NULL, (struct bytes){ 0 }, &got), 401);
    assert_int_equal(ask(http, "POST", ADMIN_REFERENCES, NULL, NULL, bytes_of_text("{}"), &got), 401);
}

static void forgets_a_reference_at_once(void **state)
{
    AUTO(admin_client) struct admin_client *admin  = test_admin(&broker);
    AUTO(kbs_client) struct kbs_client     *client = client_new();
    AUTO(secret) struct secret              got    = { 0 };
    struct test_guest                       guest  = test_guest_good(&broker);
    uint64_t                                id;
    struct err                              err;

    (void) state;
    id = register_value(admin, "initdata", guest.host_data, 32, OTHER);
    assert_fine(attest_as(client, &guest, NULL, &err), &err);
    assert_fine(kbs_resource_get(client, OTHER, &got, &err), &err);
    secret_free(&got);
    assert_fine(admin_reference_remove(admin, id, &err), &err);
    assert_false(kbs_resource_get(client, OTHER, &got, &err)); /* with the token it still holds */
    assert_int_equal(err.kind, ERR_DENIED);
}

static bool log_says(struct admin_client *admin, const char *const *parts, size_t n_parts)
{
    uint64_t from = 0;

    for (;;) {
        AUTO(json) struct json_object *entries = NULL;
        size_t                         n;
        struct err                     err;

        assert_fine(admin_audit_entries(admin, from, &entries, &err), &err);
        n = json_object_array_length(entries);
        for (size_t i = 0; i < n; i++) {
            const char *text  = json_object_get_string(json_object_array_get_idx(entries, i));
            bool        holds = true;

            for (size_t p = 0; p < n_parts; p++)
                holds = holds && strstr(text, parts[p]);
            if (holds)
                return true;
        }
        if (n == 0)
            return false;
        from += n;
    }
}

#define SAYS(...) log_says(admin, (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void logs_each_decision_in_a_tree_that_only_grows(void **state)
{
    AUTO(admin_client) struct admin_client *admin  = test_admin(&broker);
    AUTO(kbs_client) struct kbs_client     *client = client_new();
    AUTO(secret) struct secret              got    = { 0 };
    struct test_guest                       guest  = test_guest_good(&broker), liar = guest;
    struct audit_head                       before, after;
    struct merkle_proof                     proof;
    AUTO(json) struct json_object          *entries = NULL;
    struct merkle_hash                      leaf;
    struct err                              err;

    (void) state;
    liar.breaks_signature = true;
    assert_attest_refused(&liar, "");
    assert_fine(admin_audit_head(admin, &before, &err), &err);
    assert_fine(attest_as(client, &guest, NULL, &err) && kbs_resource_get(client, URI, &got, &err), &err);
    assert_false(kbs_resource_get(client, OTHER, &got, &err));
    assert_fine(admin_audit_head(admin, &after, &err), &err);
    assert_int_equal(after.size, before.size + 3);
    assert_true(SAYS("\"event\":\"release\",\"verdict\":\"released\"", "\"resource\":\"default/image-key/1\"", "\"evidence\":\""));
    assert_true(SAYS("\"event\":\"release\",\"verdict\":\"denied\"", "\"resource\":\"default/image-key/2\"", "initdata digest"));
    assert_true(SAYS("\"event\":\"admin\"", "\"action\":\"put\"", "default/image-key/1"));
    assert_true(SAYS("\"event\":\"attest\",\"verdict\":\"refused\""));

    assert_fine(admin_audit_inclusion(admin, before.size + 1, after.size, &proof, &err), &err);
    assert_fine(admin_audit_entries(admin, before.size + 1, &entries, &err), &err);
    leaf = merkle_leaf(bytes_of_text(json_object_get_string(json_object_array_get_idx(entries, 0))));
    assert_true(merkle_check_inclusion(&leaf, before.size + 1, after.size, &proof, &after.root));
}

static void gives_a_counted_key_so_often_and_no_more(void **state)
{
    static const char                       COUNTED[] = "kbs:///counted/key/1";
    AUTO(admin_client) struct admin_client *admin  = test_admin(&broker);
    AUTO(kbs_client) struct kbs_client     *client = client_new();
    struct test_guest                       guest  = test_guest_good(&broker);
    AUTO(secret) struct secret              none   = { 0 };
    struct err                              err;

    (void) state;
    assert_fine(admin_resource_put_counted(admin, COUNTED, &key, 2, &err), &err);
    (void) register_value(admin, "initdata", guest.host_data, 32, COUNTED);
    assert_fine(attest_as(client, &guest, NULL, &err), &err);
    for (int i = 0; i < 2; i++) {
        AUTO(secret) struct secret got = { 0 };

        assert_fine(kbs_resource_get(client, COUNTED, &got, &err), &err);
        assert_true(secret_equal(&got, &key));
    }
    assert_int_equal(test_broker_stop(&broker, SIGKILL), 128 + SIGKILL);
    test_broker_start(&broker);
    AUTO(kbs_client) struct kbs_client *again = client_new();
    assert_fine(attest_as(again, &guest, NULL, &err), &err);
    assert_false(kbs_resource_get(again, COUNTED, &none, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "counted/key/1 was released as often as it may be");
}

static void holds_the_log_across_kill_9(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    struct audit_head                       before, after;
    struct err                              err;

    (void) state;
    assert_fine(admin_audit_head(admin, &before, &err), &err);
    assert_int_equal(test_broker_stop(&broker, SIGKILL), 128 + SIGKILL);
    test_broker_start(&broker);
    AUTO(admin_client) struct admin_client *again = test_admin(&broker);
    assert_fine(admin_audit_head(again, &after, &err), &err);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(&after.root, &before.root, sizeof after.root);
}

static void keeps_a_volumes_epoch_for_whoever_may_have_its_key(void **state)
{
    AUTO(kbs_client) struct kbs_client *client = client_new(), *other_client = client_new();
    struct test_guest                   guest = test_guest_good(&broker), other = guest;
    uint64_t                            epoch = 7;
    struct err                          err;

    (void) state;
    assert_false(kbs_epoch_get(client, URI, &epoch, &err)); /* not attested */
    assert_int_equal(err.kind, ERR_DENIED);
    assert_fine(attest_as(client, &guest, NULL, &err) && kbs_epoch_get(client, URI, &epoch, &err), &err);
    assert_int_equal(epoch, 0);
    assert_fine(kbs_epoch_advance(client, URI, 1, &err) && kbs_epoch_advance(client, URI, 5, &err), &err);
    assert_false(kbs_epoch_advance(client, URI, 5, &err)); /* a second guest that opened the same state */
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "epoch 5 of default/image-key/1 is not beyond 5, which is known");
    assert_fine(kbs_epoch_get(client, URI, &epoch, &err), &err);
    assert_int_equal(epoch, 5);
    assert_false(kbs_epoch_get(client, OTHER, &epoch, &err)); /* a key that this guest does not get */
    assert_int_equal(err.kind, ERR_DENIED);
    other.host_data[0] ^= 1;
    assert_fine(attest_as(other_client, &other, NULL, &err), &err);
    assert_false(kbs_epoch_advance(other_client, URI, 9, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_fine(kbs_epoch_get(client, URI, &epoch, &err), &err);
    assert_int_equal(epoch, 5);
}

static void ends_cleanly_on_sigterm(void **state)
{
    (void) state;
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    test_broker_start(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_lists_and_removes_keys),
        cmocka_unit_test(lets_no_one_else_administer),
        cmocka_unit_test(forgets_a_reference_at_once),
        cmocka_unit_test(logs_each_decision_in_a_tree_that_only_grows),
        cmocka_unit_test(gives_a_counted_key_so_often_and_no_more),
        cmocka_unit_test(holds_the_log_across_kill_9),
        cmocka_unit_test(keeps_a_volumes_epoch_for_whoever_may_have_its_key),
        cmocka_unit_test(ends_cleanly_on_sigterm),
    };

    return cmocka_run_group_tests(tests, registered_make, registered_clean);
}
