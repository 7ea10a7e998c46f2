/* containerd's sandbox service: a pod without a pause container, for `sandboxer = "shim"`. [containerd.runtime.sandbox.v1] */
#pragma once

#include "runtime/shim/pod.h"

void sandbox_api_create(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void sandbox_api_start(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void sandbox_api_platform(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void sandbox_api_stop(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void sandbox_api_wait(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void sandbox_api_status(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void sandbox_api_ping(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void sandbox_api_shutdown(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
