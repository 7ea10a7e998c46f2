#include "tests/harness/test.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "guest/init/rights.h"

/* The value of a line of /proc/self/status, in hex or decimal. */
static unsigned long long status_of(const char *name)
{
    AUTO(stream) FILE *status = fopen("/proc/self/status", "re");
    char               line[256];

    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, name, strlen(name)) == 0)
            return strtoull(line + strlen(name) + 1, NULL, 16);
    return ~0ULL;
}

/* Runs `check` in a child; its exit code 0 is success. */
static void in_child(bool (*check)(void))
{
    int   status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(check() ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool keeps_two(void)
{
    uint64_t   two = RIGHT(CAP_CHOWN) | RIGHT(CAP_MKNOD);
    struct err err;

    return rights_keep(two, &err) && status_of("CapEff:") == two && status_of("CapPrm:") == two &&
           (status_of("CapBnd:") & ~two) == 0 && status_of("NoNewPrivs:") == 1 &&
           prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static bool is_nobody(void)
{
    struct err err;

    return rights_become_nobody(&err) && getuid() == 4000000000u + (unsigned) getpid() && getegid() == getuid() && status_of("CapPrm:") == 0 &&
           status_of("CapBnd:") == 0 && status_of("NoNewPrivs:") == 1 && status_of("Seccomp:") == 2 && setresuid(0, 0, 0) < 0;
}

static bool closes_all_but_two(void)
{
    int  fds[6];
    bool is_good = true;

    for (size_t i = 0; i < 6; i++)
        fds[i] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3 + 7 * (int) i);
    rights_close_all_but((const int[]){ fds[4], fds[1] }, 2);
    for (size_t i = 0; i < 6; i++)
        is_good &= (fcntl(fds[i], F_GETFD) >= 0) == (i == 1 || i == 4);
    rights_close_all_but((const int[]){ 3 }, 1); /* nothing is there to be kept */
    for (int fd = 0; fd < 64; fd++)
        is_good &= (fcntl(fd, F_GETFD) >= 0) == (fd <= STDERR_FILENO);
    return is_good;
}

static void what_is_not_named_is_closed(void **state)
{
    (void) state;
    in_child(closes_all_but_two);
}

static void only_what_is_kept_is_left(void **state)
{
    (void) state;
    if (geteuid() != 0)
        skip();
    in_child(keeps_two);
}

static void nobody_has_nothing_and_there_is_no_way_back(void **state)
{
    (void) state;
    if (geteuid() != 0)
        skip();
    in_child(is_nobody);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_named_is_closed),
        cmocka_unit_test(only_what_is_kept_is_left),
        cmocka_unit_test(nobody_has_nothing_and_there_is_no_way_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
