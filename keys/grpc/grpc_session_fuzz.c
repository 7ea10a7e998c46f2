#include "keys/grpc/grpc_session.h"
#include "keys/grpc/keyprovider.pb-c.h"

static void answer(void *owner, const char *path, struct bytes message, struct grpc_reply *reply)
{
    Keyprovider__Document empty = KEYPROVIDER__DOCUMENT__INIT;

    (void) owner;
    if (bytes_of_text(path).len > GRPC_PATH_MAX || message.len > GRPC_MESSAGE_MAX)
        __builtin_trap();
    grpc_reply_add(reply, &empty.base);
}

/* Any bytes in any pieces (the first byte says how large) end in an answer or in the end of the connection. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(grpc_session) struct grpc_session *session = NULL;
    AUTO(buffer) struct buffer              out     = { 0 };
    struct err                              err;

    if (size == 0 || !grpc_session_new(answer, NULL, &session, &err))
        return 0;
    for (size_t at = 1, piece = data[0] + 1u; at < size; at += piece) {
        out.len = 0;
        if (!grpc_session_feed(session, (struct bytes){ data + at, size - at < piece ? size - at : piece }, &out, &err))
            return 0;
    }
    return 0;
}
