#include "tests/harness/test.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "runtime/shim/daemon.h"

/* A folder as /run/cloister is, and a pod's directory in it. */
struct place { char *root, directory[RECORD_PATH_MAX], record[DAEMON_PATH_MAX], socket[DAEMON_PATH_MAX]; };

static int open_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    struct err    err;

    assert_non_null(p);
    assert_true(directory_make_temporary("d", &p->root, &err));
    assert_true(record_directory(p->root, "/c.sock", "k8s.io", "s1", p->directory, &err));
    daemon_record_path(p->directory, p->record);
    daemon_socket_path(p->directory, p->socket);
    *state = p;
    return 0;
}

static int close_place(void **state)
{
    struct place *p = *state;
    struct err    err;

    assert_true(directory_remove(p->root, &err));
    free(p->root);
    free(p);
    return 0;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Runs in a process of its own, which ends there, as one that was killed does. */
static void in_a_process_that_dies(void (*act)(const struct place *p), const struct place *p)
{
    int   status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        act(p);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void make_directory_only(const struct place *p)
{
    struct err err;

    if (!directory_make(p->directory, &err))
        _exit(1);
}

static void listen_only(const struct place *p)
{
    int        listener;
    struct err err;

    if (!daemon_listen(p->directory, &listener, &err))
        _exit(1);
}

static void what_a_killed_start_left_is_swept(void **state)
{
    static void (*const stages[])(const struct place *) = { make_directory_only, listen_only };
    struct place *p = *state;

    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        in_a_process_that_dies(stages[i], p);
        assert_true(is_there(p->directory));
        assert_int_equal(daemon_sweep(p->root), 1);
        assert_false(is_there(p->directory));
        assert_int_equal(daemon_sweep(p->root), 0);
    }
}

static void a_listening_shim_is_left_alone_although_its_starter_is_gone(void **state)
{
    struct place *p = *state;
    AUTO(fd) int  listener = NO_FD;
    AUTO(buffer) struct buffer text = { 0 };
    struct record dead = { .shim = { 1 << 22, 1 } }; /* over the largest number of a process */
    struct err    err;
    struct stat   at;

    assert_true(daemon_listen(p->directory, &listener, &err));
    assert_int_equal(stat(p->directory, &at), 0);
    assert_int_equal(at.st_mode & 07777, 0700);
    assert_int_equal(stat(p->socket, &at), 0);
    assert_int_equal(at.st_mode & 07777, 0600);
    record_write(&dead, &text);
    assert_true(file_write(p->record, buffer_bytes(&text), 0600, &err));
    assert_int_equal(daemon_sweep(p->root), 0);
    assert_true(is_there(p->socket));
}

static void a_living_shim_is_left_alone_also_before_it_listens(void **state)
{
    struct place *p = *state;
    AUTO(buffer) struct buffer text = { 0 };
    struct record living = { .platform = { 0 } };
    struct err    err;

    assert_true(process_mark_of(getpid(), &living.shim, &err));
    record_write(&living, &text);
    assert_true(directory_make(p->directory, &err) && file_write(p->record, buffer_bytes(&text), 0600, &err));
    assert_int_equal(daemon_sweep(p->root), 0);
    assert_true(is_there(p->record));
}

/* The sweep waits for whoever is making a directory. */
static void one_that_is_being_made_is_not_swept(void **state)
{
    struct place *p = *state;
    int           told[2], status;
    char          word;
    struct err    err;
    AUTO(fd) int  lock = open(p->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_true(directory_make(p->directory, &err));
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
        (void) close(lock);
        if (write(told[1], "b", 1) != 1)
            _exit(9);
        _exit((int) daemon_sweep(p->root));
    }
    assert_int_equal(read(told[0], &word, 1), 1);
    assert_true(file_write(p->record, bytes_of_text("{"), 0600, &err)); /* no record that could be read: left for a person */
    assert_int_equal(flock(lock, LOCK_UN), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(is_there(p->record));
    (void) close(told[0]);
    (void) close(told[1]);
}

static void processes_that_a_record_names_are_ended(void **state)
{
    struct place *p = *state;
    AUTO(buffer) struct buffer text = { 0 };
    struct record record = { .shim = { 1 << 22, 1 }, .network = "/run/netns/that-has-gone" };
    struct err    err;
    int           status;
    pid_t         vmm = fork();

    if (vmm == 0)
        for (;;)
            (void) pause();
    assert_true(process_mark_of(vmm, &record.vmm, &err));
    record_write(&record, &text);
    assert_true(directory_make(p->directory, &err) && file_write(p->record, buffer_bytes(&text), 0600, &err));
    assert_int_equal(daemon_sweep(p->root), 1);
    assert_int_equal(waitpid(vmm, &status, 0), vmm);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_false(is_there(p->directory));
}

static void no_folder_is_nothing_to_sweep(void **state)
{
    (void) state;
    assert_int_equal(daemon_sweep("/nonexistent/cloister"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)
        TEST(what_a_killed_start_left_is_swept),
        TEST(a_listening_shim_is_left_alone_although_its_starter_is_gone),
        TEST(a_living_shim_is_left_alone_also_before_it_listens),
        TEST(one_that_is_being_made_is_not_swept),
        TEST(processes_that_a_record_names_are_ended),
        TEST(no_folder_is_nothing_to_sweep),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
