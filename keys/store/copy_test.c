/* Backups and what comes of them. */
#include "tests/harness/store_rig.h"

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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backs_up_while_open_and_restores_without_giving_anything_twice),
    };

    return STORE_RIG_RUN(argc, argv, tests, tests);
}
