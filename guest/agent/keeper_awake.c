/* From the first request, before which nothing is known, or from rest, to the next rest. */
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/secret.h"
#include "guest/agent/evidence.h"
#include "guest/agent/keeper_inside.h"
#include "guest/agent/keeper_state.h"
#include "guest/agent/simulated.h"
#include "guest/agent/timeline.h"
#include "guest/agent/tunnel.h"
#include "guest/init/clock.h"
#include "guest/init/heap.h"
#include "guest/init/initdata_disk.h"
#include "guest/init/power.h"
#include "keys/api/initdata.h"

enum { BROKER_TIMEOUT_MS = 60000, LOOKS_MS = 1000 /* nothing between two looks: to rest */ };

static FALLIBLE open_attester(struct keeper *k, struct err *err)
{
    bool is_open = k->fds->tee == CMDLINE_TEE_SIM ? simulated_open(k->fds->report_fd, &k->attester, err)
                                                  : evidence_open_device(k->fds->tee, &k->attester, err);

    k->measured.attester = k->attester;
    return is_open;
}

/* The text counts for nothing until its digest stands in a report that was made just now, for this guest. */
static FALLIBLE bind_initdata(struct keeper *k, struct initdata *out, struct err *err)
{
    AUTO(buffer) struct buffer field = { 0 };

    return initdata_disk_find("/dev", &k->initdata_text, err) && open_attester(k, err) &&
           evidence_own_field(k->attester, buffer_bytes(&k->initdata_text), &field, err) &&
           initdata_read_bound(buffer_bytes(&k->initdata_text), buffer_bytes(&field), out, err);
}

static int connect_broker(void *owner, struct err *err)
{
    struct keeper *k = owner;
    int            fd;

    if (pthread_mutex_lock(&k->tunnel_lock) != 0)
        abort();
    fd = tunnel_connect(k->fds->tunnel_fd, err);
    if (pthread_mutex_unlock(&k->tunnel_lock) != 0)
        abort();
    return fd;
}

struct kbs_attester keeper_attester(struct keeper *k)
{
    return (struct kbs_attester){ .tee = k->attester->tee, .evidence = evidence_for_broker, .owner = &k->measured,
                                  .initdata = buffer_bytes(&k->initdata_text) };
}

/* With sessions of these, or new ones. */
static FALLIBLE open_clients(struct keeper *k, const struct initdata *initdata, const struct keeper_sessions *resumed, struct err *err)
{
    AUTO(initdata_broker) struct initdata_broker broker = { 0 };

    if (!initdata_broker(initdata, &broker, err))
        return false;
    struct kbs_options  options  = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca_pem),
                                     .timeout_ms = BROKER_TIMEOUT_MS, .connect = connect_broker, .owner = k };
    struct kbs_attester attester = keeper_attester(k);
    bool                ok       = resumed ? kbs_client_resume(&options, &attester, resumed->of_images, &k->client, err) &&
                                             kbs_client_resume(&options, NULL, resumed->of_workloads, &k->for_workloads, err)
                                           : kbs_client_new(&options, &k->client, err) && kbs_client_new(&options, &k->for_workloads, err);

    ok = ok && kbs_client_share(k->client, &options, &k->of_loop, err);
    for (size_t i = 0; i < ASKERS && ok; i++)
        ok = kbs_client_share(k->client, &options, &k->askers[i], err);
    return ok;
}

static FALLIBLE attest(struct keeper *k, const struct initdata *initdata, int64_t *time_s, struct err *err)
{
    struct kbs_attester attester = keeper_attester(k);
    struct kbs_verdict  verdict;

    if (!open_clients(k, initdata, NULL, err) || !kbs_attest(k->client, &attester, &verdict, err))
        return false;
    *time_s = verdict.issued_s;
    return *time_s > 0 || fail_with(err, ERR_UNTRUSTED, "the broker's token does not say when it was made");
}

/* The owner's floor, before the broker's certificate is judged by the host's clock. */
static FALLIBLE read_floor(const struct initdata *initdata, int64_t *floor_s, struct err *err)
{
    const char *text = initdata_entry(initdata, "not_before");

    *floor_s = 0;
    return !text || (clock_floor_read(bytes_of_text(text), floor_s, err) && clock_floor_check((int64_t) time(NULL), *floor_s, err));
}

static FALLIBLE open_peers(struct keeper *k, struct err *err)
{
    return ttrpc_client_over(k->fds->blobs_fd, &k->blobs, err) && ttrpc_client_over(k->fds->fetcher_fd, &k->fetcher, err) &&
           (k->volumes.opener_fd < 0 || ttrpc_client_over(k->volumes.opener_fd, &k->volumes.opener, err));
}

static FALLIBLE read_settings(struct keeper *k, const struct initdata *initdata, struct err *err)
{
    const char *text = initdata_entry(initdata, "cdh.toml");

    return !text || image_settings_read(bytes_of_text(text), &k->settings, err);
}

static FALLIBLE start_workers(struct keeper *k, struct err *err)
{
    void *own[ASKERS];

    for (size_t i = 0; i < ASKERS; i++)
        own[i] = k->askers[i];
    return (workers_new(k->loop, (void *[]){ k }, 1, &k->puller, err) && workers_new(k->loop, own, ASKERS, &k->questions, err)) ||
           context(err, "boot");
}

static FALLIBLE prepare(struct keeper *k, struct initdata *initdata, struct spans *spans, Keeper__PrepareResponse *answer,
                        struct err *err)
{
    spans->begin_ms = timeline_now_ms();
    if (!secret_heap_open(err) || !open_peers(k, err))
        return context(err, "boot");
    if (!bind_initdata(k, initdata, err) || !read_settings(k, initdata, err) || !read_floor(initdata, &answer->floor_s, err))
        return context(err, "initdata");
    spans_add(spans, "initdata", timeline_now_ms());
    if (!attest(k, initdata, &answer->time_s, err))
        return context(err, "attest");
    spans_add(spans, "attest", timeline_now_ms());
    k->is_prepared = start_workers(k, err);
    return k->is_prepared;
}

void keeper_serve_prepare(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct keeper                 *k        = owner;
    AUTO(initdata) struct initdata initdata = { 0 };
    struct spans                   spans    = { 0 };
    Keeper__PrepareResponse        answer   = KEEPER__PREPARE_RESPONSE__INIT;
    struct err                     err;

    (void) message;
    if (k->is_prepared || !prepare(k, &initdata, &spans, &answer, &err)) {
        if (k->is_prepared)
            (void) fail_with(&err, ERR_BUG, "attest: asked twice"); /* false is what it returns */
        ttrpc_refuse(pending, &err);
        return;
    }
    const char *policy = initdata_entry(&initdata, "policy.json");
    if (policy)
        answer.policy = (char *) (uintptr_t) policy; /* written to the wire only */
    const char *rules = initdata_entry(&initdata, "policy.rego");
    if (rules)
        answer.rules = (char *) (uintptr_t) rules; /* likewise */
    const char *resolv_conf = initdata_entry(&initdata, "resolv.conf");
    if (resolv_conf)
        answer.resolv_conf = (char *) (uintptr_t) resolv_conf; /* as above */
    answer.spans   = spans.at;
    answer.n_spans = spans.n;
    ttrpc_answer(pending, &answer.base);
}

/* What was bound to this guest's report when it was read first is not asked again: it was held since. */
static FALLIBLE resume(struct keeper *k, struct bytes held, struct err *err)
{
    AUTO(initdata) struct initdata initdata = { 0 };
    struct keeper_sessions         sessions;

    k->is_prepared = secret_heap_open(err) && open_attester(k, err) && open_peers(k, err) && keeper_state_read(held, k, &sessions, err) &&
                     initdata_read(buffer_bytes(&k->initdata_text), &initdata, err) && read_settings(k, &initdata, err) &&
                     open_clients(k, &initdata, &sessions, err) && start_workers(k, err);
    return k->is_prepared;
}

static bool take_note(void *owner, const char *method, const ProtobufCMessage *request, struct err *err)
{
    struct keeper *k = owner;

    (void) method;
    (void) request;
    (void) err;
    k->was_asked = true;
    return true;
}

static bool is_idle(struct keeper *k)
{
    return k->is_prepared && !k->was_asked && ttrpc_connection_is_idle(k->connection) && keeper_state_is_short(k);
}

static void on_look(struct loop_source *timer, uint32_t events)
{
    struct keeper *k = timer->owner;
    uint64_t       n;

    (void) events;
    if (read(timer->fd, &n, sizeof n) < 0)
        return;
    if (is_idle(k))
        loop_stop(k->loop);
    k->was_asked = false;
}

/* PID 1 is the only peer: when it is gone, so is the guest. */
static void on_closed(void *owner, const struct err *why)
{
    struct keeper *k = owner;

    (void) why;
    k->is_over = true;
    loop_stop(k->loop);
}

static FALLIBLE run(struct keeper *k, struct bytes held, struct err *err)
{
    struct ttrpc_connection_options serving = { .loop = k->loop, .service = &keeper_service, .rows = keeper_rows, .n_rows = keeper_n_rows,
                                                .closed = on_closed, .owner = k, .admit = take_note };

    k->timer = (struct loop_source){ .fd = NO_FD, .ready = on_look, .owner = k };
    if ((held.len > 0 && !resume(k, held, err)) || !ttrpc_connection_new(&serving, k->fds->control_fd, &k->connection, err) ||
        !loop_timer_fd(LOOKS_MS, LOOKS_MS, &k->timer.fd, err) || !loop_add(k->loop, &k->timer, EPOLLIN, err))
        return false;
    return loop_run(k->loop, err);
}

/* The descriptors are also those of the process that made this one; here they go with the process. */
static void release(struct keeper *k)
{
    for (size_t i = 0; i < ASKERS; i++)
        kbs_client_free(k->askers[i]);
    kbs_client_free(k->of_loop);
    kbs_client_free(k->client);
    kbs_client_free(k->for_workloads);
    EVP_PKEY_free(k->signer_key);
    EVP_PKEY_free(k->receipt_key);
    measurements_free(&k->measured);
    attester_close(k->attester);
    buffer_free(&k->initdata_text);
    auto_ttrpc_client(&k->blobs);
    auto_ttrpc_client(&k->fetcher);
    auto_ttrpc_client(&k->volumes.opener);
    image_settings_free(&k->settings);
    shared_images_free(&k->images);
}

bool keeper_awake(void *owner, struct bytes held, struct buffer *left)
{
    struct keeper k = { .fds = owner };
    struct err    err;

    keeper_begin(&k);
    heap_keep_room();
    bool rests = loop_new(&k.loop, &err) && run(&k, held, &err);
    if (!rests)
        power_say("boot", &err);
    if (k.is_over || !rests || !workers_free(k.questions) || !workers_free(k.puller))
        return false; /* the machine is about to end, and a thread may still use what would be freed */
    rests = keeper_state_write(&k, left, &err);
    if (!rests)
        power_say("boot", &err);
    release(&k);
    return rests;
}
