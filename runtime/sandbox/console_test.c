#include <sys/socket.h>

#include "runtime/sandbox/console.h"
#include "tests/harness/test.h"

static void feed(const char *bytes, size_t len, struct console *console)
{
    AUTO(loop) struct loop *loop = NULL;
    int                     ends[2];
    struct err              err;

    assert_true(loop_new(&loop, &err));
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_true(console_open(console, loop, ends[0], NO_FD, &err));
    assert_int_equal(write(ends[1], bytes, len), len);
    assert_return_code(close(ends[1]), 0);
    console_drain(console);
    console_close(console);
}

static void keeps_the_first_cause_and_the_last_line(void **state)
{
    static const char text[] = "[    0.1] booting\r\n\x1b[31mcloister-agent: attest: refused\x07\r\nKernel panic - not syncing: x\r\nlast";
    struct console    console;

    (void) state;
    feed(text, sizeof text - 1, &console);
    assert_string_equal(console_cause(&console), "attest: refused");
    assert_string_equal(console.last, "last");
}

static void firmware_and_kernel_causes_belong_to_boot(void **state)
{
    struct console console;

    (void) state;
    feed("stage0: initrd: hash differs\n", 29, &console);
    assert_string_equal(console_cause(&console), "boot: stage0: initrd: hash differs");
    feed("[ 1.0] Kernel panic - not syncing: System is deadlocked on memory\n", 66, &console);
    assert_string_equal(console_cause(&console), "boot: guest kernel panic: not syncing: System is deadlocked on memory");
}

static void what_kvm_cannot_run_is_told_with_the_way_out(void **state)
{
    static const char text[] = "KVM internal error. Suberror: 1\nextra data[0]: 0x1\nEAX=00000000\nCode=5c c3 0f 20\n";
    struct console    console;

    (void) state;
    feed(text, sizeof text - 1, &console);
    assert_string_equal(console_cause(&console), "boot: KVM gave the guest up (where the CPU offers neither svm nor vmx, use --accel tcg): Suberror: 1");
}

static void endless_lines_and_no_lines_are_bounded(void **state)
{
    char           text[3000];
    struct console console;

    (void) state;
    memset(text, 'x', sizeof text);
    feed(text, sizeof text, &console);
    assert_int_equal(strlen(console.last), CONSOLE_LINE_MAX - 1);
    assert_null(console_cause(&console));
    feed("", 0, &console);
    assert_string_equal(console.last, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_first_cause_and_the_last_line),
        cmocka_unit_test(firmware_and_kernel_causes_belong_to_boot),
        cmocka_unit_test(what_kvm_cannot_run_is_told_with_the_way_out),
        cmocka_unit_test(endless_lines_and_no_lines_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
