/* The parts of `service`, one file for each group of requests. For these files only. */
#pragma once

#include "guest/agent/service.h"

/* Answers with the refusal, `phase` in front of it; NULL: it has one. */
void service_refuse(struct ttrpc_pending pending, const char *phase, struct err *why);
/* NULL when there is none: then the request was refused. */
struct container         *service_find(struct service *s, const char *id, struct ttrpc_pending pending);
struct container_process *service_find_process(struct service *s, const char *id, const char *process,
                                               struct ttrpc_pending pending);
struct cgroup_limits      service_limits_of(const Agent__Limits *asked); /* NULL: none */

/* service_create */
void service_create_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void service_start_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);

/* service_process */
void service_wait_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void service_signal_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void service_read_output(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void service_write_input(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void service_delete_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void service_exec_process(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void service_resize_terminal(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);

/* service_usage */
void service_stats_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
void service_update_container(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);

/* service_volume */
void service_update_volume(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);

/* service_receipt */
void service_get_receipt(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *request);
