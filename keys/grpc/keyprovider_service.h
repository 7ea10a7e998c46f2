/* ocicrypt's key provider protocol in its gRPC form: the same requests and answers as in its exec form. [OCICRYPT keyprovider] */
#pragma once

#include "keys/grpc/grpc_session.h"
#include "keys/ocicrypt/keyprovider.h"

#define KEYPROVIDER_WRAP   "/keyprovider.KeyProviderService/WrapKey"
#define KEYPROVIDER_UNWRAP "/keyprovider.KeyProviderService/UnWrapKey"

/* Answers one call: a grpc_call_fn whose owner is a struct keyprovider_keys. */
void keyprovider_call(void *keys, const char *path, struct bytes message, struct grpc_reply *reply);
