#include "guest/image/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/file.h"
#include "guest/image/limits.h"
#include "guest/image/memory.h"

enum { GIVE_BACK_LEN = 4 << 20, PAGE = 4096, SLOW_BYTES_PER_S = 32 << 10 };

static const uint64_t SLOW_GRACE_NS = 30ULL * 1000000000;

uint64_t clock_now_ns(void)
{
    struct timespec now = { 0 };

    (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

void phase_enter(struct ledger *ledger, enum image_phase phase)
{
    ledger->progress->phase = phase;
}

void phase_spent(struct ledger *ledger, enum image_phase phase, uint64_t *since)
{
    uint64_t now = clock_now_ns();

    ledger->progress->spent_ns[phase] += now - *since;
    *since = now;
}

/* One read from a source, its claims checked. `size` is the size agreed on; UINT64_MAX before it is known. */
static FALLIBLE source_read(struct ledger *ledger, const struct image_source *source, enum blob_kind kind,
                            const char *digest, uint64_t offset, uint64_t *size, uint8_t *into, size_t len, size_t *got,
                            struct err *err)
{
    image_read_fn *read  = kind == BLOB_MANIFEST && source->read_manifest ? source->read_manifest : source->read;
    uint64_t       total = 0;
    uint64_t       began = clock_now_ns();

    *got = 0;
    phase_enter(ledger, IMAGE_PULL);
    bool ok = read(source->owner, digest, offset, into, len, got, &total, err);

    phase_spent(ledger, IMAGE_PULL, &began);
    if (!ok)
        return false;
    if (*got > len)
        return fail_with(err, ERR_MALFORMED, "the source gave %zu bytes where %zu were asked", *got, len);
    if (*size == UINT64_MAX)
        *size = total;
    if (total != *size)
        return fail_with(err, ERR_MALFORMED, "the source has %llu bytes; it should have %llu",
                         (unsigned long long) total, (unsigned long long) *size);
    if (*got == 0 && offset < *size)
        return fail_with(err, ERR_MALFORMED, "the source stopped at %llu of %llu bytes", (unsigned long long) offset,
                         (unsigned long long) *size);
    if (*got > *size - offset)
        return fail_with(err, ERR_MALFORMED, "the source gave more than its %llu bytes", (unsigned long long) *size);
    ledger->progress->bytes_pulled += *got;
    ledger->progress->bytes_cached += source->is_cache ? *got : 0;
    return true;
}

static FALLIBLE digest_check(const struct digest *found, const struct digest *wanted, struct err *err)
{
    struct digest_text text = digest_text(found);

    return digest_equal(found, wanted) ||
           fail_with(err, ERR_UNTRUSTED, "digest does not match: these bytes are %s", text.at);
}

/* One that lied or hangs is not asked again while there is another; one that just lacks a blob may have the next. */
static void source_failed(struct ledger *ledger, size_t i, const struct err *why)
{
    struct image_progress *progress = ledger->progress;

    if (why->kind == ERR_NOT_FOUND)
        return;
    progress->n_failures++;
    (void) snprintf(progress->last_failure, sizeof progress->last_failure, "%.60s: %.130s", ledger->sources[i].name,
                    why->text); /* a cut reason will do */
    if (why->kind == ERR_UNTRUSTED || why->kind == ERR_MALFORMED || why->kind == ERR_TIMEOUT)
        ledger->shunned |= UINT32_C(1) << i;
}

/* What is tried with one source; `owner` is the attempt's. */
typedef bool attempt_fn(struct ledger *ledger, const struct image_source *source, void *owner, struct err *err);

/* From the first source that succeeds. The last one is always asked. */
static FALLIBLE sources_try(struct ledger *ledger, attempt_fn *attempt, void *owner, struct err *err)
{
    for (size_t i = 0; i < ledger->n_sources; i++) {
        const struct image_source *source  = &ledger->sources[i];
        bool                       is_last = i + 1 == ledger->n_sources;

        if (!is_last && (ledger->shunned & (UINT32_C(1) << i)))
            continue;
        if (attempt(ledger, source, owner, err))
            return true;
        if (is_last)
            return ledger->n_sources > 1 && contextf(err, "%.80s", source->name); /* false either way */
        source_failed(ledger, i, err);
    }
    return fail_with(err, ERR_BUG, "no source");
}

struct reading {
    enum blob_kind       kind;
    const struct digest *digest;
    const uint64_t      *size;
    struct buffer       *out;
};

static FALLIBLE document_check(struct ledger *ledger, const struct reading *r, struct err *err)
{
    struct digest found;
    uint64_t      began = clock_now_ns();

    phase_enter(ledger, IMAGE_VERIFY);
    digest_of(buffer_bytes(r->out), r->digest->algorithm, &found);
    phase_spent(ledger, IMAGE_VERIFY, &began);
    return digest_check(&found, r->digest, err);
}

static bool read_whole(struct ledger *ledger, const struct image_source *source, void *owner, struct err *err)
{
    const struct reading *r      = owner;
    struct digest_text    text   = digest_text(r->digest);
    uint64_t              agreed = r->size ? *r->size : UINT64_MAX;
    uint64_t              offset = 0;

    r->out->len = 0;
    do {
        uint64_t most = agreed - offset < IMAGE_READ_MAX ? agreed - offset : IMAGE_READ_MAX;
        size_t   got  = 0;

        if (agreed != UINT64_MAX && agreed > OCI_DOCUMENT_MAX)
            return fail_with(err, ERR_LIMIT, "a document of %llu bytes", (unsigned long long) agreed);
        if (agreed == 0)
            break;
        uint8_t *into = buffer_grow(r->out, (size_t) most);

        if (!source_read(ledger, source, r->kind, text.at, offset, &agreed, into, (size_t) most, &got, err))
            return false;
        r->out->len -= (size_t) most - got;
        offset += got;
    } while (offset < agreed);
    if (!document_check(ledger, r, err))
        return false;
    for (size_t at = 0; ledger->keep.put && !source->is_cache && at < r->out->len; at += IMAGE_READ_MAX) {
        size_t left = r->out->len - at;

        ledger->keep.put(ledger->keep.owner, text.at, at,
                         (struct bytes){ r->out->at + at, left < IMAGE_READ_MAX ? left : IMAGE_READ_MAX }, r->out->len);
    }
    return true;
}

FALLIBLE blob_read(struct ledger *ledger, enum blob_kind kind, const struct digest *digest, const uint64_t *size,
                   struct buffer *out, struct err *err)
{
    struct reading reading = { kind, digest, size, out };

    return sources_try(ledger, read_whole, &reading, err);
}

/* Memory that the source fills itself. It is not reserved: the size is a claim until the bytes are there. */
static FALLIBLE memory_map(struct blob *blob, uint64_t len, struct err *err)
{
    uint64_t available;
    void    *at;

    if (!memory_available(&available, err))
        return false;
    if (len > available)
        return fail_with(err, ERR_LIMIT, "%llu MiB do not fit into the guest's memory, which has %llu MiB left: give it more (--memory)",
                         (unsigned long long) (len >> 20) + 1, (unsigned long long) (available >> 20));
    at = mmap(NULL, (size_t) len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return err_os(err, "map memory for the layer's bytes");
    blob->memory     = at;
    blob->memory_len = len;
    return true;
}

static FALLIBLE storage_open(struct blob *blob, uint64_t len, int scratch_fd, struct err *err)
{
    if (scratch_fd == NO_FD)
        return memory_map(blob, len > 0 ? len : 1, err);
    blob->fd = openat(scratch_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (blob->fd < 0)
        return err_os(err, "make a file for the layer's bytes");
    blob->piece = malloc(IMAGE_CHUNK_LEN);
    if (!blob->piece)
        abort();
    return true;
}

/* Brings in the pages of the next piece at once: a fault for each costs more than a tenth of all the work here. */
static void piece_prepare(struct blob *blob, size_t len)
{
    uint64_t from = blob->size / PAGE * PAGE;

    if (blob->memory)
        (void) madvise(blob->memory + from, (size_t) (blob->size + len - from), MADV_POPULATE_WRITE); /* only faster */
}

struct fetching {
    const struct descriptor *layer;
    const struct layer_key  *key; /* NULL: not encrypted */
    int                      scratch_fd;
    struct blob             *out;
    struct layer_mac         mac;
};

static uint64_t ledger_now_ns(const struct ledger *ledger)
{
    return ledger->now_ns ? ledger->now_ns() : clock_now_ns();
}

/* A source that has one behind it must not be endlessly slow. */
static FALLIBLE pace_check(const struct ledger *ledger, const struct image_source *source, uint64_t began, uint64_t bytes,
                           struct err *err)
{
    bool     is_last = source == &ledger->sources[ledger->n_sources - 1];
    uint64_t allowed = SLOW_GRACE_NS + bytes * (1000000000 / SLOW_BYTES_PER_S);

    return is_last || ledger_now_ns(ledger) - began <= allowed ||
           fail_with(err, ERR_TIMEOUT, "slower than %d KiB a second", SLOW_BYTES_PER_S >> 10);
}

/* Digest and HMAC see each piece as it comes; so does who keeps it, before it is decrypted in place. */
static FALLIBLE piece_take(struct ledger *ledger, const struct image_source *source, struct fetching *f, struct blob *blob,
                           struct digest_run *digest, struct bytes piece, struct err *err)
{
    uint64_t began = clock_now_ns();

    phase_enter(ledger, IMAGE_VERIFY);
    digest_run_update(digest, piece);
    if (f->mac.ctx && !layer_mac_update(&f->mac, piece, err))
        return false;
    phase_spent(ledger, IMAGE_VERIFY, &began);
    phase_enter(ledger, IMAGE_PULL);
    if (blob->fd >= 0 && !write_all(blob->fd, piece, err))
        return context(err, "keep the layer's bytes");
    if (f->key && ledger->keep.put && !source->is_cache) {
        struct digest_text text = digest_text(&f->layer->digest);

        ledger->keep.put(ledger->keep.owner, text.at, blob->size, piece, f->layer->size);
    }
    phase_spent(ledger, IMAGE_PULL, &began);
    return true;
}

static FALLIBLE fetch_all(struct ledger *ledger, const struct image_source *source, struct fetching *f,
                          struct blob *blob, struct digest_run *digest, struct err *err)
{
    struct digest_text text  = digest_text(&f->layer->digest);
    uint64_t           size  = f->layer->size;
    uint64_t           began = ledger_now_ns(ledger);

    while (blob->size < size) {
        uint64_t left = size - blob->size;
        uint8_t *into = blob->memory ? blob->memory + blob->size : blob->piece;
        size_t   most = left < IMAGE_READ_MAX ? (size_t) left : IMAGE_READ_MAX;
        size_t   got  = 0;

        piece_prepare(blob, most);
        if (!source_read(ledger, source, BLOB_OTHER, text.at, blob->size, &size, into, most, &got, err) ||
            !pace_check(ledger, source, began, blob->size, err) ||
            !piece_take(ledger, source, f, blob, digest, (struct bytes){ into, got }, err))
            return false;
        blob->size += got;
    }
    return true;
}

static void expect_layers(struct ledger *ledger, const struct image_source *source)
{
    uint32_t bit = UINT32_C(1) << (source - ledger->sources);

    if (!source->expect || !ledger->manifest || (ledger->expecting & bit))
        return;
    ledger->expecting |= bit;
    source->expect(source->owner, ledger->manifest);
}

static bool fetch_from(struct ledger *ledger, const struct image_source *source, void *owner, struct err *err)
{
    struct fetching                   *f      = owner;
    AUTO(blob) struct blob             blob   = { .fd = NO_FD, .key = f->key };
    AUTO(digest_run) struct digest_run digest = { 0 };
    struct digest                      found;

    phase_enter(ledger, IMAGE_PULL);
    expect_layers(ledger, source);
    auto_layer_mac(&f->mac);
    f->mac = (struct layer_mac){ 0 };
    digest_run_begin(&digest, f->layer->digest.algorithm);
    if (!storage_open(&blob, f->layer->size, f->scratch_fd, err) ||
        (f->key && !layer_mac_begin(&f->mac, &f->key->private.key, err)) ||
        !fetch_all(ledger, source, f, &blob, &digest, err))
        return false;
    phase_enter(ledger, IMAGE_VERIFY);
    digest_run_end(&digest, &found);
    if (!digest_check(&found, &f->layer->digest, err))
        return false;
    *f->out = blob;
    blob    = NO_BLOB;
    return true;
}

static FALLIBLE layer_fetch(struct ledger *ledger, struct fetching *f, struct err *err)
{
    const struct layer_key *key = f->key;

    if (!sources_try(ledger, fetch_from, f, err))
        return false;
    /* these are the manifest's bytes: when the HMAC does not hold, no other source can help */
    return !key || (layer_mac_verify(&f->mac, key->public.hmac, err) && layer_ctr_begin(&f->out->ctr, &key->private, err));
}

FALLIBLE blob_charge(struct ledger *ledger, const struct descriptor *layer, struct err *err)
{
    if (layer->size > ledger->packed_left)
        return fail_with(err, ERR_LIMIT, "%llu bytes, more than what the budget leaves, %llu",
                         (unsigned long long) layer->size, (unsigned long long) ledger->packed_left);
    ledger->packed_left -= layer->size;
    return true;
}

FALLIBLE blob_fetch(struct ledger *ledger, const struct descriptor *layer, const struct layer_key *key,
                    int scratch_fd, struct blob *out, struct err *err)
{
    AUTO(blob) struct blob blob     = NO_BLOB;
    struct fetching        fetching = { .layer = layer, .key = key, .scratch_fd = scratch_fd, .out = &blob };

    phase_enter(ledger, IMAGE_PULL);
    if (!blob_charge(ledger, layer, err))
        return false;
    bool ok = layer_fetch(ledger, &fetching, err);

    auto_layer_mac(&fetching.mac);
    if (!ok)
        return false;
    *out = blob;
    blob = NO_BLOB;
    return true;
}

/* ---- a layer that the host is to lend as a disk, and has not ---- */

static FALLIBLE pieces_pass_on(struct ledger *ledger, const struct image_source *source, const struct descriptor *layer,
                               struct digest_run *digest, struct err *err)
{
    AUTO(heap) uint8_t *piece = malloc(IMAGE_READ_MAX);
    struct digest_text  text  = digest_text(&layer->digest);
    uint64_t            size = layer->size, began = ledger_now_ns(ledger);

    if (!piece)
        abort();
    for (uint64_t offset = 0; offset < size;) {
        size_t most = size - offset < IMAGE_READ_MAX ? (size_t) (size - offset) : IMAGE_READ_MAX, got = 0;

        if (!source_read(ledger, source, BLOB_OTHER, text.at, offset, &size, piece, most, &got, err) ||
            !pace_check(ledger, source, began, offset, err))
            return false;
        digest_run_update(digest, (struct bytes){ piece, got });
        if (!ledger->keep.put(ledger->keep.owner, text.at, offset, (struct bytes){ piece, got }, size))
            return fail_with(err, ERR_LIMIT, "the host does not keep what was pulled");
        offset += got;
    }
    return true;
}

static bool pass_on_from(struct ledger *ledger, const struct image_source *source, void *owner, struct err *err)
{
    const struct descriptor           *layer  = owner;
    AUTO(digest_run) struct digest_run digest = { 0 };
    struct digest                      found;

    phase_enter(ledger, IMAGE_PULL);
    if (source->is_cache)
        return fail_with(err, ERR_NOT_FOUND, "no registry to pull it from");
    expect_layers(ledger, source);
    digest_run_begin(&digest, layer->digest.algorithm);
    if (!pieces_pass_on(ledger, source, layer, &digest, err))
        return false;
    phase_enter(ledger, IMAGE_VERIFY);
    digest_run_end(&digest, &found);
    return digest_check(&found, &layer->digest, err);
}

FALLIBLE blob_pass_on(struct ledger *ledger, const struct descriptor *layer, struct err *err)
{
    struct descriptor of = *layer;

    return sources_try(ledger, pass_on_from, &of, err);
}

/* Gives back what the reader has left behind, in large steps. */
static void give_back(struct blob *blob)
{
    uint64_t done = blob->offset / GIVE_BACK_LEN * GIVE_BACK_LEN;

    if (done == blob->freed)
        return;
    /* only a saving: a system that cannot do it keeps the bytes a while longer */
    if (blob->memory)
        (void) madvise(blob->memory + blob->freed, (size_t) (done - blob->freed), MADV_DONTNEED);
    else
        (void) fallocate(blob->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) blob->freed,
                         (off_t) (done - blob->freed));
    blob->freed = done;
}

static FALLIBLE read_back(struct blob *blob, size_t len, struct err *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = pread(blob->fd, blob->piece + done, len - done, (off_t) (blob->offset + done));

        if (got < 0 && errno != EINTR)
            return err_os(err, "read the layer's bytes back");
        if (got == 0)
            return fail_with(err, ERR_OS, "the layer's bytes were cut");
        done += got > 0 ? (size_t) got : 0;
    }
    return true;
}

static bool next(void *owner, struct bytes *piece, struct err *err)
{
    struct blob *blob = owner;
    uint64_t     left = blob->size - blob->offset;
    size_t       len  = left < IMAGE_CHUNK_LEN ? (size_t) left : IMAGE_CHUNK_LEN;
    uint8_t     *at;

    *piece = (struct bytes){ 0 };
    if (len == 0)
        return true;
    give_back(blob);
    if (!blob->memory && !read_back(blob, len, err))
        return false;
    at     = blob->memory ? blob->memory + blob->offset : blob->piece;
    *piece = (struct bytes){ at, len };
    blob->offset += len;
    return !blob->key || layer_ctr_apply(&blob->ctr, *piece, at, err);
}

struct stream blob_stream(struct blob *blob)
{
    return (struct stream){ next, blob };
}

void blob_free(struct blob *blob)
{
    if (blob->memory)
        (void) munmap(blob->memory, (size_t) blob->memory_len); /* a mapping of ours: cannot fail */
    auto_fd(&blob->fd);
    auto_layer_ctr(&blob->ctr);
    free(blob->piece);
    *blob = NO_BLOB;
}
