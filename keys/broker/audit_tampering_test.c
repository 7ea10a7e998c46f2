/* `cloister audit` against a log that somebody with the database's file has altered under a running broker. */
#include "keys/store/database.h"
#include "tests/harness/broker.h"

enum { ENTRIES = 12, PATIENCE_MS = 120000 };

static struct test_broker broker;
static char               cloister[PATH_MAX], admin_key[PATH_MAX], head[PATH_MAX];

static int make(void **state)
{
    const char *build = getenv("CLOISTER_BUILD");
    struct err  err;

    (void) state;
    test_broker_make(&broker);
    (void) snprintf(cloister, sizeof cloister, "%s/cloister", build ? build : "."); /* a cut path does not start */
    test_broker_path(&broker, "admin.key", admin_key);
    test_broker_path(&broker, "seen.json", head);

    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    AUTO(secret) struct secret              key   = { 0 };

    assert_fine(secret_random(32, &key, &err), &err);
    for (int i = 0; i < ENTRIES; i++) {
        char uri[64];

        (void) snprintf(uri, sizeof uri, "kbs:///audited/key/%d", i); /* fits */
        assert_fine(admin_resource_put(admin, uri, &key, &err), &err);
    }
    return 0;
}

static int clean(void **state)
{
    (void) state;
    test_broker_free(&broker);
    return 0;
}

/* `cloister audit VERB [OPERAND]`; its exit code, and all that it says. */
static int audit(const char *verb, const char *operand, struct buffer *said)
{
    const char *argv[16] = { "/bin/sh", "-c", "exec \"$0\" \"$@\" 2>&1", cloister, "audit", verb };
    size_t      n        = 6;
    int         code     = -1;
    struct err  err;

    if (operand)
        argv[n++] = operand;
    if (strcmp(verb, "verify") == 0) {
        argv[n++] = "--head";
        argv[n++] = head;
    }
    argv[n++] = "--broker";
    argv[n++] = broker.url;
    argv[n++] = "--admin-key";
    argv[n++] = admin_key;
    assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 20, PATIENCE_MS, said, &code, &err), &err);
    (void) buffer_text(said); /* puts the zero behind it */
    return code;
}

static void assert_audit(const char *verb, const char *operand, int code, const char *part)
{
    AUTO(buffer) struct buffer said = { 0 };

    if (audit(verb, operand, &said) != code || !strstr(buffer_text(&said), part))
        fail_msg("cloister audit %s: wanted \"%s\" and exit code %d, got: %s", verb, part, code, buffer_text(&said));
}

/* Behind the broker's back. */
static void alter(const char *sql)
{
    AUTO(database) struct database *db = NULL;
    char                            path[PATH_MAX];
    struct err                      err;

    test_broker_path(&broker, "store.db", path);
    assert_fine(database_open(path, &db, &err) && db->kind->execute(db, sql, &err), &err);
}

#define SWAP_3_AND_4                                              \
    "UPDATE audit SET seq = -1 WHERE seq = 3;"                    \
    "UPDATE audit SET seq = 3 WHERE seq = 4;"                     \
    "UPDATE audit SET seq = 4 WHERE seq = -1;"

static void holds_while_nobody_alters_it(void **state)
{
    (void) state;
    assert_audit("verify", NULL, 0, "12 entries, root ");
    assert_audit("verify", NULL, 0, ", grown from the head known before");
    assert_audit("prove", "5", 0, "\"subject\":\"audited/key/5\"");
    assert_audit("prove", "12", 1, "there is no entry 12; the log has 12");
    assert_audit("list", NULL, 0, "audited/key/11");
}

static void tells_a_forged_entry(void **state)
{
    (void) state;
    alter("UPDATE audit SET entry = CAST(replace(CAST(entry AS TEXT), 'key/7', 'key/8') AS BLOB) WHERE seq = 7");
    assert_audit("verify", NULL, 1, "the entries do not hash to the signed root");
    assert_audit("prove", "7", 1, "entry 7 is not in the signed tree");
    assert_audit("prove", "2", 1, "entry 2 is not in the signed tree"); /* nothing that stands beside it is proven either */
    alter("UPDATE audit SET entry = CAST(replace(CAST(entry AS TEXT), 'key/8', 'key/7') AS BLOB) WHERE seq = 7");
    assert_audit("verify", NULL, 0, "12 entries");
}

static void tells_entries_in_another_order(void **state)
{
    (void) state;
    alter(SWAP_3_AND_4);
    assert_audit("verify", NULL, 1, "the entries do not hash to the signed root");
    assert_audit("prove", "3", 1, "entry 3 is not in the signed tree");
    alter(SWAP_3_AND_4);
    assert_audit("verify", NULL, 0, "12 entries");
}

static void tells_a_log_that_was_cut(void **state)
{
    (void) state;
    alter("CREATE TABLE kept AS SELECT * FROM audit WHERE seq = 11; DELETE FROM audit WHERE seq = 11");
    assert_audit("verify", NULL, 1, "the log ends at 11, but its signed head says 12");
    alter("INSERT INTO audit SELECT * FROM kept; DROP TABLE kept");
    assert_audit("verify", NULL, 0, "12 entries");
}

/* The whole database as it was before: each part of it fits the others, but not what was seen since. */
static void tells_a_whole_store_that_was_set_back(void **state)
{
    AUTO(secret) struct secret              key   = { 0 };
    AUTO(buffer) struct buffer              old   = { 0 };
    static const char *const                PARTS[] = { "store.db-wal", "store.db-shm" };
    char                                    path[PATH_MAX];
    struct err                              err;

    (void) state;
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0); /* its last connection folds the journal into the file */
    test_broker_path(&broker, "store.db", path);
    assert_fine(file_read(path, 64 << 20, &old, &err), &err);
    test_broker_start(&broker);
    AUTO(admin_client) struct admin_client *again = test_admin(&broker);

    assert_fine(secret_random(32, &key, &err) && admin_resource_put(again, "kbs:///audited/key/later", &key, &err), &err);
    assert_audit("verify", NULL, 0, "13 entries");
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    for (size_t i = 0; i < 2; i++) {
        char part[PATH_MAX];

        test_broker_path(&broker, PARTS[i], part);
        (void) unlink(part); /* there may be none */
    }
    assert_fine(file_write(path, buffer_bytes(&old), 0600, &err), &err);
    test_broker_start(&broker);
    assert_audit("verify", NULL, 1, "the log shrank: it had 13 entries and has 12");

    AUTO(admin_client) struct admin_client *third = test_admin(&broker);

    assert_fine(admin_resource_put(third, "kbs:///audited/key/another", &key, &err) &&
                    admin_resource_put(third, "kbs:///audited/key/more", &key, &err), &err);
    assert_audit("verify", NULL, 1, "the log was rewritten: its first 13 entries are not those of");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_while_nobody_alters_it),
        cmocka_unit_test(tells_a_forged_entry),
        cmocka_unit_test(tells_entries_in_another_order),
        cmocka_unit_test(tells_a_log_that_was_cut),
        cmocka_unit_test(tells_a_whole_store_that_was_set_back),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
