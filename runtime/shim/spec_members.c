#include "runtime/shim/spec_members.h"

#include <stdlib.h>

#include "runtime/shim/limits.h"

FALLIBLE spec_member(struct json_object *from, const char *name, enum json_type type, struct json_object **out, struct err *err)
{
    *out = NULL;
    return !from || !json_has(from, name) || json_get(from, name, type, out, err);
}

FALLIBLE spec_text(struct json_object *from, const char *name, const char **out, struct err *err)
{
    struct json_object *value;

    if (!spec_member(from, name, json_type_string, &value, err))
        return false;
    if (value)
        *out = json_object_get_string(value);
    return true;
}

FALLIBLE spec_number(struct json_object *from, const char *name, uint64_t *out, struct err *err)
{
    struct json_object *value;

    if (!spec_member(from, name, json_type_int, &value, err))
        return false;
    int64_t n = value ? json_object_get_int64(value) : 0;
    *out      = n > 0 ? (uint64_t) n : 0;
    return true;
}

FALLIBLE spec_texts(struct json_object *from, const char *name, char ***out, size_t *n, struct err *err)
{
    struct json_object *list;

    if (!spec_member(from, name, json_type_array, &list, err))
        return false;
    size_t len = list ? json_object_array_length(list) : 0;
    if (len > SHIM_STRINGS_MAX)
        return fail_with(err, ERR_LIMIT, "%s: over %d entries", name, SHIM_STRINGS_MAX);
    *out = calloc(len + 1, sizeof **out);
    if (!*out)
        abort();
    for (size_t i = 0; i < len; i++) {
        struct json_object *text = json_object_array_get_idx(list, i);

        if (!json_object_is_type(text, json_type_string))
            return fail_with(err, ERR_MALFORMED, "%s: entry %zu is not a string", name, i);
        (*out)[i] = (char *) (uintptr_t) json_object_get_string(text); /* only read */
    }
    *n = len;
    return true;
}
