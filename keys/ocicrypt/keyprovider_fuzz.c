#include <string.h>

#include "base/json.h"
#include "keys/ocicrypt/keyprovider.h"

static bool give_key(void *owner, const char *path, struct secret *out, struct err *err)
{
    (void) owner;
    (void) path; /* any file will do */
    return secret_copy(bytes_of_text("0123456789abcdef0123456789abcdef"), out, err);
}

static bool keep_key(void *owner, const char *kid, const struct secret *key, struct err *err)
{
    (void) owner;
    (void) err;
    if (strncmp(kid, "kbs:///", 7) != 0 || key->len != 32)
        __builtin_trap(); /* nothing else is ever registered */
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(secret) struct secret     answer   = { 0 };
    AUTO(json) struct json_object *document = NULL;
    struct keyprovider_keys        keys     = { .file = give_key };
    struct err                     err;

    if (size % 2) { /* with a broker */
        keys.fetch = give_key;
        keys.keep  = keep_key;
    }
    if (keyprovider_answer((struct bytes){ data, size }, &keys, &answer, &err) &&
        !json_read(secret_expose(&answer), SECRET_LEN_MAX, &document, &err))
        __builtin_trap(); /* an answer is always JSON */
    return 0;
}
