#include "firmware/stage0/sha384.h"

#include "base/ossl.h"
#include "tests/harness/test.h"

/* OpenSSL is the judge, for every length around one, two and three blocks and a long one. */
static void equals_openssl(void **state)
{
    uint8_t message[3000];

    (void) state;
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t) (i * 7 + i / 251);
    for (size_t len = 0; len <= sizeof message; len += len < 400 ? 1 : 199) {
        AUTO(heap) uint8_t *exact = exact_copy(message, len);
        uint8_t             ours[SHA384_DIGEST_LEN], theirs[SHA384_LEN];

        sha384((struct bytes){ exact, len }, ours);
        sha384_of((struct bytes){ exact, len }, theirs);
        assert_memory_equal(ours, theirs, sizeof ours);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(equals_openssl) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
