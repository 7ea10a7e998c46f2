#include "tests/harness/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/shim/pod.h"
#include "runtime/shim/watch.h"
#include "tests/harness/null_machine.h"

/* A running container with two volumes of files as the kubelet makes them, a plain file, and a guest that only answers. */
struct rig {
    struct loop       *loop;
    struct pod        *pod;
    struct task       *task;
    struct loop_source tick;
    char              *folder, paths[3][512];
    unsigned           generation, wanted;
};

static bool is_here(void *owner)
{
    (void) owner;
    return true;
}

static void on_finished(void *owner)
{
    (void) owner;
}

static unsigned n_updates(void)
{
    unsigned n = 0;

    for (const char *at = null_machines.asked; (at = strstr(at, "UpdateVolume ")); at++)
        n++;
    return n;
}

/* The kubelet's way: a new folder, and "..data" renamed to lead there. [Kubernetes pkg/volume/util AtomicWriter] */
static void change(struct rig *rig, size_t volume)
{
    char       name[64], folder[600], link[600], next[600];
    struct err err;

    (void) snprintf(name, sizeof name, "..%u", ++rig->generation);
    (void) snprintf(folder, sizeof folder, "%s/%s/sub", rig->paths[volume], name);
    (void) snprintf(link, sizeof link, "%s/..data", rig->paths[volume]);
    (void) snprintf(next, sizeof next, "%s/..data_tmp", rig->paths[volume]);
    assert_true(directory_make(folder, &err));
    assert_int_equal(symlink(name, next), 0);
    assert_int_equal(rename(next, link), 0);
}

static void on_tick(struct loop_source *source, uint32_t events)
{
    struct rig *rig = source->owner;
    uint64_t    n;

    (void) events;
    assert_int_equal(read(source->fd, &n, sizeof n), sizeof n);
    if (rig->wanted == 0 || n_updates() >= rig->wanted)
        loop_stop(rig->loop);
}

/* Until so many updates were asked for in all; 0: one round, in which whatever was there to be done is done. */
static void run_until(struct rig *rig, unsigned wanted)
{
    struct err err;

    rig->wanted = wanted;
    for (int i = 0; i < (wanted ? 1 : 3); i++)
        assert_true(loop_run(rig->loop, &err));
}

static int open_rig(void **state)
{
    struct rig     *rig = calloc(1, sizeof *rig);
    struct settings settings;
    struct pod_boot boot = { .hostname = "" };
    struct err      err;
    char            text[600], initdata[512];

    assert_non_null(rig);
    null_machines = (__typeof__(null_machines)){ 0 };
    assert_true(loop_new(&rig->loop, &err) && directory_make_temporary("watch", &rig->folder, &err));
    (void) snprintf(initdata, sizeof initdata, "%s/initdata", rig->folder);
    assert_true(file_write(initdata, bytes_of_text("x"), 0600, &err));
    (void) snprintf(text, sizeof text, "development = true\ninitdata = \"%s\"\nblobs = \"/blobs\"\n", initdata);
    assert_true(settings_read(bytes_of_text(text), &settings, &err));
    struct pod_options options = { .loop = rig->loop, .driver = &null_machine, .namespace = "k8s.io", .ttrpc_address = "",
                                   .engine_is_here = is_here, .finished = on_finished, .owner = rig };
    assert_true(pod_new(&options, &settings, &rig->pod, &err) && pod_start_vm(rig->pod, &boot, &err));
    rig->tick = (struct loop_source){ .fd = NO_FD, .ready = on_tick, .owner = rig };
    assert_true(loop_timer_fd(1, 1, &rig->tick.fd, &err) && loop_add(rig->loop, &rig->tick, EPOLLIN, &err));
    for (size_t i = 0; i < 3; i++)
        (void) snprintf(rig->paths[i], sizeof rig->paths[i], "%s/%zu", rig->folder, i);
    change(rig, 0);
    change(rig, 1);
    assert_true(file_write(rig->paths[2], bytes_of_text("x"), 0600, &err));
    rig->task = task_new(rig->pod, "one", "");
    rig->task->spec.mounts = calloc(3, sizeof *rig->task->spec.mounts);
    assert_non_null(rig->task->spec.mounts);
    rig->task->spec.n_mounts = 3;
    for (size_t i = 0; i < 3; i++)
        rig->task->spec.mounts[i] = (struct spec_mount){ .source = rig->paths[i], .target = rig->paths[i] };
    run_until(rig, 0); /* the machine says that it is ready */
    assert_int_equal(rig->pod->state, POD_READY);
    pod_add_task(rig->pod, rig->task);
    rig->task->state       = TASK_RUNNING;
    rig->task->is_in_guest = true;
    *state                 = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    struct err  err;

    loop_remove(&rig->tick);
    assert_int_equal(close(rig->tick.fd), 0);
    pod_free(rig->pod);
    loop_free(rig->loop);
    assert_true(directory_remove(rig->folder, &err));
    free(rig->folder);
    free(rig);
    return 0;
}

static void what_changes_is_sent_and_nothing_else(void **state)
{
    struct rig *rig = *state;
    struct err  err;
    char        path[600];

    watch_start(rig->task);
    watch_send(rig->task); /* nothing has changed */
    run_until(rig, 0);
    assert_int_equal(n_updates(), 0);
    change(rig, 0);
    run_until(rig, 1);
    change(rig, 1);
    run_until(rig, 2);
    (void) snprintf(path, sizeof path, "%s/other", rig->paths[0]);
    assert_true(file_write(path, bytes_of_text("x"), 0600, &err)); /* by a rename, of another name */
    run_until(rig, 0);
    assert_int_equal(n_updates(), 2);
}

/* The guest gets one update of a volume at a time; what changes meanwhile goes after it, once. */
static void changes_while_the_guest_works_wait_for_it(void **state)
{
    struct rig *rig = *state;

    watch_start(rig->task);
    null_machines.holds = "UpdateVolume";
    change(rig, 0);
    run_until(rig, 1);
    for (int i = 0; i < 5; i++)
        change(rig, 0);
    run_until(rig, 0);
    assert_int_equal(n_updates(), 1);
    change(rig, 1); /* another volume does not wait */
    run_until(rig, 2);
}

static void a_guest_that_says_no_is_not_asked_again(void **state)
{
    struct rig *rig = *state;

    watch_start(rig->task);
    null_machines.refuses = "UpdateVolume";
    change(rig, 0);
    run_until(rig, 1);
    run_until(rig, 0);
    null_machines.refuses = NULL;
    change(rig, 0);
    run_until(rig, 0);
    assert_int_equal(n_updates(), 1);
    change(rig, 1); /* about this one it did not say so */
    run_until(rig, 2);
}

/* Between the files that Create took along and the guest's word that the container is there. */
static void changes_before_the_container_is_there_are_sent_then(void **state)
{
    struct rig *rig = *state;

    rig->task->is_in_guest = false;
    rig->task->state       = TASK_CREATING;
    watch_start(rig->task);
    change(rig, 0);
    change(rig, 0);
    run_until(rig, 0);
    assert_int_equal(n_updates(), 0);
    rig->task->is_in_guest = true;
    rig->task->state       = TASK_CREATED;
    watch_send(rig->task);
    run_until(rig, 1);
    rig->task->state = TASK_STOPPED;
    change(rig, 0);
    run_until(rig, 0);
    assert_int_equal(n_updates(), 1);
}

static void a_volume_that_goes_away_is_no_end(void **state)
{
    struct rig *rig = *state;
    struct err  err;

    watch_start(rig->task);
    assert_true(directory_remove(rig->paths[0], &err));
    run_until(rig, 0);
    change(rig, 1);
    run_until(rig, 1);
    assert_int_equal(rig->task->state, TASK_RUNNING);
}

static void without_a_volume_of_files_nothing_is_watched(void **state)
{
    struct rig *rig = *state;

    rig->task->spec.mounts[0] = rig->task->spec.mounts[1] = rig->task->spec.mounts[2];
    watch_start(rig->task);
    assert_null(rig->task->watch);
    watch_send(rig->task); /* is fine */
    watch_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_changes_is_sent_and_nothing_else, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(changes_while_the_guest_works_wait_for_it, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_guest_that_says_no_is_not_asked_again, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(changes_before_the_container_is_there_are_sent_then, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_volume_that_goes_away_is_no_end, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(without_a_volume_of_files_nothing_is_watched, open_rig, close_rig),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
