#include "tests/harness/test.h"

#include "keys/store/seal.h"

static struct secret key, other, plain;

static int open_heap(void **state)
{
    struct err err;

    (void) state;
    return secret_heap_open(&err) && secret_random(SEAL_KEY_LEN, &key, &err) && secret_random(SEAL_KEY_LEN, &other, &err) &&
                   secret_random(100, &plain, &err)
               ? 0
               : 1;
}

static int close_heap(void **state)
{
    (void) state;
    secret_free(&key);
    secret_free(&other);
    secret_free(&plain);
    return 0;
}

static void unseals_what_it_sealed_and_never_seals_alike(void **state)
{
    AUTO(buffer) struct buffer one  = { 0 };
    AUTO(buffer) struct buffer two  = { 0 };
    AUTO(secret) struct secret back = { 0 };
    struct err                 err;

    (void) state;
    assert_true(seal(&key, "a/b/c", &plain, &one, &err));
    assert_true(seal(&key, "a/b/c", &plain, &two, &err));
    assert_int_equal(one.len, plain.len + SEAL_EXTRA);
    assert_false(bytes_equal(buffer_bytes(&one), buffer_bytes(&two)));
    assert_true(unseal(&key, "a/b/c", buffer_bytes(&one), &back, &err));
    assert_true(secret_equal(&plain, &back));
}

static void refuses_another_key_another_name_and_each_changed_byte(void **state)
{
    AUTO(buffer) struct buffer sealed = { 0 };
    AUTO(secret) struct secret back   = { 0 };
    struct err                 err;

    (void) state;
    assert_true(seal(&key, "a/b/c", &plain, &sealed, &err));
    assert_false(unseal(&other, "a/b/c", buffer_bytes(&sealed), &back, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_false(unseal(&key, "a/b/d", buffer_bytes(&sealed), &back, &err));
    assert_string_equal(err.text, "sealed secret: changed, moved, or sealed under another key");
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.at[i] ^= 1;
        assert_false(unseal(&key, "a/b/c", buffer_bytes(&sealed), &back, &err));
        sealed.at[i] ^= 1;
    }
    assert_null(back.held);
}

static void refuses_every_truncation(void **state)
{
    AUTO(buffer) struct buffer sealed = { 0 };
    AUTO(secret) struct secret back   = { 0 };
    struct err                 err;

    (void) state;
    assert_true(seal(&key, "n", &plain, &sealed, &err));
    for (size_t len = 0; len < sealed.len; len++) {
        AUTO(heap) uint8_t *exact = exact_copy(sealed.at, len);

        assert_false(unseal(&key, "n", (struct bytes){ exact, len }, &back, &err));
        assert_int_equal(err.kind, len < SEAL_EXTRA ? ERR_MALFORMED : len == SEAL_EXTRA ? ERR_LIMIT : ERR_UNTRUSTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unseals_what_it_sealed_and_never_seals_alike),
        cmocka_unit_test(refuses_another_key_another_name_and_each_changed_byte),
        cmocka_unit_test(refuses_every_truncation),
    };

    return cmocka_run_group_tests(tests, open_heap, close_heap);
}
