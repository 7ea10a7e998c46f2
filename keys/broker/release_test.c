#include "tests/harness/test.h"

#include <stdio.h>

#include "keys/broker/release.h"

static const uint8_t MEASUREMENT[48] = { 0xaa }, HOST_DATA[32] = { 0xbb }, OTHER[48] = { 0xcc };
static const struct release_subject GUEST = { .tee = "snp", .measurement = { MEASUREMENT, 48 }, .initdata = { HOST_DATA, 32 } };
static struct policy_engine        *engine;

static struct store *fresh(void)
{
    AUTO(secret) struct secret key   = { 0 };
    struct store              *store = NULL;
    struct err                 err;

    assert_true(secret_heap_open(&err) && secret_random(32, &key, &err) && store_open(":memory:", &key, &store, &err));
    return store;
}

static int64_t expect(struct store *store, enum reference_kind kind, const char *tee, struct bytes value, const char *path)
{
    struct reference r = { .kind = kind, .tee = tee, .value = value, .resource = path };
    int64_t          id;
    struct err       err;

    assert_true(store_reference_add(store, &r, &id, &err));
    return id;
}

static bool decides(struct store *store, const struct release_subject *guest, const char *path, struct err *err)
{
    bool released = release_builtin(store, guest, path, 100, err);

    assert_true(released || err->kind == ERR_DENIED);
    return released;
}

static void denies_by_default(void **state)
{
    AUTO(store) struct store *store = fresh();
    struct err                err;

    (void) state;
    assert_false(decides(store, &GUEST, "a/b/c", &err));
    assert_non_null(strstr(err.text, "measurement aa00"));
    assert_non_null(strstr(err.text, "is not a registered reference value for a/b/c"));
    assert_false(decides(store, &GUEST, NULL, &err));
}

static void wants_measurement_and_initdata_both(void **state)
{
    AUTO(store) struct store *store = fresh();
    int64_t                   id;
    struct err                err;

    (void) state;
    id = expect(store, REFERENCE_MEASUREMENT, "snp", BYTES_OF(MEASUREMENT), "");
    assert_false(decides(store, &GUEST, "a/b/c", &err));
    assert_non_null(strstr(err.text, "initdata digest bb00"));
    (void) expect(store, REFERENCE_INITDATA, "snp", BYTES_OF(HOST_DATA), "");
    assert_true(decides(store, &GUEST, "a/b/c", &err));
    assert_true(store_reference_remove(store, id, &err));
    assert_false(decides(store, &GUEST, "a/b/c", &err));
}

static void counts_a_value_only_for_its_kind_tee_and_path(void **state)
{
    AUTO(store) struct store *store = fresh();
    struct err                err;

    (void) state;
    (void) expect(store, REFERENCE_INITDATA, "snp", BYTES_OF(MEASUREMENT), "");
    (void) expect(store, REFERENCE_MEASUREMENT, "tdx", BYTES_OF(MEASUREMENT), "");
    (void) expect(store, REFERENCE_MEASUREMENT, "snp", BYTES_OF(OTHER), "");
    (void) expect(store, REFERENCE_MEASUREMENT, "snp", BYTES_OF(MEASUREMENT), "a/b/c");
    (void) expect(store, REFERENCE_INITDATA, "snp", BYTES_OF(HOST_DATA), "");
    assert_true(decides(store, &GUEST, "a/b/c", &err));
    assert_false(decides(store, &GUEST, "a/b/d", &err));
    assert_false(decides(store, &GUEST, "a/b", &err));
    assert_true(decides(store, &GUEST, NULL, &err));
}

static void lets_no_tenant_have_another_tenants_secrets(void **state)
{
    enum { TENANTS = 20 };
    AUTO(store) struct store *store = fresh();
    uint8_t                   digests[TENANTS][32];
    char                      paths[TENANTS][32];
    size_t                    n_released = 0;
    struct err                err;

    (void) state;
    (void) expect(store, REFERENCE_MEASUREMENT, "snp", BYTES_OF(MEASUREMENT), "");
    for (int i = 0; i < TENANTS; i++) {
        memset(digests[i], i + 1, 32);
        (void) snprintf(paths[i], sizeof paths[i], "tenant%d/key/1", i);
        (void) expect(store, REFERENCE_INITDATA, "snp", BYTES_OF(digests[i]), paths[i]);
    }
    for (int i = 0; i < TENANTS; i++) {
        for (int j = 0; j < TENANTS; j++) {
            struct release_subject guest = { .tee = "snp", .measurement = { MEASUREMENT, 48 },
                                             .initdata = { digests[i], 32 } };
            bool                   released = decides(store, &guest, paths[j], &err);

            assert_int_equal(released, i == j);
            n_released += released;
        }
    }
    assert_int_equal(n_released, TENANTS);
}

static void wants_affirmed_evidence_where_no_measurement_is_one_value(void **state)
{
    AUTO(store) struct store *store = fresh();
    struct release_subject    guest = { .tee = "tdx", .initdata = { OTHER, 48 } };
    struct err                err;

    (void) state;
    (void) expect(store, REFERENCE_INITDATA, "tdx", BYTES_OF(OTHER), "a/b/c");
    assert_false(decides(store, &guest, "a/b/c", &err));
    assert_string_equal(err.text, "the attestation policy does not affirm this guest's hardware and executables");
    guest.is_affirmed = true;
    assert_true(decides(store, &guest, "a/b/c", &err));
    assert_false(decides(store, &guest, "a/b/d", &err));
    assert_non_null(strstr(err.text, "initdata digest cc00"));
}

/* ---- policies and bindings that administrators set ---- */

static void put_document(struct store *store, enum document_kind kind, const char *name, const char *text)
{
    struct document d = { .name = name, .text = bytes_of_text(text), .is_removed = !text, .by = "ann" };
    struct err      err;

    if (!store_document_put(store, kind, &d, &err))
        fail_msg("%s", err.text);
}

static bool asks(struct store *store, const struct release_subject *guest, const char *path, const char *claims,
                 char policy[static POLICY_VERSION_MAX], struct err *err)
{
    AUTO(json) struct json_object *read    = NULL;
    struct release_request         request = { .store = store, .engine = engine, .subject = guest, .path = path, .now = 100 };

    assert_true(json_read(bytes_of_text(claims), 1 << 16, &read, err));
    request.claims = read;
    return release_decide(&request, policy, err);
}

#define ALLOW "package policy\nallow if input.ok == true\n"

static void asks_the_policy_with_the_longest_start_of_the_path(void **state)
{
    AUTO(store) struct store *store = fresh();
    char                      policy[POLICY_VERSION_MAX];
    struct err                err;

    (void) state;
    assert_false(asks(store, &GUEST, "a/b/c", "{\"ok\":true}", policy, &err));
    assert_string_equal(policy, "builtin-1");
    put_document(store, DOCUMENT_RESOURCE_POLICY, "*", ALLOW);
    put_document(store, DOCUMENT_RESOURCE_POLICY, "a/b", "package policy\nallow := false\nreason := \"closed\"\n");
    assert_true(asks(store, &GUEST, "a/x/c", "{\"ok\":true}", policy, &err));
    assert_string_equal(policy, "*#1");
    assert_false(asks(store, &GUEST, "a/b/c", "{\"ok\":true}", policy, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "policy a/b#1 does not release a/b/c to this guest: closed");
    assert_true(asks(store, &GUEST, "a/bb/c", "{\"ok\":true}", policy, &err)); /* a start ends at a slash */
    put_document(store, DOCUMENT_RESOURCE_POLICY, "a/b/c", ALLOW);
    assert_true(asks(store, &GUEST, "a/b/c", "{\"ok\":true}", policy, &err));
    assert_string_equal(policy, "a/b/c#1");
    put_document(store, DOCUMENT_RESOURCE_POLICY, "a/b/c", NULL);
    assert_false(asks(store, &GUEST, "a/b/c", "{\"ok\":true}", policy, &err));
    assert_string_equal(policy, "a/b#1");
}

static void allows_only_on_true(void **state)
{
    static const char *const TEXTS[] = {
        "package policy\n",
        "package policy\nallow := \"true\"\n",
        "package policy\nallow := 1\n",
        "package policy\nallow := {\"allow\": true}\n",
        "package policy\nallow if input.missing\n",
        "package other\nallow := true\n",
    };
    AUTO(store) struct store *store = fresh();
    char                      policy[POLICY_VERSION_MAX];
    struct err                err;

    (void) state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        put_document(store, DOCUMENT_RESOURCE_POLICY, "*", TEXTS[i]);
        assert_false(asks(store, &GUEST, "a/b/c", "{\"ok\":true}", policy, &err));
        assert_int_equal(err.kind, ERR_DENIED);
    }
}

static void denies_when_a_policy_fails_or_does_not_end(void **state)
{
    static const struct { const char *text, *part; } CASES[] = {
        { "package policy\nallow if {", "resource policy *#1: " },
        { "package policy\nallow := true\nallow := false\n", "eval_conflict_error" },
        { "package policy\nallow if {\n\tsome i in numbers.range(1, 1000000)\n\tsome j in numbers.range(1, 1000000)\n\ti + j == 0\n}\n",
          "eval_limit_error" },
        { "package policy\nallow if reference_is_registered(\"x\")\n", "neither \"measurement\" nor \"initdata\"" },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(store) struct store *store = fresh();
        char                      policy[POLICY_VERSION_MAX];

        put_document(store, DOCUMENT_RESOURCE_POLICY, "*", CASES[i].text);
        assert_false(asks(store, &GUEST, "a/b/c", "{}", policy, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        if (!strstr(err.text, CASES[i].part))
            fail_msg("%s", err.text);
    }
}

static void lets_a_policy_ask_for_registered_values(void **state)
{
    static const char TEXT[] = "package policy\nallow if {\n\treference_is_registered(\"measurement\")\n"
                               "\tdata[\"resource-path\"][2] in query_reference_value(\"tags\")\n}\n";
    AUTO(store) struct store *store = fresh();
    char                      policy[POLICY_VERSION_MAX];
    struct err                err;

    (void) state;
    put_document(store, DOCUMENT_RESOURCE_POLICY, "*", TEXT);
    put_document(store, DOCUMENT_REFERENCE_VALUE, "tags", "[\"c\"]");
    assert_false(asks(store, &GUEST, "a/b/c", "{}", policy, &err));
    (void) expect(store, REFERENCE_MEASUREMENT, "snp", BYTES_OF(MEASUREMENT), "a/b/c");
    assert_true(asks(store, &GUEST, "a/b/c", "{}", policy, &err));
    assert_false(asks(store, &GUEST, "a/b/d", "{}", policy, &err));
}

static void a_measurement_registered_by_name_counts_for_all_paths(void **state)
{
    AUTO(store) struct store *store = fresh();
    char                      json[128] = "[\"aa";
    struct err                err;

    (void) state;
    memset(json + 4, '0', 94);
    memcpy(json + 98, "\"]", 3);
    (void) expect(store, REFERENCE_INITDATA, "snp", BYTES_OF(HOST_DATA), "");
    assert_false(decides(store, &GUEST, "a/b/c", &err));
    put_document(store, DOCUMENT_REFERENCE_VALUE, "snp_launch_measurement", json);
    assert_true(decides(store, &GUEST, "a/b/c", &err));
}

static void holds_a_binding_whatever_the_policy_says(void **state)
{
    AUTO(store) struct store      *store  = fresh();
    AUTO(json) struct json_object *images = json_object_new_array();
    struct release_subject         guest  = GUEST;
    char                           policy[POLICY_VERSION_MAX];
    struct err                     err;

    (void) state;
    put_document(store, DOCUMENT_RESOURCE_POLICY, "*", ALLOW);
    put_document(store, DOCUMENT_BINDING, "a/b/c", "{\"initdata\":[\"cc\"],\"workload\":[\"sha256:1\"]}");
    assert_false(asks(store, &guest, "a/b/c", "{\"ok\":true}", policy, &err));
    assert_string_equal(err.text, "a/b/c is bound to other initdata than this guest's");
    assert_true(asks(store, &guest, "a/b/d", "{\"ok\":true}", policy, &err));
    put_document(store, DOCUMENT_BINDING, "a/b/c", "{\"initdata\":[\"cc\",\"bb\"],\"workload\":[\"sha256:1\"]}");
    assert_false(asks(store, &guest, "a/b/c", "{\"ok\":true}", policy, &err));
    assert_string_equal(err.text, "a/b/c is bound to another workload than this guest's");
    assert_string_equal(policy, "binding");
    assert_int_equal(json_object_array_add(images, json_object_new_string("sha256:1")), 0);
    guest.images = images;
    assert_true(asks(store, &guest, "a/b/c", "{\"ok\":true}", policy, &err));
    assert_false(asks(store, &guest, "a/b/c", "{}", policy, &err)); /* and the policy's word counts too */
}

static void refuses_a_binding_that_binds_nothing(void **state)
{
    static const struct { const char *json, *text; } CASES[] = {
        { "{}", "a binding names \"initdata\", \"workload\" or both" },
        { "[]", "a binding is an object" },
        { "{\"initdata\":[]}", "initdata: 1 to 256 entries are wanted" },
        { "{\"initdata\":[\"zz\"]}", "initdata: an entry is not hex of at most 128 digits" },
        { "{\"workload\":[1]}", "workload: an entry is not a text" },
        { "{\"init-data\":[\"aa\"]}", "a binding has \"initdata\" and \"workload\", not \"init-data\"" },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(json) struct json_object *read = NULL;

        assert_true(json_read(bytes_of_text(CASES[i].json), 1 << 16, &read, &err));
        assert_false(release_binding_check(read, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, CASES[i].text);
    }
}

static void names_policies_by_starts_of_paths_only(void **state)
{
    static const char *const GOOD[] = { "*", "a", "a/b", "a/b/c", "tenant-1/x.y" };
    static const char *const BAD[]  = { "", "/", "a/", "/a", "a//b", "a/b/c/d", "..", "a/..", "a*", "a b" };

    (void) state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_true(release_policy_name_is_valid(GOOD[i]));
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(release_policy_name_is_valid(BAD[i]));
}

static int engine_make(void **state)
{
    struct err err;

    (void) state;
    return policy_engine_new(&engine, &err) ? 0 : 1;
}

static int engine_free(void **state)
{
    (void) state;
    policy_engine_free(engine);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(denies_by_default),
        cmocka_unit_test(wants_measurement_and_initdata_both),
        cmocka_unit_test(counts_a_value_only_for_its_kind_tee_and_path),
        cmocka_unit_test(lets_no_tenant_have_another_tenants_secrets),
        cmocka_unit_test(wants_affirmed_evidence_where_no_measurement_is_one_value),
        cmocka_unit_test(asks_the_policy_with_the_longest_start_of_the_path),
        cmocka_unit_test(allows_only_on_true),
        cmocka_unit_test(denies_when_a_policy_fails_or_does_not_end),
        cmocka_unit_test(lets_a_policy_ask_for_registered_values),
        cmocka_unit_test(a_measurement_registered_by_name_counts_for_all_paths),
        cmocka_unit_test(holds_a_binding_whatever_the_policy_says),
        cmocka_unit_test(refuses_a_binding_that_binds_nothing),
        cmocka_unit_test(names_policies_by_starts_of_paths_only),
    };

    return cmocka_run_group_tests(tests, engine_make, engine_free);
}
