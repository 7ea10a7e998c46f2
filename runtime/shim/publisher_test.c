#include "tests/harness/test.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "runtime/shim/publisher.h"

/* An engine's event service, which comes, goes, and comes back. */
struct rig {
    struct loop             *loop;
    struct publisher        *publisher;
    struct loop_source       listener;
    struct ttrpc_connection *engine;
    char                    *folder, *path;
    struct buffer            topics;
    unsigned                 n;
};

static const struct ttrpc_service events = { "containerd.services.events.ttrpc.v1.Events", &engine__events__descriptor, MESSAGE_LOOSE };

static void forward(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request)
{
    const Engine__Envelope *envelope = ((const Engine__ForwardRequest *) request)->envelope;
    struct rig             *rig      = owner;
    Engine__Empty           empty    = ENGINE__EMPTY__INIT;

    assert_string_equal(envelope->namespace_, "k8s.io");
    assert_true(envelope->timestamp->seconds > 0);
    buffer_printf(&rig->topics, "%s %s;", envelope->topic, envelope->event->type_url);
    rig->n++;
    ttrpc_answer(pending, &empty.base);
    loop_stop(rig->loop);
}

static const struct ttrpc_row rows[] = { { "Forward", forward } };

static void on_closed(void *owner, const struct err *why)
{
    (void) owner;
    (void) why;
}

static void on_connect(struct loop_source *source, uint32_t happened)
{
    struct rig                     *rig     = source->owner;
    int                             fd      = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
    struct ttrpc_connection_options options = { .loop = rig->loop, .service = &events, .rows = rows, .n_rows = 1,
                                                .closed = on_closed, .owner = rig };
    struct err                      err;

    (void) happened;
    ttrpc_connection_free(rig->engine);
    assert_true(ttrpc_connection_new(&options, fd, &rig->engine, &err));
}

static void open_engine(struct rig *rig)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct err         err;

    assert_true(strlen(rig->path) < sizeof at.sun_path);
    memcpy(at.sun_path, rig->path, strlen(rig->path) + 1);
    (void) unlink(rig->path);
    rig->listener = (struct loop_source){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .ready = on_connect, .owner = rig };
    assert_int_equal(bind(rig->listener.fd, (const struct sockaddr *) &at, sizeof at), 0);
    assert_int_equal(listen(rig->listener.fd, 4), 0);
    assert_true(loop_add(rig->loop, &rig->listener, EPOLLIN, &err));
}

static void close_engine(struct rig *rig)
{
    loop_remove(&rig->listener);
    auto_fd(&rig->listener.fd);
    rig->listener.fd = NO_FD;
    ttrpc_connection_free(TAKE(rig->engine));
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct err  err;

    assert_non_null(rig);
    assert_true(loop_new(&rig->loop, &err));
    assert_true(directory_make_temporary("events", &rig->folder, &err));
    assert_true(asprintf(&rig->path, "%s/s", rig->folder) > 0);
    assert_true(publisher_new(rig->loop, rig->path, "k8s.io", &rig->publisher, &err));
    rig->listener.fd = NO_FD;
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    struct err  err;

    publisher_free(rig->publisher);
    close_engine(rig);
    loop_free(rig->loop);
    assert_true(directory_remove(rig->folder, &err));
    buffer_free(&rig->topics);
    free(rig->folder);
    free(rig->path);
    free(rig);
    return 0;
}

static void tell(struct rig *rig, const char *topic)
{
    Engine__TaskStart event = ENGINE__TASK_START__INIT;

    publisher_tell(rig->publisher, topic, "containerd.events.TaskStart", &event.base);
}

static void run_until(struct rig *rig, unsigned n)
{
    struct err err;

    while (rig->n < n)
        assert_true(loop_run(rig->loop, &err));
}

static void events_come_in_order(void **state)
{
    struct rig *rig = *state;

    open_engine(rig);
    tell(rig, "/tasks/create");
    tell(rig, "/tasks/start");
    tell(rig, "/tasks/exit");
    run_until(rig, 3);
    assert_string_equal(buffer_text(&rig->topics), "/tasks/create containerd.events.TaskStart;/tasks/start containerd.events.TaskStart;"
                                                   "/tasks/exit containerd.events.TaskStart;");
}

static void an_engine_that_is_away_is_waited_for(void **state)
{
    struct rig *rig = *state;

    tell(rig, "/tasks/create");
    assert_false(publisher_is_done(rig->publisher));
    open_engine(rig);
    run_until(rig, 1);
    close_engine(rig);
    tell(rig, "/tasks/exit");
    open_engine(rig);
    run_until(rig, 2);
    assert_string_equal(buffer_text(&rig->topics),
                        "/tasks/create containerd.events.TaskStart;/tasks/exit containerd.events.TaskStart;");
}

static void without_an_address_nothing_is_kept(void **state)
{
    struct rig                      *rig  = *state;
    AUTO(publisher) struct publisher *none = NULL;
    Engine__TaskStart                event = ENGINE__TASK_START__INIT;
    struct err                       err;

    assert_true(publisher_new(rig->loop, "", "default", &none, &err));
    publisher_tell(none, "/tasks/start", "containerd.events.TaskStart", &event.base);
    assert_true(publisher_is_done(none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_come_in_order, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_engine_that_is_away_is_waited_for, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(without_an_address_nothing_is_kept, open_rig, close_rig),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
