/* Copies of a store: to a file for keeping, and back into any database. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "keys/store/inside.h"

/*
 * Columns by name, in the order of the values; sessions are not copied: who had one attests again. A table that grows
 * without end is read in parts: LIMIT rows from the first column's value ?1 on.
 */
enum { PART = 4096 };
#define WHOLE " ORDER BY 1, 2"
#define PARTS " WHERE seq >= ?1 ORDER BY seq LIMIT 4096"
#define COPIES(X)                                                                                                        \
    X("resource", "path, sealed, len, created, changed, uses", "?1, ?2, ?3, ?4, ?5, ?6", 6, WHOLE)                       \
    X("reference", "kind, tee, value, resource, created, expires", "?1, ?2, ?3, ?4, ?5, ?6", 6, WHOLE)                   \
    X("document", "kind, name, version, text, changed, expires, author", "?1, ?2, ?3, ?4, ?5, ?6, ?7", 7, WHOLE)         \
    X("proof", "name, sealed", "?1, ?2", 2, WHOLE)                                                                       \
    X("audit_node", "level, number, hash", "?1, ?2, ?3", 3, WHOLE)                                                       \
    X("audit", "seq, entry", "?1, ?2", 2, PARTS)

#define READS(table, columns, values, n, order)  "SELECT " columns " FROM " table order,
#define WRITES(table, columns, values, n, order) "INSERT INTO " table " (" columns ") VALUES (" values ")",
#define COUNTS(table, columns, values, n, order) "SELECT 1 FROM " table " LIMIT 1",
#define WIDTHS(table, columns, values, n, order) (n),
#define NAMES(table, columns, values, n, order)  table,
static const char *const READING[]     = { COPIES(READS) };
static const char *const WRITING[]     = { COPIES(WRITES) COPIES(COUNTS) };
static const size_t      COLUMNS[]     = { COPIES(WIDTHS) };
static const char *const TABLE_NAMES[] = { COPIES(NAMES) };
enum { N_TABLES = sizeof READING / sizeof *READING, AUDIT = N_TABLES - 1 };

struct copying {
    struct database *to;
    size_t           table;
    int64_t          next; /* behind the last row's first column, when that is a number */
    bool             failed;
    struct err       err;
};

static void row_copy(void *owner, const struct value *row)
{
    struct copying *c   = owner;
    struct run      run = { .statement = c->table, .values = row, .n_values = COLUMNS[c->table] };

    c->next   = row[0].number + 1;
    c->failed = c->failed || !c->to->kind->run(c->to, &run, &c->err);
}

static FALLIBLE table_copy(struct database *from, struct database *to, size_t table, struct err *err)
{
    struct copying c     = { .to = to, .table = table };
    struct value   from_seq;
    struct run     run   = { .statement = table, .values = &from_seq, .n_values = table == AUDIT, .row = row_copy, .owner = &c };
    struct run     count = { .statement = N_TABLES + table };

    if (!to->kind->run(to, &count, err))
        return false;
    if (count.n_rows > 0 && strcmp(TABLE_NAMES[table], "proof") != 0)
        return fail_with(err, ERR_DENIED, "the store to copy into is not empty: it has a %s", TABLE_NAMES[table]);
    do {
        from_seq = value_number(c.next);
        if (!from->kind->run(from, &run, err))
            return false;
    } while (table == AUDIT && run.n_rows == PART && !c.failed);
    if (c.failed)
        *err = c.err;
    return !c.failed;
}

static FALLIBLE tables_copy(struct database *from, struct database *to, struct err *err)
{
    for (size_t i = 0; i < N_TABLES; i++) {
        if (!table_copy(from, to, i, err))
            return contextf(err, "copy from %s to %s", from->kind->name, to->kind->name);
    }
    return true;
}

static FALLIBLE versions_agree(struct database *from, struct database *to, struct err *err)
{
    int version = 0;

    if (!from->kind->version(from, &version, err))
        return false;
    if (version != SCHEMA_VERSION)
        return fail_with(err, ERR_CONFIG, "the store to copy has version %d; wanted %d: run cloister-broker migrate", version,
                         SCHEMA_VERSION);
    return schema_migrate(to, &version, err);
}

/* One state of `from`, whole or not at all. */
static FALLIBLE database_copy(struct database *from, struct database *to, struct err *err)
{
    if (!versions_agree(from, to, err) || !from->kind->prepare(from, READING, N_TABLES, err) ||
        !to->kind->prepare(to, WRITING, sizeof WRITING / sizeof *WRITING, err) ||
        !from->kind->begin(from, TRANSACTION_READ, err))
        return false;

    bool fine = to->kind->begin(to, TRANSACTION_WRITE, err) && to->kind->execute(to, "DELETE FROM proof", err) &&
                tables_copy(from, to, err) && to->kind->commit(to, err);

    from->kind->rollback(from); /* it only read */
    return fine;
}

FALLIBLE store_backup(const char *where, const struct secret *key, const char *file, struct err *err)
{
    AUTO(buffer) struct buffer      unfinished = { 0 };
    AUTO(database) struct database *from       = NULL;
    struct stat                     st;

    if (lstat(file, &st) == 0)
        return fail_with(err, ERR_CONFIG, "%s is there already: a backup goes into a new file", file);
    buffer_printf(&unfinished, "%s.unfinished", file);
    if (unlink(buffer_text(&unfinished)) != 0 && errno != ENOENT)
        return err_os(err, "remove %s", buffer_text(&unfinished));
    if (!database_open(where, &from, err))
        return false;
    {
        AUTO(database) struct database *to = NULL;

        if (!sqlite_open(buffer_text(&unfinished), &to, err) || !database_copy(from, to, err))
            return false;
    }
    if (!store_verify(buffer_text(&unfinished), key, err))
        return context(err, "the backup");
    return rename(buffer_text(&unfinished), file) == 0 || err_os(err, "rename %s", buffer_text(&unfinished));
}

static FALLIBLE is_a_file(const char *file, struct err *err)
{
    struct stat st;

    return stat(file, &st) == 0 || err_os(err, "%s", file);
}

/* What was released after the backup was made is not known: no counted secret is given again, no old nonce taken. */
static FALLIBLE forget_uses(struct store *store, bool keeps_uses, struct err *err)
{
    if (!store_begin(store, err) ||
        (!keeps_uses && !store->db->kind->execute(store->db, "UPDATE resource SET uses = 0 WHERE uses IS NOT NULL", err)) ||
        !epoch_renew(store, err))
        return false;
    return store_commit(store, err);
}

FALLIBLE store_restore(const char *file, const struct secret *key, const char *where, bool keeps_uses, struct err *err)
{
    AUTO(store) struct store *store = NULL;

    if (!is_a_file(file, err) || !store_verify(file, key, err))
        return context(err, "the backup");
    {
        AUTO(database) struct database *from = NULL, *to = NULL;

        if (!sqlite_open(file, &from, err) || !database_open(where, &to, err) || !database_copy(from, to, err))
            return false;
    }
    return store_open(where, key, &store, err) && forget_uses(store, keeps_uses, err);
}

/* ---- verifying ---- */

struct opening {
    struct store *store;
    bool          failed;
    struct err    err;
};

static void resource_opens(void *owner, const struct store_resource *resource)
{
    struct opening            *o     = owner;
    AUTO(secret) struct secret value = { 0 };

    o->failed = o->failed || (!store_resource_get(o->store, resource->path, &value, &o->err) &&
                              !context(&o->err, resource->path));
}

static void entry_hash(void *owner, uint64_t seq, struct bytes entry)
{
    struct merkle_hash leaf = merkle_leaf(entry);

    (void) seq;
    merkle_add(owner, &leaf);
}

FALLIBLE store_verify(const char *where, const struct secret *key, struct err *err)
{
    AUTO(store) struct store *store = NULL;
    struct merkle             tree  = { 0 };

    if (!store_open(where, key, &store, err))
        return false;

    struct opening     o = { .store = store };
    struct merkle_hash found, sealed;

    if (!store_resources_each(store, resource_opens, &o, err) || !store_audit_each(store, 0, INT64_MAX, entry_hash, &tree, err))
        return false;
    if (o.failed) {
        *err = o.err;
        return false;
    }
    found  = merkle_root(&tree);
    sealed = merkle_root(&store->committed);
    return bytes_equal(BYTES_OF(found.at), BYTES_OF(sealed.at)) ||
           fail_with(err, ERR_UNTRUSTED, "store: the audit log's entries are not those of its sealed tree: it was altered");
}
