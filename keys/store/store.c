#include "keys/store/store.h"

#include <string.h>

#include "keys/store/inside.h"
#include "keys/store/seal.h"

#define STATEMENT_SQL(name, sql) [name] = (sql),
static const char *const SQL[] = { STATEMENTS(STATEMENT_SQL) };
#undef STATEMENT_SQL

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

/* ---- transactions ---- */

FALLIBLE store_run(struct store *store, enum statement which, const struct value *values, size_t n, row_fn *row,
                   void *owner, uint64_t *n_rows, struct err *err)
{
    struct run run = { .statement = which, .values = values, .n_values = n, .row = row, .owner = owner };

    if (!store->db->kind->run(store->db, &run, err))
        return false;
    if (n_rows)
        *n_rows = run.n_rows;
    return true;
}

bool store_is_dirty(const struct store *store) { return store->dirty; }

void store_spoil(struct store *store) { store->spoiled = store->dirty; }

/* Another broker may have added to the log since: its tree is read once the writer's turn is ours. */
FALLIBLE store_begin(struct store *store, struct err *err)
{
    if (store->dirty)
        return true;
    if (!store->db->kind->begin(store->db, TRANSACTION_WRITE, err))
        return false;
    store->dirty = true;
    if (tree_load(store, err))
        return true;
    store->spoiled = true;
    return false;
}

static bool undo(struct store *store)
{
    store->pending = store->committed;
    store->db->kind->rollback(store->db);
    return false;
}

FALLIBLE store_commit(struct store *store, struct err *err)
{
    bool spoiled = store->spoiled;

    if (!store->dirty)
        return true;
    store->dirty = store->spoiled = false;
    if (spoiled) {
        (void) fail_with(err, ERR_OS, "store: a write before failed, so this turn's writes are undone");
        return undo(store);
    }
    if (!tree_save(store, err) || !store->db->kind->commit(store->db, err))
        return undo(store);
    store->committed = store->pending;
    return true;
}

FALLIBLE store_write(struct store *store, enum statement which, const struct value *values, size_t n, uint64_t *n_changed,
                     struct err *err)
{
    return store_begin(store, err) && store_run(store, which, values, n, NULL, NULL, n_changed, err);
}

/* ---- sealed rows ---- */

static void bytes_copy(void *owner, const struct value *row) { buffer_append(owner, row[0].bytes); }

FALLIBLE sealed_get(struct store *store, const char *name, struct secret *out, struct err *err)
{
    AUTO(buffer) struct buffer sealed = { 0 };
    uint64_t                   n;

    if (!store_run(store, PROOF_GET, VALUES(value_text(name)), bytes_copy, &sealed, &n, err))
        return false;
    if (n == 0)
        return fail_with(err, ERR_NOT_FOUND, "store: it has no %s", name);
    return unseal(&store->key, name, buffer_bytes(&sealed), out, err);
}

FALLIBLE sealed_put(struct store *store, const char *name, struct bytes plain, struct err *err)
{
    AUTO(buffer) struct buffer sealed = { 0 };
    AUTO(secret) struct secret copy   = { 0 };

    return secret_copy(plain, &copy, err) && seal(&store->key, name, &copy, &sealed, err) &&
           store_run(store, PROOF_PUT, VALUES(value_text(name), value_bytes(buffer_bytes(&sealed))), NULL, NULL, NULL, err);
}

/* ---- opening ---- */

/* The sealed sample: proves the store's key, and is the store's epoch. */
#define KEY_SAMPLE "proof"

FALLIBLE store_epoch(struct store *store, struct secret *out, struct err *err)
{
    return sealed_get(store, KEY_SAMPLE, out, err);
}

FALLIBLE epoch_renew(struct store *store, struct err *err)
{
    AUTO(secret) struct secret sample = { 0 };

    return secret_random(SEAL_KEY_LEN, &sample, err) && sealed_put(store, KEY_SAMPLE, secret_expose(&sample), err);
}

/* A sealed sample tells a wrong key at start, not at the first release. Made by the first who opens the store. */
static FALLIBLE key_prove(struct store *store, struct err *err)
{
    AUTO(secret) struct secret sample = { 0 };

    if (sealed_get(store, KEY_SAMPLE, &sample, err))
        return true;
    if (err->kind == ERR_NOT_FOUND) {
        if (!store->db->kind->begin(store->db, TRANSACTION_WRITE, err))
            return false;
        if (sealed_get(store, KEY_SAMPLE, &sample, err) ||
            (err->kind == ERR_NOT_FOUND && epoch_renew(store, err)))
            return store->db->kind->commit(store->db, err) || undo(store);
        (void) undo(store); /* tells nothing of its own */
    }
    if (err->kind != ERR_UNTRUSTED)
        return false;
    return fail_with(err, ERR_UNTRUSTED, "store: its secrets are sealed under another key than the one given");
}

static FALLIBLE schema_check(struct store *store, struct err *err)
{
    int version = 0;

    if (!store->db->kind->version(store->db, &version, err))
        return false;
    if (version == 0)
        return schema_migrate(store->db, &version, err);
    if (version > SCHEMA_VERSION)
        return fail_with(err, ERR_CONFIG, "store: made by a newer broker (version %d; this one knows %d)", version,
                         SCHEMA_VERSION);
    return version == SCHEMA_VERSION ||
           fail_with(err, ERR_CONFIG, "store: made by an older broker (version %d; this one needs %d): run cloister-broker "
                     "migrate", version, SCHEMA_VERSION);
}

static FALLIBLE connect_to(const char *where, const struct secret *key, struct store **out, struct err *err)
{
    AUTO(store) struct store *store = calloc(1, sizeof *store);

    if (!store)
        abort();
    if (!database_open(where, &store->db, err) || !secret_copy(secret_expose(key), &store->key, err))
        return false;
    *out = TAKE(store);
    return true;
}

static FALLIBLE ready(struct store *store, struct err *err)
{
    return store->db->kind->prepare(store->db, SQL, N_STATEMENTS, err) && key_prove(store, err);
}

FALLIBLE store_open(const char *where, const struct secret *key, struct store **out, struct err *err)
{
    AUTO(store) struct store *store = NULL;

    if (!connect_to(where, key, &store, err) || !schema_check(store, err) || !ready(store, err) || !tree_check(store, err))
        return false;
    *out = TAKE(store);
    return true;
}

FALLIBLE store_migrate(const char *where, const struct secret *key, int *from, int *to, struct err *err)
{
    AUTO(store) struct store *store = NULL;

    *to = SCHEMA_VERSION;
    if (!connect_to(where, key, &store, err) || !schema_migrate(store->db, from, err) || !ready(store, err))
        return false;
    return *from == 0 || *from >= AUDIT_TREE_VERSION || tree_build(store, err);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->db)
        database_close(store->db);
    secret_free(&store->key);
    free(store);
}

/* ---- resources ---- */

FALLIBLE store_resource_put(struct store *store, const char *path, const struct secret *value, uint64_t uses,
                            int64_t now, struct err *err)
{
    AUTO(buffer) struct buffer sealed = { 0 };

    return seal(&store->key, path, value, &sealed, err) &&
           store_write(store, RESOURCE_PUT,
                     VALUES(value_text(path), value_bytes(buffer_bytes(&sealed)), value_number((int64_t) value->len),
                            value_number(now), uses == USES_UNLIMITED ? (struct value){ 0 } : value_number((int64_t) uses)),
                     NULL, err);
}

struct found {
    struct buffer sealed;
    bool          is_counted;
};

static void resource_found(void *owner, const struct value *row)
{
    struct found *f = owner;

    buffer_append(&f->sealed, row[0].bytes);
    f->is_counted = row[1].kind != VALUE_NULL;
}

static FALLIBLE resource_read(struct store *store, const char *path, bool *is_counted, struct secret *out,
                              struct err *err)
{
    struct found               f      = { 0 };
    uint64_t                   n      = 0;
    bool                       run    = store_run(store, RESOURCE_GET, VALUES(value_text(path)), resource_found, &f, &n, err);
    AUTO(buffer) struct buffer sealed = TAKE(f.sealed);

    if (!run)
        return false;
    if (n == 0)
        return fail_with(err, ERR_NOT_FOUND, "there is no resource %.200s", path);
    *is_counted = f.is_counted;
    return unseal(&store->key, path, buffer_bytes(&sealed), out, err);
}

FALLIBLE store_resource_get(struct store *store, const char *path, struct secret *out, struct err *err)
{
    bool is_counted;

    return resource_read(store, path, &is_counted, out, err);
}

/* Read in the writer's turn: what another broker removed before is not given any more. */
FALLIBLE store_resource_take(struct store *store, const char *path, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret value      = { 0 };
    bool                       is_counted = true;
    uint64_t                   n          = 0;

    if (!store_begin(store, err) || !resource_read(store, path, &is_counted, &value, err))
        return false;
    if (is_counted && !store_write(store, RESOURCE_USE, VALUES(value_text(path)), &n, err))
        return false;
    if (is_counted && n == 0)
        return fail_with(err, ERR_DENIED, "%.200s was released as often as it may be", path);
    *out = TAKE(value);
    return true;
}

FALLIBLE store_resource_remove(struct store *store, const char *path, struct err *err)
{
    uint64_t n = 0;

    if (!store_write(store, RESOURCE_REMOVE, VALUES(value_text(path)), &n, err))
        return false;
    return n > 0 || fail_with(err, ERR_NOT_FOUND, "there is no resource %.200s", path);
}

struct resource_listing {
    store_resource_fn *fn;
    void              *owner;
};

static void resource_tell(void *owner, const struct value *row)
{
    struct resource_listing *l   = owner;
    struct store_resource    one = { .path       = row[0].text,
                                     .len        = (uint64_t) row[1].number,
                                     .created    = row[2].number,
                                     .changed    = row[3].number,
                                     .is_counted = row[4].kind != VALUE_NULL,
                                     .uses_left  = (uint64_t) row[4].number };

    l->fn(l->owner, &one);
}

FALLIBLE store_resources_each(struct store *store, store_resource_fn *fn, void *owner, struct err *err)
{
    struct resource_listing l = { fn, owner };

    return store_run(store, RESOURCE_LIST, NULL, 0, resource_tell, &l, NULL, err);
}

/* ---- reference values ---- */

static void number_copy(void *owner, const struct value *row) { *(int64_t *) owner = row[0].number; }

FALLIBLE store_reference_add(struct store *store, const struct reference *reference, int64_t *id, struct err *err)
{
    return store_begin(store, err) &&
           store_run(store, REFERENCE_ADD,
                     VALUES(value_text(KIND_NAMES[reference->kind]), value_text(reference->tee), value_bytes(reference->value),
                            value_text(reference->resource), value_number(reference->created),
                            value_number(reference->expires)),
                     number_copy, id, NULL, err);
}

FALLIBLE store_reference_remove(struct store *store, int64_t id, struct err *err)
{
    uint64_t n = 0;

    if (!store_write(store, REFERENCE_REMOVE, VALUES(value_number(id)), &n, err))
        return false;
    return n > 0 || fail_with(err, ERR_NOT_FOUND, "there is no reference value %lld", (long long) id);
}

struct reference_listing {
    reference_fn *fn;
    void         *owner;
    bool          has_unknown;
};

static void reference_tell(void *owner, const struct value *row)
{
    struct reference_listing *l   = owner;
    struct reference          one = { .id       = row[0].number,
                                      .tee      = row[2].text,
                                      .value    = row[3].bytes,
                                      .resource = row[4].text,
                                      .created  = row[5].number,
                                      .expires  = row[6].number };

    if (reference_kind_by_name(row[1].text, &one.kind))
        l->fn(l->owner, &one);
    else
        l->has_unknown = true;
}

FALLIBLE store_references_each(struct store *store, reference_fn *fn, void *owner, struct err *err)
{
    struct reference_listing l = { .fn = fn, .owner = owner };

    if (!store_run(store, REFERENCE_LIST, NULL, 0, reference_tell, &l, NULL, err))
        return false;
    return !l.has_unknown || fail_with(err, ERR_MALFORMED, "store: a reference value of unknown kind");
}

FALLIBLE store_reference_holds(struct store *store, enum reference_kind kind, const char *tee, struct bytes value,
                               const char *resource, int64_t now, bool *out, struct err *err)
{
    static const char ANY_PATH[] = "*"; /* no path has one */
    uint64_t          n          = 0;

    if (!store_run(store, REFERENCE_HOLDS,
                   VALUES(value_text(KIND_NAMES[kind]), value_text(tee), value_bytes(value),
                          value_text(resource ? resource : ANY_PATH), value_number(now)),
                   NULL, NULL, &n, err))
        return false;
    *out = n > 0;
    return true;
}

/* ---- sessions ---- */

FALLIBLE store_session_add(struct store *store, const char *id, int64_t expires, struct bytes token, struct err *err)
{
    uint64_t n = 0;

    if (!store_write(store, SESSION_ADD, VALUES(value_text(id), value_number(expires), value_bytes(token)), &n, err))
        return false;
    return n > 0 || fail_with(err, ERR_DENIED, "the session is spent already");
}

FALLIBLE store_session_token(struct store *store, const char *id, int64_t now, struct buffer *token, struct err *err)
{
    uint64_t n = 0;

    if (!store_run(store, SESSION_TOKEN, VALUES(value_text(id), value_number(now)), bytes_copy, token, &n, err))
        return false;
    return n > 0 || fail_with(err, ERR_NOT_FOUND, "no such session");
}

FALLIBLE store_sessions_expire(struct store *store, int64_t now, struct err *err)
{
    return store_write(store, SESSIONS_EXPIRE, VALUES(value_number(now)), NULL, err);
}
