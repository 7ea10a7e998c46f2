/*
 * A process that rests: it holds what it must not forget as bytes in locked memory, and waits until its socket has something
 * to read. A child of it then wakes, with these bytes and the socket, and ends when nobody has wanted anything for a while; what
 * it leaves is held from then on. With the child go its heap, its threads, and all that libraries keep for themselves.
 */
#pragma once

#include "base/bytes.h"

enum { RESTING_HELD_MAX = 8 << 20 };

/*
 * In the child, which has no other thread.
 *
 *   held    what the one before left; empty in the first. Valid until this returns
 *   left    what is to be held from now on
 *
 * True: to rest. What is in the socket by then wakes the next one, so nothing of it may have been read and forgotten. False: it
 * is over.
 */
typedef bool awake_fn(void *owner, struct bytes held, struct buffer *left);

/*
 * Returns when it is over: true when a child said so, else, with *err, when one ended in another way, or none could be made.
 * To be called where there is no other thread.
 */
FALLIBLE resting_run(int fd, awake_fn *awake, void *owner, struct err *err);
