#include "tests/harness/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <tss2/tss2_rc.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/agent/on_demand.h"

static void finds_what_is_called(void **state)
{
    static const char *const names[] = { "Esys_Initialize", "Tss2_MU_TPM2B_PUBLIC_Marshal", "Tss2_TctiLdr_Initialize" };
    __typeof__(&Tss2_RC_Decode) decode;
    void                       *found = on_demand_find("Tss2_RC_Decode");

    (void) state;
    memcpy(&decode, &found, sizeof decode);
    assert_string_equal(decode(TSS2_RC_SUCCESS), Tss2_RC_Decode(TSS2_RC_SUCCESS));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(on_demand_find(names[i]));
}

static void ends_where_there_is_none(void **state)
{
    int   status;
    pid_t pid = fork();

    (void) state;
    if (pid == 0) {
        (void) on_demand_find("Esys_Nothing");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void forgets_its_own_and_nothing_else(void **state)
{
    static const struct { const char *name; bool stays; } FILES[] = {
        { "libtss2-esys.so.0", false }, { "libtss2-sys.so.1", false }, { "libtss2-tcti-device.so.0", false }, { "libc.so.6", true },
    };
    AUTO(text) char *folder = NULL;
    char             path[256];
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("on-demand-", &folder, &err));
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        (void) snprintf(path, sizeof path, "%s/%s", folder, FILES[i].name);
        assert_true(file_write(path, bytes_of_text("x"), 0644, &err));
    }
    on_demand_forget(folder);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        (void) snprintf(path, sizeof path, "%s/%s", folder, FILES[i].name);
        assert_int_equal(access(path, F_OK) == 0, FILES[i].stays);
    }
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_called),
        cmocka_unit_test(forgets_its_own_and_nothing_else),
        cmocka_unit_test(ends_where_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
