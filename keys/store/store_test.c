/* What a store keeps, counts and forgets: resources, references, sessions, documents. */
#include "tests/harness/store_rig.h"

static void keeps_a_resource_across_a_restart_once_committed(void **state)
{
    struct store *store = opened();
    struct err    err;

    (void) state;
    assert_true(store_resource_put(store, "a/b/c", &value, USES_UNLIMITED, 100, &err));
    assert_true(store_is_dirty(store));
    assert_true(store_commit(store, &err));
    assert_false(store_is_dirty(store));
    assert_true(store_resource_put(store, "a/b/lost", &value, USES_UNLIMITED, 100, &err));
    store_close(store);

    store = opened();
    AUTO(secret) struct secret back = { 0 };
    assert_true(store_resource_get(store, "a/b/c", &back, &err));
    assert_true(secret_equal(&back, &value));
    assert_false(store_resource_get(store, "a/b/lost", &back, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "there is no resource a/b/lost");
    store_close(store);
}

static void keeps_what_it_acknowledged_when_killed(void **state)
{
    struct err err;
    pid_t      child = fork();
    int        status;

    (void) state;
    if (child == 0) {
        struct store *store = NULL;

        if (store_open(where, &key, &store, &err) && store_resource_put(store, "k/i/acknowledged", &value, USES_UNLIMITED, 1, &err) &&
            store_commit(store, &err) && store_resource_put(store, "k/i/pending", &value, USES_UNLIMITED, 1, &err))
            (void) kill(getpid(), SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));

    struct store              *store = opened();
    AUTO(secret) struct secret back  = { 0 };
    assert_true(store_resource_get(store, "k/i/acknowledged", &back, &err));
    assert_false(store_resource_get(store, "k/i/pending", &back, &err));
    store_close(store);
}

static void holds_no_plaintext_and_is_private(void **state)
{
    static const char *const FILES[] = { "store.db", "store.db-wal" };
    struct store            *store   = opened();
    struct err               err;

    (void) state;
    assert_true(store_resource_put(store, "p/l/a", &value, USES_UNLIMITED, 1, &err));
    assert_true(store_commit(store, &err));
    for (size_t i = 0; i < 2; i++) {
        AUTO(buffer) struct buffer content = { 0 };
        struct stat                st;
        char                       one[4200];

        (void) snprintf(one, sizeof one, "%s/%s", folder, FILES[i]); /* fits */
        assert_true(file_read(one, 64 << 20, &content, &err));
        assert_null(memmem(content.at, content.len, value.held, value.len));
        assert_int_equal(stat(one, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    store_close(store);
}

static void tells_a_wrong_key_at_start(void **state)
{
    AUTO(secret) struct secret other = { 0 };
    struct store              *store = opened();
    struct err                 err;

    (void) state;
    store_close(store);
    store = NULL;
    assert_true(secret_random(32, &other, &err));
    assert_false(store_open(where, &other, &store, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "store: its secrets are sealed under another key than the one given");
}

static void count(void *owner, const struct store_resource *resource)
{
    (void) resource;
    ++*(size_t *) owner;
}

static void replaces_lists_and_removes_resources(void **state)
{
    struct store *store = opened();
    size_t        before = 0, n = 0;
    struct err    err;

    (void) state;
    assert_true(store_resources_each(store, count, &before, &err));
    assert_true(store_resource_put(store, "r/e/1", &value, USES_UNLIMITED, 1, &err));
    assert_true(store_resource_put(store, "r/e/1", &key, USES_UNLIMITED, 2, &err));
    assert_true(store_resources_each(store, count, &n, &err));
    assert_int_equal(n, before + 1);
    AUTO(secret) struct secret back = { 0 };
    assert_true(store_resource_get(store, "r/e/1", &back, &err));
    assert_true(secret_equal(&back, &key));
    assert_true(store_resource_remove(store, "r/e/1", &err));
    assert_false(store_resource_remove(store, "r/e/1", &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    store_close(store);
}

static void counts_uses_and_never_gives_one_twice(void **state)
{
    struct store              *store = opened();
    AUTO(secret) struct secret back  = { 0 };
    struct err                 err;

    (void) state;
    assert_true(store_resource_put(store, "o/n/ce", &value, 2, 1, &err));
    assert_true(store_commit(store, &err));
    assert_true(store_resource_take(store, "o/n/ce", &back, &err));
    assert_true(store_commit(store, &err));
    secret_free(&back);
    assert_true(store_resource_take(store, "o/n/ce", &back, &err)); /* not committed: its answer never leaves */
    store_close(store);

    store = opened();
    secret_free(&back);
    assert_true(store_resource_take(store, "o/n/ce", &back, &err));
    assert_true(secret_equal(&back, &value));
    assert_true(store_commit(store, &err));
    store_close(store);

    store = opened();
    secret_free(&back);
    assert_false(store_resource_take(store, "o/n/ce", &back, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.text, "o/n/ce was released as often as it may be");
    assert_null(back.held);
    assert_true(store_resource_get(store, "o/n/ce", &back, &err)); /* its administrator still can */
    store_close(store);
}

static void undoes_a_whole_turn_that_was_spoiled(void **state)
{
    struct store              *store = opened();
    AUTO(secret) struct secret back  = { 0 };
    struct merkle              before;
    struct err                 err;

    (void) state;
    assert_true(store_audit_add(store, bytes_of_text("kept"), &err));
    assert_true(store_commit(store, &err));
    before = *store_audit_tree(store);
    assert_true(store_resource_put(store, "s/p/oilt", &value, USES_UNLIMITED, 1, &err));
    assert_true(store_audit_add(store, bytes_of_text("undone"), &err));
    assert_memory_equal(store_audit_tree(store), &before, sizeof before); /* not before it is durable */
    store_spoil(store);
    assert_false(store_commit(store, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_false(store_is_dirty(store));
    assert_false(store_resource_get(store, "s/p/oilt", &back, &err));
    assert_true(store_audit_add(store, bytes_of_text("next"), &err));
    assert_true(store_commit(store, &err));
    assert_int_equal(store_audit_tree(store)->size, before.size + 1);
    store_close(store);
    store_close(opened()); /* the log has no gap */
}

static bool holds(struct store *store, struct bytes v, const char *resource, int64_t now)
{
    bool       out = false;
    struct err err;

    assert_true(store_reference_holds(store, REFERENCE_MEASUREMENT, "snp", v, resource, now, &out, &err));
    return out;
}

static void matches_references_by_value_path_and_time(void **state)
{
    static const uint8_t V[48] = { 1 }, W[48] = { 2 };
    struct store    *store = opened();
    struct reference one   = { .kind = REFERENCE_MEASUREMENT, .tee = "snp", .value = BYTES_OF(V), .resource = "a/b/c", .expires = 50 };
    struct reference any   = { .kind = REFERENCE_MEASUREMENT, .tee = "snp", .value = BYTES_OF(W), .resource = "" };
    int64_t          id, again, all;
    struct err       err;

    (void) state;
    assert_false(holds(store, BYTES_OF(V), NULL, 10));
    assert_true(store_reference_add(store, &one, &id, &err));
    assert_true(store_reference_add(store, &any, &all, &err));
    assert_true(holds(store, BYTES_OF(V), "a/b/c", 49));
    assert_false(holds(store, BYTES_OF(V), "a/b/c", 50));
    assert_false(holds(store, BYTES_OF(V), "a/b/d", 49));
    assert_true(holds(store, BYTES_OF(V), NULL, 49));
    assert_true(holds(store, BYTES_OF(W), "x/y/z", INT64_MAX));
    one.expires = 0;
    assert_true(store_reference_add(store, &one, &again, &err));
    assert_int_equal(again, id);
    assert_true(holds(store, BYTES_OF(V), "a/b/c", 51));
    assert_true(store_reference_remove(store, id, &err));
    assert_false(holds(store, BYTES_OF(V), "a/b/c", 1));
    assert_false(store_reference_remove(store, id, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    store_close(store);
}

static void spends_a_session_once_even_across_a_restart(void **state)
{
    AUTO(buffer) struct buffer token = { 0 };
    struct store              *store = opened();
    struct err                 err;

    (void) state;
    assert_true(store_session_add(store, "0123", 100, bytes_of_text("t.o.k"), &err));
    assert_true(store_commit(store, &err));
    store_close(store);
    store = opened();
    assert_false(store_session_add(store, "0123", 200, bytes_of_text("x"), &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_true(store_session_token(store, "0123", 99, &token, &err));
    assert_string_equal(buffer_text(&token), "t.o.k");
    assert_false(store_session_token(store, "0123", 100, &token, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_true(store_sessions_expire(store, 100, &err));
    assert_true(store_session_add(store, "0123", 300, bytes_of_text("x"), &err));
    store_close(store);
}

struct seen {
    int           n;
    struct buffer text;
};

static void see_document(void *owner, const struct document *d)
{
    struct seen *seen = owner;

    seen->n++;
    buffer_printf(&seen->text, "%s#%lld=%.*s%s by %s;", d->name, (long long) d->version, (int) d->text.len,
                  (const char *) d->text.at, d->is_removed ? "removed" : "", d->by);
}

static void keeps_each_version_of_a_document_and_gives_the_newest(void **state)
{
    AUTO(store) struct store  *store = opened();
    AUTO(buffer) struct buffer text  = { 0 };
    struct seen                seen  = { 0 };
    struct err                 err;

    (void) state;
    assert_int_equal(document_version(store, "doc", 100, &text), 0);
    put_document(store, "doc", "one", 0);
    put_document(store, "doc", "two", 0);
    put_document(store, "other", "", 0);
    assert_int_equal(document_version(store, "doc", 100, &text), 2);
    assert_string_equal(buffer_text(&text), "two");
    assert_int_equal(document_version(store, "other", 100, &text), 1);
    put_document(store, "other", NULL, 0);
    assert_int_equal(document_version(store, "other", 100, &text), 0);
    assert_true(store_documents_each(store, DOCUMENT_RESOURCE_POLICY, 100, see_document, &seen, &err));
    assert_string_equal(buffer_text(&seen.text), "doc#2=two by ann;");
    assert_true(store_documents_each(store, DOCUMENT_ATTESTATION_POLICY, 100, see_document, &seen, &err));
    assert_int_equal(seen.n, 1); /* one kind's names are not another's */
    assert_true(store_document_history(store, DOCUMENT_RESOURCE_POLICY, "other", see_document, &seen, &err));
    assert_string_equal(buffer_text(&seen.text), "doc#2=two by ann;other#1= by ann;other#2=removed by ann;");
    buffer_free(&seen.text);
}

static void forgets_a_document_when_it_expires(void **state)
{
    AUTO(store) struct store  *store = opened();
    AUTO(buffer) struct buffer text  = { 0 };
    struct seen                seen  = { 0 };
    struct err                 err;

    (void) state;
    put_document(store, "brief", "text", 200);
    assert_true(document_version(store, "brief", 199, &text) > 0);
    assert_int_equal(document_version(store, "brief", 200, &text), 0);
    assert_string_equal(buffer_text(&text), "text"); /* nothing was appended the second time */
    assert_true(store_documents_each(store, DOCUMENT_RESOURCE_POLICY, 200, see_document, &seen, &err));
    assert_null(strstr(buffer_text(&seen.text), "brief"));
    buffer_free(&seen.text);
}

static void refuses_a_document_over_the_limit(void **state)
{
    AUTO(store) struct store  *store = opened();
    AUTO(buffer) struct buffer large = { 0 };
    struct document            d     = { .name = "d", .by = "ann" };
    struct err                 err;

    (void) state;
    (void) buffer_grow(&large, DOCUMENT_TEXT_MAX + 1);
    d.text = buffer_bytes(&large);
    assert_false(store_document_put(store, DOCUMENT_RESOURCE_POLICY, &d, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "a resource-policy has a name of 400 and a text of 1048576 bytes at most");
    assert_false(store_is_dirty(store));
}

#define EVERYWHERE \
    cmocka_unit_test(keeps_a_resource_across_a_restart_once_committed), \
    cmocka_unit_test(keeps_what_it_acknowledged_when_killed), \
    cmocka_unit_test(tells_a_wrong_key_at_start), \
    cmocka_unit_test(counts_uses_and_never_gives_one_twice), \
    cmocka_unit_test(undoes_a_whole_turn_that_was_spoiled), \
    cmocka_unit_test(replaces_lists_and_removes_resources), \
    cmocka_unit_test(matches_references_by_value_path_and_time), \
    cmocka_unit_test(spends_a_session_once_even_across_a_restart), \
    cmocka_unit_test(keeps_each_version_of_a_document_and_gives_the_newest), \
    cmocka_unit_test(forgets_a_document_when_it_expires), \
    cmocka_unit_test(refuses_a_document_over_the_limit)

int main(int argc, char **argv)
{
    const struct CMUnitTest embedded[] = { EVERYWHERE, cmocka_unit_test(holds_no_plaintext_and_is_private) };
    const struct CMUnitTest served[]   = { EVERYWHERE };

    return STORE_RIG_RUN(argc, argv, embedded, served);
}
