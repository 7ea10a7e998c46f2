/*
 * The process that stands for a container: engines wait for it, signal it and take its exit code. It holds the VM, and
 * the VM ends with it. It lives in a PID namespace of its own and, once the VM runs, below an empty root: who joins
 * its namespaces, as `podman cp` does, finds nothing of the host.
 */
#pragma once

#include "runtime/shim/container_spec.h"
#include "runtime/shim/machine.h"
#include "runtime/shim/volumes.h"

struct monitor_options {
    const struct machine_driver *driver;
    const char            *folder;      /* of the container; for its socket */
    const struct settings *settings;
    const struct container_spec *spec;
    struct bytes           initdata;    /* TOML text */
    const char            *layout;      /* OCI layout with the image's blobs */
    const char            *manifest;    /* digest */
    const char            *image_name;
    struct host_volumes   *files;       /* that the container gets; NULL: none */
    int                    fds[3];      /* the workload's; taken */
    int                    ready_fd;    /* gets an empty line when the workload can be started, or why not; taken */
};

/* Runs until the container has ended, and gives its exit code; 137 when the VM ended first. Never more than once. */
int monitor_run(struct monitor_options *options);

/* 0, or the number that "TERM", "SIGTERM" and "15" mean. */
int signal_number(const char *name);
