#include "keys/store/database.h"

#include <string.h>

static bool is_postgres(const char *where)
{
    return strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0;
}

FALLIBLE database_open(const char *where, struct database **out, struct err *err)
{
    return is_postgres(where) ? postgres_open(where, out, err) : sqlite_open(where, out, err);
}

static FALLIBLE step(struct database *db, int version, struct err *err)
{
    AUTO(buffer) struct buffer record = { 0 };

    buffer_append_text(&record, db->kind->schema[version]);
    buffer_printf(&record, "%s%d;", db->kind->writes_version, version + 1);
    return db->kind->execute(db, buffer_text(&record), err);
}

/* All steps in one transaction: a reader finds the old schema or the new one. */
FALLIBLE schema_migrate(struct database *db, int *from, struct err *err)
{
    int version;

    if (!db->kind->begin(db, TRANSACTION_WRITE, err))
        return false;
    bool fine = db->kind->version(db, &version, err);

    if (fine)
        *from = version;
    if (fine && version > SCHEMA_VERSION)
        fine = fail_with(err, ERR_CONFIG, "store: made by a newer broker (version %d; this one knows %d)", version,
                         SCHEMA_VERSION);
    for (; fine && version < SCHEMA_VERSION; version++)
        fine = step(db, version, err);
    if (fine && db->kind->commit(db, err))
        return true;
    db->kind->rollback(db);
    return false;
}
