#include "base/toml.h"
#include "guest/registry/registries.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char              by_digest[] = "docker.io/app@sha256:" HEX;
    static const char *const       names[]     = { "registry.example/team/app", "app", by_digest };
    AUTO(registries) struct registries read = { 0 };
    struct json_object                *document;
    struct err                         err;

    if (!toml_read((struct bytes){ data, size }, &document, &err) || !registries_read_take(document, &read, &err))
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct attempt         attempts[ATTEMPTS_MAX];
        struct image_reference reference;
        size_t                 n = 0;

        if (!image_reference_read(bytes_of_text(names[i]), &reference, &err))
            __builtin_trap();
        if (registries_attempts(&read, &reference, i == 2, attempts, &n, &err) && (n == 0 || n > ATTEMPTS_MAX))
            __builtin_trap();
    }
    return 0;
}
