#include "tests/harness/test.h"

#include <pthread.h>

#include "attestation/collateral/collateral.h"
#include "base/file.h"
#include "tests/harness/http_service.h"

#define NOW INT64_C(1790000000)
enum { DAY = 86400, THREADS = 8 };

/* A service with one document, and an empty cache. */
struct world {
    struct http_row          row;
    struct http_service      service;
    char                    *folder;
    struct cache             cache;
    struct collateral_source source;
    char                     url[200];
};

static int open_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct err    err;

    if (!w || !directory_make_temporary("collateral-test-", &w->folder, &err) || !cache_open(w->folder, &w->cache, &err))
        return 1;
    w->row     = (struct http_row){ .path = "/doc", .status = 200, .body = bytes_of_text("document") };
    w->service = (struct http_service){ .rows = &w->row, .n_rows = 1, .retry_after = "100" };
    http_service_start(&w->service);
    w->source = (struct collateral_source){ .cache = &w->cache, .online = true,
                                            .fetch = { .timeout_ms = 5000, .plain_http_allowed = true } };
    (void) snprintf(w->url, sizeof w->url, "%s/doc", w->service.base); /* fits */
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    struct err    err;
    bool          ok;

    http_service_stop(&w->service);
    ok = directory_remove(w->folder, &err);
    cache_close(&w->cache);
    free(w->folder);
    free(w);
    return ok ? 0 : 1;
}

/* What collateral_get says of the world's document. */
static bool get(struct world *w, int64_t now, bool *is_stale, struct err *err)
{
    AUTO(answer) struct answer a  = { 0 };
    bool                       ok = collateral_get(&w->source, w->url, now, DAY, &a, is_stale, err);

    if (ok)
        assert_true(bytes_equal(buffer_bytes(&a.body), bytes_of_text("document")));
    return ok;
}

static void is_fetched_once_and_then_kept_until_it_expires(void **state)
{
    struct world *w = *state;
    bool          is_stale;
    struct err    err;

    assert_true(get(w, NOW, &is_stale, &err));
    assert_false(is_stale);
    assert_true(get(w, NOW + DAY - 1, &is_stale, &err));
    assert_int_equal(w->service.n_asked, 1);
    assert_true(get(w, NOW + DAY, &is_stale, &err));
    assert_false(is_stale);
    assert_int_equal(w->service.n_asked, 2);
}

static void an_expired_answer_serves_when_the_service_fails_and_says_so(void **state)
{
    struct world *w = *state;
    bool          is_stale = false;
    struct err    err;

    assert_true(get(w, NOW, &is_stale, &err));
    w->row.status = 500;
    assert_true(get(w, NOW + 2 * DAY, &is_stale, &err));
    assert_true(is_stale);
    w->source.online = false;
    is_stale         = false;
    assert_true(get(w, NOW + 2 * DAY, &is_stale, &err));
    assert_true(is_stale);
}

static void offline_without_anything_kept_is_not_found(void **state)
{
    struct world *w = *state;
    bool          is_stale;
    struct err    err;

    w->source.online = false;
    assert_false(get(w, NOW, &is_stale, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(w->service.n_asked, 0);
}

static void a_busy_service_is_left_alone_for_as_long_as_it_asks(void **state)
{
    struct world *w = *state;
    bool          is_stale;
    struct err    err;

    w->row.busy_first = 1;
    assert_false(get(w, NOW, &is_stale, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(get(w, NOW + 99, &is_stale, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.text, "left alone for 1 s more"));
    assert_int_equal(w->service.n_asked, 1);
    assert_true(get(w, NOW + 100, &is_stale, &err));
    assert_int_equal(w->service.n_asked, 2);
}

static void without_a_cache_every_question_is_asked(void **state)
{
    struct world *w = *state;
    bool          is_stale;
    struct err    err;

    w->source.cache = NULL;
    assert_true(get(w, NOW, &is_stale, &err));
    assert_true(get(w, NOW, &is_stale, &err));
    assert_int_equal(w->service.n_asked, 2);
}

static void a_bundle_answers_first_and_needs_no_network(void **state)
{
    struct world                *w     = *state;
    AUTO(answer) struct answer   a     = { .fetched_at = NOW, .expires_at = NOW + DAY };
    AUTO(buffer) struct buffer   text  = { 0 };
    AUTO(bundle) struct bundle  *bundle = NULL;
    bool                         is_stale = true;
    struct err                   err;

    buffer_append_text(&a.url, w->url);
    buffer_append_text(&a.body, "document");
    bundle_write(&a, 1, &text);
    assert_true(bundle_read(buffer_bytes(&text), &bundle, &err));
    w->source.bundle = bundle;
    w->source.online = false;
    assert_true(get(w, NOW, &is_stale, &err));
    assert_false(is_stale);
    assert_true(get(w, NOW + 2 * DAY, &is_stale, &err));
    assert_true(is_stale);
    w->source.online = true;
    assert_true(get(w, NOW + 2 * DAY, &is_stale, &err)); /* a fresh one from the service */
    assert_false(is_stale);
    assert_int_equal(w->service.n_asked, 1);
    assert_true(get(w, NOW + 2 * DAY + 1, &is_stale, &err)); /* and then the cache, newer than the bundle */
    assert_int_equal(w->service.n_asked, 1);
}

static void *get_in_thread(void *owner)
{
    bool       is_stale;
    struct err err;

    return get(owner, NOW, &is_stale, &err) ? owner : NULL;
}

static void many_at_once_are_one_question(void **state)
{
    struct world *w = *state;
    pthread_t     threads[THREADS];

    w->row.delay_ms = 200;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_in_thread, w), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *got = NULL;

        assert_int_equal(pthread_join(threads[i], &got), 0);
        assert_non_null(got);
    }
    assert_int_equal(w->service.n_asked, 1);
}

static void waiting_for_another_has_an_end(void **state)
{
    struct world *w    = *state;
    AUTO(fd) int  lock = NO_FD;
    bool          is_stale;
    struct err    err;

    assert_true(cache_claim(&w->cache, w->url, 0, &lock, &err));
    w->source.fetch.timeout_ms = 60;
    assert_false(get(w, NOW, &is_stale, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
}

static void a_damaged_cache_file_counts_as_none(void **state)
{
    struct world              *w = *state;
    AUTO(answer) struct answer a = { 0 }, back = { 0 };
    bool                       is_stale;
    struct err                 err;

    buffer_append_text(&a.url, "http://elsewhere/doc");
    assert_true(cache_store(&w->cache, &a, &err));
    assert_false(cache_load(&w->cache, w->url, &back, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_true(cache_load(&w->cache, "http://elsewhere/doc", &back, &err));
    assert_true(get(w, NOW, &is_stale, &err));
}

static void what_is_kept_is_listed(void **state)
{
    struct world *w = *state;
    struct answer got[3] = { { { 0 } } };
    char          path[300];
    size_t        n = 0;
    struct err    err;

    for (int i = 0; i < 2; i++) {
        AUTO(answer) struct answer a = { .fetched_at = NOW, .expires_at = NOW + DAY };

        buffer_printf(&a.url, "https://a.example/%d", i);
        buffer_append_text(&a.body, "document");
        assert_true(cache_store(&w->cache, &a, &err));
    }
    assert_true(cache_keep_quiet(&w->cache, "https://b.example/", NOW, &err)); /* no answer */
    (void) snprintf(path, sizeof path, "%s/damaged.json", w->folder);          /* fits */
    assert_true(file_write(path, bytes_of_text("{"), 0600, &err));
    assert_true(cache_list(&w->cache, got, 3, &n, &err));
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(strncmp(buffer_text(&got[i].url), "https://a.example/", 18), 0);
        assert_true(bytes_equal(buffer_bytes(&got[i].body), bytes_of_text("document")));
        answer_free(&got[i]);
    }
    assert_true(file_write(path, bytes_of_text("{}"), 0600, &err));
    assert_false(cache_list(&w->cache, got, 1, &n, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(n, 1);
    answer_free(&got[0]);
    assert_true(directory_remove(w->folder, &err));
    assert_false(cache_list(&w->cache, got, 1, &n, &err));
    assert_int_equal(err.kind, ERR_OS);
}

static void quiet_is_kept_per_host(void **state)
{
    struct world *w = *state;
    struct err    err;

    assert_true(cache_keep_quiet(&w->cache, "https://a.example/x?y", NOW, &err));
    assert_int_equal(cache_quiet_until(&w->cache, "https://a.example/z"), NOW);
    assert_int_equal(cache_quiet_until(&w->cache, "https://a.example"), NOW);
    assert_int_equal(cache_quiet_until(&w->cache, "https://b.example/x?y"), 0);
    assert_int_equal(cache_quiet_until(&w->cache, "no url"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_fetched_once_and_then_kept_until_it_expires, open_world, close_world),
        cmocka_unit_test_setup_teardown(an_expired_answer_serves_when_the_service_fails_and_says_so, open_world, close_world),
        cmocka_unit_test_setup_teardown(offline_without_anything_kept_is_not_found, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_busy_service_is_left_alone_for_as_long_as_it_asks, open_world, close_world),
        cmocka_unit_test_setup_teardown(without_a_cache_every_question_is_asked, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_bundle_answers_first_and_needs_no_network, open_world, close_world),
        cmocka_unit_test_setup_teardown(many_at_once_are_one_question, open_world, close_world),
        cmocka_unit_test_setup_teardown(waiting_for_another_has_an_end, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_damaged_cache_file_counts_as_none, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_is_kept_is_listed, open_world, close_world),
        cmocka_unit_test_setup_teardown(quiet_is_kept_per_host, open_world, close_world),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
