#include "runtime/oci_runtime/monitor.h"

#include <signal.h>

#include "tests/harness/test.h"

static void signals_go_by_name_and_number(void **state)
{
    static const struct { const char *text; int number; } rows[] = {
        { "TERM", SIGTERM }, { "SIGTERM", SIGTERM }, { "15", 15 }, { "KILL", SIGKILL }, { "USR1", SIGUSR1 }, { "64", 64 },
        { "0", 0 }, { "65", 0 }, { "-1", 0 }, { "", 0 }, { "SIG", 0 }, { "term", 0 }, { "15x", 0 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(signal_number(rows[i].text), rows[i].number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_go_by_name_and_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
