/* How much memory the guest has left. Layers wait in memory: one that does not fit is refused by name, not by the
 * kernel, which would end whatever process it finds. */
#pragma once

#include "base/err.h"
#include "base/bytes.h"

enum { MEMORY_RESERVE = 16 << 20 }; /* bytes that images leave alone: what pulling may take above idle, and behind that crun and the workload's first steps */

/* "MemAvailable" of a /proc/meminfo text and "SwapFree" if it is there, in bytes. Fails MALFORMED. [proc(5)] */
FALLIBLE memory_available_read(struct bytes meminfo, uint64_t *out, struct err *err);

/* The same of this machine, less MEMORY_RESERVE; 0 when there is not even that. */
FALLIBLE memory_available(uint64_t *out, struct err *err);
