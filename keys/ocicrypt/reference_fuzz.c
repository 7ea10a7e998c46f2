#include <string.h>

#include "keys/ocicrypt/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_reference read = { 0 }, again = { 0 };
    struct reference_text  text;
    struct err             err;

    if (!image_reference_read((struct bytes){ data, size }, &read, &err))
        return 0;
    text = image_reference_text(&read);
    if (!image_reference_read(bytes_of_text(text.at), &again, &err) || strcmp(read.registry, again.registry) != 0 ||
        strcmp(read.repository, again.repository) != 0 || strcmp(read.tag, again.tag) != 0 ||
        read.has_digest != again.has_digest || !digest_equal(&read.digest, &again.digest))
        __builtin_trap(); /* the one form reads as itself */
    return 0;
}
