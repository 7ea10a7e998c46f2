#include "attestation/verifier/signed_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct signed_json out;
    struct err         err;

    if (signed_json_split((struct bytes){ data, size }, "tcbInfo", &out, &err) &&
        (out.body.len < 2 || out.body.at[0] != '{' || out.body.at[out.body.len - 1] != '}' || out.body.at < data ||
         out.body.at + out.body.len > data + size))
        __builtin_trap(); /* a success that broke its promise */
    return 0;
}
