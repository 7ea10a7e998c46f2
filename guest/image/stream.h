/* Bytes that arrive in pieces, pulled by whoever needs them. */
#pragma once

#include "base/bytes.h"

/* The next piece, borrowed until the next call; an empty one means the end, for good. */
typedef bool stream_fn(void *owner, struct bytes *piece, struct err *err);

struct stream {
    stream_fn *next;
    void      *owner;
};
