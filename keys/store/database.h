/*
 * What the store asks of a database: one connection, numbered statements with values in and rows out, one transaction
 * at a time. The SQL of the statements is the same for all of them; only the schema is written once for each.
 */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"

enum { VALUES_MAX = 8 };

enum value_kind { VALUE_NULL, VALUE_NUMBER, VALUE_TEXT, VALUE_BYTES };

/* A parameter or a column. A view: of a row it is valid during the row_fn only. */
struct value {
    enum value_kind kind;
    int64_t         number;
    const char     *text;
    struct bytes    bytes;
};

static inline struct value value_number(int64_t v) { return (struct value){ .kind = VALUE_NUMBER, .number = v }; }
static inline struct value value_text(const char *v) { return (struct value){ .kind = VALUE_TEXT, .text = v ? v : "" }; }
static inline struct value value_bytes(struct bytes v) { return (struct value){ .kind = VALUE_BYTES, .bytes = v }; }

typedef void row_fn(void *owner, const struct value *row);

/* WRITE excludes every other writer from its begin to its end; READ sees one state of the whole database. */
enum transaction { TRANSACTION_WRITE, TRANSACTION_READ };

struct database {
    const struct database_kind *kind;
};

/* One run of a statement; `row` may be NULL. */
struct run {
    size_t              statement;
    const struct value *values;
    size_t              n_values;
    row_fn             *row;
    void               *owner;
    uint64_t            n_rows; /* filled in: read or changed */
};

/* Every function fails OS when the database cannot do it; LIMIT when a writer before it does not end. */
struct database_kind {
    const char *name;
    FALLIBLE (*execute)(struct database *db, const char *sql, struct err *err);
    FALLIBLE (*version)(struct database *db, int *out, struct err *err); /* of the schema; 0: nothing is there */
    FALLIBLE (*prepare)(struct database *db, const char *const *sql, size_t n, struct err *err);
    FALLIBLE (*begin)(struct database *db, enum transaction kind, struct err *err);
    FALLIBLE (*commit)(struct database *db, struct err *err); /* true: it is on disk */
    void     (*rollback)(struct database *db);
    FALLIBLE (*run)(struct database *db, struct run *run, struct err *err);
    void     (*close)(struct database *db);
    const char *const *schema; /* step N goes from version N to N + 1 */
    const char        *writes_version; /* a statement that records it, but for the number */
};

/* A file, made private to its owner; ":memory:" for none. */
FALLIBLE sqlite_open(const char *path, struct database **out, struct err *err);
/* A URL as libpq reads it: postgresql://[user@][host]/database[?host=/run/postgresql] */
FALLIBLE postgres_open(const char *url, struct database **out, struct err *err);

/* Either, by its form. */
FALLIBLE database_open(const char *where, struct database **out, struct err *err);

static inline void database_close(struct database *db) { db->kind->close(db); }
DEFINE_AUTO(database, struct database *, database_close)

enum { SCHEMA_VERSION = 5 };

/* Brings the schema from `from` (of which it is) to SCHEMA_VERSION. CONFIG when it is newer than we know. */
FALLIBLE schema_migrate(struct database *db, int *from, struct err *err);
