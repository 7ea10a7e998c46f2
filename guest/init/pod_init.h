/* The first process of a PID namespace that containers share: takes in orphans, and has nothing that they could reach. */
#pragma once

#define POD_INIT_NAME "pod-init" /* argv[0] of the program that is to be it */

/*
 * In namespaces of its own, as PID 1: leaves the guest's file system for an empty one, becomes nobody without any
 * capability, and lets the kernel reap. Ends only when it could not do all of that.
 */
void pod_init_run(void) __attribute__((noreturn));
