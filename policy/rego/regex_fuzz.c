#include <string.h>

#include "base/auto.h"
#include "policy/rego/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
    if (!claim)
        __builtin_trap();
}

/* The pattern is the first line, the text is the rest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena a    = arena_of(16 << 20);
    const uint8_t           *line = size ? memchr(data, '\n', size) : NULL;
    size_t                   n    = line ? (size_t) (line - data) : 0, slots[2 * REGEX_GROUPS_MAX];
    struct regex_input       in   = { .arena = &a, .budget = 1 << 20 };
    const struct regex      *re;
    struct err               err;
    bool                     found, also;

    if (!line || !regex_compile(&a, (struct bytes){ data, n }, &re, &err))
        return 0;
    in.text = (struct bytes){ data + n + 1, size - n - 1 };
    if (!regex_search(re, &in, 0, regex_groups(re), slots, &found) || !regex_search(re, &in, 0, 0, NULL, &also)) {
        require(a.failed);
        return 0;
    }
    require(found == also);
    for (uint32_t i = 0; found && i < regex_groups(re); i++) {
        require((slots[2 * i] == REGEX_NONE) == (slots[2 * i + 1] == REGEX_NONE));
        require(slots[2 * i] == REGEX_NONE || (slots[2 * i] <= slots[2 * i + 1] && slots[2 * i + 1] <= in.text.len));
    }
    require(!found || slots[0] != REGEX_NONE);
    return 0;
}
