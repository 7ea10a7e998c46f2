#include "tests/harness/test.h"

#include "keys/broker/epoch.h"

static struct store *open_store(void)
{
    AUTO(secret) struct secret key   = { 0 };
    struct store              *store = NULL;
    struct err                 err;

    assert_true(secret_random(32, &key, &err) && store_open(":memory:", &key, &store, &err));
    return store;
}

static void an_epoch_only_grows(void **state)
{
    static const uint64_t     steps[] = { 1, 2, 7, EPOCH_MAX - 1 };
    AUTO(store) struct store *store   = open_store();
    uint64_t                  known   = 9;
    struct err                err;

    (void) state;
    assert_true(epoch_get(store, "a/b/c", 1, &known, &err));
    assert_int_equal(known, 0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_true(epoch_advance(store, "a/b/c", steps[i], 1, &err));
        assert_true(epoch_get(store, "a/b/c", 1, &known, &err));
        assert_int_equal(known, steps[i]);
        assert_false(epoch_advance(store, "a/b/c", steps[i], 1, &err));
        assert_int_equal(err.kind, ERR_DENIED);
        assert_false(epoch_advance(store, "a/b/c", 1, 1, &err));
        assert_non_null(strstr(err.text, "epoch 1 of a/b/c is not beyond"));
    }
    assert_true(epoch_get(store, "a/b/d", 1, &known, &err)); /* another volume's */
    assert_int_equal(known, 0);
}

static void an_epoch_is_a_plain_number(void **state)
{
    static const char *const bad[] = { "", "-1", "1 ", "0x1", "1.0", "9007199254740992", "99999999999999999999999",
                                       "00000000000000000000000000000000000000000000000000000000000000001" };
    uint64_t                 out = 5;
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(epoch_text_read(bytes_of_text(bad[i]), &out, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_int_equal(out, 5);
    }
    assert_true(epoch_text_read(bytes_of_text("9007199254740991"), &out, &err));
    assert_int_equal(out, EPOCH_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_only_grows),
        cmocka_unit_test(an_epoch_is_a_plain_number),
    };
    struct err err;

    if (!secret_heap_open(&err))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
