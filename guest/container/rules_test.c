#include "tests/harness/test.h"

#include "guest/api/services.h"
#include "guest/container/limits.h"
#include "guest/container/rules.h"

static struct rules *rules_of(const char *rego, const char *data)
{
    struct rules *rules = NULL;
    struct err    err;

    if (!rules_read(bytes_of_text(rego), bytes_of_text(data), &rules, &err))
        fail_msg("%s", err.text);
    return rules;
}

static void assert_denied(struct rules *rules, const char *request, const char *input, const char *why)
{
    struct err err;

    assert_false(rules_allow(rules, request, bytes_of_text(input), &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, why);
}

static void assert_allowed(struct rules *rules, const char *request, const char *input)
{
    struct err err;

    if (!rules_allow(rules, request, bytes_of_text(input), &err))
        fail_msg("%s", err.text);
}

static void allows_what_is_true_and_nothing_else(void **state)
{
    static const char *const not_true[] = { "false", "1", "\"true\"", "{}", "[true]", "null" };
    char                     text[200];

    (void) state;
    for (size_t i = 0; i < sizeof not_true / sizeof *not_true; i++) {
        (void) snprintf(text, sizeof text, "package agent_policy\nGetStatusRequest := true\nShutdownRequest := %s\n", not_true[i]);
        struct rules *rules = rules_of(text, "");

        assert_allowed(rules, "GetStatus", "{}");
        assert_denied(rules, "Shutdown", "{}", "policy.rego: ShutdownRequest is not true");
        assert_denied(rules, "StartContainer", "{}", "policy.rego: StartContainerRequest is not true");
        rules_free(rules);
    }
}

static void judges_by_input_and_by_the_policys_data(void **state)
{
    struct rules *rules = rules_of("package agent_policy\nimport rego.v1\nCreateContainerRequest if {\n some c in data.containers\n"
                                   " c.image == input.image\n c.args == input.args\n}\n",
                                   "{\"containers\":[{\"image\":\"sha256:1\",\"args\":[\"a\"]}]}");

    (void) state;
    assert_allowed(rules, "CreateContainer", "{\"image\":\"sha256:1\",\"args\":[\"a\"]}");
    assert_denied(rules, "CreateContainer", "{\"image\":\"sha256:1\",\"args\":[\"b\"]}", "policy.rego: CreateContainerRequest is not true");
    assert_denied(rules, "CreateContainer", "{}", "policy.rego: CreateContainerRequest is not true");
    rules_free(rules);
}

static void errors_and_limits_deny(void **state)
{
    struct rules *rules = rules_of("package agent_policy\nimport rego.v1\nStartContainerRequest := true if input.a\n"
                                   "StartContainerRequest := false if input.b\n"
                                   "WaitContainerRequest if count([1 | numbers.range(1, 100000)[_]; numbers.range(1, 100000)[_]]) > 0\n", "");
    struct err    err;

    (void) state;
    assert_denied(rules, "StartContainer", "{\"a\":true,\"b\":true}",
                  "policy.rego: StartContainerRequest: eval_conflict_error: complete rules must not produce multiple outputs");
    assert_denied(rules, "StartContainer", "{", "policy.rego: StartContainerRequest: JSON at offset 1: expected a key");
    assert_false(rules_allow(rules, "WaitContainer", bytes_of_text("{}"), &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, "WaitContainerRequest: eval_limit_error"));
    assert_allowed(rules, "StartContainer", "{\"a\":true}"); /* a limit that was met once is not met for ever */
    assert_denied(rules, "Format", "{}", "policy.rego: no rule can allow Format");
    rules_free(rules);
}

static void refuses_what_does_not_compile(void **state)
{
    static const struct { const char *rego, *data; enum err_kind kind; const char *why; } bad[] = {
        { "package agent_policy\nx := y", "", ERR_MALFORMED, "rego_unsafe_var_error" },
        { "x := 1", "", ERR_MALFORMED, "rego_parse_error" },
        { "package agent_policy\nx := http.send({})", "", ERR_UNSUPPORTED, "http.send" },
        { "package agent_policy", "[]", ERR_MALFORMED, "policy.json: no JSON object" },
        { "package agent_policy", "{", ERR_MALFORMED, "policy.json: " },
    };

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rules *rules = NULL;
        struct err    err;

        assert_false(rules_read(bytes_of_text(bad[i].rego), bytes_of_text(bad[i].data), &rules, &err));
        assert_null(rules);
        if (err.kind != bad[i].kind || !strstr(err.text, bad[i].why))
            fail_msg("%s", err.text);
    }
}

static void refuses_a_text_that_is_too_long(void **state)
{
    AUTO(heap) uint8_t *text  = malloc(POLICY_LEN_MAX + 1);
    struct rules       *rules = NULL;
    struct err          err;

    (void) state;
    assert_non_null(text);
    memset(text, '\n', POLICY_LEN_MAX + 1);
    assert_false(rules_read((struct bytes){ text, POLICY_LEN_MAX + 1 }, (struct bytes){ 0 }, &rules, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* A method that is added to the agent's contract must not go by the rules. */
static void every_method_of_the_agent_has_a_rule(void **state)
{
    const ProtobufCServiceDescriptor *service = agent_service.contract;

    (void) state;
    assert_int_equal(service->n_methods + 9, N_RULES_REQUESTS); /* and five of the workloads, and four of parts of a request */
    for (unsigned i = 0; i < service->n_methods; i++) {
        bool has_rule = false;

        for (size_t k = 0; k < N_RULES_REQUESTS; k++)
            has_rule = has_rule || strcmp(RULES_REQUESTS[k], service->methods[i].name) == 0;
        if (!has_rule)
            fail_msg("no rule decides %s", service->methods[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allows_what_is_true_and_nothing_else),
        cmocka_unit_test(judges_by_input_and_by_the_policys_data),
        cmocka_unit_test(errors_and_limits_deny),
        cmocka_unit_test(refuses_what_does_not_compile),
        cmocka_unit_test(refuses_a_text_that_is_too_long),
        cmocka_unit_test(every_method_of_the_agent_has_a_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
