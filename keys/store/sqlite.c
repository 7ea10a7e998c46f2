/* The store's embedded database: one file in WAL mode, whose commits are on disk when they return. */
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "keys/store/database.h"

enum { BUSY_MS = 5000 };

/* Never changed once released. */
static const char *const SCHEMA[SCHEMA_VERSION] = {
    "CREATE TABLE resource (path TEXT PRIMARY KEY, sealed BLOB NOT NULL, len INTEGER NOT NULL,"
    "  created INTEGER NOT NULL, changed INTEGER NOT NULL) STRICT;"
    "CREATE TABLE reference (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, tee TEXT NOT NULL,"
    "  value BLOB NOT NULL, resource TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,"
    "  UNIQUE (kind, tee, value, resource)) STRICT;"
    "CREATE TABLE session (id TEXT PRIMARY KEY, expires INTEGER NOT NULL, token BLOB NOT NULL) STRICT;"
    "CREATE INDEX session_expires ON session (expires);"
    "CREATE TABLE proof (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT;",
    "CREATE TABLE audit (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;",
    "ALTER TABLE resource ADD COLUMN uses INTEGER;", /* that are left; NULL: not counted */
    "CREATE TABLE document (kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, text BLOB," /* NULL: removed */
    "  changed INTEGER NOT NULL, expires INTEGER NOT NULL, author TEXT NOT NULL,"
    "  PRIMARY KEY (kind, name, version)) STRICT, WITHOUT ROWID;",
    "UPDATE proof SET name = 'proof' WHERE name = 'key';"
    "CREATE TABLE audit_node (level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,"
    "  PRIMARY KEY (level, number)) STRICT, WITHOUT ROWID;",
};

struct sqlite {
    struct database base;
    sqlite3        *db;
    sqlite3_stmt  **prepared;
    size_t          n_prepared;
};

/* `base` is the first member of every struct sqlite. */
static struct sqlite *sqlite_of(struct database *db) { return (struct sqlite *) (void *) db; }

static bool err_sqlite(struct err *err, struct sqlite *s, const char *what)
{
    return fail_with(err, ERR_OS, "store: %s: %s", what, sqlite3_errmsg(s->db));
}

static FALLIBLE sqlite_execute(struct database *db, const char *sql, struct err *err)
{
    struct sqlite *s = sqlite_of(db);

    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK || err_sqlite(err, s, sql);
}

static FALLIBLE sqlite_version(struct database *db, int *out, struct err *err)
{
    struct sqlite *s   = sqlite_of(db);
    sqlite3_stmt  *ask = NULL;

    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &ask, NULL) != SQLITE_OK || sqlite3_step(ask) != SQLITE_ROW) {
        (void) sqlite3_finalize(ask); /* the step's error is told below */
        return err_sqlite(err, s, "read its version");
    }
    *out = sqlite3_column_int(ask, 0);
    (void) sqlite3_finalize(ask); /* was stepped well */
    return true;
}

static FALLIBLE sqlite_prepare(struct database *db, const char *const *sql, size_t n, struct err *err)
{
    struct sqlite *s = sqlite_of(db);

    s->prepared = calloc(n, sizeof *s->prepared);
    if (!s->prepared)
        abort();
    s->n_prepared = n;
    for (size_t i = 0; i < n; i++) {
        if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->prepared[i], NULL) != SQLITE_OK)
            return err_sqlite(err, s, sql[i]);
    }
    return true;
}

static FALLIBLE sqlite_begin(struct database *db, enum transaction kind, struct err *err)
{
    return sqlite_execute(db, kind == TRANSACTION_WRITE ? "BEGIN IMMEDIATE" : "BEGIN", err);
}

static FALLIBLE sqlite_commit(struct database *db, struct err *err) { return sqlite_execute(db, "COMMIT", err); }

static void sqlite_rollback(struct database *db)
{
    struct err ignored;

    if (!sqlite_execute(db, "ROLLBACK", &ignored) && !sqlite3_get_autocommit(sqlite_of(db)->db))
        abort(); /* the state of our own writes is unknown: restart from what is on disk */
}

/* A failed bind leaves NULL, which the schema refuses. */
static void bind(sqlite3_stmt *stmt, int at, const struct value *v)
{
    switch (v->kind) {
    case VALUE_NULL:   break;
    case VALUE_NUMBER: (void) sqlite3_bind_int64(stmt, at, v->number); break;                         /* see above */
    case VALUE_TEXT:   (void) sqlite3_bind_text(stmt, at, v->text, -1, SQLITE_STATIC); break;         /* see above */
    case VALUE_BYTES:  (void) sqlite3_bind_blob64(stmt, at, v->bytes.len ? v->bytes.at : (const uint8_t *) "", v->bytes.len,
                                                  SQLITE_STATIC); /* see above */
    }
}

static struct value column(sqlite3_stmt *stmt, int at)
{
    switch (sqlite3_column_type(stmt, at)) {
    case SQLITE_INTEGER: return value_number(sqlite3_column_int64(stmt, at));
    case SQLITE_TEXT:    return value_text((const char *) sqlite3_column_text(stmt, at));
    case SQLITE_BLOB:    return value_bytes((struct bytes){ sqlite3_column_blob(stmt, at),
                                                            (size_t) sqlite3_column_bytes(stmt, at) });
    default:             return (struct value){ 0 };
    }
}

static FALLIBLE steps(struct sqlite *s, sqlite3_stmt *stmt, struct run *run, struct err *err)
{
    int code;

    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct value row[VALUES_MAX] = { 0 };

        for (int i = 0; i < sqlite3_column_count(stmt) && i < VALUES_MAX; i++)
            row[i] = column(stmt, i);
        run->n_rows++;
        if (run->row)
            run->row(run->owner, row);
    }
    if (code != SQLITE_DONE)
        return err_sqlite(err, s, "run a statement");
    if (!sqlite3_stmt_readonly(stmt) && run->n_rows == 0)
        run->n_rows = (uint64_t) sqlite3_changes64(s->db);
    return true;
}

static FALLIBLE sqlite_run(struct database *db, struct run *run, struct err *err)
{
    struct sqlite *s    = sqlite_of(db);
    sqlite3_stmt  *stmt = s->prepared[run->statement];

    run->n_rows = 0;
    for (size_t i = 0; i < run->n_values; i++)
        bind(stmt, (int) i + 1, &run->values[i]);

    bool fine = steps(s, stmt, run, err);

    (void) sqlite3_reset(stmt);          /* repeats the last step's error */
    (void) sqlite3_clear_bindings(stmt); /* cannot fail */
    return fine;
}

static void sqlite_close(struct database *db)
{
    struct sqlite *s = sqlite_of(db);

    for (size_t i = 0; i < s->n_prepared; i++)
        (void) sqlite3_finalize(s->prepared[i]); /* repeats the statement's own last error */
    (void) sqlite3_close(s->db); /* nothing is left open that could refuse it */
    free(s->prepared);
    free(s);
}

static const struct database_kind SQLITE = {
    .name = "SQLite", .execute = sqlite_execute, .version = sqlite_version, .prepare = sqlite_prepare,
    .begin = sqlite_begin, .commit = sqlite_commit, .rollback = sqlite_rollback, .run = sqlite_run,
    .close = sqlite_close, .schema = SCHEMA, .writes_version = "PRAGMA user_version = ",
};

FALLIBLE sqlite_open(const char *path, struct database **out, struct err *err)
{
    static const char SETTINGS[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
                                   "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY";
    struct sqlite *s   = calloc(1, sizeof *s);
    mode_t         was = umask(0077); /* the file and its journals are the broker's alone */

    if (!s)
        abort();
    s->base.kind = &SQLITE;

    AUTO(database) struct database *db = &s->base;
    int code = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

    if (code == SQLITE_OK)
        (void) sqlite3_busy_timeout(s->db, BUSY_MS); /* cannot fail */
    bool ready = code == SQLITE_OK && sqlite_execute(db, SETTINGS, err);

    umask(was);
    if (code != SQLITE_OK)
        return fail_with(err, ERR_OS, "store %s: %s", path, sqlite3_errstr(code));
    if (!ready)
        return false;
    *out = TAKE(db);
    return true;
}
