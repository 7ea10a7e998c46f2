#include "guest/signature/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(signature_payload) struct signature_payload read  = { 0 };
    AUTO(json) struct json_object                   *exact = json_object_new_object();
    struct err                                       err;

    json_add_text(exact, "type", "matchRepository");
    if (!signature_payload_read((struct bytes){ data, size }, &read, &err))
        return 0;
    if (!signed_identity_match(exact, &read.identity, &read.identity, &err))
        __builtin_trap(); /* every name is its own repository's */
    return 0;
}
