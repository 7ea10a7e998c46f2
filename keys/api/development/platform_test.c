#include "base/file.h"
#include "keys/api/development/platform.h"
#include "tests/harness/test.h"

static X509 *certificate_of(const struct buffer *der)
{
    const uint8_t *at = der->at;
    X509          *x  = d2i_X509(NULL, &at, (long) der->len);

    assert_non_null(x);
    return x;
}

static void makes_a_chain_once_and_opens_it(void **state)
{
    AUTO(text) char *dir = NULL, *key = NULL;
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("platform-test-", &dir, &err));
    assert_true(development_platform_make(dir, &err));
    AUTO(development_platform) struct development_platform first = { 0 }, again = { 0 };

    assert_true(development_platform_open(dir, &first, &err));
    assert_true(development_platform_make(dir, &err));
    assert_true(development_platform_open(dir, &again, &err));
    assert_true(bytes_equal(buffer_bytes(&first.vcek), buffer_bytes(&again.vcek)));

    AUTO(x509) X509 *ark = certificate_of(&first.ark), *ask = certificate_of(&first.ask), *vcek = certificate_of(&first.vcek);

    assert_int_equal(X509_verify(ark, X509_get0_pubkey(ark)), 1);
    assert_int_equal(X509_verify(ask, X509_get0_pubkey(ark)), 1);
    assert_int_equal(X509_verify(vcek, X509_get0_pubkey(ask)), 1);
    assert_int_equal(X509_get_signature_nid(vcek), NID_rsassaPss);

    assert_true(asprintf(&key, "%s/vcek.key", dir) > 0);
    assert_return_code(unlink(key), 0);
    AUTO(development_platform) struct development_platform none = { 0 };

    assert_false(development_platform_open(dir, &none, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_true(directory_remove(dir, &err));
}

static void the_place_follows_the_environment(void **state)
{
    AUTO(text) char *named = NULL, *data = NULL, *home = NULL, *none = NULL;

    (void) state;
    setenv("CLOISTER_DEVELOPMENT_PLATFORM", "/x", 1);
    development_platform_directory(&named);
    assert_string_equal(named, "/x");
    unsetenv("CLOISTER_DEVELOPMENT_PLATFORM");
    setenv("XDG_DATA_HOME", "/d", 1);
    development_platform_directory(&data);
    assert_string_equal(data, "/d/cloister/development-platform");
    unsetenv("XDG_DATA_HOME");
    setenv("HOME", "/h", 1);
    development_platform_directory(&home);
    assert_string_equal(home, "/h/.local/share/cloister/development-platform");
    unsetenv("HOME");
    development_platform_directory(&none);
    assert_string_equal(none, "/var/lib/cloister/development-platform");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_a_chain_once_and_opens_it),
        cmocka_unit_test(the_place_follows_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
