#include "base/json.h"
#include "keys/ocicrypt/keyprovider.h"

static bool give_key(void *owner, const char *path, struct secret *out, struct err *err)
{
    (void) owner;
    (void) path; /* any file will do */
    return secret_copy(bytes_of_text("0123456789abcdef0123456789abcdef"), out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(secret) struct secret     answer   = { 0 };
    AUTO(json) struct json_object *document = NULL;
    struct err                     err;

    if (keyprovider_answer((struct bytes){ data, size }, give_key, NULL, &answer, &err) &&
        !json_read(secret_expose(&answer), SECRET_LEN_MAX, &document, &err))
        __builtin_trap(); /* an answer is always JSON */
    return 0;
}
