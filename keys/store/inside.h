/* What the store's own files share; nobody else includes it. */
#pragma once

#include "keys/store/database.h"
#include "keys/store/store.h"

#define STATEMENTS(X)                                                                                                  \
    X(RESOURCE_PUT, "INSERT INTO resource (path, sealed, len, created, changed, uses) VALUES (?1, ?2, ?3, ?4, ?4, ?5)" \
                    " ON CONFLICT (path) DO UPDATE SET sealed = ?2, len = ?3, changed = ?4, uses = ?5")                \
    X(RESOURCE_GET, "SELECT sealed, uses FROM resource WHERE path = ?1")                                               \
    X(RESOURCE_USE, "UPDATE resource SET uses = uses - 1 WHERE path = ?1 AND uses > 0")                                \
    X(RESOURCE_REMOVE, "DELETE FROM resource WHERE path = ?1")                                                         \
    X(RESOURCE_LIST, "SELECT path, len, created, changed, uses FROM resource ORDER BY path")                           \
    X(REFERENCE_ADD, "INSERT INTO reference (kind, tee, value, resource, created, expires)"                            \
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (kind, tee, value, resource)"                       \
                     " DO UPDATE SET expires = ?6 RETURNING id")                                                       \
    X(REFERENCE_REMOVE, "DELETE FROM reference WHERE id = ?1")                                                         \
    X(REFERENCE_LIST, "SELECT id, kind, tee, value, resource, created, expires FROM reference ORDER BY id")            \
    X(REFERENCE_HOLDS, "SELECT 1 FROM reference WHERE kind = ?1 AND tee = ?2 AND value = ?3 AND"                       \
                       " (?4 = '*' OR resource = '' OR resource = ?4) AND (expires = 0 OR expires > ?5) LIMIT 1")      \
    X(DOCUMENT_PUT, "INSERT INTO document (kind, name, version, text, changed, expires, author) VALUES (?1, ?2,"       \
                    " (SELECT 1 + COALESCE(MAX(version), 0) FROM document WHERE kind = ?1 AND name = ?2),"             \
                    " ?3, ?4, ?5, ?6)")                                                                                \
    X(DOCUMENT_GET, "SELECT text, version, expires FROM document WHERE kind = ?1 AND name = ?2"                        \
                    " ORDER BY version DESC LIMIT 1")                                                                  \
    X(DOCUMENT_LIST, "SELECT name, version, text, changed, expires, author FROM document AS d WHERE kind = ?1 AND"     \
                     " version = (SELECT MAX(version) FROM document WHERE kind = ?1 AND name = d.name) AND"            \
                     " text IS NOT NULL AND (expires = 0 OR expires > ?2) ORDER BY name")                              \
    X(DOCUMENT_HISTORY, "SELECT name, version, text, changed, expires, author FROM document WHERE kind = ?1 AND"       \
                        " name = ?2 ORDER BY version")                                                                 \
    X(SESSION_ADD, "INSERT INTO session (id, expires, token) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING")         \
    X(SESSION_TOKEN, "SELECT token FROM session WHERE id = ?1 AND expires > ?2")                                       \
    X(SESSIONS_EXPIRE, "DELETE FROM session WHERE expires <= ?1")                                                      \
    X(AUDIT_ADD, "INSERT INTO audit (seq, entry) VALUES (?1, ?2)")                                                     \
    X(AUDIT_LIST, "SELECT seq, entry FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT ?2")                                \
    X(AUDIT_LAST, "SELECT seq FROM audit ORDER BY seq DESC LIMIT 1")                                                   \
    X(NODE_PUT, "INSERT INTO audit_node (level, number, hash) VALUES (?1, ?2, ?3)")                                    \
    X(NODE_GET, "SELECT hash FROM audit_node WHERE level = ?1 AND number = ?2")                                        \
    X(PROOF_PUT, "INSERT INTO proof (name, sealed) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET sealed = ?2")      \
    X(PROOF_GET, "SELECT sealed FROM proof WHERE name = ?1")

#define STATEMENT_ENUM(name, sql) name,
enum statement { STATEMENTS(STATEMENT_ENUM) N_STATEMENTS };
#undef STATEMENT_ENUM

struct store {
    struct database *db;
    struct secret    key;
    bool             dirty;     /* a transaction with writes is open */
    bool             spoiled;   /* … that must not be committed */
    struct merkle    pending;   /* over all entries, those of the open transaction too */
    struct merkle    committed; /* as last read or written: another broker may be further */
};

/* Runs a statement with `n` values; rows go to `row`, their number (or that of those changed) to `n_rows`. */
FALLIBLE store_run(struct store *store, enum statement which, const struct value *values, size_t n, row_fn *row,
                   void *owner, uint64_t *n_rows, struct err *err);
#define VALUES(...) (const struct value[]){ __VA_ARGS__ }, sizeof((const struct value[]){ __VA_ARGS__ }) / sizeof(struct value)

FALLIBLE store_write(struct store *store, enum statement which, const struct value *values, size_t n, uint64_t *n_changed,
                     struct err *err); /* the same, in this turn's transaction */

/* A sealed row of the table `proof`; NOT_FOUND. */
FALLIBLE sealed_put(struct store *store, const char *name, struct bytes plain, struct err *err);
FALLIBLE sealed_get(struct store *store, const char *name, struct secret *out, struct err *err);

FALLIBLE epoch_renew(struct store *store, struct err *err); /* see store_epoch */

enum { AUDIT_TREE_VERSION = 5 }; /* of the schema that first kept the tree */

/* The tree as the database has it: of the open transaction or, outside one, of now. */
FALLIBLE tree_load(struct store *store, struct err *err);
FALLIBLE tree_save(struct store *store, struct err *err);
/* That the log ends where its tree does. Fails UNTRUSTED. */
FALLIBLE tree_check(struct store *store, struct err *err);
/* Makes it from every entry, for a store that has none yet. */
FALLIBLE tree_build(struct store *store, struct err *err);
