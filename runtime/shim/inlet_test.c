#include "tests/harness/test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "runtime/shim/inlet.h"

struct rig {
    struct loop  *loop;
    struct inlet  inlet;
    char         *folder, *path;
    struct buffer came;
    unsigned      ends;
    bool          engine_is_here;
};

static void on_came(void *owner, struct bytes b, bool is_last)
{
    struct rig *rig = owner;

    buffer_append(&rig->came, b);
    rig->ends += is_last;
    loop_stop(rig->loop);
}

static bool is_here(void *owner)
{
    struct rig *rig = owner;

    loop_stop(rig->loop);
    return rig->engine_is_here;
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct err  err;

    assert_non_null(rig);
    rig->inlet          = NO_INLET;
    rig->engine_is_here = true;
    assert_true(loop_new(&rig->loop, &err));
    assert_true(directory_make_temporary("inlet", &rig->folder, &err));
    assert_true(asprintf(&rig->path, "%s/fifo", rig->folder) > 0);
    assert_int_equal(mkfifo(rig->path, 0600), 0);
    struct inlet_options options = { rig->loop, rig->path, is_here, on_came, rig };
    assert_true(inlet_open(&rig->inlet, &options, &err));
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    struct err  err;

    inlet_close(&rig->inlet);
    loop_free(rig->loop);
    assert_true(directory_remove(rig->folder, &err));
    buffer_free(&rig->came);
    free(rig->folder);
    free(rig->path);
    free(rig);
    return 0;
}

static void run(struct rig *rig)
{
    struct err err;

    assert_true(loop_run(rig->loop, &err));
}

static void bytes_come_one_block_at_a_time(void **state)
{
    struct rig  *rig    = *state;
    AUTO(fd) int writer = open(rig->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    assert_int_equal(write(writer, "one", 3), 3);
    run(rig);
    assert_string_equal(buffer_text(&rig->came), "one");
    assert_int_equal(write(writer, "two", 3), 3);
    assert_null(rig->inlet.pipe.loop); /* not read before the first was taken */
    inlet_next(&rig->inlet);
    run(rig);
    assert_string_equal(buffer_text(&rig->came), "onetwo");
    assert_int_equal(rig->ends, 0);
}

static void a_writer_that_goes_while_its_engine_is_here_ends_it(void **state)
{
    struct rig *rig    = *state;
    int         writer = open(rig->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    (void) close(writer);
    while (rig->ends == 0)
        run(rig);
    assert_int_equal(rig->inlet.pipe.fd, NO_FD);
}

static void a_writer_that_went_with_its_engine_is_waited_for(void **state)
{
    struct rig *rig    = *state;
    int         writer = open(rig->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    rig->engine_is_here = false;
    (void) close(writer);
    run(rig); /* until it was asked whether the engine is here */
    assert_int_equal(rig->ends, 0);
    rig->engine_is_here = true;
    while (rig->ends == 0)
        run(rig);
}

static void close_io_ends_it_after_what_is_there(void **state)
{
    struct rig  *rig    = *state;
    AUTO(fd) int writer = open(rig->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    assert_int_equal(write(writer, "last", 4), 4);
    inlet_end(&rig->inlet);
    assert_string_equal(buffer_text(&rig->came), "last");
    assert_int_equal(rig->ends, 0);
    inlet_next(&rig->inlet);
    assert_int_equal(rig->ends, 1);
}

static void without_a_place_it_is_over_at_once(void **state)
{
    struct rig          *rig     = *state;
    struct inlet_options none    = { rig->loop, "", is_here, on_came, rig };
    struct inlet_options other   = { rig->loop, "binary:///x", is_here, on_came, rig };
    struct inlet         another = NO_INLET;
    struct err           err;

    assert_true(inlet_open(&another, &none, &err));
    assert_int_equal(rig->ends, 1);
    assert_false(inlet_open(&another, &other, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_come_one_block_at_a_time, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_writer_that_goes_while_its_engine_is_here_ends_it, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_writer_that_went_with_its_engine_is_waited_for, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(close_io_ends_it_after_what_is_there, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(without_a_place_it_is_over_at_once, open_rig, close_rig),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
