#include "base/auto.h"
#include "runtime/shim/image_note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_note note, again;
    struct err        err;

    if (image_note_read((struct bytes){ data, size }, &note, &err)) {
        AUTO(buffer) struct buffer wire = { 0 };

        image_note_write(&note, &wire);
        if (!image_note_read(buffer_bytes(&wire), &again, &err))
            __builtin_trap();
    }
    return 0;
}
