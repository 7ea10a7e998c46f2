/*
 * What the broker must not forget: resources, reference values, sessions that attested. In an SQLite file for one broker
 * or in PostgreSQL for several; one writer at a time. Writes gather in one transaction until store_commit, which returns
 * when they are on disk; nothing that depends on them may be told to anyone before.
 */
#pragma once

#include "base/auto.h"
#include "base/secret.h"
#include "keys/api/merkle.h"

struct store;

/*
 * Opens a store, or makes it where nothing is; its secrets are sealed under a copy of `key`.
 *
 *   where    a file, or postgresql://...
 *
 * Fails CONFIG for a store of another version, UNTRUSTED when it was made under another key or its audit log was cut, OS.
 */
FALLIBLE store_open(const char *where, const struct secret *key, struct store **out, struct err *err);
/* Brings a store of an older version to ours; one of ours stays as it is. No broker may have it open. */
FALLIBLE store_migrate(const char *where, const struct secret *key, int *from, int *to, struct err *err);

/* Looks at everything: each secret opens, and the audit log is the one that its tree was made of. UNTRUSTED. */
FALLIBLE store_verify(const char *where, const struct secret *key, struct err *err);
/* Copies one state of a store into a new file, a store itself, while brokers work; verifies it. Sessions are left out. */
FALLIBLE store_backup(const char *where, const struct secret *key, const char *file, struct err *err);
/*
 * Copies a backup into an empty store, of either kind. What was released after the backup is not known here: unless
 * `keeps_uses`, no counted secret has a use left; and nonces from before are not taken. DENIED when it is not empty.
 */
FALLIBLE store_restore(const char *file, const struct secret *key, const char *where, bool keeps_uses, struct err *err);

/* A secret of this store that is another one after a restore: what is derived from it dies with the state that was lost. */
FALLIBLE store_epoch(struct store *store, struct secret *out, struct err *err);

void     store_close(struct store *store); /* what was not committed is lost */
DEFINE_AUTO(store, struct store *, store_close)

/* Takes the writer's turn, if it is not ours yet: what is read from now on still holds at the commit. */
FALLIBLE store_begin(struct store *store, struct err *err);
bool     store_is_dirty(const struct store *store); /* writes wait for store_commit */
FALLIBLE store_commit(struct store *store, struct err *err); /* failure: none of the writes happened */
/* Makes the next commit fail and undo: for a caller that could not finish what it began to write. */
void     store_spoil(struct store *store);

/* ---- resources: secrets by path "REPOSITORY/TYPE/TAG" ---- */

enum { USES_UNLIMITED = 0, USES_MAX = 1000000 };

struct store_resource {
    const char *path;
    uint64_t    len;
    bool        is_counted;
    uint64_t    uses_left; /* when it is counted */
    int64_t     created, changed; /* seconds since 1970 */
};

typedef void store_resource_fn(void *owner, const struct store_resource *resource);

/* `uses`: how often it may be taken; USES_UNLIMITED for ever. */
FALLIBLE store_resource_put(struct store *store, const char *path, const struct secret *value, uint64_t uses,
                            int64_t now, struct err *err);
FALLIBLE store_resource_get(struct store *store, const char *path, struct secret *out, struct err *err);
/* The same for a release: a counted resource has one use less, or fails DENIED when none is left. */
FALLIBLE store_resource_take(struct store *store, const char *path, struct secret *out, struct err *err);
FALLIBLE store_resource_remove(struct store *store, const char *path, struct err *err); /* NOT_FOUND */
FALLIBLE store_resources_each(struct store *store, store_resource_fn *fn, void *owner, struct err *err);

/* ---- reference values: what evidence must show ---- */

enum reference_kind { REFERENCE_MEASUREMENT, REFERENCE_INITDATA, N_REFERENCE_KINDS };
enum { REFERENCE_VALUE_MAX = 64, REFERENCE_TEE_MAX = 16 };

struct reference {
    int64_t             id;
    enum reference_kind kind;
    const char         *tee;      /* "snp" */
    struct bytes        value;    /* as the TEE's field holds it: 48 or 32 bytes for SNP */
    const char         *resource; /* the one path that it counts for; "" for all */
    int64_t             created, expires; /* expires 0: never */
};

typedef void reference_fn(void *owner, const struct reference *reference);

/* One that is there already (all but times equal) gets the new expiry and keeps its id. */
FALLIBLE store_reference_add(struct store *store, const struct reference *reference, int64_t *id, struct err *err);
FALLIBLE store_reference_remove(struct store *store, int64_t id, struct err *err); /* NOT_FOUND */
FALLIBLE store_references_each(struct store *store, reference_fn *fn, void *owner, struct err *err);

/*
 * Whether a value is registered and has not expired.
 *
 *   resource    the path that is asked for; NULL: for any path at all
 */
FALLIBLE store_reference_holds(struct store *store, enum reference_kind kind, const char *tee, struct bytes value,
                               const char *resource, int64_t now, bool *out, struct err *err);

const char *reference_kind_name(enum reference_kind kind);                       /* "measurement" */
bool        reference_kind_by_name(const char *name, enum reference_kind *out);

/* ---- documents: texts that administrators set, by kind and name; each version is kept ---- */

#define DOCUMENT_KINDS(X)                                                                                          \
    X(DOCUMENT_ATTESTATION_POLICY, "attestation-policy") /* Rego; by policy id and class: "default_cpu" */         \
    X(DOCUMENT_RESOURCE_POLICY, "resource-policy")       /* Rego; by the start of paths: "*", "repo", "repo/type" */ \
    X(DOCUMENT_REFERENCE_VALUE, "reference-value")       /* JSON; by the name that policies ask for */            \
    X(DOCUMENT_BINDING, "binding")                       /* JSON; by path: who alone may have that resource */        \
    X(DOCUMENT_VOLUME_EPOCH, "volume-epoch")             /* a number; by the path of a volume's key: how far it is */
#define DOCUMENT_ENUM(name, text) name,
enum document_kind { DOCUMENT_KINDS(DOCUMENT_ENUM) N_DOCUMENT_KINDS };
#undef DOCUMENT_ENUM

enum { DOCUMENT_NAME_MAX = 400, DOCUMENT_TEXT_MAX = 1 << 20 };

struct document {
    const char  *name;
    int64_t      version; /* 1, 2, ...; 0: there is none */
    struct bytes text;
    bool         is_removed; /* this version says that there is no such document any more */
    int64_t      changed, expires; /* seconds since 1970; expires 0: never */
    const char  *by; /* the administrator */
};

typedef void document_fn(void *owner, const struct document *document);

/* Adds a version; `document->version` and, when `is_removed`, `text` are not looked at. */
FALLIBLE store_document_put(struct store *store, enum document_kind kind, const struct document *document,
                            struct err *err);

/*
 * Appends the newest text to `text`; *version is 0 and nothing is appended when there is none, when it was removed,
 * or when it has expired at `now`.
 */
FALLIBLE store_document_get(struct store *store, enum document_kind kind, const char *name, int64_t now,
                            struct buffer *text, int64_t *version, struct err *err);
/* The newest versions of all names, removed and expired ones left out. */
FALLIBLE store_documents_each(struct store *store, enum document_kind kind, int64_t now, document_fn *fn, void *owner,
                              struct err *err);
/* Every version of one name, the first one first. */
FALLIBLE store_document_history(struct store *store, enum document_kind kind, const char *name, document_fn *fn,
                                void *owner, struct err *err);

/* ---- sessions that attested: an id is spent once, also across a restart ---- */

/* Fails DENIED when the id is spent already. */
FALLIBLE store_session_add(struct store *store, const char *id, int64_t expires, struct bytes token, struct err *err);
FALLIBLE store_session_token(struct store *store, const char *id, int64_t now, struct buffer *token, struct err *err);
FALLIBLE store_sessions_expire(struct store *store, int64_t now, struct err *err);

/* ---- the audit log: entries that are only ever added, under a Merkle tree ---- */

typedef void audit_fn(void *owner, uint64_t seq, struct bytes entry);

FALLIBLE store_audit_add(struct store *store, struct bytes entry, struct err *err);
/* Entries from `from` on, at most `most` of them; the first is 0. */
FALLIBLE store_audit_each(struct store *store, uint64_t from, uint64_t most, audit_fn *fn, void *owner, struct err *err);
/* The tree over what was committed when we last looked: never over what may yet be undone. */
const struct merkle *store_audit_tree(const struct store *store);
/* Looks again: another broker may have added to it. Does nothing while writes wait for their commit. */
FALLIBLE store_audit_refresh(struct store *store, struct err *err);

/*
 * Proofs from the tree of the first `size` entries, for sizes that are committed: see merkle.h. Cost grows with the
 * logarithm of the size.
 */
FALLIBLE store_prove_inclusion(struct store *store, uint64_t index, uint64_t size, struct merkle_proof *out, struct err *err);
FALLIBLE store_prove_consistency(struct store *store, uint64_t first, uint64_t size, struct merkle_proof *out,
                                 struct err *err);
