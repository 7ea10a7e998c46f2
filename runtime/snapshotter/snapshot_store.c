#include "runtime/snapshotter/snapshot_store.h"

#include <sqlite3.h>
#include <string.h>
#include <time.h>

struct snapshot_store {
    sqlite3 *database;
};

DEFINE_AUTO(statement, sqlite3_stmt *, (void) sqlite3_finalize)

#define COLUMNS "id, name, parent, kind, skipped, created_ns, updated_ns, labels"

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE IF NOT EXISTS snapshot (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
    " parent TEXT NOT NULL, kind INTEGER NOT NULL, skipped INTEGER NOT NULL, created_ns INTEGER NOT NULL,"
    " updated_ns INTEGER NOT NULL, labels TEXT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS snapshot_parent ON snapshot (parent);";

void snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->name);
    free(snapshot->parent);
    if (snapshot->labels)
        json_object_put(snapshot->labels);
    *snapshot = (struct snapshot){ 0 };
}

static bool fail_database(struct snapshot_store *store, struct err *err)
{
    return fail_with(err, ERR_OS, "snapshot database: %.160s", sqlite3_errmsg(store->database));
}

FALLIBLE snapshot_store_open(const char *path, struct snapshot_store **out, struct err *err)
{
    AUTO(snapshot_store) struct snapshot_store *store = calloc(1, sizeof *store);

    if (!store)
        abort();
    if (sqlite3_open_v2(path, &store->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_exec(store->database, schema, NULL, NULL, NULL) != SQLITE_OK)
        return fail_database(store, err);
    *out = TAKE(store);
    return true;
}

void snapshot_store_close(struct snapshot_store *store)
{
    if (!store)
        return;
    (void) sqlite3_close(store->database); /* no statement is left open */
    free(store);
}

static FALLIBLE prepare(struct snapshot_store *store, const char *text, sqlite3_stmt **out, struct err *err)
{
    return sqlite3_prepare_v2(store->database, text, -1, out, NULL) == SQLITE_OK || fail_database(store, err);
}

static char *text_of(sqlite3_stmt *row, int column)
{
    char *copy = strdup((const char *) sqlite3_column_text(row, column));

    if (!copy)
        abort();
    return copy;
}

static FALLIBLE read_row(sqlite3_stmt *row, struct snapshot *out, struct err *err)
{
    AUTO(snapshot) struct snapshot s = { .id = sqlite3_column_int64(row, 0), .name = text_of(row, 1), .parent = text_of(row, 2),
                          .kind = (enum snapshot_kind) sqlite3_column_int(row, 3), .is_skipped = sqlite3_column_int(row, 4),
                          .created_ns = sqlite3_column_int64(row, 5), .updated_ns = sqlite3_column_int64(row, 6) };
    struct bytes labels = { sqlite3_column_text(row, 7), (size_t) sqlite3_column_bytes(row, 7) };

    if (!json_read(labels, 1 << 20, &s.labels, err))
        return context(err, "snapshot database");
    *out = TAKE(s);
    return true;
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    if (sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT) != SQLITE_OK)
        abort(); /* the index is one of ours */
}

static void bind_number(sqlite3_stmt *statement, int index, int64_t number)
{
    if (sqlite3_bind_int64(statement, index, number) != SQLITE_OK)
        abort(); /* as above */
}

FALLIBLE snapshot_store_find(struct snapshot_store *store, const char *name, struct snapshot *out, struct err *err)
{
    AUTO(statement) sqlite3_stmt *find = NULL;

    if (!prepare(store, "SELECT " COLUMNS " FROM snapshot WHERE name = ?", &find, err))
        return false;
    bind_text(find, 1, name);
    int code = sqlite3_step(find);
    if (code == SQLITE_DONE)
        return fail_with(err, ERR_NOT_FOUND, "snapshot %.150s does not exist", name);
    return code == SQLITE_ROW ? read_row(find, out, err) : fail_database(store, err);
}

FALLIBLE snapshot_store_has_id(struct snapshot_store *store, int64_t id, bool *out, struct err *err)
{
    AUTO(statement) sqlite3_stmt *find = NULL;

    if (!prepare(store, "SELECT 1 FROM snapshot WHERE id = ?", &find, err))
        return false;
    bind_number(find, 1, id);
    int code = sqlite3_step(find);
    *out     = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE || fail_database(store, err);
}

FALLIBLE snapshot_store_has_children(struct snapshot_store *store, const char *name, bool *out, struct err *err)
{
    AUTO(statement) sqlite3_stmt *find = NULL;

    if (!prepare(store, "SELECT 1 FROM snapshot WHERE parent = ? LIMIT 1", &find, err))
        return false;
    bind_text(find, 1, name);
    int code = sqlite3_step(find);
    *out     = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE || fail_database(store, err);
}

static int64_t now_ns(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

static void bind_snapshot(sqlite3_stmt *statement, const struct snapshot *s, const char *labels)
{
    bind_text(statement, 1, s->name);
    bind_text(statement, 2, s->parent);
    bind_number(statement, 3, s->kind);
    bind_number(statement, 4, s->is_skipped);
    bind_number(statement, 5, s->created_ns);
    bind_number(statement, 6, s->updated_ns);
    bind_text(statement, 7, labels);
}

FALLIBLE snapshot_store_add(struct snapshot_store *store, struct snapshot *snapshot, struct err *err)
{
    AUTO(statement) sqlite3_stmt *add    = NULL;
    AUTO(buffer) struct buffer    labels = { 0 };

    snapshot->created_ns = snapshot->updated_ns = now_ns();
    json_write(snapshot->labels, &labels);
    if (!prepare(store, "INSERT INTO snapshot (name, parent, kind, skipped, created_ns, updated_ns, labels) VALUES (?, ?, ?, ?, ?, ?, ?)",
                 &add, err))
        return false;
    bind_snapshot(add, snapshot, buffer_text(&labels));
    if (sqlite3_step(add) != SQLITE_DONE)
        return fail_database(store, err);
    snapshot->id = sqlite3_last_insert_rowid(store->database);
    return true;
}

FALLIBLE snapshot_store_change(struct snapshot_store *store, struct snapshot *snapshot, struct err *err)
{
    AUTO(statement) sqlite3_stmt *change = NULL;
    AUTO(buffer) struct buffer    labels = { 0 };

    snapshot->updated_ns = now_ns();
    json_write(snapshot->labels, &labels);
    if (!prepare(store, "UPDATE snapshot SET name = ?, parent = ?, kind = ?, skipped = ?, created_ns = ?, updated_ns = ?, labels = ? WHERE id = ?",
                 &change, err))
        return false;
    bind_snapshot(change, snapshot, buffer_text(&labels));
    bind_number(change, 8, snapshot->id);
    return sqlite3_step(change) == SQLITE_DONE || fail_database(store, err);
}

FALLIBLE snapshot_store_remove(struct snapshot_store *store, const struct snapshot *snapshot, struct err *err)
{
    AUTO(statement) sqlite3_stmt *removal = NULL;

    if (!prepare(store, "DELETE FROM snapshot WHERE id = ?", &removal, err))
        return false;
    bind_number(removal, 1, snapshot->id);
    return sqlite3_step(removal) == SQLITE_DONE || fail_database(store, err);
}

/* A child's id is greater than its parent's: ids rise, and a parent is committed before its children begin. */
FALLIBLE snapshot_store_each(struct snapshot_store *store, bool (*each)(void *owner, const struct snapshot *snapshot),
                             void *owner, struct err *err)
{
    AUTO(statement) sqlite3_stmt *all = NULL;
    int                           code;

    if (!prepare(store, "SELECT " COLUMNS " FROM snapshot ORDER BY id", &all, err))
        return false;
    while ((code = sqlite3_step(all)) == SQLITE_ROW) {
        AUTO(snapshot) struct snapshot s = { 0 };

        if (!read_row(all, &s, err))
            return false;
        if (!each(owner, &s))
            return true;
    }
    return code == SQLITE_DONE || fail_database(store, err);
}
