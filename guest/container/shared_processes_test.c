#include "tests/harness/test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "guest/container/shared_processes.h"
#include "guest/init/pod_init.h"

struct rig {
    struct loop            *loop;
    struct reaper          *reaper;
    struct shared_processes shared;
    char                    program[512];
    bool                    may; /* make namespaces */
};

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct err  err;

    assert_non_null(rig);
    assert_true(loop_new(&rig->loop, &err) && reaper_new(rig->loop, &rig->reaper, &err));
    assert_true(readlink("/proc/self/exe", rig->program, sizeof rig->program - 1) > 0);
    rig->may = geteuid() == 0;
    *state   = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;

    if (rig->shared.first > 0) {
        assert_int_equal(kill(rig->shared.first, SIGKILL), 0);
        assert_int_equal(waitpid(rig->shared.first, NULL, 0), rig->shared.first);
    }
    reaper_free(rig->reaper);
    loop_free(rig->loop);
    free(rig);
    return 0;
}

static char *status_of(pid_t pid, const char *key)
{
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[64];
    struct err                 err;

    (void) snprintf(path, sizeof path, "/proc/%d/status", pid);
    assert_true(file_read(path, 1 << 16, &text, &err));
    char *line = strstr(buffer_text(&text), key);
    assert_non_null(line);
    line += strlen(key) + 1;
    return strndup(line, strcspn(line, "\n"));
}

/* It is asked until it is so: the process works for itself. */
static void wait_for(pid_t pid, const char *key, const char *wanted)
{
    for (int i = 0;; i++) {
        AUTO(text) char *is = status_of(pid, key);

        if (strcmp(is, wanted) == 0)
            return;
        if (i == 3000)
            fail_msg("%s of the first process is %s, wanted %s", key, is, wanted);
        (void) usleep(10000);
    }
}

static void the_first_process_has_nothing_and_is_one_for_all(void **state)
{
    struct rig *rig = *state;
    char        one[SHARED_PROCESSES_PATH_MAX], two[SHARED_PROCESSES_PATH_MAX], at[64], target[64] = "";
    struct err  err;

    if (!rig->may)
        skip();
    if (!shared_processes_open(&rig->shared, rig->reaper, rig->program, one, &err) ||
        !shared_processes_open(&rig->shared, rig->reaper, rig->program, two, &err))
        fail_msg("%s", err.text);
    assert_string_equal(one, two);
    wait_for(rig->shared.first, "CapPrm:", "0000000000000000");
    wait_for(rig->shared.first, "CapBnd:", "0000000000000000");
    wait_for(rig->shared.first, "Uid:", "4000000001\t4000000001\t4000000001\t4000000001");
    wait_for(rig->shared.first, "Seccomp:", "2");
    wait_for(rig->shared.first, "State:", "S (sleeping)");
    wait_for(rig->shared.first, "NoNewPrivs:", "1");
    wait_for(rig->shared.first, "SigIgn:", "0000000000010000"); /* SIGCHLD alone */
    (void) snprintf(at, sizeof at, "/proc/%d/root/proc", rig->shared.first);
    assert_int_equal(access(at, F_OK), -1); /* its root is empty */
    (void) snprintf(at, sizeof at, "/proc/%d/fd/0", rig->shared.first);
    assert_int_equal(readlink(at, target, sizeof target), -1); /* not even the three */
}

static void it_takes_in_orphans(void **state)
{
    struct rig *rig = *state;
    char        path[SHARED_PROCESSES_PATH_MAX], inside[64];
    int         ends[2], status;
    pid_t       orphan = 0;
    struct err  err;

    if (!rig->may)
        skip();
    assert_int_equal(pipe(ends), 0);
    assert_true(shared_processes_open(&rig->shared, rig->reaper, rig->program, path, &err));
    pid_t joined = fork();
    if (joined == 0) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || setns(fd, CLONE_NEWPID) < 0)
            _exit(1);
        pid_t member = fork(); /* in the namespace */
        if (member == 0) {
            pid_t child = fork();
            if (child == 0) {
                (void) !read(ends[0], inside, 1); /* until the parent is gone and we are told */
                _exit(0);
            }
            _exit(child < 0);
        }
        _exit(waitpid(member, &status, 0) == member && status == 0 ? 0 : 2);
    }
    assert_int_equal(waitpid(joined, &status, 0), joined);
    assert_int_equal(status, 0);
    (void) snprintf(inside, sizeof inside, "/proc/%d/task/%d/children", rig->shared.first, rig->shared.first);
    for (int i = 0; i < 3000 && orphan == 0; i++) {
        AUTO(buffer) struct buffer text = { 0 };

        assert_true(file_read(inside, 4096, &text, &err));
        orphan = atoi(buffer_text(&text));
        (void) usleep(10000);
    }
    assert_true(orphan > 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    (void) snprintf(inside, sizeof inside, "/proc/%d", orphan);
    for (int i = 0; i < 3000 && access(inside, F_OK) == 0; i++)
        (void) usleep(10000);
    assert_int_equal(access(inside, F_OK), -1); /* gone, not a zombie */
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
}

static void a_program_that_is_not_there_is_said(void **state)
{
    struct rig *rig = *state;
    char        path[SHARED_PROCESSES_PATH_MAX];
    struct err  err;

    if (!rig->may)
        skip();
    assert_false(shared_processes_open(&rig->shared, rig->reaper, "/nonexistent", path, &err));
    assert_string_equal(err.text, "shared processes: /nonexistent: No such file or directory");
    assert_int_equal(rig->shared.first, 0);
}

/* This program is its own first process of a namespace, as the agent is. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_process_has_nothing_and_is_one_for_all, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(it_takes_in_orphans, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_program_that_is_not_there_is_said, open_rig, close_rig),
    };

    if (argc == 1 && strcmp(argv[0], POD_INIT_NAME) == 0)
        pod_init_run();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
