#include "tests/harness/test.h"

#include "base/file.h"
#include "guest/image/blob.h"
#include "guest/image/limits.h"

enum { LEN = 700000 };

enum lie { HONEST, OTHER_TOTAL, STOPS, GIVES_MORE, TOO_MUCH, OTHER_BYTES, CHANGES_TOTAL, FAILS, LACKS, DRIBBLES };

/* A source with one blob, and the lie that it tells. */
struct liar {
    struct bytes whole;
    enum lie     lie;
    int n_reads;
};

static uint64_t test_clock_ns;

static uint64_t test_now_ns(void)
{
    return test_clock_ns;
}

static bool liar_read(void *owner, const char *digest, uint64_t offset, uint8_t *into, size_t len, size_t *got,
                      uint64_t *total, struct err *err)
{
    struct liar *s = owner;

    if (s->lie == LACKS)
        return s->n_reads++ >= 0 && fail_with(err, ERR_NOT_FOUND, "no such blob");
    assert_true(strlen(digest) == 71 && len > 0 && len <= IMAGE_READ_MAX && offset <= s->whole.len);
    s->n_reads++;
    *got = s->whole.len - offset < len ? (size_t) (s->whole.len - offset) : len;
    if (*got > 0)
        memcpy(into, s->whole.at + offset, *got);
    *total = s->whole.len;
    if (s->lie == DRIBBLES) { /* a kibibyte a second, by a clock that only this moves */
        *got = *got < 1024 ? *got : 1024;
        test_clock_ns += 1000000000;
    }
    if (s->lie == OTHER_TOTAL || (s->lie == CHANGES_TOTAL && s->n_reads > 1))
        *total += 1;
    if (s->lie == STOPS && s->n_reads > 1)
        *got = 0;
    if (s->lie == GIVES_MORE)
        *got = len + 1;
    if (s->lie == TOO_MUCH)
        *total = UINT64_MAX - 1;
    if (s->lie == OTHER_BYTES && s->n_reads == 2)
        into[0] ^= 1;
    if (s->lie == FAILS && s->n_reads > 1)
        return fail_with(err, ERR_TIMEOUT, "the host is silent");
    return true;
}

struct rig {
    struct liar           liar;
    struct image_source   source;
    struct image_progress progress;
    struct ledger         ledger;
    struct descriptor     layer;
    uint8_t              *bytes;
};

static struct rig *rig_new(enum lie lie)
{
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    r->bytes = malloc(LEN);
    assert_non_null(r->bytes);
    for (size_t i = 0; i < LEN; i++)
        r->bytes[i] = (uint8_t) (i * 7 + i / 300);
    r->liar   = (struct liar){ { r->bytes, LEN }, lie, 0 };
    r->source = (struct image_source){ .read = liar_read, .owner = &r->liar };
    r->ledger = (struct ledger){ .sources = &r->source, .n_sources = 1, .progress = &r->progress, .packed_left = 1 << 30 };
    r->layer  = (struct descriptor){ .size = LEN };
    digest_of(r->liar.whole, DIGEST_SHA256, &r->layer.digest);
    return r;
}

static void auto_rig(struct rig **r)
{
    free((*r)->bytes);
    free(*r);
}

static void reads_a_document_whose_size_nobody_knew(void **state)
{
    AUTO(rig) struct rig      *r   = rig_new(HONEST);
    AUTO(buffer) struct buffer out = { 0 };
    struct err                 err;

    (void) state;
    if (!blob_read(&r->ledger, BLOB_OTHER, &r->layer.digest, NULL, &out, &err))
        fail_msg("%s", err.text);
    assert_true(bytes_equal(buffer_bytes(&out), r->liar.whole));
    assert_int_equal(r->progress.bytes_pulled, LEN);
    assert_int_equal(r->progress.phase, IMAGE_VERIFY);
}

static void gives_the_layer_back_piece_by_piece_from_memory_or_disk(void **state)
{
    AUTO(text) char *folder = NULL;
    struct err       err;

    (void) state;
    assert_true(directory_make_temporary("blob-", &folder, &err));
    AUTO(dir) DIR *dir = opendir(folder);

    for (int on_disk = 0; on_disk < 2; on_disk++) {
        AUTO(rig) struct rig      *r    = rig_new(HONEST);
        AUTO(blob) struct blob     blob = NO_BLOB;
        AUTO(buffer) struct buffer out  = { 0 };

        if (!blob_fetch(&r->ledger, &r->layer, NULL, on_disk ? dirfd(dir) : NO_FD, &blob, &err))
            fail_msg("%s", err.text);
        for (struct stream s = blob_stream(&blob);;) {
            struct bytes piece = { 0 };

            assert_true(s.next(s.owner, &piece, &err));
            if (piece.len == 0)
                break;
            buffer_append(&out, piece);
        }
        assert_true(bytes_equal(buffer_bytes(&out), r->liar.whole));
        assert_int_equal(r->ledger.packed_left, (1 << 30) - LEN);
    }
    assert_true(directory_remove(folder, &err));
}

static void believes_no_lie_of_its_source(void **state)
{
    static const struct { enum lie lie; enum err_kind kind; enum image_phase phase; const char *why; } CASES[] = {
        { OTHER_TOTAL, ERR_MALFORMED, IMAGE_PULL, "the source has 700001 bytes; it should have 700000" },
        { CHANGES_TOTAL, ERR_MALFORMED, IMAGE_PULL, "the source has 700001 bytes" },
        { STOPS, ERR_MALFORMED, IMAGE_PULL, "the source stopped at 262144 of 700000 bytes" },
        { GIVES_MORE, ERR_MALFORMED, IMAGE_PULL, "where 262144 were asked" },
        { TOO_MUCH, ERR_MALFORMED, IMAGE_PULL, "it should have 700000" },
        { OTHER_BYTES, ERR_UNTRUSTED, IMAGE_VERIFY, "digest does not match" },
        { FAILS, ERR_TIMEOUT, IMAGE_PULL, "the host is silent" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        for (int as_document = 0; as_document < 2; as_document++) {
            AUTO(rig) struct rig      *r    = rig_new(CASES[i].lie);
            AUTO(blob) struct blob     blob = NO_BLOB;
            AUTO(buffer) struct buffer out  = { 0 };
            struct err                 err;

            assert_false(as_document ? blob_read(&r->ledger, BLOB_OTHER, &r->layer.digest, &r->layer.size, &out, &err) :
                                       blob_fetch(&r->ledger, &r->layer, NULL, NO_FD, &blob, &err));
            if (err.kind != CASES[i].kind || r->progress.phase != CASES[i].phase || !strstr(err.text, CASES[i].why))
                fail_msg("case %zu: %s", i, err.text);
            assert_true(blob.fd == NO_FD && !blob.memory);
        }
    }
}

static void stops_a_document_that_claims_to_be_huge(void **state)
{
    AUTO(rig) struct rig      *r   = rig_new(TOO_MUCH);
    AUTO(buffer) struct buffer out = { 0 };
    struct err                 err;

    (void) state;
    assert_false(blob_read(&r->ledger, BLOB_OTHER, &r->layer.digest, NULL, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(r->liar.n_reads, 1);
}

static void keeps_to_the_budget_before_it_asks(void **state)
{
    AUTO(rig) struct rig  *r    = rig_new(HONEST);
    AUTO(blob) struct blob blob = NO_BLOB;
    struct err             err;

    (void) state;
    r->ledger.packed_left = LEN - 1;
    assert_false(blob_fetch(&r->ledger, &r->layer, NULL, NO_FD, &blob, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(r->liar.n_reads, 0);
}

static void releases_nothing_before_the_hmac_holds(void **state)
{
    AUTO(rig) struct rig            *r    = rig_new(HONEST);
    AUTO(blob) struct blob           blob = NO_BLOB, good = NO_BLOB;
    AUTO(layer_key) struct layer_key key  = { .public = { { 0 } } };
    AUTO(layer_mac) struct layer_mac mac  = { 0 };
    struct err                       err;

    (void) state;
    assert_true(layer_private_new(&key.private, &err));
    assert_false(blob_fetch(&r->ledger, &r->layer, &key, NO_FD, &blob, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_int_equal(r->progress.phase, IMAGE_VERIFY);
    assert_non_null(strstr(err.text, "HMAC does not match"));
    assert_true(blob.fd == NO_FD && !blob.memory);
    assert_true(layer_mac_begin(&mac, &key.private.key, &err) && layer_mac_update(&mac, r->liar.whole, &err) &&
                layer_mac_end(&mac, key.public.hmac, &err));
    assert_true(blob_fetch(&r->ledger, &r->layer, &key, NO_FD, &good, &err));
}

/* Two sources: a cache that lies, and an honest one behind it. */
static struct ledger two_sources(struct rig *r, struct image_source sources[static 2], struct liar *honest)
{
    *honest    = (struct liar){ r->liar.whole, HONEST, 0 };
    sources[0] = (struct image_source){ .read = liar_read, .owner = &r->liar, .name = "the cache", .is_cache = true };
    sources[1] = (struct image_source){ .read = liar_read, .owner = honest, .name = "the registry" };
    return (struct ledger){ .sources = sources, .n_sources = 2, .progress = &r->progress, .packed_left = 1 << 30 };
}

static void another_source_makes_up_for_one_that_lies(void **state)
{
    static const struct { enum lie lie; const char *said; bool is_shunned; } CASES[] = {
        { OTHER_TOTAL, "the cache: the source has 700001 bytes", true },
        { STOPS, "the cache: the source stopped at 262144", true },
        { GIVES_MORE, "the cache: the source gave 262145 bytes", true },
        { OTHER_BYTES, "the cache: digest does not match", true },
        { FAILS, "the cache: the host is silent", true },
        { LACKS, "", false },
        { HONEST, "", false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(rig) struct rig  *r    = rig_new(CASES[i].lie);
        AUTO(blob) struct blob blob = NO_BLOB, again = NO_BLOB;
        struct liar            honest;
        struct image_source    sources[2];
        struct ledger          ledger = two_sources(r, sources, &honest);
        struct err             err;

        if (!blob_fetch(&ledger, &r->layer, NULL, NO_FD, &blob, &err))
            fail_msg("case %zu: %s", i, err.text);
        assert_true(bytes_equal((struct bytes){ blob.memory, LEN }, r->liar.whole));
        assert_int_equal(r->progress.n_failures, CASES[i].is_shunned);
        assert_non_null(strstr(r->progress.last_failure, CASES[i].said));
        int n_reads = r->liar.n_reads;

        assert_true(blob_fetch(&ledger, &r->layer, NULL, NO_FD, &again, &err));
        assert_int_equal(r->liar.n_reads > n_reads, !CASES[i].is_shunned); /* a liar is asked once */
    }
}

/* In the order of its reads, not in time: 30 seconds of grace, then 32 KiB a second are wanted and one came. */
static void another_source_makes_up_for_one_that_is_slow(void **state)
{
    AUTO(rig) struct rig  *r    = rig_new(DRIBBLES);
    AUTO(blob) struct blob blob = NO_BLOB, again = NO_BLOB, alone = NO_BLOB;
    struct liar            honest;
    struct image_source    sources[2];
    struct ledger          ledger = two_sources(r, sources, &honest);
    struct err             err;

    (void) state;
    ledger.now_ns = test_now_ns;
    assert_true(blob_fetch(&ledger, &r->layer, NULL, NO_FD, &blob, &err));
    assert_true(bytes_equal((struct bytes){ blob.memory, LEN }, r->liar.whole));
    assert_int_equal(r->liar.n_reads, 31); /* the first that is over the grace ends it */
    assert_string_equal(r->progress.last_failure, "the cache: slower than 32 KiB a second");
    assert_int_equal(r->progress.n_failures, 1);
    assert_true(blob_fetch(&ledger, &r->layer, NULL, NO_FD, &again, &err));
    assert_int_equal(r->liar.n_reads, 31); /* not asked again */
    sources[1]       = sources[0];
    ledger.sources   = &sources[1];
    ledger.n_sources = 1;
    ledger.shunned   = 0;
    assert_true(blob_fetch(&ledger, &r->layer, NULL, NO_FD, &alone, &err)); /* with nothing behind it, slow is better than nothing */
}

static void the_last_source_speaks_when_all_fail(void **state)
{
    AUTO(rig) struct rig  *r    = rig_new(OTHER_BYTES);
    AUTO(blob) struct blob blob = NO_BLOB;
    struct liar            second;
    struct image_source    sources[2];
    struct ledger          ledger = two_sources(r, sources, &second);
    struct err             err;

    (void) state;
    second.lie = FAILS;
    assert_false(blob_fetch(&ledger, &r->layer, NULL, NO_FD, &blob, &err));
    assert_string_equal(err.text, "the registry: the host is silent");
    assert_true(blob.fd == NO_FD && !blob.memory);
}

struct kept {
    struct buffer bytes;
    int           n_begun;
    size_t        most; /* 0: any number of bytes */
};

static bool keep_piece(void *owner, const char *digest, uint64_t offset, struct bytes piece, uint64_t total)
{
    struct kept *kept = owner;

    (void) digest;
    assert_int_equal(total, LEN);
    if (offset == 0) {
        kept->n_begun++;
        kept->bytes.len = 0;
    }
    assert_int_equal(offset, kept->bytes.len);
    buffer_append(&kept->bytes, piece);
    return kept->most == 0 || kept->bytes.len <= kept->most;
}

static void offers_ciphertext_to_be_kept_and_nothing_else(void **state)
{
    AUTO(rig) struct rig            *r    = rig_new(LACKS);
    AUTO(layer_key) struct layer_key key  = { .public = { { 0 } } };
    AUTO(layer_mac) struct layer_mac mac  = { 0 };
    AUTO(blob) struct blob           plain = NO_BLOB, sealed = NO_BLOB, cached = NO_BLOB;
    struct kept                      kept  = { 0 };
    struct liar                      honest;
    struct image_source              sources[2];
    struct ledger                    ledger = two_sources(r, sources, &honest);
    struct err                       err;

    (void) state;
    ledger.keep = (struct image_keep){ keep_piece, &kept };
    assert_true(blob_fetch(&ledger, &r->layer, NULL, NO_FD, &plain, &err));
    assert_int_equal(kept.n_begun, 0); /* the host never sees the bytes of a plain layer */
    assert_true(layer_private_new(&key.private, &err) && layer_mac_begin(&mac, &key.private.key, &err) &&
                layer_mac_update(&mac, r->liar.whole, &err) && layer_mac_end(&mac, key.public.hmac, &err));
    assert_true(blob_fetch(&ledger, &r->layer, &key, NO_FD, &sealed, &err));
    assert_int_equal(kept.n_begun, 1);
    assert_true(bytes_equal(buffer_bytes(&kept.bytes), r->liar.whole));
    assert_int_equal(r->progress.bytes_cached, 0);
    r->liar.lie = HONEST;
    assert_true(blob_fetch(&ledger, &r->layer, &key, NO_FD, &cached, &err));
    assert_int_equal(kept.n_begun, 1); /* what comes from the cache is in it */
    assert_int_equal(r->progress.bytes_cached, LEN);
    buffer_free(&kept.bytes);
}

/* Of a layer that is mounted the host gets all, whoever the bytes come from; what it keeps is judged by its disk. */
static void passes_a_layer_on_from_the_registry_alone(void **state)
{
    AUTO(rig) struct rig *r    = rig_new(HONEST);
    struct kept           kept = { 0 };
    struct liar           registry;
    struct image_source   sources[2];
    struct ledger         ledger = two_sources(r, sources, &registry);
    struct err            err;

    (void) state;
    ledger.keep = (struct image_keep){ keep_piece, &kept };
    assert_true(blob_pass_on(&ledger, &r->layer, &err));
    assert_int_equal(kept.n_begun, 1);
    assert_true(bytes_equal(buffer_bytes(&kept.bytes), r->liar.whole));
    assert_true(r->liar.n_reads == 0 && registry.n_reads > 1);
    registry.lie     = OTHER_BYTES;
    registry.n_reads = 0;
    assert_false(blob_pass_on(&ledger, &r->layer, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_int_equal(r->progress.phase, IMAGE_VERIFY);
    buffer_free(&kept.bytes);
}

static void passes_no_more_on_than_is_taken(void **state)
{
    AUTO(rig) struct rig *r    = rig_new(HONEST);
    struct kept           kept = { .most = 1 };
    struct liar           registry;
    struct image_source   sources[2];
    struct ledger         ledger = two_sources(r, sources, &registry);
    struct err            err;

    (void) state;
    ledger.keep = (struct image_keep){ keep_piece, &kept };
    assert_false(blob_pass_on(&ledger, &r->layer, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "the registry: the host does not keep what was pulled");
    assert_int_equal(registry.n_reads, 1);
    ledger.n_sources = 1;
    assert_false(blob_pass_on(&ledger, &r->layer, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "no registry to pull it from");
    buffer_free(&kept.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_document_whose_size_nobody_knew),
        cmocka_unit_test(gives_the_layer_back_piece_by_piece_from_memory_or_disk),
        cmocka_unit_test(believes_no_lie_of_its_source),
        cmocka_unit_test(stops_a_document_that_claims_to_be_huge),
        cmocka_unit_test(keeps_to_the_budget_before_it_asks),
        cmocka_unit_test(releases_nothing_before_the_hmac_holds),
        cmocka_unit_test(another_source_makes_up_for_one_that_lies),
        cmocka_unit_test(another_source_makes_up_for_one_that_is_slow),
        cmocka_unit_test(the_last_source_speaks_when_all_fail),
        cmocka_unit_test(offers_ciphertext_to_be_kept_and_nothing_else),
        cmocka_unit_test(passes_a_layer_on_from_the_registry_alone),
        cmocka_unit_test(passes_no_more_on_than_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
