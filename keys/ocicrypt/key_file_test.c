#include "tests/harness/test.h"

#include <stdio.h>

#include "base/file.h"
#include "keys/ocicrypt/key_file.h"

static void takes_exactly_32_bytes(void **state)
{
    static const struct { size_t len; const char *why; } CASES[] = {
        { 0, "fewer than 32" }, { 31, "fewer than 32" }, { 32, NULL }, { 33, "more than 32" }, { 65, "more than 32" },
    };
    AUTO(text) char *folder = NULL;
    uint8_t          bytes[65];
    char             path[4096];
    struct err       err;

    (void) state;
    memset(bytes, 0x5a, sizeof bytes);
    assert_true(directory_make_temporary("key-file-", &folder, &err));
    (void) snprintf(path, sizeof path, "%s/key", folder); /* fits */
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(secret) struct secret key = { 0 };

        assert_true(file_write(path, (struct bytes){ bytes, CASES[i].len }, 0600, &err));
        assert_int_equal(key_file_read(path, &key, &err), CASES[i].why == NULL);
        if (!CASES[i].why) {
            assert_true(bytes_equal(secret_expose(&key), (struct bytes){ bytes, 32 }));
            continue;
        }
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_non_null(strstr(err.text, CASES[i].why));
        assert_non_null(strstr(err.text, "openssl rand"));
        assert_null(key.held);
    }
    assert_true(directory_remove(folder, &err));
    AUTO(secret) struct secret none = { 0 };

    assert_false(key_file_read(path, &none, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "openssl rand -out"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(takes_exactly_32_bytes) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
