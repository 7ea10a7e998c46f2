#include "runtime/oci_runtime/monitor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/json.h"
#include "runtime/oci_runtime/control.h"
#include "tests/harness/null_machine.h"
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

/* ---- a monitor in a process of its own, whose VM only answers ---- */

struct rig {
    char *folder;
    pid_t monitor;
    char  told[256]; /* what create is told */
};

static void __attribute__((noreturn)) be_monitor(const struct rig *rig, int ready_fd)
{
    static struct settings       settings;
    static struct container_spec spec;
    struct monitor_options       options = { .driver = &null_machine, .folder = rig->folder, .settings = &settings, .spec = &spec,
                                             .layout = "", .manifest = "", .image_name = "", .fds = { NO_FD, NO_FD, NO_FD },
                                             .ready_fd = ready_fd };

    settings_default(&settings);
    spec.hostname = "";
    _exit(monitor_run(&options));
}

static void begin(struct rig *rig, const char *holds, const char *refuses)
{
    int        ends[2];
    ssize_t    n;
    size_t     len = 0;
    struct err err;

    assert_true(directory_make_temporary("monitor", &rig->folder, &err));
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    null_machines         = (__typeof__(null_machines)){ 0 };
    null_machines.holds   = holds;
    null_machines.refuses = refuses;
    rig->monitor          = fork();
    if (rig->monitor == 0) {
        (void) close(ends[0]);
        be_monitor(rig, ends[1]);
    }
    (void) close(ends[1]);
    while (len < sizeof rig->told - 1 && (n = read(ends[0], rig->told + len, sizeof rig->told - 1 - len)) > 0)
        len += (size_t) n;
    rig->told[len] = 0;
    (void) close(ends[0]);
}

static int end(struct rig *rig)
{
    int        status;
    struct err err;

    assert_int_equal(waitpid(rig->monitor, &status, 0), rig->monitor);
    assert_true(directory_remove(rig->folder, &err));
    free(rig->folder);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static const char *ask(struct rig *rig, const char *word, int signal_wanted)
{
    static struct err              err;
    AUTO(json) struct json_object *request = json_object_new_object(), *answer = NULL;

    json_add_text(request, "do", word);
    json_add(request, "signal", json_object_new_int(signal_wanted));
    if (!control_ask(rig->folder, request, &answer, &err))
        return err.text;
    return json_object_object_get(answer, "status") ? "status" : "";
}

/* Left unanswered: returns the connection. */
static int begin_to_ask(struct rig *rig, const char *word)
{
    AUTO(json) struct json_object *request = json_object_new_object();
    int                            fd;
    struct err                     err;

    json_add_text(request, "do", word);
    assert_true(control_connect(rig->folder, &fd, &err) && control_send(fd, request, NULL, 0, &err));
    return fd;
}

static bool may_leave_the_host(void)
{
    return geteuid() == 0;
}

static void a_container_is_started_once(void **state)
{
    struct rig rig = { 0 };

    (void) state;
    if (!may_leave_the_host())
        skip();
    begin(&rig, NULL, NULL);
    assert_string_equal(rig.told, "\n");
    assert_string_equal(ask(&rig, "exec", 0), "the container is not running");
    assert_string_equal(ask(&rig, "pause", 0), "the container is not running");
    assert_string_equal(ask(&rig, "start", 0), "");
    assert_string_equal(ask(&rig, "start", 0), "the container is running");
    assert_string_equal(ask(&rig, "resume", 0), "the container is not paused");
    assert_string_equal(ask(&rig, "kill", 0), "a signal from 1 to 64 is wanted");
    assert_string_equal(ask(&rig, "dance", 0), "no such request");
    assert_string_equal(ask(&rig, "kill", SIGTERM), "");
    assert_int_equal(end(&rig), 143);
}

/* The guest is slow: a second start comes while the first is under way, also after whoever asked has gone. */
static void a_second_start_is_refused_while_the_first_is_under_way(void **state)
{
    struct rig rig = { 0 };

    (void) state;
    if (!may_leave_the_host())
        skip();
    begin(&rig, "StartContainer", NULL);
    int first = begin_to_ask(&rig, "start");
    assert_string_equal(ask(&rig, "start", 0), "the container is being started");
    (void) close(first);
    assert_string_equal(ask(&rig, "start", 0), "the container is being started");
    assert_string_equal(ask(&rig, "state", 0), "status");
    assert_string_equal(ask(&rig, "kill", SIGKILL), "");
    assert_int_equal(end(&rig), 137);
}

static void what_the_guest_refuses_is_told_to_create_and_to_start(void **state)
{
    struct rig rig = { 0 };

    (void) state;
    if (!may_leave_the_host())
        skip();
    begin(&rig, NULL, "CreateContainer");
    assert_string_equal(rig.told, "start: policy says no\n");
    assert_int_equal(end(&rig), 137);
    begin(&rig, NULL, "StartContainer");
    assert_string_equal(ask(&rig, "start", 0), "start: policy says no");
    assert_int_equal(end(&rig), 127);
}

static void a_container_that_was_not_started_ends_by_a_signal(void **state)
{
    struct rig rig = { 0 };

    (void) state;
    if (!may_leave_the_host())
        skip();
    begin(&rig, NULL, NULL);
    assert_string_equal(ask(&rig, "kill", SIGUSR1), "");
    assert_string_equal(ask(&rig, "kill", SIGTERM), "");
    assert_int_equal(end(&rig), 143);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_go_by_name_and_number),
        cmocka_unit_test(a_container_is_started_once),
        cmocka_unit_test(a_second_start_is_refused_while_the_first_is_under_way),
        cmocka_unit_test(what_the_guest_refuses_is_told_to_create_and_to_start),
        cmocka_unit_test(a_container_that_was_not_started_ends_by_a_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
