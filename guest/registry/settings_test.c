#include "tests/harness/test.h"

#include "guest/registry/settings.h"

#define PEM "'''-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----'''"

static void reads_what_owners_write(void **state)
{
    static const char text[] =
        "socket = \"unix:///x\"\n[kbc]\nname = \"cc_kbc\"\n"
        "[image]\nmax_concurrent_layer_downloads_per_image = 2\nwork_dir = \"/run/x\"\n"
        "image_security_policy_uri = \"kbs:///default/security-policy/test\"\nimage_security_policy = \"{}\"\n"
        "authenticated_registry_credentials_uri = \"kbs:///default/credential/test\"\n"
        "extra_root_certificates = [" PEM ", " PEM "]\n"
        "[image.registry_config]\nunqualified-search-registries = [\"docker.io\"]\n"
        "[image.image_pull_proxy]\nhttps_proxy = \"http://127.0.0.1:5432\"\nno_proxy = \"localhost\"\n";
    AUTO(image_settings) struct image_settings s = { 0 };
    struct err                                 err;

    (void) state;
    if (!image_settings_read(bytes_of_text(text), &s, &err))
        fail_msg("%s", err.text);
    assert_string_equal(s.policy_kid, "kbs:///default/security-policy/test");
    assert_string_equal(s.policy, "{}");
    assert_string_equal(s.credentials_kid, "kbs:///default/credential/test");
    assert_string_equal(s.registries_kid, "");
    assert_non_null(s.registries);
    assert_int_equal(s.parallel, 2);
    assert_string_equal(s.https_proxy, "http://127.0.0.1:5432");
    assert_null(s.http_proxy);
    assert_string_equal(s.no_proxy, "localhost");
    const char *first = strstr(buffer_text(&s.ca_pem), "-----BEGIN");

    assert_non_null(first);
    assert_non_null(strstr(first + 1, "-----BEGIN"));
}

static void without_a_table_all_is_empty(void **state)
{
    AUTO(image_settings) struct image_settings s = { 0 };
    struct err                                 err;

    (void) state;
    assert_true(image_settings_read(bytes_of_text("[kbc]\nname = \"x\"\n"), &s, &err));
    assert_true(!s.policy && !s.registries && s.policy_kid[0] == '\0' && s.ca_pem.len == 0);
}

static void refuses_what_it_does_not_understand(void **state)
{
    static const struct { const char *toml, *why; enum err_kind kind; } rows[] = {
        { "image = 1", "image", ERR_MALFORMED },
        { "[image]\nimage_security_polcy = \"{}\"", "unknown member", ERR_MALFORMED },
        { "[images]\nimage_security_policy = \"{}\"", "unknown member \"images\"", ERR_MALFORMED },
        { "image_security_policy = \"{}\"", "unknown member", ERR_MALFORMED },
        { "[image]\nimage_security_policy = 1", "image_security_policy", ERR_MALFORMED },
        { "[image]\nimage_security_policy_uri = \"file:///etc/policy.json\"", "a guest has no files", ERR_UNSUPPORTED },
        { "[image]\nimage_security_policy_uri = \"kbs:///a\"", "image_security_policy_uri", ERR_MALFORMED },
        { "[image]\nextra_root_certificates = \"x\"", "extra_root_certificates", ERR_MALFORMED },
        { "[image]\nextra_root_certificates = [\"x\"]", "no PEM", ERR_MALFORMED },
        { "[image]\nimage_pull_proxy = { proxy = \"x\" }", "unknown member", ERR_MALFORMED },
        { "[image]\nregistry_config = \"x\"", "registry_config", ERR_MALFORMED },
        { "[image]\nmax_concurrent_layer_downloads_per_image = -1", "max_concurrent", ERR_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image_settings s;
        struct err            err;

        if (image_settings_read(bytes_of_text(rows[i].toml), &s, &err))
            fail_msg("%s was read", rows[i].toml);
        if (err.kind != rows[i].kind || !strstr(err.text, rows[i].why) || !strstr(err.text, "cdh.toml"))
            fail_msg("%s: %s: %s", rows[i].toml, err_kind_name(err.kind), err.text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_owners_write),
        cmocka_unit_test(without_a_table_all_is_empty),
        cmocka_unit_test(refuses_what_it_does_not_understand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
