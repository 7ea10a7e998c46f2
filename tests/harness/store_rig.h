/* A store of its own for each test file, on SQLite or, with the argument "postgresql", on a server. */
#pragma once

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

static inline int store_rig_make(void **state)
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

static inline int store_rig_clean(void **state)
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

static inline struct store *opened(void)
{
    struct store *store = NULL;
    struct err    err;

    if (!store_open(where, &key, &store, &err))
        fail_msg("%s", err.text);
    return store;
}

static inline void assert_same_tree(const struct merkle *a, const struct merkle *b)
{
    struct merkle_hash x = merkle_root(a), y = merkle_root(b);

    assert_int_equal(a->size, b->size);
    assert_memory_equal(&x, &y, sizeof x);
}

static inline void alter(const char *sql)
{
    AUTO(database) struct database *db = NULL;
    struct err                      err;

    if (!database_open(where, &db, &err) || !db->kind->execute(db, sql, &err))
        fail_msg("%s", err.text);
}

static inline void refuses(enum err_kind kind, const char *text)
{
    struct store *store = NULL;
    struct err    err;

    assert_false(store_open(where, &key, &store, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.text, text);
}

static inline void put_document(struct store *store, const char *name, const char *text, int64_t expires)
{
    struct document d = { .name = name, .text = bytes_of_text(text), .is_removed = !text, .changed = 100,
                          .expires = expires, .by = "ann" };
    struct err      err;

    if (!store_document_put(store, DOCUMENT_RESOURCE_POLICY, &d, &err))
        fail_msg("%s", err.text);
}

static inline int64_t document_version(struct store *store, const char *name, int64_t now, struct buffer *text)
{
    int64_t    version = -1;
    struct err err;

    if (!store_document_get(store, DOCUMENT_RESOURCE_POLICY, name, now, text, &version, &err))
        fail_msg("%s", err.text);
    return version;
}

/* From here on the store is empty again. */
static inline void start_anew(void)
{
    static const char *const TABLES[] = { "resource", "reference", "document", "session", "proof", "audit", "audit_node" };

    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++) {
        char sql[64];

        (void) snprintf(sql, sizeof sql, "DELETE FROM %s", TABLES[i]); /* fits */
        alter(sql);
    }
}

/* One resource and two entries in the log. */
static inline void begin_with_a_little(void)
{
    struct store *store = opened();
    struct err    err;

    if (!store_resource_put(store, "a/b/c", &value, USES_UNLIMITED, 1, &err) || !store_audit_add(store, bytes_of_text("one"), &err) ||
        !store_audit_add(store, bytes_of_text("two"), &err) || !store_commit(store, &err))
        fail_msg("%s", err.text);
    store_close(store);
}

/* Without an argument the first group on SQLite, with "postgresql" the second on a server. */
#define STORE_RIG_RUN(argc, argv, embedded, served)                                                                          \
    (store_rig_is_served(argc, argv)                                                                                         \
         ? !test_postgres_make(&server) ? store_rig_skipped()                                                                \
                                        : store_rig_served(cmocka_run_group_tests_name("PostgreSQL", served, store_rig_make, store_rig_clean)) \
         : cmocka_run_group_tests_name("SQLite", embedded, store_rig_make, store_rig_clean))

static inline bool store_rig_is_served(int argc, char **argv) { return argc > 1 && strcmp(argv[1], "postgresql") == 0; }

static inline int store_rig_skipped(void)
{
    printf("PostgreSQL is not installed: apt-get install postgresql-15\n");
    return 77;
}

static inline int store_rig_served(int failed)
{
    test_postgres_free(&server);
    return failed;
}
