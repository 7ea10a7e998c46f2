#include "tests/harness/test.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/file.h"
#include "guest/container/container.h"
#include "guest/container/exec.h"

/* Plays crun: keeps the two-step start and the pid file, runs the command without any confinement. */
static const char player[] =
    "#!/usr/bin/env python3\n"
    "import json, os, sys\n"
    "words = sys.argv[1:]\n"
    "log = next(w for w in words if w.startswith('--log=file:'))[11:]\n"
    "folder = os.path.dirname(log)\n"
    "verb = next(w for w in words if w in ('create', 'start', 'delete', 'exec'))\n"
    "if verb == 'create':\n"
    "    args = json.load(open(folder + '/config.json'))['process']['args']\n"
    "    if args[0] == 'refuse':\n"
    "        open(log, 'w').write('2026: first line\\n2026: open executable: no such\\tfile\\n')\n"
    "        sys.exit(1)\n"
    "    os.mkfifo(folder + '/go')\n"
    "    pid = os.fork()\n"
    "    if pid == 0:\n"
    "        open(folder + '/go').read()\n"
    "        os.execvp(args[0], args)\n"
    "    open(words[words.index('--pid-file') + 1], 'w').write(str(pid))\n"
    "elif verb == 'exec':\n"
    "    process = json.load(open(words[words.index('--process') + 1]))\n"
    "    if process['args'][0] == 'refuse':\n"
    "        open(log, 'w').write('2026: executable file not found\\n')\n"
    "        sys.exit(1)\n"
    "    if process['args'][0] == 'late':\n" /* ends after its process and after the container's */
    "        import time\n"
    "        if os.fork() == 0:\n"
    "            pid = os.fork()\n"
    "            if pid:\n"
    "                open(words[words.index('--pid-file') + 1], 'w').write(str(pid))\n"
    "            os._exit(0)\n"
    "        os.wait()\n"
    "        for file in (words[words.index('--pid-file') + 1], folder + '/pid'):\n"
    "            while os.path.exists('/proc/' + open(file).read()):\n"
    "                time.sleep(0.01)\n"
    "        sys.exit(0)\n"
    "    if process['terminal']:\n"
    "        import array, pty, socket\n"
    "        master, slave = pty.openpty()\n"
    "        s = socket.socket(socket.AF_UNIX)\n"
    "        s.connect(words[words.index('--console-socket') + 1])\n"
    "        s.sendmsg([b'tty'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [master]))])\n"
    "    pid = os.fork()\n"
    "    if pid == 0:\n"
    "        if process['terminal']:\n"
    "            os.login_tty(slave) if hasattr(os, 'login_tty') else (os.setsid(), [os.dup2(slave, n) for n in range(3)])\n"
    "        os.closerange(3, 64)\n"
    "        os.execvp(process['args'][0], process['args'])\n"
    "    open(words[words.index('--pid-file') + 1], 'w').write(str(pid))\n"
    "elif verb == 'start':\n"
    "    open(folder + '/go', 'w').close()\n";

struct rig {
    struct loop       *loop;
    struct reaper     *reaper;
    struct containers *all;
    char              *folder, *crun, *containers_folder;
    unsigned           n_done, n_ended;
    bool               was_good, waits_for_end, waits_for_output;
    struct err         why;
};

static struct rig *current; /* output's owner is its container, which does not know the rig */

static void on_more(void *owner, struct output *output)
{
    (void) owner;
    (void) output;
    if (current->waits_for_output)
        loop_stop(current->loop);
}

static void on_ended(void *owner, struct container_process *process)
{
    struct rig *rig = owner;

    (void) process;
    rig->n_ended++;
    if (rig->waits_for_end)
        loop_stop(rig->loop);
}

static void on_done(void *owner, struct container *container, struct ttrpc_pending pending, const struct err *why)
{
    struct rig *rig = owner;

    (void) container;
    assert_int_equal(pending.stream, 77);
    rig->was_good = why == NULL;
    if (why)
        rig->why = *why;
    rig->n_done++;
    loop_stop(rig->loop);
}

static const struct ttrpc_pending token = { .stream = 77 };

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct err  err;

    assert_non_null(rig);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_true(loop_new(&rig->loop, &err) && reaper_new(rig->loop, &rig->reaper, &err));
    assert_true(directory_make_temporary("containers", &rig->folder, &err));
    assert_true(asprintf(&rig->crun, "%s/crun", rig->folder) > 0);
    assert_true(asprintf(&rig->containers_folder, "%s/all", rig->folder) > 0);
    assert_true(file_write(rig->crun, bytes_of_text(player), 0755, &err));
    struct containers_options options = { rig->loop, rig->reaper, rig->containers_folder, rig->crun, on_more, on_ended, rig, .sysctls = rig->folder };
    assert_true(containers_new(&options, &rig->all, &err));
    *state = current = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    struct err  err;

    assert_int_equal(containers_count(rig->all), 0);
    free(rig->all);
    reaper_free(rig->reaper);
    loop_free(rig->loop);
    assert_true(directory_remove(rig->folder, &err));
    free(rig->folder);
    free(rig->crun);
    free(rig->containers_folder);
    free(rig);
    return 0;
}

static void run(struct rig *rig)
{
    struct err err;

    assert_true(loop_run(rig->loop, &err));
}

static struct container *add(struct rig *rig, const char *id)
{
    struct container *c = NULL;
    struct err        err = { 0 };

    if (!containers_add(rig->all, id, (struct policy_grant){ .output = true }, &c, &err))
        fail_msg("%s", err.text);
    return c;
}

static void create(struct rig *rig, struct container *c, const char *script)
{
    static const char              image_text[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},"
                                                  "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    AUTO(image_config) struct image_config image = { 0 };
    char                           sh[] = "/bin/sh", dash_c[] = "-c";
    AUTO(text) char               *text   = strdup(script);
    char                          *args[] = { sh, dash_c, text };
    bool                           is_refused = strcmp(script, "refuse") == 0;
    struct err                     err = { 0 };

    assert_true(image_config_read(bytes_of_text(image_text), &image, &err));
    struct container_command command = { .image = &image, .args = is_refused ? args + 2 : args, .n_args = is_refused ? 1 : 3 };
    if (!container_create(c, &command, on_done, token, &err))
        fail_msg("%s", err.text);
    run(rig);
}

static void start(struct rig *rig, struct container *c)
{
    struct err err = { 0 };

    if (!container_start(c, on_done, token, &err))
        fail_msg("%s", err.text);
    run(rig);
    assert_true(rig->was_good);
}

static void delete(struct rig *rig, struct container *c)
{
    struct err err = { 0 };

    if (!container_delete(c, on_done, token, &err))
        fail_msg("%s", err.text);
    run(rig);
    assert_true(rig->was_good);
}

static void wait_for_end(struct rig *rig, const struct container *c)
{
    rig->waits_for_end = true;
    while (!c->first.has_ended)
        run(rig);
    rig->waits_for_end = false;
}

static void runs_to_its_exit_code_and_leaves_nothing(void **state)
{
    struct rig                *rig  = *state;
    struct container          *c    = add(rig, "web");
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(text) char           *folder = NULL;

    create(rig, c, "echo out; echo err >&2; exit 7");
    assert_true(rig->was_good);
    assert_int_equal(c->state, CONTAINER_CREATED);
    start(rig, c);
    wait_for_end(rig, c);
    assert_int_equal(c->state, CONTAINER_STOPPED);
    assert_int_equal(c->first.exit_code, 7);
    rig->waits_for_output = true;
    if (c->first.streams.outputs[STREAM_STDOUT].held.len == 0)
        run(rig);
    rig->waits_for_output = false;
    output_take(&c->first.streams.outputs[STREAM_STDOUT], 100, &text);
    assert_string_equal(buffer_text(&text), "out\n");
    assert_true(asprintf(&folder, "%s/web", rig->containers_folder) > 0);
    assert_int_equal(access(folder, F_OK), 0);
    delete(rig, c);
    assert_null(containers_find(rig->all, "web"));
    assert_int_equal(access(folder, F_OK), -1);
}

static void expect_refusal(bool was_good, const struct err *err, enum err_kind kind, const char *text)
{
    assert_false(was_good);
    assert_int_equal(err->kind, kind);
    assert_string_equal(err->text, text);
}

static void what_a_state_does_not_allow_changes_nothing(void **state)
{
    struct rig              *rig = *state;
    struct container        *c   = add(rig, "web");
    struct container_command none = { 0 };
    struct err               err;

    expect_refusal(container_start(c, on_done, token, &err), &err, ERR_CONFIG, "container web is being created");
    expect_refusal(container_delete(c, on_done, token, &err), &err, ERR_CONFIG, "container web is being created");
    expect_refusal(container_signal(&c->first, SIGTERM, false, &err), &err, ERR_CONFIG, "container web is being created");
    create(rig, c, "exec sleep 60");
    expect_refusal(container_create(c, &none, on_done, token, &err), &err, ERR_CONFIG, "container web is created");
    expect_refusal(container_signal(&c->first, SIGTERM, false, &err), &err, ERR_CONFIG, "container web is created");
    start(rig, c);
    expect_refusal(container_start(c, on_done, token, &err), &err, ERR_CONFIG, "container web is running");
    expect_refusal(container_create(c, &none, on_done, token, &err), &err, ERR_CONFIG, "container web is running");
    assert_int_equal(c->state, CONTAINER_RUNNING);
    delete(rig, c); /* kills it */
    assert_int_equal(rig->n_ended, 1);
}

static void a_signal_reaches_the_first_process(void **state)
{
    struct rig       *rig = *state;
    struct container *c   = add(rig, "web");
    struct err        err;

    create(rig, c, "exec sleep 60");
    start(rig, c);
    expect_refusal(container_signal(&c->first, 0, false, &err), &err, ERR_MALFORMED, "signal 0: there is no such signal");
    expect_refusal(container_signal(&c->first, 65, false, &err), &err, ERR_MALFORMED, "signal 65: there is no such signal");
    assert_true(container_signal(&c->first, SIGTERM, false, &err));
    wait_for_end(rig, c);
    assert_int_equal(c->first.exit_code, 128 + SIGTERM);
    expect_refusal(container_signal(&c->first, SIGTERM, false, &err), &err, ERR_CONFIG, "container web is stopped");
    delete(rig, c);
}

static void a_container_that_never_started_can_be_deleted(void **state)
{
    struct rig       *rig = *state;
    struct container *c   = add(rig, "web");

    create(rig, c, "true");
    delete(rig, c);
    assert_int_equal(containers_count(rig->all), 0);
}

static void what_crun_says_last_is_the_reason(void **state)
{
    struct rig       *rig = *state;
    struct container *c   = add(rig, "web");

    create(rig, c, "refuse");
    expect_refusal(rig->was_good, &rig->why, ERR_OS, "2026: open executable: no such\\x09file");
    container_discard(c);
}

static struct container_process *execute(struct rig *rig, struct container *c, const char *script, bool terminal)
{
    char                sh[] = "/bin/sh", dash_c[] = "-c", refuse[] = "refuse";
    AUTO(text) char    *text    = strdup(script);
    char *const         args[]  = { strcmp(script, "refuse") == 0 ? refuse : sh, dash_c, text };
    struct exec_request request = { "e1", { args, 3, terminal } };
    struct err          err;

    if (!exec_start(c, &request, on_done, token, &err))
        fail_msg("%s", err.text);
    run(rig);
    return container_process_find(c, "e1");
}

static void read_until_over(struct rig *rig, struct output *output, struct buffer *text)
{
    rig->waits_for_output = true;
    while (!output_is_over(output)) {
        if (!output_is_ready(output))
            run(rig);
        output_take(output, 100, text);
    }
    rig->waits_for_output = false;
}

static void a_process_that_is_run_later_has_its_own_streams_and_end(void **state)
{
    struct rig                *rig = *state;
    struct container          *c   = add(rig, "web");
    AUTO(buffer) struct buffer text = { 0 };
    struct exec_request        bad  = { .id = "../e" };
    struct err                 err;

    create(rig, c, "exec sleep 60");
    expect_refusal(exec_start(c, &(struct exec_request){ .id = "e1" }, on_done, token, &err), &err, ERR_CONFIG, "container web is created");
    start(rig, c);
    expect_refusal(exec_start(c, &bad, on_done, token, &err), &err, ERR_MALFORMED, "id: wanted 1 to 64 of a-z, 0-9 and, not first, -");
    struct container_process *p = execute(rig, c, "echo out; echo err >&2; exit 5", false);
    assert_true(rig->was_good);
    assert_non_null(p);
    read_until_over(rig, &p->streams.outputs[STREAM_STDOUT], &text);
    read_until_over(rig, &p->streams.outputs[STREAM_STDERR], &text);
    assert_string_equal(buffer_text(&text), "out\nerr\n");
    rig->waits_for_end = true;
    while (!p->has_ended)
        run(rig);
    rig->waits_for_end = false;
    assert_int_equal(p->exit_code, 5);
    expect_refusal(container_signal(p, SIGTERM, false, &err), &err, ERR_CONFIG, "process e1 has ended");
    assert_true(exec_delete(p, &err));
    assert_null(container_process_find(c, "e1"));
    assert_null(execute(rig, c, "refuse", false));
    expect_refusal(rig->was_good, &rig->why, ERR_OS, "2026: executable file not found");
    delete(rig, c);
}

static void a_terminal_is_one_stream_that_has_a_size(void **state)
{
    struct rig                *rig = *state;
    struct container          *c   = add(rig, "web");
    AUTO(buffer) struct buffer text = { 0 };
    struct err                 err;

    create(rig, c, "exec sleep 60");
    start(rig, c);
    struct container_process *p = execute(rig, c, "[ -t 0 ] && [ -t 2 ] && echo tty; read line; stty size", true);
    assert_true(rig->was_good);
    expect_refusal(streams_resize(&p->streams, 0, 24, &err), &err, ERR_MALFORMED, "terminal: no size: 0 by 24");
    expect_refusal(streams_resize(&c->first.streams, 80, 24, &err), &err, ERR_CONFIG, "the process has no terminal");
    assert_true(streams_resize(&p->streams, 91, 37, &err));
    assert_int_equal(write(p->streams.terminal, "\n", 1), 1);
    read_until_over(rig, &p->streams.outputs[STREAM_STDOUT], &text);
    assert_non_null(strstr(buffer_text(&text), "tty"));
    assert_non_null(strstr(buffer_text(&text), "37 91"));
    delete(rig, c);
}

static void a_deletion_waits_for_what_was_run_later(void **state)
{
    struct rig       *rig = *state;
    struct container *c   = add(rig, "web");

    create(rig, c, "exec sleep 60");
    start(rig, c);
    struct container_process *p = execute(rig, c, "sleep 0.2; exit 1", false); /* no kernel kills it with the first here */
    assert_non_null(p);
    assert_false(p->has_ended);
    delete(rig, c);
    assert_int_equal(rig->n_ended, 2);
}

static void a_start_is_told_before_the_deletion_that_waited_for_it(void **state)
{
    struct rig         *rig    = *state;
    struct container   *c      = add(rig, "web");
    char                late[] = "late";
    char *const         args[] = { late };
    struct exec_request request = { "e1", { args, 1, false } };
    struct err          err     = { 0 };

    create(rig, c, "exec sleep 60");
    start(rig, c);
    if (!exec_start(c, &request, on_done, token, &err))
        fail_msg("%s", err.text);
    delete(rig, c);
    assert_int_equal(rig->n_done, 4);
    assert_int_equal(rig->n_ended, 2);
}

static void one_that_cannot_be_limited_is_not_left_behind(void **state)
{
    struct rig       *rig = *state;
    struct container *c   = add(rig, "web");
    int               status;

    c->limits.memory_bytes = CGROUP_MEMORY_MIN; /* there are no control groups here */
    create(rig, c, "exec sleep 60");
    expect_refusal(rig->was_good, &rig->why, ERR_UNSUPPORTED, "nothing is limited here");
    pid_t pid = c->first.pid;
    container_discard(c);
    pid_t reaped = waitpid(pid, &status, 0); /* or the loop was faster: it is gone either way */
    assert_true(reaped == pid ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL : errno == ECHILD);
}

static void an_id_is_good_once(void **state)
{
    struct rig       *rig = *state;
    struct container *c   = add(rig, "web"), *again = NULL;
    struct err        err;

    expect_refusal(containers_add(rig->all, "web", c->grant, &again, &err), &err, ERR_DENIED,
                   "container id web was used before");
    container_discard(c);
    expect_refusal(containers_add(rig->all, "web", (struct policy_grant){ 0 }, &again, &err), &err, ERR_DENIED,
                   "container id web was used before");
    assert_null(again);
}

static void an_id_is_a_plain_name(void **state)
{
    static const char *const bad[] = { "", ".", "..", "a/b", "-a", "A", "a_b", "a.b", "a b", "a\n", "/", "ä",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    struct rig       *rig = *state;
    struct container *c   = NULL;
    struct err        err;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_refusal(containers_add(rig->all, bad[i], (struct policy_grant){ 0 }, &c, &err), &err, ERR_MALFORMED,
                       "container: id: wanted 1 to 64 of a-z, 0-9 and, not first, -");
}

static void there_are_bounds_at_once_and_in_a_life(void **state)
{
    struct rig       *rig = *state;
    struct container *c[CONTAINERS_MAX], *more = NULL;
    char              id[16];
    struct err        err;

    for (unsigned i = 0; i < CONTAINERS_MAX; i++) {
        (void) snprintf(id, sizeof id, "c%u", i);
        c[i] = add(rig, id);
    }
    expect_refusal(containers_add(rig->all, "one", (struct policy_grant){ 0 }, &more, &err), &err, ERR_LIMIT,
                   "over 16 containers at once");
    for (unsigned i = 0; i < CONTAINERS_MAX; i++)
        container_discard(c[i]);
    for (unsigned i = CONTAINERS_MAX; i < CONTAINER_IDS_MAX; i++) {
        (void) snprintf(id, sizeof id, "c%u", i);
        container_discard(add(rig, id));
    }
    expect_refusal(containers_add(rig->all, "last", (struct policy_grant){ 0 }, &more, &err), &err, ERR_LIMIT,
                   "over 256 containers in the life of one guest");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_to_its_exit_code_and_leaves_nothing, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(what_a_state_does_not_allow_changes_nothing, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_signal_reaches_the_first_process, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_container_that_never_started_can_be_deleted, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(what_crun_says_last_is_the_reason, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_process_that_is_run_later_has_its_own_streams_and_end, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_terminal_is_one_stream_that_has_a_size, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_deletion_waits_for_what_was_run_later, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_start_is_told_before_the_deletion_that_waited_for_it, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_limited_is_not_left_behind, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_id_is_good_once, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_id_is_a_plain_name, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(there_are_bounds_at_once_and_in_a_life, open_rig, close_rig),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
