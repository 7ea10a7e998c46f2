#include <string.h>

#include "guest/registry/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buffer) struct buffer token = { 0 };
    struct challenge           read;
    struct err                 err;

    if (challenge_read((struct bytes){ data, size }, &read, &err) &&
        (read.scheme == CHALLENGE_NONE || strlen(read.realm) > CHALLENGE_REALM_MAX ||
         (read.scheme == CHALLENGE_BEARER && read.realm[0] == '\0')))
        __builtin_trap();
    if (token_answer_read((struct bytes){ data, size }, &token, &err) && (token.len == 0 || token.len > TOKEN_MAX))
        __builtin_trap();
    return 0;
}
