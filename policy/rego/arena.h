/* Memory with a hard bound: everything one evaluation makes lives here and is released at once. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Grows in blocks up to `limit` bytes. A request that does not fit returns NULL, and the arena stays
 * failed until it is reset: the caller may let the NULL travel up as a plain `false` and ask for the
 * reason once, with arena_ok. The zero state is an arena that refuses everything.
 */
struct arena {
    struct arena_block *first;
    struct arena_block *block;  /* the one in use; blocks behind it are empty and kept for reuse */
    size_t              taken;  /* bytes of all blocks that hold something */
    size_t              limit;
    const char         *failed; /* why, or NULL */
};

struct arena arena_of(size_t limit);
void        *arena_take(struct arena *a, size_t n);         /* aligned for any type, not cleared */
void        *arena_zeroed(struct arena *a, size_t n);
void        *arena_copy(struct arena *a, const void *from, size_t n);
char        *arena_text(struct arena *a, size_t n);         /* n bytes without alignment */
void         arena_shrink(struct arena *a, const char *last, size_t from, size_t to); /* gives back the tail of the newest piece */
void         arena_refuse(struct arena *a, const char *why); /* marks the arena failed for another limit, `why` is static text */
FALLIBLE     arena_ok(const struct arena *a, struct err *err); /* ERR_LIMIT with the reason when something was refused */
/* Scratch: everything taken since the mark is given back. */
struct arena_mark {
    struct arena_block *block;
    size_t              used, taken;
};
struct arena_mark arena_mark(const struct arena *a);
void         arena_release(struct arena *a, struct arena_mark mark);
void         arena_reset(struct arena *a);                  /* forgets everything, keeps the memory */
void         arena_free(struct arena *a);

static inline void auto_arena(struct arena *a) { arena_free(a); }
