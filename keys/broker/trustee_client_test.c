/*
 * The handshake and the requests of guest-components' library: of our answers it holds what that library looks at: statuses,
 * bodies, the cookie, the error document, the header of a JWE. [KBS 4 to 10]
 */
#include "tests/harness/trustee_client.h"

static void a_secret_before_attesting_is_401_and_after_it_is_there(void **state)
{
    (void) state;
    resource_policy_set(ALLOW_ALL);
    resource_set("default/test/secret", bytes_of_text("shhhhhhh"));
    for (int is_rsa = 0; is_rsa < 2; is_rsa++) { /* --tee-key-file: RSA */
        AUTO(guest) struct guest g = guest_new(is_rsa);

        get(&g, "/kbs/v0/resource/default/test/secret", false);
        assert_error(&g.answer, 401, "TokenNotFound", "attest");
        challenge(&g, EXTRA);
        get(&g, "/kbs/v0/resource/default/test/secret", false);
        assert_error(&g.answer, 401, "TokenNotFound", "attest");
        attest(&g);
        get(&g, "/kbs/v0/resource/default/test/secret", false);
        assert_opens(&g, "shhhhhhh");
        get(&g, "/kbs/v0/resource/default/test/secret?stage=1", true); /* --attestation-token */
        assert_opens(&g, "shhhhhhh");
        get(&g, "/kbs/v0/resource/default/test/none", false);
        assert_error(&g.answer, 404, "PluginInternalError", "there is no resource");
    }
}

/* What later versions say of themselves is passed over; the oldest said nothing. */
static void extra_parameters_are_no_hindrance(void **state)
{
    static const char *const EXTRAS[] = {
        "\"\"", "null", "{}", EXTRA,
        "{\"supported-hash-algorithms\":[\"sha384\"],\"tee-metadata\":{\"primary_tee\":{\"tee\":\"sample\"},\"additional_tees\":[]}}",
    };

    (void) state;
    for (size_t i = 0; i < sizeof EXTRAS / sizeof *EXTRAS; i++) {
        AUTO(guest) struct guest g = guest_new(false);

        challenge(&g, EXTRAS[i]);
        attest(&g);
    }
}

/* On a 401 it attests again, in the same jar, and asks again: three times, then it gives up. */
static void a_denied_guest_comes_back_three_times(void **state)
{
    AUTO(guest) struct guest g = guest_new(false);

    (void) state;
    resource_policy_set(DENY_ALL);
    resource_set("default/test/secret", bytes_of_text("shhhhhhh"));
    for (int i = 0; i < 3; i++) {
        get(&g, "/kbs/v0/resource/default/test/secret", false);
        assert_error(&g.answer, 401, i ? "PolicyDeny" : "TokenNotFound", "");
        challenge(&g, EXTRA);
        attest(&g);
    }
}

/* Later Trustees answer 403 then: the library does not come back, and says why. */
static void with_403_a_denied_guest_is_told_at_once(void **state)
{
    AUTO(buffer) struct buffer more = { 0 };

    (void) state;
    buffer_printf(&more, "store = \"%s/store.db\"\nsample = true\ndeny_with_403 = true\n", broker.folder);
    test_broker_configure(&broker, "later.toml", buffer_text(&more));
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    broker.config = "later.toml";
    test_broker_start(&broker);
    {
        AUTO(guest) struct guest g = guest_new(false);

        resource_policy_set(DENY_ALL);
        resource_set("default/test/secret", bytes_of_text("shhhhhhh"));
        get(&g, "/kbs/v0/resource/default/test/secret", false);
        assert_error(&g.answer, 401, "TokenNotFound", "");
        challenge(&g, EXTRA);
        attest(&g);
        get(&g, "/kbs/v0/resource/default/test/secret", false);
        assert_error(&g.answer, 403, "PolicyDeny", "Access denied by policy: policy *#");
        get(&g, "/kbs/v0/resource/only/two", false);
        assert_error(&g.answer, 404, "InvalidRequestPath", "");
    }
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    broker.config = NULL;
    test_broker_start(&broker);
}

/* Trustee's own test: contraindicated until the value is known. */
static void reference_values_decide_what_a_policy_allows(void **state)
{
    AUTO(guest) struct guest g = guest_new(false);

    (void) state;
    resource_policy_set(NOT_CONTRAINDICATED);
    attestation_policy_set("default_cpu", BY_SVN);
    resource_set("default/test/secret", bytes_of_text("shhhhhhh"));
    value_set("{\"svn\":[\"0\"]}");
    challenge(&g, EXTRA);
    attest(&g);
    get(&g, "/kbs/v0/resource/default/test/secret", false);
    assert_error(&g.answer, 401, "PolicyDeny", "");
    value_set("{\"svn\":[\"1\"]}");
    challenge(&g, EXTRA);
    attest(&g);
    get(&g, "/kbs/v0/resource/default/test/secret", false);
    assert_opens(&g, "shhhhhhh");
}

/* A policy may ask for the digest of the initdata: of TEE sample in base64, as Trustee has it; and for what it says. */
static void a_policy_may_ask_for_initdata(void **state)
{
    static const char          TEXT[] = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"cdh.toml\" = '''\n[kbc]\nname = \"cc_kbc\"\n'''\n";
    AUTO(buffer) struct buffer policy = { 0 }, digest = { 0 }, escaped = { 0 };
    AUTO(guest) struct guest   with = guest_new(false), without = guest_new(false);
    uint8_t                    hash[SHA256_LEN];

    (void) state;
    sha256_of(bytes_of_text(TEXT), hash);
    base64_append(&digest, BYTES_OF(hash), BASE64_STANDARD);
    buffer_printf(&policy, "\npackage policy\nimport rego.v1\n\ndefault allow = false\n\nallow if {\n"
                           "    input[\"submods\"][\"cpu0\"][\"ear.veraison.annotated-evidence\"][\"init_data\"] == \"%s\"\n"
                           "    input[\"submods\"][\"cpu0\"][\"ear.veraison.annotated-evidence\"][\"init_data_claims\"][\"cdh.toml\"][\"kbc\"][\"name\"] == \"cc_kbc\"\n}\n",
                  buffer_text(&digest));
    resource_policy_set(buffer_text(&policy));
    resource_set("default/test/secret", bytes_of_text("shhhhhhh"));
    for (const char *at = TEXT; *at; at++) {
        if (*at == '"')
            buffer_append_text(&escaped, "\\\"");
        else if (*at == '\n')
            buffer_append_text(&escaped, "\\n");
        else
            buffer_append(&escaped, (struct bytes){ (const uint8_t *) at, 1 });
    }
    with.initdata = buffer_text(&escaped);
    challenge(&with, EXTRA);
    attest(&with);
    get(&with, "/kbs/v0/resource/default/test/secret", false);
    assert_opens(&with, "shhhhhhh");
    challenge(&without, EXTRA);
    attest(&without);
    get(&without, "/kbs/v0/resource/default/test/secret", false);
    assert_error(&without.answer, 401, "PolicyDeny", "");
}

static void paths_that_are_none_are_404(void **state)
{
    static const struct { const char *path, *variant; } ROWS[] = {
        { "/kbs/v0/token-certificate-chain", "PluginNotFound" }, /* of versions before 0.8 */
        { "/kbs/v0/token", "PluginNotFound" },
        { "/kbs/v0/pkcs11/resource/a/b/c", "PluginNotFound" },
        { "/kbs/v0/plugin/resource/a/b/c", "PluginNotFound" },
        { "/kbs/v0/nebula-ca/credential?name=x", "PluginNotFound" },
        { "/kbs/v1/auth", "InvalidRequestPath" },
    };
    AUTO(guest) struct guest g = guest_new(false);

    (void) state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        get(&g, ROWS[i].path, false);
        assert_error(&g.answer, 404, ROWS[i].variant, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_before_attesting_is_401_and_after_it_is_there),
        cmocka_unit_test(extra_parameters_are_no_hindrance),
        cmocka_unit_test(a_denied_guest_comes_back_three_times),
        cmocka_unit_test(with_403_a_denied_guest_is_told_at_once),
        cmocka_unit_test(reference_values_decide_what_a_policy_allows),
        cmocka_unit_test(a_policy_may_ask_for_initdata),
        cmocka_unit_test(paths_that_are_none_are_404),
    };

    return cmocka_run_group_tests(tests, trustee_make, trustee_clean);
}
