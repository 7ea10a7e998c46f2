#include "keys/external/vault_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool                is_open;
    AUTO(secret) struct secret value = { 0 }, token = { 0 };
    AUTO(buffer) struct buffer words = { 0 };
    uint64_t                   lease_s;
    struct err                 err;

    if (!is_open && !secret_heap_open(&err))
        __builtin_trap();
    is_open = true;
    if (vault_value_read((struct bytes){ data, size }, &value, &err) && (value.len == 0 || value.len > VAULT_VALUE_MAX))
        __builtin_trap();
    if (vault_login_read((struct bytes){ data, size }, &token, &lease_s, &err) && (token.len == 0 || token.len > VAULT_TOKEN_MAX))
        __builtin_trap();
    vault_error_append((struct bytes){ data, size }, &words);
    return 0;
}
