#include "guest/signature/image_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const        names[] = { "example.com/playground/x:1", "a.b.redhat.com/x", "app" };
    AUTO(image_policy) struct image_policy read = { 0 };
    struct err                             err;

    if (!image_policy_read((struct bytes){ data, size }, &read, &err))
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct image_reference reference;

        if (!image_reference_read(bytes_of_text(names[i]), &reference, &err))
            __builtin_trap();
        struct json_object *list = image_policy_requirements(&read, &reference);

        if (!list || json_object_array_length(list) == 0)
            __builtin_trap(); /* an empty list would accept everything */
    }
    return 0;
}
