#include "keys/broker/epoch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

FALLIBLE epoch_text_read(struct bytes text, uint64_t *out, struct err *err)
{
    uint64_t number = 0;

    for (size_t i = 0; i < text.len && number < EPOCH_MAX; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return fail_with(err, ERR_MALFORMED, "an epoch is a number");
        number = number * 10 + (uint64_t) (text.at[i] - '0');
    }
    if (text.len == 0 || text.len > EPOCH_TEXT_MAX || number >= EPOCH_MAX)
        return fail_with(err, ERR_MALFORMED, "an epoch is a number below %llu", EPOCH_MAX);
    *out = number;
    return true;
}

FALLIBLE epoch_get(struct store *store, const char *path, int64_t now, uint64_t *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    int64_t                    version;

    *out = 0;
    if (!store_document_get(store, DOCUMENT_VOLUME_EPOCH, path, now, &text, &version, err))
        return false;
    return version == 0 || epoch_text_read(buffer_bytes(&text), out, err);
}

FALLIBLE epoch_advance(struct store *store, const char *path, uint64_t epoch, int64_t now, struct err *err)
{
    struct document document = { .name = path, .changed = now, .by = "guest" };
    char            text[24];
    uint64_t        known;

    if (!epoch_get(store, path, now, &known, err))
        return false;
    if (epoch <= known)
        return fail_with(err, ERR_DENIED, "epoch %" PRIu64 " of %.120s is not beyond %" PRIu64 ", which is known", epoch, path, known);
    (void) snprintf(text, sizeof text, "%" PRIu64, epoch); /* fits */
    document.text = bytes_of_text(text);
    return store_document_put(store, DOCUMENT_VOLUME_EPOCH, &document, err);
}
