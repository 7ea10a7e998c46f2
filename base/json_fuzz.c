#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json) struct json_object *out = NULL, *again = NULL;
    AUTO(buffer) struct buffer     text = { 0 };
    struct err                     err;

    if (!json_read((struct bytes){ data, size }, 1 << 16, &out, &err))
        return 0;
    json_write(out, &text);
    if (!json_read(buffer_bytes(&text), 1 << 20, &again, &err) || !json_object_equal(out, again))
        __builtin_trap(); /* what we write, we must read as the same value */
    if (strcmp(buffer_text(&text), json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)) != 0)
        __builtin_trap(); /* and it is what json-c writes */
    return 0;
}
