/* Documents of the store: texts that administrators set; each version is kept. */
#include <string.h>

#include "keys/store/inside.h"

static const char *const KIND_NAMES[] = {
#define DOCUMENT_NAME(id, text) [id] = (text),
    DOCUMENT_KINDS(DOCUMENT_NAME)
#undef DOCUMENT_NAME
};

FALLIBLE store_document_put(struct store *store, enum document_kind kind, const struct document *document,
                            struct err *err)
{
    if (strlen(document->name) > DOCUMENT_NAME_MAX || document->text.len > DOCUMENT_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "a %s has a name of %d and a text of %d bytes at most", KIND_NAMES[kind],
                         DOCUMENT_NAME_MAX, DOCUMENT_TEXT_MAX);
    return store_write(store, DOCUMENT_PUT,
                       VALUES(value_text(KIND_NAMES[kind]), value_text(document->name),
                              document->is_removed ? (struct value){ 0 } : value_bytes(document->text),
                              value_number(document->changed), value_number(document->expires), value_text(document->by)),
                       NULL, err);
}

struct newest {
    struct buffer *text;
    int64_t       *version;
    int64_t        now;
};

static void newest_take(void *owner, const struct value *row)
{
    struct newest *n = owner;

    if (row[0].kind == VALUE_NULL || (row[2].number != 0 && row[2].number <= n->now))
        return;
    buffer_append(n->text, row[0].bytes);
    *n->version = row[1].number;
}

FALLIBLE store_document_get(struct store *store, enum document_kind kind, const char *name, int64_t now,
                            struct buffer *text, int64_t *version, struct err *err)
{
    struct newest n = { text, version, now };

    *version = 0;
    return store_run(store, DOCUMENT_GET, VALUES(value_text(KIND_NAMES[kind]), value_text(name)), newest_take, &n, NULL, err);
}

struct document_listing {
    document_fn *fn;
    void        *owner;
};

static void document_tell(void *owner, const struct value *row)
{
    struct document_listing *l   = owner;
    struct document          one = { .name       = row[0].text,
                                     .version    = row[1].number,
                                     .text       = row[2].bytes,
                                     .is_removed = row[2].kind == VALUE_NULL,
                                     .changed    = row[3].number,
                                     .expires    = row[4].number,
                                     .by         = row[5].text };

    l->fn(l->owner, &one);
}

FALLIBLE store_documents_each(struct store *store, enum document_kind kind, int64_t now, document_fn *fn, void *owner,
                              struct err *err)
{
    struct document_listing l = { fn, owner };

    return store_run(store, DOCUMENT_LIST, VALUES(value_text(KIND_NAMES[kind]), value_number(now)), document_tell, &l, NULL,
                     err);
}

FALLIBLE store_document_history(struct store *store, enum document_kind kind, const char *name, document_fn *fn,
                                void *owner, struct err *err)
{
    struct document_listing l = { fn, owner };

    return store_run(store, DOCUMENT_HISTORY, VALUES(value_text(KIND_NAMES[kind]), value_text(name)), document_tell, &l, NULL,
                     err);
}
