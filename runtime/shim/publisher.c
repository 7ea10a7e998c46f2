#include "runtime/shim/publisher.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "runtime/shim/limits.h"

static const struct ttrpc_service events_service = { "containerd.services.events.ttrpc.v1.Events",
                                                     &engine__events__descriptor, MESSAGE_LOOSE };
static const struct ttrpc_method  forward_method = { &events_service, "Forward" };

struct event {
    struct event   *next;
    const char     *topic, *type;
    struct timespec at;
    struct buffer   body;
};

struct publisher {
    struct loop             *loop;
    char                    *address, *namespace;
    struct ttrpc_connection *connection; /* NULL: away */
    struct loop_source       retry;
    struct event            *first, **end;
    size_t                   n;
    bool                     is_sending; /* the first */
};

static void send_first(struct publisher *p);

static void drop_first(struct publisher *p)
{
    struct event *gone = p->first;

    p->first = gone->next;
    if (!p->first)
        p->end = &p->first;
    p->n--;
    buffer_free(&gone->body);
    free(gone);
}

/* One whose connection broke is sent again: told twice is better than not at all. */
static void on_forwarded(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct publisher *p = owner;

    p->is_sending = false;
    if (response || why->kind != ERR_OS)
        drop_first(p);
    if (response)
        send_first(p);
}

static void wait_and_retry(struct publisher *p)
{
    struct err ignored; /* then the next event tries again */

    loop_remove(&p->retry);
    auto_fd(&p->retry.fd);
    p->retry.fd = NO_FD;
    if (p->first && loop_timer_fd(SHIM_EVENT_RETRY_MS, 0, &p->retry.fd, &ignored) &&
        !loop_add(p->loop, &p->retry, EPOLLIN, &ignored))
        p->retry.loop = NULL;
}

static void on_closed(void *owner, const struct err *why)
{
    struct publisher *p = owner;

    (void) why; /* it went, however */
    ttrpc_connection_free(TAKE(p->connection));
    p->is_sending = false;
    wait_and_retry(p);
}

static FALLIBLE connect_engine(struct publisher *p, struct err *err)
{
    struct ttrpc_connection_options options = { .loop = p->loop, .closed = on_closed, .owner = p };
    struct sockaddr_un              at      = { .sun_family = AF_UNIX };
    AUTO(fd) int                    fd      = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || strlen(p->address) >= sizeof at.sun_path)
        return err_os(err, "events");
    memcpy(at.sun_path, p->address, strlen(p->address) + 1);
    if (connect(fd, (const struct sockaddr *) &at, sizeof at) < 0) /* of a UNIX socket: at once or not */
        return err_os(err, "events");
    return ttrpc_connection_new(&options, TAKE_FD(fd), &p->connection, err);
}

static void send_first(struct publisher *p)
{
    Engine__Timestamp      at       = ENGINE__TIMESTAMP__INIT;
    Engine__Any            any      = ENGINE__ANY__INIT;
    Engine__Envelope       envelope = ENGINE__ENVELOPE__INIT;
    Engine__ForwardRequest request  = ENGINE__FORWARD_REQUEST__INIT;
    struct event          *event    = p->first;
    struct err             err;

    if (!event || p->is_sending)
        return;
    if (!p->connection && !connect_engine(p, &err)) {
        wait_and_retry(p);
        return;
    }
    at.seconds         = event->at.tv_sec;
    at.nanos           = (int32_t) event->at.tv_nsec;
    any.type_url       = (char *) (uintptr_t) event->type; /* this and the next are written to the wire only */
    any.value          = (ProtobufCBinaryData){ event->body.len, event->body.at };
    envelope.timestamp = &at;
    envelope.namespace_ = p->namespace;
    envelope.topic     = (char *) (uintptr_t) event->topic;
    envelope.event     = &any;
    request.envelope   = &envelope;
    p->is_sending      = true;
    if (!ttrpc_connection_call(p->connection, &forward_method, &request.base, on_forwarded, p, &err)) {
        p->is_sending = false;
        wait_and_retry(p);
    }
}

static void on_retry(struct loop_source *source, uint32_t events)
{
    (void) events;
    loop_remove(source);
    send_first(source->owner);
}

FALLIBLE publisher_new(struct loop *loop, const char *address, const char *namespace, struct publisher **out,
                       struct err *err)
{
    AUTO(publisher) struct publisher *p = calloc(1, sizeof *p);

    (void) err; /* an engine that is away is no failure */
    if (!p)
        abort();
    p->loop      = loop;
    p->end       = &p->first;
    p->retry     = (struct loop_source){ .fd = NO_FD, .ready = on_retry, .owner = p };
    p->address   = strdup(address);
    p->namespace = strdup(namespace);
    if (!p->address || !p->namespace)
        abort();
    *out = TAKE(p);
    return true;
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher)
        return;
    while (publisher->first)
        drop_first(publisher);
    ttrpc_connection_free(publisher->connection);
    loop_remove(&publisher->retry);
    auto_fd(&publisher->retry.fd);
    free(publisher->address);
    free(publisher->namespace);
    free(publisher);
}

void publisher_tell(struct publisher *publisher, const char *topic, const char *type, const ProtobufCMessage *event)
{
    struct event *more;

    if (!*publisher->address)
        return;
    if (publisher->n == SHIM_EVENTS_MAX && !publisher->is_sending)
        drop_first(publisher);
    if (publisher->n >= SHIM_EVENTS_MAX)
        return;
    more = calloc(1, sizeof *more);
    if (!more)
        abort();
    more->topic = topic;
    more->type  = type;
    (void) clock_gettime(CLOCK_REALTIME, &more->at); /* cannot fail */
    message_append(&more->body, event);
    *publisher->end = more;
    publisher->end  = &more->next;
    publisher->n++;
    send_first(publisher);
}

bool publisher_is_done(const struct publisher *publisher)
{
    return !publisher->first;
}
