#include "tests/harness/test.h"

#include <unistd.h>

#include "guest/agent/workers.h"

/* Waits for a byte of a pipe, if it has one, and takes down which worker it was. */
struct task {
    struct work  work;
    struct loop *loop;
    int          until;
    int         *own;
    unsigned     n_done;
};

static void run(struct work *work, void *own)
{
    struct task *task = (struct task *) work;
    char         byte;

    task->own = own;
    (*task->own)++;
    if (task->until >= 0)
        assert_int_equal(read(task->until, &byte, 1), 1);
}

static void done(struct work *work)
{
    struct task *task = (struct task *) work;

    task->n_done++;
    loop_stop(task->loop);
}

static struct task task(struct loop *loop, int until)
{
    return (struct task){ .work = { .run = run, .done = done }, .loop = loop, .until = until };
}

static void one_that_waits_keeps_no_other_waiting(void **state)
{
    AUTO(loop) struct loop *loop = NULL;
    struct workers         *w    = NULL;
    int                     counts[2] = { 0 }, ends[2];
    void                   *own[2]    = { &counts[0], &counts[1] };
    struct err              err;

    (void) state;
    assert_int_equal(pipe(ends), 0);
    assert_true(loop_new(&loop, &err) && workers_new(loop, own, 2, &w, &err));
    struct task slow = task(loop, ends[0]), fast = task(loop, -1), last = task(loop, -1);
    workers_give(w, &slow.work);
    workers_give(w, &fast.work);
    assert_true(loop_run(loop, &err)); /* ends with the one that does not wait */
    assert_int_equal(fast.n_done, 1);
    assert_int_equal(slow.n_done, 0);
    workers_give(w, &last.work);
    assert_true(loop_run(loop, &err));
    assert_int_equal(last.n_done, 1);
    assert_false(workers_free(w)); /* one still works */
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(loop_run(loop, &err));
    assert_int_equal(slow.n_done, 1);
    assert_true(workers_free(w));
    assert_ptr_not_equal(slow.own, fast.own);
    assert_ptr_equal(fast.own, last.own);
    assert_int_equal(counts[0] + counts[1], 3);
    (void) close(ends[0]);
    (void) close(ends[1]);
}

static void more_work_than_workers_is_done_in_the_end(void **state)
{
    AUTO(loop) struct loop *loop = NULL;
    struct workers         *w    = NULL;
    static struct task      all[500];
    int                     counts[3] = { 0 };
    void                   *own[3]    = { &counts[0], &counts[1], &counts[2] };
    size_t                  n         = sizeof all / sizeof *all, n_done = 0;
    struct err              err;

    (void) state;
    assert_true(loop_new(&loop, &err) && workers_new(loop, own, 3, &w, &err));
    for (size_t i = 0; i < n; i++) {
        all[i] = task(loop, -1);
        workers_give(w, &all[i].work);
    }
    while (n_done < n) {
        assert_true(loop_run(loop, &err));
        n_done = 0;
        for (size_t i = 0; i < n; i++)
            n_done += all[i].n_done;
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(all[i].n_done, 1);
    assert_int_equal(counts[0] + counts[1] + counts[2], (int) n);
    assert_true(workers_free(w));
    assert_true(workers_free(NULL));
    assert_false(workers_new(loop, own, WORKERS_MAX + 1, &w, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_waits_keeps_no_other_waiting),
        cmocka_unit_test(more_work_than_workers_is_done_in_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
