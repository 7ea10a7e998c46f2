#include "tests/harness/test.h"

#include <fcntl.h>

#include "guest/container/output.h"

struct rig {
    struct loop  *loop;
    struct output output;
    int           writer;
    unsigned      n_more;
    size_t        stop_at; /* bytes held */
};

static void on_more(void *owner, struct output *output)
{
    struct rig *rig = owner;

    rig->n_more++;
    if (output->held.len >= rig->stop_at || output->has_ended)
        loop_stop(rig->loop);
}

static void open_rig(struct rig *rig, bool is_denied)
{
    struct output_options options = { .is_denied = is_denied, .more = on_more, .owner = rig };
    int                   fds[2];
    struct err            err;

    *rig = (struct rig){ .stop_at = SIZE_MAX };
    assert_true(loop_new(&rig->loop, &err));
    options.loop = rig->loop;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    rig->writer = fds[1];
    assert_true(output_open(&rig->output, &options, fds[0], &err));
}

static void close_rig(struct rig *rig)
{
    output_close(&rig->output);
    loop_free(rig->loop);
    auto_fd(&rig->writer);
}

static void run(struct rig *rig)
{
    struct err err;

    assert_true(loop_run(rig->loop, &err));
}

static void gives_what_was_written_and_then_the_end(void **state)
{
    struct rig                 rig;
    AUTO(buffer) struct buffer got = { 0 };

    (void) state;
    open_rig(&rig, false);
    assert_int_equal(write(rig.writer, "hello", 5), 5);
    auto_fd(&rig.writer);
    rig.writer = NO_FD;
    run(&rig);
    assert_true(output_is_ready(&rig.output));
    assert_false(output_is_over(&rig.output));
    output_take(&rig.output, 2, &got);
    output_take(&rig.output, 99, &got);
    assert_string_equal(buffer_text(&got), "hello");
    uint8_t    digest[SHA256_LEN], wanted[SHA256_LEN];
    struct err err;
    sha256_of(bytes_of_text("hello"), wanted);
    assert_true(output_digest(&rig.output, digest, &err)); /* of what was written, read or not */
    assert_memory_equal(digest, wanted, sizeof wanted);
    assert_int_equal(rig.output.n_bytes, 5);
    assert_true(output_is_over(&rig.output));
    close_rig(&rig);
}

static void holds_no_more_than_its_bound_and_goes_on_after_a_take(void **state)
{
    struct rig                 rig;
    AUTO(buffer) struct buffer got = { 0 };
    size_t                     written = 0;
    uint8_t                    block[4096] = { 0 };
    ssize_t                    n;

    (void) state;
    open_rig(&rig, false);
    assert_int_equal(fcntl(rig.writer, F_SETFL, O_NONBLOCK), 0);
    while (written < OUTPUT_BUFFER_MAX) {
        while ((n = write(rig.writer, block, sizeof block)) > 0)
            written += (size_t) n;
        rig.stop_at = rig.output.held.len + 1;
        run(&rig);
    }
    rig.stop_at = OUTPUT_BUFFER_MAX;
    while (rig.output.held.len < OUTPUT_BUFFER_MAX)
        run(&rig);
    assert_int_equal(rig.output.held.len, OUTPUT_BUFFER_MAX);
    assert_null(rig.output.pipe.loop); /* the pipe is left alone: the writer waits */
    output_take(&rig.output, 4096, &got);
    assert_non_null(rig.output.pipe.loop);
    close_rig(&rig);
}

static void on_writable(struct loop_source *source, uint32_t events)
{
    static const uint8_t block[4096];
    struct rig          *rig = source->owner;

    (void) events;
    if (write(source->fd, block, sizeof block) > 0 && ++rig->stop_at < 1024) /* 4 MiB, four times the bound */
        return;
    loop_remove(source);
    loop_stop(rig->loop);
}

static void kata_10680_denied_output_is_drained_and_never_shown(void **state)
{
    struct rig         rig;
    struct loop_source source = { .ready = on_writable };
    struct err         err;

    (void) state;
    open_rig(&rig, true);
    rig.stop_at  = 0;
    source.fd    = rig.writer;
    source.owner = &rig;
    assert_true(loop_add(rig.loop, &source, 4 /* EPOLLOUT */, &err));
    run(&rig);
    assert_int_equal(rig.stop_at, 1024);
    assert_int_equal(rig.output.held.len, 0);
    assert_true(output_is_over(&rig.output));
    assert_int_equal(rig.n_more, 0);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_was_written_and_then_the_end),
        cmocka_unit_test(holds_no_more_than_its_bound_and_goes_on_after_a_take),
        cmocka_unit_test(kata_10680_denied_output_is_drained_and_never_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
