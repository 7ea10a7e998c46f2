#include "tests/harness/test.h"

#include "keys/broker/appraisal_policy.h"

static struct policy_engine *engine;

static struct store *fresh(void)
{
    AUTO(secret) struct secret key   = { 0 };
    struct store              *store = NULL;
    struct err                 err;

    assert_true(secret_heap_open(&err) && secret_random(32, &key, &err) && store_open(":memory:", &key, &store, &err));
    return store;
}

static void put_document(struct store *store, enum document_kind kind, const char *name, const char *text)
{
    struct document d = { .name = name, .text = bytes_of_text(text), .by = "ann" };
    struct err      err;

    if (!store_document_put(store, kind, &d, &err))
        fail_msg("%s", err.text);
}

static bool reads(const char *claims, const char *extensions, struct appraisal_result *out, struct err *err)
{
    return appraisal_result_read(bytes_of_text(claims), bytes_of_text(extensions), out, err);
}

static void the_worst_claim_is_the_status(void **state)
{
    static const struct { int claim; const char *status; } CASES[] = {
        { 0, "none" },        { 1, "none" },         { -1, "none" },           { 2, "affirming" },
        { 31, "affirming" },  { -2, "affirming" },   { -32, "affirming" },     { 32, "warning" },
        { 95, "warning" },    { -33, "warning" },    { -96, "warning" },       { 96, "contraindicated" },
        { 127, "contraindicated" }, { -97, "contraindicated" }, { -128, "contraindicated" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(appraisal_result) struct appraisal_result result = { 0 };
        char                                           text[64];
        struct err                                     err;

        (void) snprintf(text, sizeof text, "{\"hardware\":%d,\"executables\":0}", CASES[i].claim);
        assert_true(reads(text, "", &result, &err));
        assert_string_equal(result.status, CASES[i].status);
    }
}

static void the_vector_keeps_the_order_of_ar4si(void **state)
{
    AUTO(appraisal_result) struct appraisal_result result = { 0 };
    AUTO(buffer) struct buffer                     text   = { 0 };
    struct err                                     err;

    (void) state;
    assert_true(reads("{\"sourced-data\":0,\"hardware\":2,\"executables\":33,\"instance-identity\":0}",
                      "[{\"name\":\"x\",\"key\":-18,\"value\":{\"a\":[1]}}]", &result, &err));
    json_write(result.vector, &text);
    assert_string_equal(buffer_text(&text), "{\"instance-identity\":0,\"executables\":33,\"hardware\":2,\"sourced-data\":0}");
    json_write(result.extensions, &text);
    assert_non_null(strstr(buffer_text(&text), "{\"x\":{\"a\":[1]}}"));
}

static void bad_output_of_a_policy_is_an_error(void **state)
{
    static const struct { const char *claims, *extensions, *text; enum err_kind kind; } CASES[] = {
        { "", "", "trust_claims is undefined", ERR_CONFIG },
        { "7", "", "trust_claims is not an object", ERR_CONFIG },
        { "{\"hardwear\":2}", "", "trust_claims: \"hardwear\" is no claim of a trust vector", ERR_CONFIG },
        { "{\"hardware\":258}", "", "trust_claims: hardware is not between -128 and 127", ERR_CONFIG },
        { "{\"hardware\":-129}", "", "trust_claims: hardware is not between -128 and 127", ERR_CONFIG },
        { "{\"hardware\":18446744073709551618}", "", "trust_claims: hardware is not between -128 and 127", ERR_CONFIG },
        { "{\"hardware\":2.5}", "", "trust_claims: hardware is not an integer", ERR_CONFIG },
        { "{\"hardware\":\"2\"}", "", "trust_claims: hardware is not an integer", ERR_CONFIG },
        { "{\"hardware\":null}", "", "trust_claims: hardware is not an integer", ERR_CONFIG },
        { "{}", "{}", "extensions is not a list of at most 16", ERR_CONFIG },
        { "{}", "[{\"name\":\"x\",\"value\":1}]", "extensions: the key of \"x\" is not an integer", ERR_CONFIG },
        { "{}", "[{\"name\":\"x\",\"key\":1}]", "extensions: each has a name, a key and a value", ERR_CONFIG },
        { "{}", "[{\"name\":\"ear.status\",\"key\":1,\"value\":\"affirming\"}]",
          "extensions: \"ear.status\" is reserved, there already, or too long", ERR_CONFIG },
        { "{}", "[{\"name\":\"cloister.tee\",\"key\":1,\"value\":\"snp\"}]",
          "extensions: \"cloister.tee\" is reserved, there already, or too long", ERR_CONFIG },
        { "{}", "[{\"name\":\"x\",\"key\":1,\"value\":1},{\"name\":\"x\",\"key\":1,\"value\":2}]",
          "extensions: \"x\" is reserved, there already, or too long", ERR_CONFIG },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct appraisal_result result = { .status = "untouched" };
        struct err              err;

        if (reads(CASES[i].claims, CASES[i].extensions, &result, &err))
            fail_msg("%s was taken", CASES[i].claims);
        assert_string_equal(err.text, CASES[i].text);
        assert_int_equal(err.kind, CASES[i].kind);
        assert_string_equal(result.status, "untouched");
    }
}

/* ---- whole policies ---- */

#define SNP "{\"snp\":{\"measurement\":\"aa\",\"policy_debug_allowed\":false,\"policy_migrate_ma\":false}}"

static bool applies(struct store *store, const char *evidence, const char *root, struct appraisal_result *out, struct err *err)
{
    static const uint8_t           MEASUREMENT[] = { 0xaa };
    AUTO(json) struct json_object *read          = NULL;
    struct appraisal_request       request = { .store = store, .engine = engine, .tee_class = "cpu", .tee = "snp",
                                               .measurement = BYTES_OF(MEASUREMENT), .root = root, .now = 100 };

    assert_true(json_read(bytes_of_text(evidence), 1 << 16, &read, err));
    request.evidence = read;
    return appraisal_policy_apply(&request, out, err);
}

static void assert_vector(struct store *store, const char *root, const char *part, const char *status)
{
    AUTO(appraisal_result) struct appraisal_result result = { 0 };
    AUTO(buffer) struct buffer                     text   = { 0 };
    struct err                                     err;

    if (!applies(store, SNP, root, &result, &err))
        fail_msg("%s", err.text);
    json_write(result.vector, &text);
    if (!strstr(buffer_text(&text), part))
        fail_msg("%s lacks %s", buffer_text(&text), part);
    assert_string_equal(result.status, status);
    assert_string_equal(result.policy, "default_cpu#builtin");
}

static void the_stock_policy_knows_registered_measurements_and_the_root(void **state)
{
    AUTO(store) struct store *store = fresh();
    struct reference          r     = { .kind = REFERENCE_MEASUREMENT, .tee = "snp", .value = { (const uint8_t *) "\xaa", 1 },
                                        .resource = "a/b/c" };
    int64_t                   id;
    struct err                err;

    (void) state;
    assert_vector(store, "vendor", "\"executables\":33", "warning");
    assert_true(store_reference_add(store, &r, &id, &err));
    assert_vector(store, "vendor", "\"configuration\":3,\"executables\":3,\"file-system\":0,\"hardware\":2", "affirming");
    assert_vector(store, "development", "\"hardware\":32", "warning");
    assert_vector(store, "nobody", "\"hardware\":97", "contraindicated");
    put_document(store, DOCUMENT_REFERENCE_VALUE, "snp_bootloader", "[4]");
    assert_vector(store, "vendor", "\"hardware\":97", "contraindicated"); /* a TCB is registered, and it is another */
}

static void a_stored_policy_takes_the_place_of_the_stock_one(void **state)
{
    AUTO(store) struct store                      *store  = fresh();
    AUTO(appraisal_result) struct appraisal_result result = { 0 };
    struct err                                     err;

    (void) state;
    put_document(store, DOCUMENT_ATTESTATION_POLICY, "default", "package policy\ntrust_claims := {\"hardware\": 99}\n");
    put_document(store, DOCUMENT_ATTESTATION_POLICY, "default_cpu",
        "package policy\ntrust_claims := {\"hardware\": h}\nh := 2 if \"b\" in query_reference_value(\"list\")\n"
        "extensions := [{\"name\": \"who\", \"key\": 1, \"value\": input.endorsement.root}]\n");
    put_document(store, DOCUMENT_REFERENCE_VALUE, "list", "[\"a\",\"b\"]");
    assert_true(applies(store, SNP, "vendor", &result, &err));
    assert_string_equal(result.status, "affirming");
    assert_string_equal(result.policy, "default_cpu#1");
    assert_string_equal(json_object_get_string(json_object_object_get(result.extensions, "who")), "vendor");
}

static void a_policy_that_fails_gives_no_result(void **state)
{
    static const struct { const char *module, *text; } CASES[] = {
        { "package policy\n", "attestation policy default_cpu#1: trust_claims is undefined" },
        { "package policy\ntrust_claims := {\"hardware\": 258}\n",
          "attestation policy default_cpu#1: trust_claims: hardware is not between -128 and 127" },
        { "package policy\ntrust_claims := {\"hardware\": 2}\ntrust_claims := {\"hardware\": 3}\n", NULL },
        { "package policy\ntrust_claims := {", NULL },
        { "package policy\ntrust_claims := {\"hardware\": 2} if query_reference_value(7)\n", NULL },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(store) struct store *store  = fresh();
        struct appraisal_result   result = { .status = "untouched" };
        struct err                err;

        put_document(store, DOCUMENT_ATTESTATION_POLICY, "default_cpu", CASES[i].module);
        assert_false(applies(store, SNP, "vendor", &result, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        if (CASES[i].text)
            assert_string_equal(err.text, CASES[i].text);
        assert_string_equal(result.status, "untouched");
    }
}

static int make(void **state)
{
    struct err err;

    (void) state;
    return policy_engine_new(&engine, &err) ? 0 : 1;
}

static int clean(void **state)
{
    (void) state;
    policy_engine_free(engine);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_claim_is_the_status),
        cmocka_unit_test(the_vector_keeps_the_order_of_ar4si),
        cmocka_unit_test(bad_output_of_a_policy_is_an_error),
        cmocka_unit_test(the_stock_policy_knows_registered_measurements_and_the_root),
        cmocka_unit_test(a_stored_policy_takes_the_place_of_the_stock_one),
        cmocka_unit_test(a_policy_that_fails_gives_no_result),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
