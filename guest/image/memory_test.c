#include "tests/harness/test.h"

#include "guest/image/memory.h"

static void reads_what_is_available(void **state)
{
    uint64_t   available = 0;
    struct err err;

    (void) state;
    assert_true(memory_available_read(bytes_of_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:    2048 kB\n"), &available, &err));
    assert_int_equal(available, 2 << 20);
    assert_true(memory_available_read(bytes_of_text("MemTotal: 9 kB\nMemAvailable: 2048 kB\nSwapFree: 1024 kB\n"), &available, &err));
    assert_int_equal(available, 3 << 20);
}

static void refuses_a_text_without_it(void **state)
{
    static const char *const bad[] = { "", "MemTotal: 9 kB\n", "\nMemAvailable: x kB\n", "NotMemAvailable: 9 kB\n" };
    uint64_t                 available = 7;
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(memory_available_read(bytes_of_text(bad[i]), &available, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_string_equal(err.text, "/proc/meminfo: no MemAvailable");
        assert_int_equal(available, 7);
    }
}

static void leaves_a_reserve(void **state)
{
    uint64_t   available = 0;
    struct err err;

    (void) state;
    if (!memory_available(&available, &err))
        fail_msg("%s", err.text);
    assert_true(available > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_available),
        cmocka_unit_test(refuses_a_text_without_it),
        cmocka_unit_test(leaves_a_reserve),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
