/* Eight bytes are the blob's size, the rest is the annotation. What is read is written back as the same text. */
#include <string.h>

#include "keys/ocicrypt/block_layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json) struct json_object *annotations = json_object_new_object();
    AUTO(buffer) struct buffer     text        = { 0 };
    struct reader                  r           = reader_over((struct bytes){ data, size });
    struct descriptor              layer       = { .size = take_u64le(&r), .annotations = annotations };
    struct block_layer             blocks      = { 0 };
    char                           again[BLOCK_LAYER_TEXT_MAX];
    struct err                     err;

    buffer_append(&text, take_rest(&r));
    json_add_text(annotations, BLOCK_LAYER_ANNOTATION, buffer_text(&text));
    if (!block_layer_read(&layer, &blocks, &err))
        return 0;
    block_layer_text(&blocks, again);
    if (strcasecmp(again, buffer_text(&text)) != 0 || block_layer_len(&blocks) != layer.size || blocks.n_blocks == 0)
        __builtin_trap();
    return 0;
}
