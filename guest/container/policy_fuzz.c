#include "guest/container/policy.h"

/* Whatever is accepted as a policy never allows an image that no valid entry can name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(policy) struct policy policy  = { 0 };
    struct policy_request      request = { .image_digest = "sha256:x" };
    struct policy_grant        grant;
    struct err                 err;

    if (policy_read((struct bytes){ data, size }, &policy, &err) && policy_allow_create(&policy, &request, NULL, &grant, &err))
        __builtin_trap();
    return 0;
}
