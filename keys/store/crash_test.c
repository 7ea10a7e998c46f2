/*
 * A crash at every write of the store while a script runs: what was acknowledged is there, what was not is there whole or
 * not at all. So nothing that was removed comes back, and nothing counted is given twice.
 *
 * Without an argument a sample of the crash points; with "all" every one, and more power cuts at each.
 */
#include "tests/harness/write_log.h"

#include "keys/store/store.h"

enum { TURNS = 96, TURNS_PER_OPEN = 24, RESOURCES = 5, SESSIONS = 7, POWER_CUTS_SAMPLED = 1, POWER_CUTS_ALL = 8,
       POINTS_SAMPLED = 400 };

static char         *folder;
static char          path[PATH_MAX];
static struct secret key, value;
static struct buffer states[TURNS + 1]; /* [k]: what the store holds once turn k was acknowledged; [0]: when it is new */
static bool          is_whole;

static int make(void **state)
{
    struct err err;

    (void) state;
    if (!secret_heap_open(&err) || !secret_random(32, &key, &err) || !secret_random(32, &value, &err) ||
        !directory_make_temporary("crash-", &folder, &err))
        return 1;
    (void) snprintf(path, sizeof path, "%s/store.db", folder); /* a cut path fails to open */
    return 0;
}

static int clean(void **state)
{
    struct err err;

    (void) state;
    secret_free(&key);
    secret_free(&value);
    write_log_free();
    for (int i = 0; i <= TURNS; i++)
        buffer_free(&states[i]);
    if (!directory_remove(folder, &err))
        return 1;
    free(folder);
    return 0;
}

/* ---- what a store holds, as text ---- */

static void tell_resource(void *owner, const struct store_resource *r)
{
    buffer_printf(owner, "resource %s %llu %s %llu\n", r->path, (unsigned long long) r->len, r->is_counted ? "left" : "free",
                  (unsigned long long) r->uses_left);
}

static void tell_reference(void *owner, const struct reference *r)
{
    buffer_printf(owner, "reference %lld %s %d\n", (long long) r->id, r->resource, r->value.at[0]);
}

static void tell_document(void *owner, const struct document *d)
{
    buffer_printf(owner, "document %s %lld %.*s\n", d->name, (long long) d->version, (int) d->text.len,
                  (const char *) d->text.at);
}

static void tell_store(struct store *store, struct buffer *out)
{
    struct merkle_hash root = merkle_root(store_audit_tree(store));
    struct err         err;

    if (!store_resources_each(store, tell_resource, out, &err) || !store_references_each(store, tell_reference, out, &err) ||
        !store_documents_each(store, DOCUMENT_BINDING, 1, tell_document, out, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < SESSIONS; i++) {
        char                       id[16];
        AUTO(buffer) struct buffer token = { 0 };

        (void) snprintf(id, sizeof id, "session-%d", i); /* fits */
        if (store_session_token(store, id, 1, &token, &err))
            buffer_printf(out, "%s %s\n", id, buffer_text(&token));
        else
            assert_int_equal(err.kind, ERR_NOT_FOUND);
    }
    buffer_printf(out, "log %llu %02x%02x%02x%02x\n", (unsigned long long) store_audit_tree(store)->size, root.at[0], root.at[1],
                  root.at[2], root.at[3]);
    (void) buffer_text(out); /* puts the zero behind it */
}

/* ---- the script ---- */

static void must(bool fine, const struct err *err)
{
    if (!fine)
        fail_msg("%s", err->text);
}

/* May be refused, as a request may: NOT_FOUND and DENIED change nothing. */
static void may(bool fine, const struct err *err)
{
    if (!fine && err->kind != ERR_NOT_FOUND && err->kind != ERR_DENIED)
        fail_msg("%s", err->text);
}

static void turn(struct store *store, int k)
{
    AUTO(secret) struct secret taken = { 0 };
    uint8_t                    digest[48] = { (uint8_t) k };
    char                       name[32], id[16], entry[200];
    struct reference           reference = { .kind = REFERENCE_MEASUREMENT, .tee = "snp", .value = BYTES_OF(digest), .resource = name };
    struct document            document  = { .name = "binding", .text = bytes_of_text(entry), .by = "ann" };
    int64_t                    number;
    struct err                 err;

    (void) snprintf(name, sizeof name, "re/source/%d", k % RESOURCES);     /* fits, as the next two */
    (void) snprintf(id, sizeof id, "session-%d", k % SESSIONS);
    (void) snprintf(entry, sizeof entry, "turn %d %0150d", k, k);
    switch (k % 6) {
    case 0: must(store_resource_put(store, name, &value, k % 4 ? 2 : USES_UNLIMITED, k, &err), &err); break;
    case 1:
    case 2: may(store_resource_take(store, name, &taken, &err), &err); break;
    case 3: may(store_resource_remove(store, name, &err), &err); break;
    case 4: must(store_reference_add(store, &reference, &number, &err), &err); break;
    default: must(store_document_put(store, DOCUMENT_BINDING, &document, &err), &err);
    }
    may(store_session_add(store, id, 100 + k, bytes_of_text(entry), &err), &err);
    for (int i = 0; i <= k % 5; i++)
        must(store_audit_add(store, bytes_of_text(entry), &err), &err);
    if (k % 31 == 30)
        must(store_sessions_expire(store, 100 + k - SESSIONS, &err), &err);
    must(store_commit(store, &err), &err);
}

static void record(void)
{
    struct err err;

    for (int k = 0; k < TURNS;) {
        struct store *store = NULL;

        must(store_open(path, &key, &store, &err), &err);
        if (k == 0) {
            write_log_mark(0);
            tell_store(store, &states[0]);
        }
        do {
            turn(store, k);
            write_log_mark(++k);
            tell_store(store, &states[k]);
        } while (k % TURNS_PER_OPEN != 0);
        store_close(store); /* folds the log into the file, and deletes it */
    }
}

/* ---- the judgement ---- */

/* `acknowledged`: the last turn whose commit had returned; -1: not even the new store's. */
static void judge(int acknowledged, size_t at, const char *how)
{
    AUTO(store) struct store  *store = NULL;
    AUTO(buffer) struct buffer found = { 0 };
    struct err                 err;

    if (!store_open(path, &key, &store, &err))
        fail_msg("crash at write %zu (%s): %s", at, how, err.text);
    tell_store(store, &found);
    if (acknowledged >= 0 && strcmp(buffer_text(&found), buffer_text(&states[acknowledged])) == 0)
        return;
    if (acknowledged < TURNS && strcmp(buffer_text(&found), buffer_text(&states[acknowledged + 1])) == 0)
        return; /* the next one was on disk already, but not yet told */
    fail_msg("crash at write %zu (%s), after turn %d: the store holds\n%s\ninstead of\n%s", at, how, acknowledged,
             buffer_text(&found), buffer_text(&states[acknowledged < 0 ? 0 : acknowledged]));
}

static void every_crash_leaves_what_was_acknowledged(void **state)
{
    sqlite3_vfs *recorder     = recorder_begin();
    struct disk  disk         = { 0 };
    int          acknowledged = -1;
    size_t       n_points     = 0, step;
    uint32_t     seed         = 2463534242;

    (void) state;
    record();
    recorder_end(recorder);
    step = is_whole ? 1 : 1 + write_log.n / POINTS_SAMPLED;
    for (size_t i = 0; i <= write_log.n; i++) {
        if (i % step == 0) {
            disk_write(&disk, i, NULL, path);
            judge(acknowledged, i, "process");
            for (int cut = 0; cut < (is_whole ? POWER_CUTS_ALL : POWER_CUTS_SAMPLED); cut++) {
                disk_write(&disk, i, &seed, path);
                judge(acknowledged, i, "power");
                n_points++;
            }
            n_points++;
        }
        if (i == write_log.n)
            break;
        if (write_log.events[i].kind == WRITE_MARK)
            acknowledged = write_log.events[i].file;
        else
            disk_advance(&disk, i);
    }
    disk_free(&disk);
    printf("%zu crashes at %zu writes of %d turns\n", n_points, write_log.n, TURNS);
    assert_int_equal(acknowledged, TURNS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_crash_leaves_what_was_acknowledged) };

    is_whole = argc > 1 && strcmp(argv[1], "all") == 0;
    return cmocka_run_group_tests(tests, make, clean);
}
