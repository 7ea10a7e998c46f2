#include "keys/grpc/keyprovider_service.h"

#include <string.h>

#include "base/json.h"
#include "keys/grpc/keyprovider.pb-c.h"
#include "keys/ocicrypt/limits.h"

static enum grpc_status status_of(enum err_kind kind)
{
    switch (kind) {
    case ERR_NOT_FOUND:   return GRPC_NOT_FOUND;
    case ERR_LIMIT:       return GRPC_RESOURCE_EXHAUSTED;
    case ERR_UNSUPPORTED: return GRPC_UNIMPLEMENTED;
    case ERR_MALFORMED:
    case ERR_CONFIG:      return GRPC_INVALID_ARGUMENT;
    case ERR_UNTRUSTED:
    case ERR_DENIED:      return GRPC_FAILED_PRECONDITION;
    case ERR_TIMEOUT:
    case ERR_OS:
    case ERR_BUG:
    case ERR_NONE:        break;
    }
    return GRPC_INTERNAL;
}

/* The method says what the document says too: both must agree. */
static FALLIBLE operation_check(struct bytes json, const char *wanted, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    const char                    *op;

    if (!json_read(json, KEYPROVIDER_INPUT_MAX, &document, err) || !json_get_text(document, "op", &op, err))
        return context(err, "request");
    return strcmp(op, wanted) == 0 || fail_with(err, ERR_MALFORMED, "request: \"op\" is not the %s that was called", wanted);
}

void keyprovider_call(void *keys, const char *path, struct bytes message, struct grpc_reply *reply)
{
    const char                *op     = strcmp(path, KEYPROVIDER_WRAP) == 0 ? "keywrap" : strcmp(path, KEYPROVIDER_UNWRAP) == 0 ? "keyunwrap" : NULL;
    AUTO(secret) struct secret answer = { 0 };
    Keyprovider__Document     *request;
    Keyprovider__Document      document = KEYPROVIDER__DOCUMENT__INIT;
    struct bytes               json;
    struct err                 err;

    if (!op) {
        grpc_reply_fail(reply, GRPC_UNIMPLEMENTED, "there are WrapKey and UnWrapKey");
        return;
    }
    request = keyprovider__document__unpack(NULL, message.len, message.at);
    if (!request) {
        grpc_reply_fail(reply, GRPC_INVALID_ARGUMENT, "the request is not of this protocol");
        return;
    }
    json = (struct bytes){ request->json.data, request->json.len };
    if (operation_check(json, op, &err) && keyprovider_answer(json, keys, &answer, &err)) {
        document.json = (ProtobufCBinaryData){ .len = answer.len, .data = (uint8_t *) (uintptr_t) secret_expose(&answer).at };
        grpc_reply_add(reply, &document.base);
    } else {
        grpc_reply_fail(reply, status_of(err.kind), err.text);
    }
    if (request->json.len > 0)
        explicit_bzero(request->json.data, request->json.len); /* it may hold a layer's key */
    keyprovider__document__free_unpacked(request, NULL);
}
