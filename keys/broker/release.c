#include "keys/broker/release.h"

#include "base/text.h"

static bool deny(const char *what, struct bytes value, const char *path, struct err *err)
{
    AUTO(buffer) struct buffer hex = { 0 };

    hex_append(&hex, value);
    return fail_with(err, ERR_DENIED, "%s %.16s... is not a registered reference value%s%.80s", what, buffer_text(&hex),
                     path ? " for " : "", path ? path : "");
}

FALLIBLE release_decide(struct store *store, const struct release_subject *subject, const char *path, int64_t now,
                        struct err *err)
{
    bool measured = false, expected = false;

    if (!store_reference_holds(store, REFERENCE_MEASUREMENT, subject->tee, subject->measurement, path, now, &measured, err))
        return false;
    if (!measured)
        return deny("measurement", subject->measurement, path, err);
    if (!store_reference_holds(store, REFERENCE_INITDATA, subject->tee, subject->initdata, path, now, &expected, err))
        return false;
    if (!expected)
        return deny("initdata digest", subject->initdata, path, err);
    return true;
}
