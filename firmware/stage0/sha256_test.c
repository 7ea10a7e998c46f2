#include "firmware/stage0/sha256.h"

#include <cpuid.h>

#include "base/ossl.h"
#include "tests/harness/test.h"

static bool has(unsigned bits)
{
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bits) == bits;
}

/* OpenSSL is the judge, for every length around one, two and three blocks and a long one. */
static void equals_openssl(sha256_blocks_fn *blocks)
{
    uint8_t message[3000];

    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t) (i * 7 + i / 251);
    for (size_t len = 0; len <= sizeof message; len += len < 200 ? 1 : 199) {
        AUTO(heap) uint8_t *exact = exact_copy(message, len);
        uint8_t             ours[SHA256_DIGEST_LEN], theirs[SHA256_LEN];

        sha256_with(blocks, (struct bytes){ exact, len }, ours);
        sha256_of((struct bytes){ exact, len }, theirs);
        assert_memory_equal(ours, theirs, sizeof ours);
    }
}

static void plain_code_equals_openssl(void **state)
{
    (void) state;
    equals_openssl(sha256_blocks_plain);
}

static void sha_instructions_equal_openssl(void **state)
{
    (void) state;
    if (!has(1U << 29))
        skip();
    equals_openssl(sha256_blocks_sha_ni);
}

static void bmi_instructions_equal_openssl(void **state)
{
    (void) state;
    if (!has(1U << 3 | 1U << 8))
        skip();
    equals_openssl(sha256_blocks_bmi2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_code_equals_openssl),
        cmocka_unit_test(bmi_instructions_equal_openssl),
        cmocka_unit_test(sha_instructions_equal_openssl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
