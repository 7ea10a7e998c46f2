/* A message of reference values, at a broker that trusts no signer. */
#include "keys/broker/reference_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct administrators            *nobody;
    AUTO(reference_set) struct reference_set set = { 0 };
    struct err                               err;

    if (!nobody && !administrators_read((struct bytes){ 0 }, "/", &nobody, &err))
        __builtin_trap();
    if (!reference_message_read((struct bytes){ data, size }, nobody, 1000000, &set, &err))
        return 0;
    if (!json_object_is_type(set.values, json_type_object) || json_object_object_length(set.values) == 0 || set.signer[0])
        __builtin_trap(); /* nobody's signature counts here */
    return 0;
}
