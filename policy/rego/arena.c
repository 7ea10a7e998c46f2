#include "policy/rego/arena.h"

#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer every piece gets a gap behind it that must not be touched. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#endif
#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
enum { GAP = 16 };
#define POISON(at, n)   ASAN_POISON_MEMORY_REGION(at, n)
#define UNPOISON(at, n) ASAN_UNPOISON_MEMORY_REGION(at, n)
#else
enum { GAP = 0 };
#define POISON(at, n)   ((void) (at))
#define UNPOISON(at, n) ((void) (at))
#endif

enum { ALIGN = 16, FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 1 << 20 };

struct arena_block {
    struct arena_block     *next;
    size_t                  capacity;
    size_t                  used;
    _Alignas(ALIGN) uint8_t at[];
};

struct arena arena_of(size_t limit)
{
    return (struct arena){ .limit = limit };
}

void arena_refuse(struct arena *a, const char *why)
{
    if (!a->failed)
        a->failed = why;
}

static bool fits(const struct arena_block *b, size_t n)
{
    return b && n <= b->capacity - b->used;
}

static struct arena_block *block_new(struct arena *a, size_t n)
{
    size_t capacity = a->block ? a->block->capacity * 2 : FIRST_BLOCK;

    if (capacity > LARGEST_BLOCK)
        capacity = LARGEST_BLOCK;
    if (capacity > a->limit - a->taken)
        capacity = a->limit - a->taken;
    if (capacity < n)
        capacity = n;
    if (capacity > a->limit - a->taken)
        return NULL;

    struct arena_block *b = malloc(sizeof *b + capacity);
    if (!b)
        return NULL;
    b->next     = NULL;
    b->capacity = capacity;
    b->used     = 0;
    POISON(b->at, capacity);
    return b;
}

/* Moves on to a block with room for n: the next kept one, or a new one put behind the current. */
static bool advance(struct arena *a, size_t n)
{
    struct arena_block *next = a->block ? a->block->next : a->first;

    if (!fits(next, n) || next->capacity > a->limit - a->taken) {
        struct arena_block *fresh = block_new(a, n);

        if (!fresh)
            return false;
        fresh->next = next;
        if (a->block)
            a->block->next = fresh;
        else
            a->first = fresh;
        next = fresh;
    }
    a->block = next;
    a->taken += next->capacity;
    return true;
}

static uint8_t *take_piece(struct arena *a, size_t n, size_t align)
{
    size_t used = a->block ? (a->block->used + align - 1) & ~(align - 1) : 0;

    if (n > a->limit) {
        arena_refuse(a, "memory");
        return NULL;
    }
    if (!a->block || used > a->block->capacity || n + GAP > a->block->capacity - used) {
        if (a->failed || !advance(a, n + GAP)) {
            arena_refuse(a, "memory");
            return NULL;
        }
        used = 0;
    }

    uint8_t *at    = a->block->at + used;
    a->block->used = used + n + GAP;
    UNPOISON(at, n);
    return at;
}

void *arena_take(struct arena *a, size_t n)
{
    return take_piece(a, n, ALIGN);
}

void *arena_zeroed(struct arena *a, size_t n)
{
    void *at = arena_take(a, n);

    return at ? memset(at, 0, n) : NULL;
}

void *arena_copy(struct arena *a, const void *from, size_t n)
{
    void *at = arena_take(a, n);

    if (at && n > 0)
        memcpy(at, from, n);
    return at;
}

char *arena_text(struct arena *a, size_t n)
{
    return (char *) take_piece(a, n, 1);
}

void arena_shrink(struct arena *a, const char *last, size_t from, size_t to)
{
    struct arena_block *b = a->block;

    if (!b || (const uint8_t *) last + from + GAP != b->at + b->used)
        return;
    b->used -= from - to;
    POISON(last + to, from - to + GAP);
}

FALLIBLE arena_ok(const struct arena *a, struct err *err)
{
    if (!a->failed)
        return true;
    return fail_with(err, ERR_LIMIT, "evaluation limit: %s", a->failed);
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->block, a->block ? a->block->used : 0, a->taken };
}

void arena_release(struct arena *a, struct arena_mark mark)
{
    for (struct arena_block *b = mark.block ? mark.block->next : a->first; b && b->used > 0; b = b->next) {
        POISON(b->at, b->capacity);
        b->used = 0;
    }
    if (mark.block) {
        mark.block->used = mark.used;
        POISON(mark.block->at + mark.used, mark.block->capacity - mark.used);
    }
    a->block = mark.block;
    a->taken = mark.taken;
}

void arena_reset(struct arena *a)
{
    for (struct arena_block *b = a->first; b; b = b->next) {
        POISON(b->at, b->capacity);
        b->used = 0;
    }
    a->block  = NULL;
    a->taken  = 0;
    a->failed = NULL;
}

void arena_free(struct arena *a)
{
    for (struct arena_block *b = a->first, *next; b; b = next) {
        next = b->next;
        UNPOISON(b->at, b->capacity);
        free(b);
    }
    *a = (struct arena){ 0 };
}
