/*
 * Changes of a container's volumes on the host: the kubelet renames a new "..data" into place, and the guest is asked to
 * take the files that it then points to. [Kubernetes, pkg/volume/util AtomicWriter]
 */
#pragma once

#include "runtime/shim/pod.h"

struct volume_watch;

/* Before the volumes are read for the first time: what changes meanwhile is not missed. Says in the log when it cannot. */
void watch_start(struct task *task);
/* Sends what has changed; called when the guest has created the container. */
void watch_send(struct task *task);
void watch_free(struct volume_watch *watch);
