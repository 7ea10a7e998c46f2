#include "firmware/image/tdvf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tdvf t = { .n_sections = 0 };
    struct err  err;

    if (!tdvf_read((struct bytes){ data, size }, &t, &err))
        return 0;
    for (size_t i = 0; i < t.n_sections; i++) {
        const struct tdvf_section *s = &t.section[i];

        if (s->content.len > s->size || s->content.len > size)
            __builtin_trap();
        if (s->content.len > 0 && (s->content.at < data || s->content.at + s->content.len > data + size))
            __builtin_trap();
    }
    return 0;
}
