/*
 * The methods of containerd's task service, versions 2 and 3, and of its sandbox service, over one table: who serves a
 * request is `pod`. The owner of a row is the struct pod.
 */
#pragma once

#include "runtime/shim/pod.h"

extern const struct ttrpc_service        task_v2_service;
extern const struct ttrpc_service *const service_others[]; /* task v3, sandbox v1 */
extern const size_t                      n_service_others;
extern const struct ttrpc_row            service_rows[];
extern const size_t                      n_service_rows;
