#include "policy/rego/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const uint8_t *data, size_t size, enum rego_version version)
{
    static struct front front;
    struct arena        memory = arena_of(64 << 20);
    struct source_file  file   = { "fuzz.rego", { data, size } };

    front_start(&front, &memory);
    front.files   = &file;
    front.n_files = 1;
    if (setjmp(front.out) == 0 && (parse_module(&front, 0, version) == NULL) != (front.n_errors > 0))
        __builtin_trap(); /* a tree or an error, never both */
    arena_free(&memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 16)
        return 0;
    parse(data, size, REGO_V1);
    parse(data, size, REGO_V0);
    return 0;
}
