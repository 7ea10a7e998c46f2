#include "tests/harness/test.h"

#include "keys/broker/token_memory.h"

static void knows_what_was_added_and_nothing_else(void **state)
{
    AUTO(token_memory) struct token_memory *memory = token_memory_new();
    uint8_t                                 one[SHA256_LEN] = { 1, 2, 3 }, other[SHA256_LEN] = { 1, 2, 4 };

    (void) state;
    assert_false(token_memory_holds(memory, one));
    token_memory_add(memory, one);
    assert_true(token_memory_holds(memory, one));
    for (size_t i = 0; i < SHA256_LEN * 8; i++) {
        one[i / 8] ^= (uint8_t) (1 << i % 8);
        assert_false(token_memory_holds(memory, one));
        one[i / 8] ^= (uint8_t) (1 << i % 8);
    }
    token_memory_add(memory, other); /* of the same slot */
    assert_true(token_memory_holds(memory, other));
    assert_false(token_memory_holds(memory, one));
}

static void none_knows_nothing(void **state)
{
    uint8_t one[SHA256_LEN] = { 1 };

    (void) state;
    token_memory_add(NULL, one);
    assert_false(token_memory_holds(NULL, one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_was_added_and_nothing_else),
        cmocka_unit_test(none_knows_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
