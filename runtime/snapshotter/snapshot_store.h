/* What snapshots there are, in SQLite: each change is one statement, there or not there after a crash. */
#pragma once

#include "base/json.h"

enum snapshot_kind { SNAPSHOT_VIEW = 1, SNAPSHOT_ACTIVE = 2, SNAPSHOT_COMMITTED = 3 };

enum { SNAPSHOT_NAME_MAX = 1024, SNAPSHOT_LABELS_MAX = 128, SNAPSHOT_LABEL_LEN_MAX = 4096 }; /* of key and value together */

/* Release with AUTO(snapshot). */
struct snapshot {
    int64_t             id;     /* names its folder; never used twice */
    char               *name, *parent; /* owned; parent "" when there is none */
    enum snapshot_kind  kind;
    bool                is_skipped; /* a layer that was never unpacked: it has no folder */
    int64_t             created_ns, updated_ns; /* since 1970 */
    struct json_object *labels; /* owned: names to texts */
};
void snapshot_free(struct snapshot *snapshot);
static inline void auto_snapshot(struct snapshot *snapshot) { snapshot_free(snapshot); }

struct snapshot_store;

FALLIBLE snapshot_store_open(const char *path, struct snapshot_store **out, struct err *err); /* ":memory:" for tests */
void     snapshot_store_close(struct snapshot_store *store);
DEFINE_AUTO(snapshot_store, struct snapshot_store *, snapshot_store_close)

/* NOT_FOUND. */
FALLIBLE snapshot_store_find(struct snapshot_store *store, const char *name, struct snapshot *out, struct err *err);
FALLIBLE snapshot_store_has_id(struct snapshot_store *store, int64_t id, bool *out, struct err *err);
FALLIBLE snapshot_store_has_children(struct snapshot_store *store, const char *name, bool *out, struct err *err);
/* Gives the snapshot its id and times. The name must be new. */
FALLIBLE snapshot_store_add(struct snapshot_store *store, struct snapshot *snapshot, struct err *err);
/* Under its id, the snapshot gets the name, kind and labels that it has now. */
FALLIBLE snapshot_store_change(struct snapshot_store *store, struct snapshot *snapshot, struct err *err);
FALLIBLE snapshot_store_remove(struct snapshot_store *store, const struct snapshot *snapshot, struct err *err);

/* All of them, parents before children. `each` returns false to stop. */
FALLIBLE snapshot_store_each(struct snapshot_store *store, bool (*each)(void *owner, const struct snapshot *snapshot),
                             void *owner, struct err *err);
