#include "tests/harness/test.h"

#include "keys/broker/challenge.h"

static struct secret key;

static int make(void **state)
{
    AUTO(secret) struct secret store_key = { 0 };
    struct err                 err;

    (void) state;
    return secret_heap_open(&err) && secret_random(32, &store_key, &err) && challenge_key(&store_key, &key, &err) ? 0 : 1;
}

static int clean(void **state)
{
    (void) state;
    secret_free(&key);
    return 0;
}

static void checks_what_it_made_until_it_expires(void **state)
{
    struct challenge made, read;
    struct err       err;

    (void) state;
    assert_true(challenge_make(&key, 7, 1000, &made, &err));
    assert_int_equal(strlen(made.nonce), 44);
    assert_true(challenge_id_is_valid(made.id));
    assert_int_equal(made.id[12], '4');
    assert_true(challenge_check(&key, made.id, made.nonce, 999, &read, &err));
    assert_int_equal(read.tee, 7);
    assert_int_equal(read.expires, 1000);
    assert_false(challenge_check(&key, made.id, made.nonce, 1000, &read, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_string_equal(err.text, "the challenge expired 0 s ago; ask for another");
}

static void is_never_the_same_twice(void **state)
{
    struct challenge one, two;
    struct err       err;

    (void) state;
    assert_true(challenge_make(&key, 1, 1000, &one, &err));
    assert_true(challenge_make(&key, 1, 1000, &two, &err));
    assert_string_not_equal(one.id, two.id);
    assert_string_not_equal(one.nonce, two.nonce);
}

static void refuses_another_session_another_key_and_each_changed_character(void **state)
{
    AUTO(secret) struct secret other = { 0 };
    struct challenge           one, two, read;
    struct err                 err;

    (void) state;
    assert_true(secret_random(32, &other, &err));
    assert_true(challenge_make(&key, 1, 1000, &one, &err));
    assert_true(challenge_make(&key, 1, 1000, &two, &err));
    assert_false(challenge_check(&key, two.id, one.nonce, 1, &read, &err));
    assert_string_equal(err.text, "the nonce is not the one given to this session");
    assert_false(challenge_check(&other, one.id, one.nonce, 1, &read, &err));
    for (size_t i = 0; i < CHALLENGE_NONCE_LEN; i++) {
        char was = one.nonce[i];

        one.nonce[i] = was == 'A' ? 'B' : 'A';
        assert_false(challenge_check(&key, one.id, one.nonce, 1, &read, &err));
        one.nonce[i] = was;
    }
    assert_false(challenge_check(&key, "", one.nonce, 1, &read, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_what_it_made_until_it_expires),
        cmocka_unit_test(is_never_the_same_twice),
        cmocka_unit_test(refuses_another_session_another_key_and_each_changed_character),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
