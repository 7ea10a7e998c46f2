#include "tests/harness/test.h"

#include "keys/broker/initdata_claims.h"

static void assert_claims(const char *name, const char *text, const char *json)
{
    struct initdata            initdata = { .entries = json_object_new_object() };
    AUTO(json) struct json_object *claims = NULL;
    AUTO(buffer) struct buffer     written = { 0 };

    json_add_text(initdata.entries, name, text);
    claims = initdata_claims(&initdata);
    json_write(claims, &written);
    json_object_put(initdata.entries);
    assert_string_equal(buffer_text(&written), json);
}

static void tables_become_objects_where_they_parse(void **state)
{
    (void) state;
    assert_claims("aa.toml", "[a]\nb = 1\n", "{\"aa.toml\":{\"a\":{\"b\":1}}}");
    assert_claims("cdh.toml", "not toml", "{\"cdh.toml\":\"not toml\"}");
    assert_claims("x.toml", "b = 1", "{\"x.toml\":\"b = 1\"}");
}

static void a_generated_policys_data_is_read(void **state)
{
    (void) state;
    assert_claims("policy.rego", "package agent_policy\npolicy_data := {\n \"containers\": []\n}\n",
                  "{\"agent_policy_claims\":{\"containers\":[]}}");
}

static void what_only_looks_like_data_is_not(void **state)
{
    (void) state;
    assert_claims("policy.rego", "# policy_data := {\"a\":1}\n", "{\"policy.rego\":\"# policy_data := {\\\"a\\\":1}\\n\"}");
    assert_claims("policy.rego", "policy_data := {\"a\":1}\nx := 1\n",
                  "{\"policy.rego\":\"policy_data := {\\\"a\\\":1}\\nx := 1\\n\"}");
    assert_claims("policy.rego", "policy_data := {\"a\":\"\npolicy_data := {\"b\":1}\n",
                  "{\"policy.rego\":\"policy_data := {\\\"a\\\":\\\"\\npolicy_data := {\\\"b\\\":1}\\n\"}");
    assert_claims("policy.rego", "package p\n", "{\"policy.rego\":\"package p\\n\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_become_objects_where_they_parse),
        cmocka_unit_test(a_generated_policys_data_is_read),
        cmocka_unit_test(what_only_looks_like_data_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
