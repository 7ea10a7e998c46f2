#include "base/json.h"
#include "base/json_packed.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What stood there before it was packed. Yours. */
static struct json_object *unpacked(struct json_object *from)
{
    struct bytes hex;

    if (json_is_packed(from, &hex)) {
        AUTO(buffer) struct buffer raw   = { 0 };
        struct json_object        *array = json_object_new_array();
        struct err                 err;

        if (!hex_read(hex, &raw, &err) || raw.len < JSON_PACKED_LEAST)
            __builtin_trap();
        for (size_t i = 0; i < raw.len; i++)
            (void) json_object_array_add(array, json_object_new_int(raw.at[i])); /* fails only without memory */
        return array;
    }
    if (json_object_is_type(from, json_type_array)) {
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; i < json_object_array_length(from); i++)
            (void) json_object_array_add(array, unpacked(json_object_array_get_idx(from, i))); /* as above */
        return array;
    }
    if (json_object_is_type(from, json_type_object)) {
        struct json_object *object = json_object_new_object();

        json_object_object_foreach(from, name, value)
            json_add(object, name, unpacked(value));
        return object;
    }
    return json_object_get(from);
}

/* Packed or not, the same documents are read, as the same values, and refused for the same kind of reason. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json) struct json_object *plain = NULL, *packed = NULL, *again = NULL;
    struct bytes                   text = { data, size };
    struct err                     plain_err, packed_err;
    bool                           is_plain = json_read(text, 1 << 16, &plain, &plain_err);

    if (json_read_packed(text, 1 << 16, &packed, &packed_err) != is_plain)
        __builtin_trap();
    if (!is_plain && plain_err.kind != packed_err.kind)
        __builtin_trap();
    if (!is_plain)
        return 0;
    again = unpacked(packed);
    if (!json_object_equal(plain, again))
        __builtin_trap();
    return 0;
}
