/*
 * No key is made before the kernel's generator is seeded by the CPU: what the host feeds does not count.
 * [threats D4]
 */
#pragma once

#include "base/err.h"

/* Waits until the kernel's generator is ready. Fails UNSUPPORTED on a CPU without RDRAND, TIMEOUT after 10 s. */
FALLIBLE entropy_wait(struct err *err);
