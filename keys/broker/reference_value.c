#include "keys/broker/reference_value.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

static const struct { const char *tee, *name; bool is_text; } MEASUREMENTS[] = {
    { "snp", "snp_launch_measurement", false },
    { "sample", "launch_digest", true }, /* "abcde", not its hex */
};

enum { N_MEASUREMENTS = sizeof MEASUREMENTS / sizeof *MEASUREMENTS };

const char *reference_measurement_name(const char *tee)
{
    for (size_t i = 0; i < N_MEASUREMENTS; i++) {
        if (strcmp(MEASUREMENTS[i].tee, tee) == 0)
            return MEASUREMENTS[i].name;
    }
    return NULL;
}

static FALLIBLE stored_find(struct store *store, const char *name, int64_t now, struct json_object **out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    int64_t                    version;

    *out = NULL;
    if (!store_document_get(store, DOCUMENT_REFERENCE_VALUE, name, now, &text, &version, err))
        return false;
    return version == 0 || json_read(buffer_bytes(&text), DOCUMENT_TEXT_MAX, out, err);
}

static void measurement_text(size_t row, struct bytes measurement, struct buffer *out)
{
    if (MEASUREMENTS[row].is_text)
        buffer_append(out, measurement);
    else
        hex_append(out, measurement);
}

/* Puts `text` into a list: the registered one, or a new one around what is registered. */
static void list_with(struct json_object **value, const char *text)
{
    struct json_object *list = *value;

    if (!json_object_is_type(list, json_type_array)) {
        list = json_object_new_array();
        if (!list || (*value && json_object_array_add(list, *value) != 0))
            abort();
        *value = list;
    }
    if (json_object_array_add(list, json_object_new_string(text)) != 0)
        abort();
}

FALLIBLE reference_value_find(struct store *store, const char *name, const char *tee, struct bytes measurement,
                              int64_t now, struct buffer *json, struct err *err)
{
    AUTO(json) struct json_object *value = NULL;

    if (!stored_find(store, name, now, &value, err))
        return false;
    for (size_t i = 0; tee && i < N_MEASUREMENTS; i++) {
        AUTO(buffer) struct buffer text  = { 0 };
        bool                       holds = false;

        if (strcmp(MEASUREMENTS[i].tee, tee) != 0 || strcmp(MEASUREMENTS[i].name, name) != 0)
            continue;
        if (!store_reference_holds(store, REFERENCE_MEASUREMENT, tee, measurement, NULL, now, &holds, err))
            return false;
        measurement_text(i, measurement, &text);
        if (holds)
            list_with(&value, buffer_text(&text));
    }
    if (value)
        json_write(value, json);
    return true;
}

FALLIBLE reference_value_holds(struct store *store, const char *name, const char *text, int64_t now, bool *out,
                               struct err *err)
{
    AUTO(json) struct json_object *value = NULL;
    size_t                         n;

    *out = false;
    if (!stored_find(store, name, now, &value, err))
        return false;
    if (json_object_is_type(value, json_type_string))
        *out = strcmp(json_object_get_string(value), text) == 0;
    n = json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
    for (size_t i = 0; i < n && !*out; i++) {
        struct json_object *one = json_object_array_get_idx(value, i);

        *out = json_object_is_type(one, json_type_string) && strcmp(json_object_get_string(one), text) == 0;
    }
    return true;
}
