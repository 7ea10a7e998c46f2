/*
 * The guest's clock. The host sets it at boot and may set it to anything, so it is raised to a floor at once, and set to
 * the broker's time as soon as the guest has attested: the time in a token that answers to our own nonce, from the peer
 * whose certificate the initdata names.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum { CLOCK_FLOOR_S = 1790812800 }; /* 2026-10-01T00:00:00Z: this source is no older, so no guest of it runs before */

/* Raises the clock to CLOCK_FLOOR_S when it is behind. Fails OS. */
FALLIBLE clock_raise(struct err *err);

/*
 * Sets the clock to what the broker told.
 *
 *   told_s     seconds since 1970
 *   floor_s    of the initdata; 0: none
 *
 * Fails UNTRUSTED for a time before one of the floors, OS.
 */
FALLIBLE clock_set(int64_t told_s, int64_t floor_s, struct err *err);

/* What clock_set does at `now_s`: whether, and to what, the clock is set. */
FALLIBLE clock_judge(int64_t now_s, int64_t told_s, int64_t floor_s, bool *is_set, struct err *err);

/*
 * Reads the owner's floor, the initdata's entry "not_before": "2026-11-28T12:00:00Z", and nothing but a line end behind it.
 * Fails MALFORMED.
 */
FALLIBLE clock_floor_read(struct bytes text, int64_t *out_s, struct err *err);

/* Before anything is asked of the broker: a clock before the owner's floor is the host's lie. Fails UNTRUSTED. */
FALLIBLE clock_floor_check(int64_t now_s, int64_t floor_s, struct err *err);
