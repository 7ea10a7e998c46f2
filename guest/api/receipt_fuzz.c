#include "guest/api/receipt.h"

/* What is taken has a statement of our version and evidence, and is signed: every byte of the statement counts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(receipt) struct receipt receipt = { 0 };
    struct err                   err;

    if (!receipt_read((struct bytes){ data, size }, &receipt, &err)) {
        if (receipt.statement || receipt.evidence)
            __builtin_trap();
        return 0;
    }
    if (!json_has(receipt.statement, "version") || !json_object_is_type(receipt.evidence, json_type_object))
        __builtin_trap();
    return 0;
}
