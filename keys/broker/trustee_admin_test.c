/* kbs-client's subcommands for administrators: of our answers it holds what that program looks at. [KBS 10, 12] */
#include "tests/harness/trustee_client.h"

static void config_commands_are_done_and_say_nothing(void **state)
{
    AUTO(raw_answer) struct raw_answer answer = { 0 };

    (void) state;
    resource_set("my_repo/resource_type/123abc", (struct bytes){ (const uint8_t *) "\0\1\2\xff", 4 });
    resource_set("a/b/c", (struct bytes){ (const uint8_t[10]){ 0 }, 10 });
    resource_policy_set(ALLOW_ALL);
    resource_policy_set(DENY_ALL);
    resource_policy_set(NOT_CONTRAINDICATED);
    attestation_policy_set("default", BY_SVN); /* without --id; never used, by Trustee neither */
    attestation_policy_set("fake_policy_id", "\npackage policy\nimport rego.v1\n\ndefault executables = 97\n");
    administer("GET", "/kbs/v0/resource-policy", NULL, (struct bytes){ 0 }, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(buffer_text(&answer.body), "[\"*\"]");
    administer("DELETE", "/kbs/v0/resource/a/b/c", NULL, (struct bytes){ 0 }, &answer);
    assert_done_silently(&answer);
}

/* --as-integer, --as-bool, --as-single-value: any JSON value. */
static void reference_values_of_every_kind_are_read_back(void **state)
{
    static const char *const VALUES[][2] = {
        { "rv.list", "[\"abcde\"]" }, { "rv.numbers", "[1]" }, { "rv.number", "1" }, { "rv.flag", "true" }, { "rv.text", "\"one\"" },
        { "rvps:///snp/launch", "[\"aa\",\"bb\"]" },
    };
    AUTO(raw_answer) struct raw_answer answer = { 0 };
    AUTO(json) struct json_object     *all    = NULL;
    struct err                         err;

    (void) state;
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        AUTO(buffer) struct buffer text = { 0 }, path = { 0 };

        buffer_printf(&text, "{\"%s\":%s}", VALUES[i][0], VALUES[i][1]);
        value_set(buffer_text(&text));
        buffer_printf(&path, "/kbs/v0/reference-value/%s", VALUES[i][0]);
        administer("GET", buffer_text(&path), "application/json", (struct bytes){ 0 }, &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(buffer_text(&answer.body), VALUES[i][1]);
    }
    administer("GET", "/kbs/v0/reference-value", "application/json", (struct bytes){ 0 }, &answer); /* get-reference-values */
    assert_int_equal(answer.status, 200);
    assert_fine(json_read(buffer_bytes(&answer.body), KBS_ANSWER_MAX, &all, &err), &err);
    assert_int_equal(json_object_get_int(json_object_object_get(all, "rv.number")), 1);
    administer("GET", "/kbs/v0/reference-value/none", "application/json", (struct bytes){ 0 }, &answer);
    assert_error(&answer, 401, "RvpsError", "there is no reference value");
}

/* What is wrong with an administrator's call is 401, whatever it is. [KBS 10] */
static void wrong_calls_of_administrators_are_401(void **state)
{
    static const struct { const char *path, *body, *variant; } ROWS[] = {
        { "/kbs/v0/resource-policy", "{", "ParsePolicyError" },
        { "/kbs/v0/resource-policy", "{}", "ParsePolicyError" },
        { "/kbs/v0/resource-policy", "{\"policy\":\"%%%\"}", "ParsePolicyError" },
        { "/kbs/v0/resource-policy", "{\"policy\":\"bm8gcmVnbyB7\"}", "ParsePolicyError" },
        { "/kbs/v0/attestation-policy", "{\"type\":\"rego\",\"policy_id\":\"x\"}", "ParsePolicyError" },
        { "/kbs/v0/attestation-policy", "{\"type\":\"rego\",\"policy_id\":\"../x\",\"policy\":\"cGFja2FnZSBwb2xpY3kK\"}", "ParsePolicyError" },
        { "/kbs/v0/reference-value", "{\"version\":\"0.1.0\",\"type\":\"swid\",\"payload\":\"\"}", "RvpsError" },
        { "/kbs/v0/reference-value", "{\"version\":\"9\",\"type\":\"sample\",\"payload\":\"\"}", "RvpsError" },
        { "/kbs/v0/resource/only/two", "x", "PluginInternalError" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO(raw_answer) struct raw_answer answer = { 0 };

        administer("POST", ROWS[i].path, "application/json", bytes_of_text(ROWS[i].body), &answer);
        assert_error(&answer, 401, ROWS[i].variant, "");
    }
}

/* An empty file is no secret, and said to be none; Trustee would keep it. */
static void an_empty_resource_is_400_and_said(void **state)
{
    AUTO(raw_answer) struct raw_answer answer = { 0 };

    (void) state;
    administer("POST", "/kbs/v0/resource/a/b/empty", "application/octet-stream", (struct bytes){ 0 }, &answer);
    assert_error(&answer, 400, "PluginInternalError", "the resource is empty");
}

/* A proxy that does not wait for the whole of a body does not say how long it is. */
static void a_body_in_chunks_is_read_to_its_bound(void **state)
{
    AUTO(buffer) struct buffer       large = { 0 };
    AUTO(guest) struct guest         g     = guest_new(false);
    static const struct { size_t len; int status; } ROWS[] = { { 1, 200 }, { CHUNK, 200 }, { 100000, 200 }, { KBS_RESOURCE_MAX, 200 },
                                                               { KBS_RESOURCE_MAX + 1, 413 }, { KBS_BODY_MAX + 1, 413 } };

    (void) state;
    resource_policy_set(ALLOW_ALL);
    challenge(&g, EXTRA);
    attest(&g);
    memset(buffer_grow(&large, KBS_BODY_MAX + 1), 'x', KBS_BODY_MAX + 1);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO(raw_https) struct raw_https   c      = connected();
        AUTO(raw_answer) struct raw_answer answer = { 0 };
        AUTO(secret) struct secret         got    = { 0 };
        struct sent s = { "POST", "/kbs/v0/resource/a/b/chunked", "application/octet-stream", buffer_text(&admin_token), NULL, NULL,
                          { large.at, ROWS[i].len }, .is_chunked = true };
        struct err  err;

        send_request(&c, &s, &answer);
        assert_int_equal(answer.status, ROWS[i].status);
        if (ROWS[i].status != 200) {
            assert_error(&answer, 413, ROWS[i].len > KBS_BODY_MAX ? "HTTPFailed" : "PluginInternalError", "");
            continue;
        }
        get(&g, "/kbs/v0/resource/a/b/chunked", false);
        assert_fine(jwe_open(buffer_bytes(&g.answer.body), KBS_ANSWER_MAX, g.key, &got, &err), &err);
        assert_int_equal(got.len, ROWS[i].len);
    }
}

static void another_key_is_no_administrators(void **state)
{
    AUTO(pkey) EVP_PKEY               *other  = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    AUTO(buffer) struct buffer         token  = { 0 };
    AUTO(raw_answer) struct raw_answer answer = { 0 };
    AUTO(raw_https) struct raw_https   c      = connected();
    struct sent                        s      = { "POST", "/kbs/v0/resource/a/b/c", "application/octet-stream", NULL, NULL, NULL, bytes_of_text("x") };

    (void) state;
    token_sign(other, ",\"role\":\"admin\"", &token);
    s.bearer = buffer_text(&token);
    send_request(&c, &s, &answer);
    assert_error(&answer, 401, "AdminAuthAccess", "Cannot verify token with any of the issuers"); /* Trustee's words */
    s.bearer = NULL;
    send_request(&c, &s, &answer);
    assert_error(&answer, 401, "AdminAuthAccess", "Authorization");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_commands_are_done_and_say_nothing),
        cmocka_unit_test(reference_values_of_every_kind_are_read_back),
        cmocka_unit_test(wrong_calls_of_administrators_are_401),
        cmocka_unit_test(an_empty_resource_is_400_and_said),
        cmocka_unit_test(a_body_in_chunks_is_read_to_its_bound),
        cmocka_unit_test(another_key_is_no_administrators),
    };

    return cmocka_run_group_tests(tests, trustee_make, trustee_clean);
}
