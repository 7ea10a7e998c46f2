#include "tests/harness/test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "keys/store/database.h"
#include "keys/store/store.h"
#include "tests/harness/postgres.h"

static char         *folder;
static char          file[4096];
static const char   *where; /* the store: a file, or a server's URL */
static struct test_postgres server;
static struct secret key, value;

static int make(void **state)
{
    struct err err;

    (void) state;
    if (!secret_heap_open(&err) || !secret_random(32, &key, &err) ||
        !secret_copy(bytes_of_text("CANARY-0123456789abcdef-CANARY"), &value, &err) ||
        !directory_make_temporary("store-", &folder, &err))
        return 1;
    (void) snprintf(file, sizeof file, "%s/store.db", folder); /* fits */
    where = server.folder ? server.url : file;
    return 0;
}

static int clean(void **state)
{
    struct err err;

    (void) state;
    secret_free(&key);
    secret_free(&value);
    if (!directory_remove(folder, &err))
        return 1;
    free(folder);
    return 0;
}

static struct store *opened(void)
{
    struct store *store = NULL;
    struct err    err;

    if (!store_open(where, &key, &store, &err))
        fail_msg("%s", err.text);
    return store;
}

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

static void put_document(struct store *store, const char *name, const char *text, int64_t expires)
{
    struct document d = { .name = name, .text = bytes_of_text(text), .is_removed = !text, .changed = 100,
                          .expires = expires, .by = "ann" };
    struct err      err;

    if (!store_document_put(store, DOCUMENT_RESOURCE_POLICY, &d, &err))
        fail_msg("%s", err.text);
}

static int64_t document_version(struct store *store, const char *name, int64_t now, struct buffer *text)
{
    int64_t    version = -1;
    struct err err;

    if (!store_document_get(store, DOCUMENT_RESOURCE_POLICY, name, now, text, &version, &err))
        fail_msg("%s", err.text);
    return version;
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

/* ---- the audit log ---- */

static void audit_count(void *owner, uint64_t seq, struct bytes entry)
{
    struct merkle     *tree = owner;
    struct merkle_hash leaf = merkle_leaf(entry);

    assert_int_equal(seq, tree->size);
    merkle_add(tree, &leaf);
}

/* Enough for nodes on two kept levels. */
static void proves_every_entry_and_growth_of_a_long_log(void **state)
{
    enum { MOST = 70000, STEP = 6151 };
    struct store              *store = opened();
    struct merkle              tree  = { 0 };
    uint64_t                   size;
    struct err                 err;

    (void) state;
    for (size = store_audit_tree(store)->size; size < MOST; size++) {
        char entry[32];

        (void) snprintf(entry, sizeof entry, "entry %llu", (unsigned long long) size); /* fits */
        assert_true(store_audit_add(store, bytes_of_text(entry), &err));
    }
    assert_true(store_commit(store, &err));
    assert_true(store_audit_each(store, 0, INT64_MAX, audit_count, &tree, &err));
    assert_int_equal(tree.size, MOST);

    struct merkle_hash root = merkle_root(&tree), head = merkle_root(store_audit_tree(store));

    assert_memory_equal(&root, &head, sizeof root);
    for (uint64_t i = 0; i < MOST; i += STEP) {
        struct merkle_proof proof;
        struct merkle       first = { 0 };
        struct merkle_hash  leaf, first_root;

        assert_true(store_prove_consistency(store, i + 1, MOST, &proof, &err));
        assert_true(store_audit_each(store, 0, i + 1, audit_count, &first, &err));
        first_root = merkle_root(&first);
        assert_true(merkle_check_consistency(i + 1, MOST, &first_root, &root, &proof));

        char entry[32];

        (void) snprintf(entry, sizeof entry, "entry %llu", (unsigned long long) i); /* fits */
        leaf = merkle_leaf(bytes_of_text(entry));
        assert_true(store_prove_inclusion(store, i, MOST, &proof, &err));
        if (i > 1) /* the first ones were written by tests before */
            assert_true(merkle_check_inclusion(&leaf, i, MOST, &proof, &root));
    }
    store_close(store);
}

static void assert_same_tree(const struct merkle *a, const struct merkle *b)
{
    struct merkle_hash x = merkle_root(a), y = merkle_root(b);

    assert_int_equal(a->size, b->size);
    assert_memory_equal(&x, &y, sizeof x);
}

static void alter(const char *sql)
{
    AUTO(database) struct database *db = NULL;
    struct err                      err;

    if (!database_open(where, &db, &err) || !db->kind->execute(db, sql, &err))
        fail_msg("%s", err.text);
}

static void refuses(enum err_kind kind, const char *text)
{
    struct store *store = NULL;
    struct err    err;

    assert_false(store_open(where, &key, &store, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, text);
}

static void tells_a_log_that_was_cut_or_grown_by_others(void **state)
{
    (void) state;
    alter("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)");
    refuses(ERR_UNTRUSTED, "store: the audit log has 69999 entries and its sealed tree 70000: it was altered");
    alter("INSERT INTO audit (seq, entry) SELECT 69999 + seq, entry FROM audit WHERE seq < 2");
    refuses(ERR_UNTRUSTED, "store: the audit log has 70001 entries and its sealed tree 70000: it was altered");
    alter("DELETE FROM audit WHERE seq = 70000");
    store_close(opened());
    alter("UPDATE proof SET sealed = (SELECT sealed FROM proof WHERE name = 'proof') WHERE name = 'audit tree'");
    refuses(ERR_UNTRUSTED, "store: the audit log's tree: sealed secret: changed, moved, or sealed under another key");
    alter("DELETE FROM proof WHERE name = 'audit tree'");
    refuses(ERR_UNTRUSTED, "store: the audit log has 70000 entries and its sealed tree 0: it was altered");
}

/* ---- versions ---- */

static void migrates_what_an_older_broker_made_and_refuses_a_newer(void **state)
{
    AUTO(secret) struct secret back = { 0 };
    struct store              *store;
    int                        from = -1, to = -1;
    struct err                 err;

    (void) state;
    alter("DELETE FROM audit WHERE seq > 1");
    alter("DELETE FROM audit_node");
    alter("DELETE FROM proof WHERE name = 'audit tree'");
    alter("UPDATE proof SET name = 'key' WHERE name = 'proof'");
    alter("DROP TABLE audit_node");
    alter(where == file ? "PRAGMA user_version = 4" : "UPDATE schema_version SET version = 4");
    refuses(ERR_CONFIG, "store: made by an older broker (version 4; this one needs 5): run cloister-broker migrate");
    assert_true(store_migrate(where, &key, &from, &to, &err));
    assert_int_equal(from, 4);
    assert_int_equal(to, SCHEMA_VERSION);
    store = opened();
    assert_int_equal(store_audit_tree(store)->size, 2);
    assert_true(store_resource_get(store, "a/b/c", &back, &err));
    store_close(store);
    assert_true(store_migrate(where, &key, &from, &to, &err));
    assert_int_equal(from, SCHEMA_VERSION);
    alter(where == file ? "PRAGMA user_version = 99" : "UPDATE schema_version SET version = 99");
    refuses(ERR_CONFIG, "store: made by a newer broker (version 99; this one knows 5)");
    alter(where == file ? "PRAGMA user_version = 5" : "UPDATE schema_version SET version = 5");
}

/* ---- several brokers, one store ---- */

static void replicas_see_each_other_and_share_uses_sessions_and_the_log(void **state)
{
    struct store              *one = opened(), *two = opened();
    AUTO(secret) struct secret back  = { 0 };
    AUTO(buffer) struct buffer token = { 0 };
    uint64_t                   size;
    struct err                 err;

    (void) state;
    assert_true(store_audit_refresh(one, &err));
    size = store_audit_tree(one)->size;
    assert_true(store_resource_put(one, "re/pli/ca", &value, 1, 1, &err));
    assert_true(store_audit_add(one, bytes_of_text("by one"), &err));
    assert_true(store_commit(one, &err));
    assert_true(store_resource_take(two, "re/pli/ca", &back, &err));
    assert_true(store_session_add(two, "abcd", 100, bytes_of_text("tok"), &err));
    assert_true(store_audit_add(two, bytes_of_text("by two"), &err));
    assert_true(store_commit(two, &err));
    secret_free(&back);
    assert_false(store_resource_take(one, "re/pli/ca", &back, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_false(store_session_add(one, "abcd", 100, bytes_of_text("other"), &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_true(store_audit_add(one, bytes_of_text("by one again"), &err));
    assert_true(store_commit(one, &err));
    assert_true(store_session_token(one, "abcd", 50, &token, &err));
    assert_string_equal(buffer_text(&token), "tok");
    assert_true(store_audit_refresh(two, &err));
    assert_int_equal(store_audit_tree(two)->size, size + 3);
    assert_same_tree(store_audit_tree(one), store_audit_tree(two));
    store_close(one);
    store_close(two);
}

static void survives_a_restart_of_its_server_and_loses_only_the_open_turn(void **state)
{
    AUTO(secret) struct secret back  = { 0 };
    struct store              *store = opened();
    struct err                 err;

    (void) state;
    assert_true(store_resource_put(store, "s/rv/committed", &value, USES_UNLIMITED, 1, &err));
    assert_true(store_commit(store, &err));
    assert_true(store_resource_put(store, "s/rv/open", &value, USES_UNLIMITED, 1, &err));
    test_postgres_crash(&server);
    assert_false(store_commit(store, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_false(store_resource_get(store, "s/rv/committed", &back, &err));
    assert_int_equal(err.kind, ERR_OS);
    test_postgres_start(&server);
    assert_true(store_resource_get(store, "s/rv/committed", &back, &err));
    assert_false(store_resource_get(store, "s/rv/open", &back, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_true(store_audit_add(store, bytes_of_text("after"), &err));
    assert_true(store_commit(store, &err));
    store_close(store);
}

static void a_writer_that_does_not_end_is_waited_for_and_then_told(void **state)
{
    struct store *one = opened(), *two = opened();
    struct err    err;

    (void) state;
    assert_true(store_begin(one, &err));
    assert_false(store_audit_add(two, bytes_of_text("waits"), &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_true(store_commit(one, &err));
    assert_true(store_audit_add(two, bytes_of_text("its turn"), &err));
    assert_true(store_commit(two, &err));
    store_close(one);
    store_close(two);
}

/* ---- copies ---- */

/* From here on the store is empty again. */
static void start_anew(void)
{
    static const char *const TABLES[] = { "resource", "reference", "document", "session", "proof", "audit", "audit_node" };

    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++) {
        char sql[64];

        (void) snprintf(sql, sizeof sql, "DELETE FROM %s", TABLES[i]); /* fits */
        alter(sql);
    }
}

static void backs_up_while_open_and_restores_without_giving_anything_twice(void **state)
{
    AUTO(secret) struct secret back = { 0 }, epoch = { 0 }, other = { 0 };
    AUTO(buffer) struct buffer token = { 0 };
    struct store              *store = opened();
    struct merkle              tree;
    char                       copy[4200];
    struct err                 err;

    (void) state;
    (void) snprintf(copy, sizeof copy, "%s/backup.db", folder); /* fits */
    assert_true(store_resource_put(store, "co/unt/ed", &value, 3, 1, &err));
    assert_true(store_session_add(store, "5e55", 100, bytes_of_text("tok"), &err));
    put_document(store, "kept", "text", 0);
    for (int i = 0; i < 9000; i++) /* more than is read at once */
        assert_true(store_audit_add(store, bytes_of_text("before the backup"), &err));
    assert_true(store_commit(store, &err));
    assert_true(store_epoch(store, &epoch, &err));
    if (!store_backup(where, &key, copy, &err))
        fail_msg("%s", err.text);
    tree = *store_audit_tree(store);
    assert_true(store_resource_take(store, "co/unt/ed", &back, &err)); /* the backup does not know of it */
    assert_true(store_commit(store, &err));
    store_close(store);

    assert_false(store_backup(where, &key, copy, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_false(store_restore(copy, &key, where, false, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, "the store to copy into is not empty: it has a resource"));
    start_anew();
    if (!store_restore(copy, &key, where, false, &err))
        fail_msg("%s", err.text);

    store = opened();
    assert_same_tree(store_audit_tree(store), &tree);
    assert_true(store_epoch(store, &other, &err));
    assert_false(secret_equal(&epoch, &other));
    secret_free(&back);
    assert_false(store_resource_take(store, "co/unt/ed", &back, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_false(store_session_token(store, "5e55", 50, &token, &err));
    assert_true(store_resource_get(store, "co/unt/ed", &back, &err));
    assert_true(secret_equal(&back, &value));
    assert_true(document_version(store, "kept", 1, &token) > 0);
    store_close(store);

    start_anew();
    assert_true(store_restore(copy, &key, where, true, &err));
    store = opened();
    secret_free(&back);
    assert_true(store_resource_take(store, "co/unt/ed", &back, &err));
    assert_true(store_reference_add(store, &(struct reference){ .kind = REFERENCE_INITDATA, .tee = "snp", .resource = "" },
                                    &(int64_t){ 0 }, &err)); /* numbers go on */
    store_close(store);
}

static void tells_an_entry_that_was_rewritten_or_moved_when_it_looks_at_all(void **state)
{
    char       copy[4200];
    struct err err;

    (void) state;
    (void) snprintf(copy, sizeof copy, "%s/altered.db", folder); /* fits */
    alter("UPDATE audit SET seq = seq + 1000000 WHERE seq < 2");
    alter("UPDATE audit SET seq = 1000001 - seq WHERE seq >= 1000000");
    assert_false(store_verify(where, &key, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "store: the audit log's entries are not those of its sealed tree: it was altered");
    assert_false(store_backup(where, &key, copy, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_int_equal(access(copy, F_OK), -1);
    alter("UPDATE audit SET seq = seq + 1000000 WHERE seq < 2");
    alter("UPDATE audit SET seq = 1000001 - seq WHERE seq >= 1000000");
    assert_true(store_verify(where, &key, &err));
    alter("UPDATE resource SET sealed = (SELECT sealed FROM proof WHERE name = 'proof')");
    assert_false(store_verify(where, &key, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
}

#define EVERYWHERE                                                                \
    cmocka_unit_test(keeps_a_resource_across_a_restart_once_committed),           \
    cmocka_unit_test(keeps_what_it_acknowledged_when_killed),                     \
    cmocka_unit_test(tells_a_wrong_key_at_start),                                 \
    cmocka_unit_test(counts_uses_and_never_gives_one_twice),                      \
    cmocka_unit_test(undoes_a_whole_turn_that_was_spoiled),                       \
    cmocka_unit_test(replaces_lists_and_removes_resources),                       \
    cmocka_unit_test(matches_references_by_value_path_and_time),                  \
    cmocka_unit_test(spends_a_session_once_even_across_a_restart),                \
    cmocka_unit_test(keeps_each_version_of_a_document_and_gives_the_newest),      \
    cmocka_unit_test(forgets_a_document_when_it_expires),                         \
    cmocka_unit_test(refuses_a_document_over_the_limit),                          \
    cmocka_unit_test(proves_every_entry_and_growth_of_a_long_log),                \
    cmocka_unit_test(tells_a_log_that_was_cut_or_grown_by_others),                \
    cmocka_unit_test(migrates_what_an_older_broker_made_and_refuses_a_newer),     \
    cmocka_unit_test(replicas_see_each_other_and_share_uses_sessions_and_the_log), \
    cmocka_unit_test(backs_up_while_open_and_restores_without_giving_anything_twice), \
    cmocka_unit_test(tells_an_entry_that_was_rewritten_or_moved_when_it_looks_at_all), \
    cmocka_unit_test(a_writer_that_does_not_end_is_waited_for_and_then_told)

/* Without an argument on SQLite, with "postgresql" on a server. */
int main(int argc, char **argv)
{
    const struct CMUnitTest embedded[] = { EVERYWHERE, cmocka_unit_test(holds_no_plaintext_and_is_private) };
    const struct CMUnitTest served[]   = {
        EVERYWHERE, cmocka_unit_test(survives_a_restart_of_its_server_and_loses_only_the_open_turn)
    };
    int failed;

    if (argc < 2 || strcmp(argv[1], "postgresql") != 0)
        return cmocka_run_group_tests_name("SQLite", embedded, make, clean);
    if (!test_postgres_make(&server)) {
        printf("PostgreSQL is not installed: apt-get install postgresql-15\n");
        return 77;
    }
    failed = cmocka_run_group_tests_name("PostgreSQL", served, make, clean);
    test_postgres_free(&server);
    return failed;
}
