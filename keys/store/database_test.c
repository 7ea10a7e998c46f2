/* Stores of other versions, and several brokers on one. */
#include "tests/harness/store_rig.h"

/* ---- versions ---- */

static void migrates_what_an_older_broker_made_and_refuses_a_newer(void **state)
{
    AUTO(secret) struct secret back = { 0 };
    struct store              *store;
    int                        from = -1, to = -1;
    struct err                 err;

    (void) state;
    begin_with_a_little();
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

#define EVERYWHERE \
    cmocka_unit_test(migrates_what_an_older_broker_made_and_refuses_a_newer), \
    cmocka_unit_test(replicas_see_each_other_and_share_uses_sessions_and_the_log), \
    cmocka_unit_test(a_writer_that_does_not_end_is_waited_for_and_then_told)

int main(int argc, char **argv)
{
    const struct CMUnitTest embedded[] = { EVERYWHERE };
    const struct CMUnitTest served[]   = { EVERYWHERE,
                                           cmocka_unit_test(survives_a_restart_of_its_server_and_loses_only_the_open_turn) };

    return STORE_RIG_RUN(argc, argv, embedded, served);
}
