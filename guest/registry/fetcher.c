#include "guest/registry/fetcher.h"

#include <string.h>

#include "guest/registry/credentials.h"
#include "guest/registry/fetch.h"
#include "keys/ocicrypt/limits.h"

enum { EXPECTED_MAX = OCI_LAYERS_MAX, OBJECT_MAX = 160, SLOTS = FETCHES_MAX + 1 };

const struct ttrpc_service fetcher_service = { "cloister.fetcher", &fetcher__fetcher__descriptor };

/* A transfer and the one request that waits for it. */
struct slot {
    struct fetcher      *fetcher;
    struct fetch        *fetch; /* NULL: free */
    uint32_t             origin;
    Fetcher__Kind        kind;
    char                 object[OBJECT_MAX];
    uint64_t             used; /* the clock when it was last asked for */
    struct ttrpc_pending pending;
    uint32_t             wanted;
};

struct fetcher {
    struct loop             *loop;
    struct ttrpc_connection *keeper;
    struct transfers        *transfers;
    struct registries        registries;
    struct credentials       credentials;
    uint32_t                 parallel, backoff_ms;

    struct origin origins[ATTEMPTS_MAX];
    size_t        n_origins;
    struct slot   slots[SLOTS]; /* one more than are read ahead: for documents */
    uint64_t      clock;

    char     expected[EXPECTED_MAX][OBJECT_MAX];
    size_t   n_expected, next_expected;
    uint32_t expected_origin;
};

static void slot_free(struct slot *slot)
{
    fetch_free(TAKE(slot->fetch));
    slot->pending = (struct ttrpc_pending){ 0 };
}

static void close_all(struct fetcher *f)
{
    for (size_t i = 0; i < SLOTS; i++)
        slot_free(&f->slots[i]);
    for (size_t i = 0; i < f->n_origins; i++)
        origin_free(&f->origins[i]);
    memset(f->origins, 0, sizeof f->origins);
    f->n_origins = f->n_expected = f->next_expected = 0;
}

/* ---- configuration ---- */

static FALLIBLE configure(struct fetcher *f, const Fetcher__ConfigureRequest *asked, struct err *err)
{
    struct transfers_options options  = { .loop = f->loop, .ca_pem = { asked->ca_pem.data, asked->ca_pem.len },
                                          .https_proxy = asked->https_proxy[0] ? asked->https_proxy : NULL,
                                          .http_proxy  = asked->http_proxy[0] ? asked->http_proxy : NULL,
                                          .no_proxy    = asked->no_proxy[0] ? asked->no_proxy : NULL,
                                          .patience_s  = asked->patience_s };
    struct json_object      *document = NULL;

    if (f->transfers)
        return fail_with(err, ERR_BUG, "configured twice");
    if (asked->registries.len > 0 &&
        (!json_read((struct bytes){ asked->registries.data, asked->registries.len }, CREDENTIALS_MAX, &document, err) ||
         !registries_read_take(document, &f->registries, err)))
        return false;
    if (asked->credentials.len > 0 &&
        !credentials_read((struct bytes){ asked->credentials.data, asked->credentials.len }, &f->credentials, err))
        return false;
    f->parallel   = asked->parallel > 0 && asked->parallel < FETCHES_MAX ? asked->parallel : FETCHES_MAX;
    f->backoff_ms = asked->backoff_ms > 0 ? asked->backoff_ms : FETCH_BACKOFF_MS;
    return transfers_new(&options, &f->transfers, err);
}

static void serve_configure(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    Fetcher__ConfigureResponse answer = FETCHER__CONFIGURE_RESPONSE__INIT;
    struct err                 err;

    if (configure(owner, (const Fetcher__ConfigureRequest *) message, &err))
        ttrpc_answer(pending, &answer.base);
    else
        ttrpc_refuse(pending, &err);
}

static FALLIBLE open_image(struct fetcher *f, const char *name, struct err *err)
{
    struct attempt         attempts[ATTEMPTS_MAX];
    struct image_reference reference;
    size_t                 n;

    if (!f->transfers)
        return fail_with(err, ERR_BUG, "not configured");
    if (!image_reference_read(bytes_of_text(name), &reference, err) ||
        !registries_attempts(&f->registries, &reference, reference.has_digest, attempts, &n, err))
        return false;
    close_all(f);
    for (size_t i = 0; i < n; i++) {
        f->origins[i] = (struct origin){ .all = f->transfers, .loop = f->loop, .place = attempts[i],
                                         .backoff_ms = f->backoff_ms, .credential = WIPED_BUFFER,
                                         .token = WIPED_BUFFER };
        if (!attempts[i].is_insecure) /* plain HTTP would show them to everybody on the way */
            credentials_find(&f->credentials, attempts[i].registry, attempts[i].repository,
                             &f->origins[i].credential);
    }
    f->n_origins = n;
    return true;
}

static void serve_open(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct fetcher       *f      = owner;
    Fetcher__OpenResponse answer = FETCHER__OPEN_RESPONSE__INIT;
    char                  names[ATTEMPTS_MAX][REFERENCE_TEXT_MAX + 1];
    char                 *at[ATTEMPTS_MAX];
    struct err            err;

    if (!open_image(f, ((const Fetcher__OpenRequest *) message)->name, &err)) {
        ttrpc_refuse(pending, &err);
        return;
    }
    for (size_t i = 0; i < f->n_origins; i++) {
        (void) snprintf(names[i], sizeof names[i], "%s/%s", f->origins[i].place.registry,
                        f->origins[i].place.repository); /* fits by the sizes of its parts */
        at[i] = names[i];
    }
    answer.origins   = at;
    answer.n_origins = f->n_origins;
    ttrpc_answer(pending, &answer.base);
}

/* ---- reading ---- */

static void on_ready(void *owner, struct fetch *fetch);

static void slot_begin(struct slot *slot, uint32_t origin, Fetcher__Kind kind, const char *object, uint64_t offset)
{
    struct fetch_options options = { .origin = &slot->fetcher->origins[origin],
                                     .kind   = kind == FETCHER__KIND__KIND_BLOB        ? FETCH_BLOB :
                                               kind == FETCHER__KIND__KIND_REFERRERS ? FETCH_REFERRERS : FETCH_MANIFEST,
                                     .object = object, .offset = offset,
                                     .most   = kind == FETCHER__KIND__KIND_BLOB ? (uint64_t) OCI_BLOB_MIB_MAX << 20 :
                                                                                  OCI_DOCUMENT_MAX,
                                     .ready  = on_ready, .owner = slot };

    slot->origin = origin;
    slot->kind   = kind;
    slot->used   = ++slot->fetcher->clock;
    (void) snprintf(slot->object, sizeof slot->object, "%s", object); /* its length was checked */
    slot->fetch = fetch_new(&options);
}

static struct slot *slot_find(struct fetcher *f, uint32_t origin, Fetcher__Kind kind, const char *object)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (f->slots[i].fetch && f->slots[i].origin == origin && f->slots[i].kind == kind &&
            strcmp(f->slots[i].object, object) == 0)
            return &f->slots[i];
    return NULL;
}

static size_t slots_in_use(const struct fetcher *f)
{
    size_t n = 0;

    for (size_t i = 0; i < SLOTS; i++)
        n += f->slots[i].fetch != NULL;
    return n;
}

/* A free slot, else that of the transfer that was begun or asked for longest ago; its bytes would be fetched again. */
static struct slot *slot_for_new(struct fetcher *f)
{
    struct slot *oldest = &f->slots[0];

    for (size_t i = 0; i < SLOTS; i++) {
        if (!f->slots[i].fetch)
            return &f->slots[i];
        if (f->slots[i].used < oldest->used)
            oldest = &f->slots[i];
    }
    slot_free(oldest);
    return oldest;
}

/* A transfer of which all was given makes room for the next one. Not to be called while one of them is telling. */
static void sweep(struct fetcher *f)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &f->slots[i];

        if (slot->fetch && !ttrpc_is_pending(slot->pending) && fetch_is_over(slot->fetch) &&
            !fetch_failure(slot->fetch) && fetch_waiting(slot->fetch).len == 0)
            slot_free(slot);
    }
}

static void read_ahead(struct fetcher *f)
{
    while (f->next_expected < f->n_expected && slots_in_use(f) < f->parallel) {
        const char *object = f->expected[f->next_expected++];

        if (!slot_find(f, f->expected_origin, FETCHER__KIND__KIND_BLOB, object))
            slot_begin(slot_for_new(f), f->expected_origin, FETCHER__KIND__KIND_BLOB, object, 0);
    }
}

/* The size must be in every answer: a server that does not say it is heard to its end first, if that fits. */
static bool has_enough(const struct slot *slot, uint64_t *total)
{
    struct bytes waiting = fetch_waiting(slot->fetch);

    if (fetch_is_over(slot->fetch)) {
        if (!fetch_total(slot->fetch, total))
            *total = fetch_offset(slot->fetch) + waiting.len;
        return true;
    }
    return fetch_total(slot->fetch, total) && waiting.len >= slot->wanted;
}

static bool is_endless(const struct slot *slot)
{
    uint64_t total;

    return !fetch_total(slot->fetch, &total) && fetch_waiting(slot->fetch).len > FETCH_WINDOW - (64 << 10);
}

static void answer_if_ready(struct slot *slot)
{
    Fetcher__ReadResponse answer  = FETCHER__READ_RESPONSE__INIT;
    struct bytes          waiting = fetch_waiting(slot->fetch);
    const struct err     *failure = fetch_failure(slot->fetch);
    struct err            err;

    if (!ttrpc_is_pending(slot->pending))
        return;
    if (failure && waiting.len < slot->wanted) {
        ttrpc_refuse(slot->pending, failure);
        slot->pending = (struct ttrpc_pending){ 0 };
        return;
    }
    if (is_endless(slot)) {
        (void) fail_with(&err, ERR_UNSUPPORTED, "the registry does not say how long it is"); /* false by contract */
        ttrpc_refuse(TAKE(slot->pending), &err);
        return;
    }
    if (!has_enough(slot, &answer.size))
        return;
    size_t n = waiting.len < slot->wanted ? waiting.len : slot->wanted;

    answer.data = (ProtobufCBinaryData){ n, (uint8_t *) (uintptr_t) waiting.at }; /* written to the wire only */
    ttrpc_answer(TAKE(slot->pending), &answer.base);
    fetch_take(slot->fetch, n);
}

static void on_ready(void *owner, struct fetch *fetch)
{
    struct slot *slot = owner;

    (void) fetch;
    answer_if_ready(slot);
}

static bool is_object(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len < OBJECT_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-") == len && text[0] != '.';
}

static FALLIBLE read_check(const struct fetcher *f, const Fetcher__ReadRequest *asked, struct err *err)
{
    if (asked->origin >= f->n_origins || asked->length == 0 || asked->length > TRANSFER_LEN_MAX ||
        !is_object(asked->object))
        return fail_with(err, ERR_BUG, "a request that cannot be met");
    return true;
}

static void serve_read(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct fetcher             *f     = owner;
    const Fetcher__ReadRequest *asked = (const Fetcher__ReadRequest *) message;
    struct err                  err;

    if (!read_check(f, asked, &err)) {
        ttrpc_refuse(pending, &err);
        return;
    }
    struct slot *slot = slot_find(f, asked->origin, asked->kind, asked->object);

    if (slot && (fetch_offset(slot->fetch) != asked->offset || (asked->offset == 0 && fetch_failure(slot->fetch))))
        slot_free(slot);
    if (!slot || !slot->fetch) {
        slot = slot ? slot : slot_for_new(f);
        slot_begin(slot, asked->origin, asked->kind, asked->object, asked->offset);
    }
    slot->pending = pending;
    slot->wanted  = asked->length;
    slot->used    = ++f->clock;
    answer_if_ready(slot);
    sweep(f);
    read_ahead(f);
}

static void serve_expect(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message)
{
    struct fetcher               *f      = owner;
    const Fetcher__ExpectRequest *asked  = (const Fetcher__ExpectRequest *) message;
    Fetcher__ExpectResponse       answer = FETCHER__EXPECT_RESPONSE__INIT;

    f->n_expected = f->next_expected = 0;
    f->expected_origin = asked->origin;
    for (size_t i = 0; asked->origin < f->n_origins && i < asked->n_digests && i < EXPECTED_MAX; i++)
        if (is_object(asked->digests[i]))
            (void) snprintf(f->expected[f->n_expected++], OBJECT_MAX, "%s", asked->digests[i]); /* is_object: it fits */
    read_ahead(f);
    ttrpc_answer(pending, &answer.base);
}

static const struct ttrpc_row rows[] = { { "Configure", serve_configure }, { "Open", serve_open },
                                         { "Expect", serve_expect }, { "Read", serve_read } };

static void on_closed(void *owner, const struct err *why)
{
    struct fetcher *f = owner;

    (void) why; /* the keeper is the only peer: when it is gone, there is no one to fetch for */
    loop_stop(f->loop);
}

int fetcher_run(int control_fd_take)
{
    static struct fetcher           whole; /* of the whole life of its process: pages that are never used are not there */
    struct fetcher                 *f       = &whole;
    struct ttrpc_connection_options serving = { .service = &fetcher_service, .rows = rows,
                                                .n_rows = sizeof rows / sizeof *rows, .closed = on_closed, .owner = f };
    struct err                      err;

    for (size_t i = 0; i < SLOTS; i++)
        f->slots[i].fetcher = f;
    if (!loop_new(&f->loop, &err))
        return 1;
    serving.loop = f->loop;
    bool is_good = ttrpc_connection_new(&serving, control_fd_take, &f->keeper, &err) && loop_run(f->loop, &err);

    close_all(f);
    transfers_free(f->transfers);
    registries_free(&f->registries);
    credentials_free(&f->credentials);
    ttrpc_connection_free(f->keeper);
    loop_free(f->loop);
    return is_good ? 0 : 1;
}
