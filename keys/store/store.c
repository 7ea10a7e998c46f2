#include "keys/store/store.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "keys/store/seal.h"

enum { SCHEMA_VERSION = 4, BUSY_MS = 5000, BLOB_MAX = SECRET_LEN_MAX + SEAL_EXTRA };

/* Step N takes a file from version N to N + 1; never changed once released. */
static const char *const SCHEMA_STEPS[SCHEMA_VERSION] = {
    "CREATE TABLE resource (path TEXT PRIMARY KEY, sealed BLOB NOT NULL, len INTEGER NOT NULL,"
    "  created INTEGER NOT NULL, changed INTEGER NOT NULL) STRICT;"
    "CREATE TABLE reference (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, tee TEXT NOT NULL,"
    "  value BLOB NOT NULL, resource TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,"
    "  UNIQUE (kind, tee, value, resource)) STRICT;"
    "CREATE TABLE session (id TEXT PRIMARY KEY, expires INTEGER NOT NULL, token BLOB NOT NULL) STRICT;"
    "CREATE INDEX session_expires ON session (expires);"
    "CREATE TABLE proof (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT;"
    "PRAGMA user_version = 1;",
    "CREATE TABLE audit (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;"
    "PRAGMA user_version = 2;",
    "ALTER TABLE resource ADD COLUMN uses INTEGER;" /* that are left; NULL: not counted */
    "PRAGMA user_version = 3;",
    "CREATE TABLE document (kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, text BLOB," /* NULL: removed */
    "  changed INTEGER NOT NULL, expires INTEGER NOT NULL, author TEXT NOT NULL,"
    "  PRIMARY KEY (kind, name, version)) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 4;",
};

#define STATEMENTS(X)                                                                                                \
    X(RESOURCE_PUT, "INSERT INTO resource VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT (path) DO UPDATE"              \
                    " SET sealed = ?2, len = ?3, changed = ?4, uses = ?5")                                           \
    X(RESOURCE_GET, "SELECT sealed, uses FROM resource WHERE path = ?1")                                             \
    X(RESOURCE_USE, "UPDATE resource SET uses = uses - 1 WHERE path = ?1 AND uses > 0")                              \
    X(RESOURCE_REMOVE, "DELETE FROM resource WHERE path = ?1")                                                       \
    X(RESOURCE_LIST, "SELECT path, len, created, changed, uses FROM resource ORDER BY path")                         \
    X(REFERENCE_ADD, "INSERT INTO reference (kind, tee, value, resource, created, expires)"                          \
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (kind, tee, value, resource)"                     \
                     " DO UPDATE SET expires = ?6 RETURNING id")                                                     \
    X(REFERENCE_REMOVE, "DELETE FROM reference WHERE id = ?1")                                                       \
    X(REFERENCE_LIST, "SELECT id, kind, tee, value, resource, created, expires FROM reference ORDER BY id")          \
    X(REFERENCE_HOLDS, "SELECT 1 FROM reference WHERE kind = ?1 AND tee = ?2 AND value = ?3 AND"                     \
                       " (?4 IS NULL OR resource = '' OR resource = ?4) AND (expires = 0 OR expires > ?5) LIMIT 1")  \
    X(DOCUMENT_PUT, "INSERT INTO document SELECT ?1, ?2, 1 + COALESCE(MAX(version), 0), ?3, ?4, ?5, ?6 FROM document"  \
                    " WHERE kind = ?1 AND name = ?2")                                                                \
    X(DOCUMENT_GET, "SELECT text, version, expires FROM document WHERE kind = ?1 AND name = ?2"                      \
                    " ORDER BY version DESC LIMIT 1")                                                                \
    X(DOCUMENT_LIST, "SELECT name, version, text, changed, expires, author FROM document AS d WHERE kind = ?1 AND"   \
                     " version = (SELECT MAX(version) FROM document WHERE kind = ?1 AND name = d.name) AND"          \
                     " text IS NOT NULL AND (expires = 0 OR expires > ?2) ORDER BY name")                            \
    X(DOCUMENT_HISTORY, "SELECT name, version, text, changed, expires, author FROM document WHERE kind = ?1 AND"     \
                        " name = ?2 ORDER BY version")                                                               \
    X(SESSION_ADD, "INSERT INTO session VALUES (?1, ?2, ?3)")                                                        \
    X(SESSION_TOKEN, "SELECT token FROM session WHERE id = ?1 AND expires > ?2")                                     \
    X(SESSIONS_EXPIRE, "DELETE FROM session WHERE expires <= ?1")                                                    \
    X(AUDIT_ADD, "INSERT INTO audit VALUES (?1, ?2)")                                                                \
    X(AUDIT_LIST, "SELECT seq, entry FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT ?2")                              \
    X(PROOF_PUT, "INSERT INTO proof VALUES ('key', ?1)")                                                             \
    X(PROOF_GET, "SELECT sealed FROM proof WHERE name = 'key'")

#define STATEMENT_ENUM(name, sql) name,
enum statement { STATEMENTS(STATEMENT_ENUM) N_STATEMENTS };
#undef STATEMENT_ENUM

#define STATEMENT_SQL(name, sql) [name] = (sql),
static const char *const SQL[] = { STATEMENTS(STATEMENT_SQL) };
#undef STATEMENT_SQL

struct store {
    sqlite3      *db;
    sqlite3_stmt *prepared[N_STATEMENTS];
    struct secret key;
    bool          dirty;   /* a transaction with writes is open */
    bool          spoiled; /* … that must not be committed */
    struct merkle pending;   /* over all entries, those of the open transaction too */
    struct merkle committed;
};

static const char *const KIND_NAMES[] = { [REFERENCE_MEASUREMENT] = "measurement", [REFERENCE_INITDATA] = "initdata" };

const char *reference_kind_name(enum reference_kind kind) { return KIND_NAMES[kind]; }

bool reference_kind_by_name(const char *name, enum reference_kind *out)
{
    for (int i = 0; i < N_REFERENCE_KINDS; i++) {
        if (strcmp(KIND_NAMES[i], name) == 0) {
            *out = (enum reference_kind) i;
            return true;
        }
    }
    return false;
}

static bool err_sqlite(struct err *err, struct store *store, const char *what)
{
    return fail_with(err, ERR_OS, "store: %s: %s", what, sqlite3_errmsg(store->db));
}

void store_close(struct store *store)
{
    if (!store)
        return;
    for (int i = 0; i < N_STATEMENTS; i++)
        (void) sqlite3_finalize(store->prepared[i]); /* repeats the statement's own last error */
    (void) sqlite3_close(store->db); /* nothing is left open that could refuse it */
    secret_free(&store->key);
    free(store);
}

/* A statement in use: reset when it leaves scope, so that no read stays open. */
struct use { sqlite3_stmt *stmt; };

static void auto_use(struct use *u)
{
    if (!u->stmt)
        return;
    (void) sqlite3_reset(u->stmt); /* repeats the last step's error */
    (void) sqlite3_clear_bindings(u->stmt); /* cannot fail */
}

static struct use statement(struct store *store, enum statement which)
{
    return (struct use){ store->prepared[which] };
}

static FALLIBLE execute(struct store *store, const char *sql, struct err *err)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK || err_sqlite(err, store, sql);
}

/* The first write of a batch opens its transaction. */
static FALLIBLE write_begins(struct store *store, struct err *err)
{
    if (store->dirty)
        return true;
    if (!execute(store, "BEGIN IMMEDIATE", err))
        return false;
    store->dirty = true;
    return true;
}

static FALLIBLE step_write(struct store *store, struct use u, const char *what, struct err *err)
{
    int code = sqlite3_step(u.stmt);

    if (code == SQLITE_CONSTRAINT)
        return fail_with(err, ERR_DENIED, "%s: it is there already", what);
    return code == SQLITE_DONE || err_sqlite(err, store, what);
}

bool store_is_dirty(const struct store *store) { return store->dirty; }

void store_spoil(struct store *store) { store->spoiled = store->dirty; }

FALLIBLE store_commit(struct store *store, struct err *err)
{
    bool       spoiled = store->spoiled;
    struct err ignored; /* the failed commit is what is told */

    if (!store->dirty)
        return true;
    store->dirty = store->spoiled = false;
    if (!spoiled && execute(store, "COMMIT", err)) {
        store->committed = store->pending;
        return true;
    }
    store->pending = store->committed;
    if (spoiled)
        (void) fail_with(err, ERR_OS, "store: a write before failed, so this turn's writes are undone");
    if (!execute(store, "ROLLBACK", &ignored) && !sqlite3_get_autocommit(store->db))
        abort(); /* the state of our own writes is unknown: restart from what is on disk */
    return false;
}

static void bind_text(struct use u, int at, const char *text) { (void) sqlite3_bind_text(u.stmt, at, text, -1, SQLITE_STATIC); }
static void bind_number(struct use u, int at, int64_t v) { (void) sqlite3_bind_int64(u.stmt, at, v); }
static void bind_bytes(struct use u, int at, struct bytes b)
{
    (void) sqlite3_bind_blob64(u.stmt, at, b.at, b.len, SQLITE_STATIC); /* a failed bind leaves NULL: refused by the schema */
}

static struct bytes column_bytes(struct use u, int at)
{
    return (struct bytes){ sqlite3_column_blob(u.stmt, at), (size_t) sqlite3_column_bytes(u.stmt, at) };
}

static const char *column_text(struct use u, int at)
{
    const char *text = (const char *) sqlite3_column_text(u.stmt, at);

    return text ? text : "";
}

/* ---- opening ---- */

static FALLIBLE schema_prepare(struct store *store, struct err *err)
{
    sqlite3_stmt *ask     = NULL;
    int           version = 0;

    if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &ask, NULL) != SQLITE_OK || sqlite3_step(ask) != SQLITE_ROW) {
        (void) sqlite3_finalize(ask); /* the step's error is told below */
        return err_sqlite(err, store, "read its version");
    }
    version = sqlite3_column_int(ask, 0);
    (void) sqlite3_finalize(ask); /* was stepped well */
    if (version > SCHEMA_VERSION)
        return fail_with(err, ERR_CONFIG, "store: made by a newer broker (version %d; this one knows %d)", version,
                         SCHEMA_VERSION);
    for (; version < SCHEMA_VERSION; version++) {
        if (!execute(store, "BEGIN IMMEDIATE", err) || !execute(store, SCHEMA_STEPS[version], err) ||
            !execute(store, "COMMIT", err))
            return false;
    }
    return true;
}

/* A sealed sample tells a wrong key at start, not at the first release. */
static FALLIBLE key_prove(struct store *store, struct err *err)
{
    AUTO(secret) struct secret sample = { 0 };
    AUTO(buffer) struct buffer sealed = { 0 };
    AUTO(use) struct use       get    = statement(store, PROOF_GET);
    AUTO(use) struct use       put    = statement(store, PROOF_PUT);
    int                        code   = sqlite3_step(get.stmt);

    if (code == SQLITE_ROW)
        return unseal(&store->key, "proof", column_bytes(get, 0), &sample, err) ||
               fail_with(err, ERR_UNTRUSTED, "store: its secrets are sealed under another key than the one given");
    if (code != SQLITE_DONE)
        return err_sqlite(err, store, "prove its key");
    if (!secret_random(SEAL_KEY_LEN, &sample, err) || !seal(&store->key, "proof", &sample, &sealed, err))
        return false;
    bind_bytes(put, 1, buffer_bytes(&sealed));
    return step_write(store, put, "prove its key", err);
}

struct growth {
    struct merkle *tree;
    bool           has_gap;
};

static void grow(void *owner, uint64_t seq, struct bytes entry)
{
    struct growth     *g    = owner;
    struct merkle_hash leaf = merkle_leaf(entry);

    g->has_gap = g->has_gap || seq != g->tree->size;
    merkle_add(g->tree, &leaf);
}

static FALLIBLE tree_build(struct store *store, struct err *err)
{
    struct growth g = { .tree = &store->committed };

    if (!store_audit_each(store, 0, INT64_MAX, grow, &g, err))
        return false;
    if (g.has_gap)
        return fail_with(err, ERR_UNTRUSTED, "store: the audit log has a gap; an entry was removed");
    store->pending = store->committed;
    return true;
}

FALLIBLE store_open(const char *path, const struct secret *key, struct store **out, struct err *err)
{
    AUTO(store) struct store *store = calloc(1, sizeof *store);
    mode_t                    was   = umask(0077); /* the file and its journals are the broker's alone */
    int                       code;

    if (!store)
        abort();
    code = sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        umask(was);
        return fail_with(err, ERR_OS, "store %s: %s", path, sqlite3_errstr(code));
    }
    (void) sqlite3_busy_timeout(store->db, BUSY_MS); /* cannot fail */
    bool ready = execute(store, "PRAGMA journal_mode = WAL", err) && execute(store, "PRAGMA synchronous = FULL", err) &&
                 execute(store, "PRAGMA secure_delete = ON", err) && execute(store, "PRAGMA trusted_schema = OFF", err) &&
                 execute(store, "PRAGMA temp_store = MEMORY", err) && schema_prepare(store, err);
    umask(was);
    if (!ready)
        return false;
    for (int i = 0; i < N_STATEMENTS; i++) {
        if (sqlite3_prepare_v3(store->db, SQL[i], -1, SQLITE_PREPARE_PERSISTENT, &store->prepared[i], NULL) != SQLITE_OK)
            return err_sqlite(err, store, SQL[i]);
    }
    if (!secret_copy(secret_expose(key), &store->key, err) || !key_prove(store, err) || !tree_build(store, err))
        return false;
    *out = TAKE(store);
    return true;
}

/* ---- resources ---- */

FALLIBLE store_resource_put(struct store *store, const char *path, const struct secret *value, uint64_t uses,
                            int64_t now, struct err *err)
{
    AUTO(buffer) struct buffer sealed = { 0 };
    AUTO(use) struct use       u      = statement(store, RESOURCE_PUT);

    if (!seal(&store->key, path, value, &sealed, err) || !write_begins(store, err))
        return false;
    bind_text(u, 1, path);
    bind_bytes(u, 2, buffer_bytes(&sealed));
    bind_number(u, 3, (int64_t) value->len);
    bind_number(u, 4, now);
    if (uses != USES_UNLIMITED)
        bind_number(u, 5, (int64_t) uses);
    return step_write(store, u, "put a resource", err);
}

static FALLIBLE resource_read(struct store *store, const char *path, bool *is_counted, struct secret *out,
                              struct err *err)
{
    AUTO(use) struct use u = statement(store, RESOURCE_GET);
    int                  code;

    bind_text(u, 1, path);
    code = sqlite3_step(u.stmt);
    if (code == SQLITE_DONE)
        return fail_with(err, ERR_NOT_FOUND, "there is no resource %.200s", path);
    if (code != SQLITE_ROW)
        return err_sqlite(err, store, "get a resource");
    *is_counted = sqlite3_column_type(u.stmt, 1) != SQLITE_NULL;
    return unseal(&store->key, path, column_bytes(u, 0), out, err);
}

FALLIBLE store_resource_get(struct store *store, const char *path, struct secret *out, struct err *err)
{
    bool is_counted;

    return resource_read(store, path, &is_counted, out, err);
}

FALLIBLE store_resource_take(struct store *store, const char *path, struct secret *out, struct err *err)
{
    AUTO(use) struct use       u          = statement(store, RESOURCE_USE);
    AUTO(secret) struct secret value      = { 0 };
    bool                       is_counted = true;

    if (!resource_read(store, path, &is_counted, &value, err))
        return false;
    if (is_counted) {
        if (!write_begins(store, err))
            return false;
        bind_text(u, 1, path);
        if (!step_write(store, u, "count a use", err))
            return false;
        if (sqlite3_changes(store->db) == 0)
            return fail_with(err, ERR_DENIED, "%.200s was released as often as it may be", path);
    }
    *out = TAKE(value);
    return true;
}

FALLIBLE store_resource_remove(struct store *store, const char *path, struct err *err)
{
    AUTO(use) struct use u = statement(store, RESOURCE_REMOVE);

    if (!write_begins(store, err))
        return false;
    bind_text(u, 1, path);
    if (!step_write(store, u, "remove a resource", err))
        return false;
    return sqlite3_changes(store->db) > 0 || fail_with(err, ERR_NOT_FOUND, "there is no resource %.200s", path);
}

FALLIBLE store_resources_each(struct store *store, store_resource_fn *fn, void *owner, struct err *err)
{
    AUTO(use) struct use u = statement(store, RESOURCE_LIST);
    int                  code;

    while ((code = sqlite3_step(u.stmt)) == SQLITE_ROW) {
        struct store_resource one = { .path       = column_text(u, 0),
                                      .len        = (uint64_t) sqlite3_column_int64(u.stmt, 1),
                                      .created    = sqlite3_column_int64(u.stmt, 2),
                                      .changed    = sqlite3_column_int64(u.stmt, 3),
                                      .is_counted = sqlite3_column_type(u.stmt, 4) != SQLITE_NULL,
                                      .uses_left  = (uint64_t) sqlite3_column_int64(u.stmt, 4) };

        fn(owner, &one);
    }
    return code == SQLITE_DONE || err_sqlite(err, store, "list resources");
}

/* ---- reference values ---- */

FALLIBLE store_reference_add(struct store *store, const struct reference *reference, int64_t *id, struct err *err)
{
    AUTO(use) struct use u = statement(store, REFERENCE_ADD);

    if (!write_begins(store, err))
        return false;
    bind_text(u, 1, KIND_NAMES[reference->kind]);
    bind_text(u, 2, reference->tee);
    bind_bytes(u, 3, reference->value);
    bind_text(u, 4, reference->resource);
    bind_number(u, 5, reference->created);
    bind_number(u, 6, reference->expires);
    if (sqlite3_step(u.stmt) != SQLITE_ROW)
        return err_sqlite(err, store, "add a reference value");
    *id = sqlite3_column_int64(u.stmt, 0);
    return step_write(store, u, "add a reference value", err);
}

FALLIBLE store_reference_remove(struct store *store, int64_t id, struct err *err)
{
    AUTO(use) struct use u = statement(store, REFERENCE_REMOVE);

    if (!write_begins(store, err))
        return false;
    bind_number(u, 1, id);
    if (!step_write(store, u, "remove a reference value", err))
        return false;
    return sqlite3_changes(store->db) > 0 ||
           fail_with(err, ERR_NOT_FOUND, "there is no reference value %lld", (long long) id);
}

FALLIBLE store_references_each(struct store *store, reference_fn *fn, void *owner, struct err *err)
{
    AUTO(use) struct use u = statement(store, REFERENCE_LIST);
    int                  code;

    while ((code = sqlite3_step(u.stmt)) == SQLITE_ROW) {
        struct reference one = { .id       = sqlite3_column_int64(u.stmt, 0),
                                 .tee      = column_text(u, 2),
                                 .value    = column_bytes(u, 3),
                                 .resource = column_text(u, 4),
                                 .created  = sqlite3_column_int64(u.stmt, 5),
                                 .expires  = sqlite3_column_int64(u.stmt, 6) };

        if (!reference_kind_by_name(column_text(u, 1), &one.kind))
            return fail_with(err, ERR_MALFORMED, "store: a reference value of unknown kind");
        fn(owner, &one);
    }
    return code == SQLITE_DONE || err_sqlite(err, store, "list reference values");
}

FALLIBLE store_reference_holds(struct store *store, enum reference_kind kind, const char *tee, struct bytes value,
                               const char *resource, int64_t now, bool *out, struct err *err)
{
    AUTO(use) struct use u = statement(store, REFERENCE_HOLDS);
    int                  code;

    bind_text(u, 1, KIND_NAMES[kind]);
    bind_text(u, 2, tee);
    bind_bytes(u, 3, value);
    if (resource)
        bind_text(u, 4, resource);
    bind_number(u, 5, now);
    code = sqlite3_step(u.stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return err_sqlite(err, store, "look up a reference value");
    *out = code == SQLITE_ROW;
    return true;
}

/* ---- documents ---- */

static const char *const DOCUMENT_NAMES[] = {
#define DOCUMENT_NAME(id, text) [id] = (text),
    DOCUMENT_KINDS(DOCUMENT_NAME)
#undef DOCUMENT_NAME
};

FALLIBLE store_document_put(struct store *store, enum document_kind kind, const struct document *document,
                            struct err *err)
{
    AUTO(use) struct use u = statement(store, DOCUMENT_PUT);

    if (strlen(document->name) > DOCUMENT_NAME_MAX || document->text.len > DOCUMENT_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "a %s has a name of %d and a text of %d bytes at most", DOCUMENT_NAMES[kind],
                         DOCUMENT_NAME_MAX, DOCUMENT_TEXT_MAX);
    if (!write_begins(store, err))
        return false;
    bind_text(u, 1, DOCUMENT_NAMES[kind]);
    bind_text(u, 2, document->name);
    if (!document->is_removed)
        bind_bytes(u, 3, document->text.at ? document->text : BYTES_OF(""));
    bind_number(u, 4, document->changed);
    bind_number(u, 5, document->expires);
    bind_text(u, 6, document->by);
    return step_write(store, u, "put a document", err);
}

FALLIBLE store_document_get(struct store *store, enum document_kind kind, const char *name, int64_t now,
                            struct buffer *text, int64_t *version, struct err *err)
{
    AUTO(use) struct use u = statement(store, DOCUMENT_GET);
    int64_t              expires;
    int                  code;

    bind_text(u, 1, DOCUMENT_NAMES[kind]);
    bind_text(u, 2, name);
    code = sqlite3_step(u.stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return err_sqlite(err, store, "get a document");
    *version = 0;
    if (code == SQLITE_DONE || sqlite3_column_type(u.stmt, 0) == SQLITE_NULL)
        return true;
    expires = sqlite3_column_int64(u.stmt, 2);
    if (expires != 0 && expires <= now)
        return true;
    buffer_append(text, column_bytes(u, 0));
    *version = sqlite3_column_int64(u.stmt, 1);
    return true;
}

static FALLIBLE documents_walk(struct store *store, struct use u, document_fn *fn, void *owner, struct err *err)
{
    int code;

    while ((code = sqlite3_step(u.stmt)) == SQLITE_ROW) {
        struct document one = { .name       = column_text(u, 0),
                                .version    = sqlite3_column_int64(u.stmt, 1),
                                .text       = column_bytes(u, 2),
                                .is_removed = sqlite3_column_type(u.stmt, 2) == SQLITE_NULL,
                                .changed    = sqlite3_column_int64(u.stmt, 3),
                                .expires    = sqlite3_column_int64(u.stmt, 4),
                                .by         = column_text(u, 5) };

        fn(owner, &one);
    }
    return code == SQLITE_DONE || err_sqlite(err, store, "list documents");
}

FALLIBLE store_documents_each(struct store *store, enum document_kind kind, int64_t now, document_fn *fn, void *owner,
                              struct err *err)
{
    AUTO(use) struct use u = statement(store, DOCUMENT_LIST);

    bind_text(u, 1, DOCUMENT_NAMES[kind]);
    bind_number(u, 2, now);
    return documents_walk(store, u, fn, owner, err);
}

FALLIBLE store_document_history(struct store *store, enum document_kind kind, const char *name, document_fn *fn,
                                void *owner, struct err *err)
{
    AUTO(use) struct use u = statement(store, DOCUMENT_HISTORY);

    bind_text(u, 1, DOCUMENT_NAMES[kind]);
    bind_text(u, 2, name);
    return documents_walk(store, u, fn, owner, err);
}

/* ---- sessions ---- */

FALLIBLE store_session_add(struct store *store, const char *id, int64_t expires, struct bytes token, struct err *err)
{
    AUTO(use) struct use u = statement(store, SESSION_ADD);

    if (!write_begins(store, err))
        return false;
    bind_text(u, 1, id);
    bind_number(u, 2, expires);
    bind_bytes(u, 3, token);
    return step_write(store, u, "spend a session", err);
}

FALLIBLE store_session_token(struct store *store, const char *id, int64_t now, struct buffer *token, struct err *err)
{
    AUTO(use) struct use u = statement(store, SESSION_TOKEN);
    int                  code;

    bind_text(u, 1, id);
    bind_number(u, 2, now);
    code = sqlite3_step(u.stmt);
    if (code == SQLITE_DONE)
        return fail_with(err, ERR_NOT_FOUND, "no such session");
    if (code != SQLITE_ROW)
        return err_sqlite(err, store, "look up a session");
    buffer_append(token, column_bytes(u, 0));
    return true;
}

FALLIBLE store_sessions_expire(struct store *store, int64_t now, struct err *err)
{
    AUTO(use) struct use u = statement(store, SESSIONS_EXPIRE);

    if (!write_begins(store, err))
        return false;
    bind_number(u, 1, now);
    return step_write(store, u, "expire sessions", err);
}

/* ---- audit ---- */

FALLIBLE store_audit_add(struct store *store, struct bytes entry, struct err *err)
{
    AUTO(use) struct use u    = statement(store, AUDIT_ADD);
    struct merkle_hash   leaf = merkle_leaf(entry);

    if (!write_begins(store, err))
        return false;
    bind_number(u, 1, (int64_t) store->pending.size);
    bind_bytes(u, 2, entry);
    if (!step_write(store, u, "add to the audit log", err))
        return false;
    merkle_add(&store->pending, &leaf);
    return true;
}

FALLIBLE store_audit_each(struct store *store, uint64_t from, uint64_t most, audit_fn *fn, void *owner, struct err *err)
{
    AUTO(use) struct use u = statement(store, AUDIT_LIST);
    int                  code;

    bind_number(u, 1, (int64_t) from);
    bind_number(u, 2, (int64_t) most);
    while ((code = sqlite3_step(u.stmt)) == SQLITE_ROW)
        fn(owner, (uint64_t) sqlite3_column_int64(u.stmt, 0), column_bytes(u, 1));
    return code == SQLITE_DONE || err_sqlite(err, store, "read the audit log");
}

const struct merkle *store_audit_tree(const struct store *store) { return &store->committed; }
