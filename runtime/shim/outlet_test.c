#include "tests/harness/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/file.h"
#include "runtime/shim/outlet.h"

struct rig {
    struct loop  *loop;
    struct outlet outlet;
    char         *folder, *path;
    unsigned      opened, drained;
};

static void on_opened(void *owner, struct outlet *outlet)
{
    struct rig *rig = owner;

    assert_ptr_equal(outlet, &rig->outlet);
    rig->opened++;
    loop_stop(rig->loop);
}

static void on_drained(void *owner, struct outlet *outlet)
{
    struct rig *rig = owner;

    assert_ptr_equal(outlet, &rig->outlet);
    rig->drained++;
    loop_stop(rig->loop);
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct err  err;

    assert_non_null(rig);
    rig->outlet = NO_OUTLET;
    assert_true(loop_new(&rig->loop, &err));
    assert_true(directory_make_temporary("outlet", &rig->folder, &err));
    assert_true(asprintf(&rig->path, "%s/fifo", rig->folder) > 0);
    assert_int_equal(mkfifo(rig->path, 0600), 0);
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    struct err  err;

    outlet_close(&rig->outlet);
    loop_free(rig->loop);
    assert_true(directory_remove(rig->folder, &err));
    free(rig->folder);
    free(rig->path);
    free(rig);
    return 0;
}

static void waits_for_a_reader_that_comes_later(void **state)
{
    struct rig  *rig = *state;
    AUTO(fd) int reader = NO_FD;
    char         text[8] = { 0 };
    struct err   err;

    assert_true(outlet_open(&rig->outlet, rig->loop, rig->path, on_opened, rig, &err));
    assert_int_equal(rig->opened, 0);
    reader = open(rig->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(loop_run(rig->loop, &err));
    assert_int_equal(rig->opened, 1);
    outlet_write(&rig->outlet, BYTES_OF("abc"), on_drained);
    assert_int_equal(rig->drained, 1);
    assert_int_equal(read(reader, text, sizeof text), 4);
    assert_string_equal(text, "abc");
    assert_int_equal(read(reader, text, sizeof text), -1); /* no end while the outlet is open */
    assert_int_equal(errno, EAGAIN);
    outlet_close(&rig->outlet);
    assert_int_equal(read(reader, text, sizeof text), 0);
}

/* As an engine does that is started anew: nothing is lost, and no signal ends us. */
static void a_reader_may_go_and_another_finds_every_byte(void **state)
{
    struct rig *rig = *state;
    int         first = open(rig->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char        text[8] = { 0 };
    struct err  err;

    assert_true(outlet_open(&rig->outlet, rig->loop, rig->path, on_opened, rig, &err));
    assert_int_equal(rig->opened, 1);
    (void) close(first);
    outlet_write(&rig->outlet, BYTES_OF("kept"), on_drained);
    assert_int_equal(rig->drained, 1);
    AUTO(fd) int second = open(rig->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(read(second, text, sizeof text), 5);
    assert_string_equal(text, "kept");
}

static void more_than_fits_waits_for_the_reader(void **state)
{
    struct rig                *rig = *state;
    AUTO(fd) int               reader = open(rig->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    AUTO(buffer) struct buffer much = { 0 };
    char                       piece[64 << 10];
    size_t                     got = 0;
    struct err                 err;

    memset(buffer_grow(&much, 300000), 'x', 300000);
    assert_true(outlet_open(&rig->outlet, rig->loop, rig->path, on_opened, rig, &err));
    outlet_write(&rig->outlet, buffer_bytes(&much), on_drained);
    assert_int_equal(rig->drained, 0);
    while (got < much.len) {
        ssize_t n = read(reader, piece, sizeof piece);

        got += n > 0 ? (size_t) n : 0;
        if (n <= 0 && got < much.len && rig->drained == 0) { /* let the outlet write on */
            struct epoll_event ignored;
            int                wait = epoll_create1(EPOLL_CLOEXEC);
            struct epoll_event event = { .events = EPOLLOUT };

            assert_int_equal(epoll_ctl(wait, EPOLL_CTL_ADD, rig->outlet.pipe.fd, &event), 0);
            assert_int_equal(epoll_wait(wait, &ignored, 1, -1), 1);
            (void) close(wait);
            rig->outlet.pipe.ready(&rig->outlet.pipe, EPOLLOUT);
        }
    }
    assert_int_equal(got, much.len);
    assert_int_equal(rig->drained, 1);
}

static void nowhere_and_files_are_places_too(void **state)
{
    struct rig                *rig = *state;
    AUTO(buffer) struct buffer content = { 0 };
    AUTO(text) char           *file = NULL, *url = NULL;
    struct err                 err;

    assert_true(outlet_open(&rig->outlet, rig->loop, "", on_opened, rig, &err));
    outlet_write(&rig->outlet, BYTES_OF("gone"), on_drained);
    assert_int_equal(rig->opened + rig->drained, 2);
    outlet_close(&rig->outlet);
    assert_true(asprintf(&file, "%s/log", rig->folder) > 0 && asprintf(&url, "file://%s", file) > 0);
    assert_true(outlet_open(&rig->outlet, rig->loop, url, on_opened, rig, &err));
    outlet_write(&rig->outlet, bytes_of_text("line\n"), on_drained);
    assert_true(file_read(file, 100, &content, &err));
    assert_string_equal(buffer_text(&content), "line\n");
}

static void other_places_are_refused(void **state)
{
    struct rig *rig = *state;
    struct err  err;

    assert_false(outlet_open(&rig->outlet, rig->loop, "binary:///bin/logger", on_opened, rig, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "output to binary:///bin/logger: a FIFO or file: is wanted");
    assert_false(outlet_open(&rig->outlet, rig->loop, "/nonexistent/fifo", on_opened, rig, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_int_equal(rig->opened, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(waits_for_a_reader_that_comes_later, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_reader_may_go_and_another_finds_every_byte, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(more_than_fits_waits_for_the_reader, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(nowhere_and_files_are_places_too, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(other_places_are_refused, open_rig, close_rig),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
