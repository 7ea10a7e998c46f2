#include "base/auto.h"
#include "policy/rego/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read and written reads back as the same value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena a = arena_of(4 << 20);
    struct value             v, text, again;
    struct text_out          t = text_out_new(&a, 1 << 20);
    struct err               err;

    if (!json_text_read(&a, (struct bytes){ data, size }, &v, &err)) {
        if (err.kind != ERR_MALFORMED && err.kind != ERR_LIMIT)
            __builtin_trap();
        return 0;
    }
    json_text_write(&t, v, &(struct json_style){ .for_html = true });
    if (!text_take(&t, &text))
        return 0;
    if (!json_text_read(&a, (struct bytes){ (const uint8_t *) text.text, text.len }, &again, &err))
        return err.kind == ERR_LIMIT ? 0 : (__builtin_trap(), 0);
    if (!value_equal(v, again) || value_hash(v) != value_hash(again))
        __builtin_trap();
    return 0;
}
