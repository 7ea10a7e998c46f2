/* Against a real software token. */
#include "tests/harness/softhsm.h"

#include "keys/external/token_objects.h"

static char *folder;
static char  uri[PATH_MAX];
static bool  has_token;

static int make(void **state)
{
    struct err err;

    (void) state;
    if (!secret_heap_open(&err) || !directory_make_temporary("token-objects-", &folder, &err))
        return 1;
    has_token = softhsm_make(folder, uri);
    return 0;
}

static int clean(void **state)
{
    struct err err;

    (void) state;
    if (!directory_remove(folder, &err))
        return 1;
    free(folder);
    return 0;
}

static void assert_got(struct token_objects *objects, const char *label, const char *value)
{
    AUTO(secret) struct secret got = { 0 };
    struct err                 err;

    if (!token_objects_get(objects, label, &got, &err))
        fail_msg("%s", err.text);
    assert_true(bytes_equal(secret_expose(&got), bytes_of_text(value)));
}

static void assert_fails(struct token_objects *objects, const char *label, enum err_kind kind, const char *text)
{
    AUTO(secret) struct secret got = { 0 };
    struct err                 err;

    assert_false(token_objects_get(objects, label, &got, &err));
    assert_null(got.held);
    assert_string_equal(err.text, text);
    assert_int_equal(err.kind, kind);
}

static void data_and_keys_that_may_leave_are_read_by_label(void **state)
{
    AUTO(token_objects) struct token_objects *objects = NULL;
    struct err                                err;

    (void) state;
    if (!has_token)
        skip();
    softhsm_put(uri, "acme/hsm/data", "of data", CKO_DATA, true);
    softhsm_put(uri, "acme/hsm/key", "0123456789abcdef", CKO_SECRET_KEY, true);
    softhsm_put(uri, "acme/hsm/fixed", "0123456789abcdef", CKO_SECRET_KEY, false);
    softhsm_put(uri, "acme/hsm/twice", "one", CKO_DATA, true);
    softhsm_put(uri, "acme/hsm/twice", "two", CKO_SECRET_KEY, true);
    if (!token_objects_new(uri, &objects, &err))
        fail_msg("%s", err.text);
    assert_got(objects, "acme/hsm/data", "of data");
    assert_got(objects, "acme/hsm/key", "0123456789abcdef");
    assert_fails(objects, "acme/hsm/none", ERR_NOT_FOUND, "PKCS#11: the token has no object labelled acme/hsm/none");
    assert_fails(objects, "acme/hsm/fixed", ERR_DENIED, "PKCS#11: the key of that label may not leave the token");
    assert_fails(objects, "acme/hsm/twice", ERR_CONFIG, "PKCS#11: the token has several objects labelled acme/hsm/twice");
    softhsm_put(uri, "acme/hsm/later", "put later", CKO_DATA, true);
    assert_got(objects, "acme/hsm/later", "put later");
}

static void what_is_too_large_is_refused(void **state)
{
    AUTO(token_objects) struct token_objects *objects = NULL;
    AUTO(buffer) struct buffer                large   = { 0 };
    struct err                                err;

    (void) state;
    if (!has_token)
        skip();
    memset(buffer_grow(&large, TOKEN_VALUE_MAX + 1), 'a', TOKEN_VALUE_MAX + 1);
    softhsm_put(uri, "acme/hsm/large", buffer_text(&large), CKO_DATA, true);
    assert_true(token_objects_new(uri, &objects, &err));
    assert_fails(objects, "acme/hsm/large", ERR_LIMIT, "PKCS#11: a value of 65537 bytes; at most 65536 are taken");
}

static void another_token_or_module_is_told_at_once(void **state)
{
    AUTO(token_objects) struct token_objects *objects = NULL;
    char                                      pin[PATH_MAX], other[2 * PATH_MAX];
    struct err                                err;

    (void) state;
    if (!has_token)
        skip();
    (void) snprintf(pin, sizeof pin, "%s/pin", folder); /* fits */
    (void) snprintf(other, sizeof other, "pkcs11:token=other?module-path=" SOFTHSM_MODULE "&pin-source=%s", pin); /* fits */
    assert_false(token_objects_new(other, &objects, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_false(token_objects_new("pkcs11:token=cloister?module-path=/nonexistent.so", &objects, &err));
    assert_string_equal(err.text, "PKCS#11: the URI must have module-path= and pin-source=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_and_keys_that_may_leave_are_read_by_label),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(another_token_or_module_is_told_at_once),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
