#include "base/bytes.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes bytes_of_text(const char *text)
{
    return (struct bytes){ (const uint8_t *) text, text ? strlen(text) : 0 };
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool bytes_are_zero(struct bytes b)
{
    uint8_t seen = 0;

    for (size_t i = 0; i < b.len; i++)
        seen |= b.at[i];
    return seen == 0;
}

struct reader reader_over(struct bytes whole)
{
    return (struct reader){ .left = whole };
}

struct bytes take_rest(struct reader *r)
{
    return take(r, r->left.len);
}

struct reader take_reader(struct reader *r, size_t n)
{
    size_t        offset = r->offset;
    struct bytes  part   = take(r, n);
    struct reader inner  = { .left = part, .offset = offset, .wanted = r->wanted, .failed = r->failed };

    return inner;
}

static uint64_t take_le(struct reader *r, size_t width)
{
    struct bytes b     = take(r, width);
    uint64_t     value = 0;

    for (size_t i = b.len; i > 0; i--)
        value = value << 8 | b.at[i - 1];
    return value;
}

static uint64_t take_be(struct reader *r, size_t width)
{
    struct bytes b     = take(r, width);
    uint64_t     value = 0;

    for (size_t i = 0; i < b.len; i++)
        value = value << 8 | b.at[i];
    return value;
}

uint16_t take_u16le(struct reader *r) { return (uint16_t) take_le(r, 2); }
uint32_t take_u32le(struct reader *r) { return (uint32_t) take_le(r, 4); }
uint64_t take_u64le(struct reader *r) { return take_le(r, 8); }
uint16_t take_u16be(struct reader *r) { return (uint16_t) take_be(r, 2); }
uint32_t take_u32be(struct reader *r) { return (uint32_t) take_be(r, 4); }
uint64_t take_u64be(struct reader *r) { return take_be(r, 8); }

FALLIBLE reader_ok(const struct reader *r, struct err *err)
{
    if (!r->failed)
        return true;
    if (r->wanted == 0) /* enough bytes, but not those of the format */
        return fail_with(err, ERR_MALFORMED, "not what is wanted before offset %zu", r->offset);
    return fail_with(err, ERR_MALFORMED, "wanted %zu bytes at offset %zu, %zu left", r->wanted, r->offset,
                     r->left.len);
}

FALLIBLE reader_done(const struct reader *r, struct err *err)
{
    if (!reader_ok(r, err))
        return false;
    if (r->left.len > 0)
        return fail_with(err, ERR_MALFORMED, "%zu bytes left over at offset %zu", r->left.len, r->offset);
    return true;
}

struct writer writer_over(uint8_t *at, size_t capacity)
{
    return (struct writer){ .at = at, .capacity = capacity };
}

static uint8_t *writer_room(struct writer *w, size_t n)
{
    if (w->failed || n > w->capacity - w->len) {
        w->failed = true;
        return NULL;
    }
    w->len += n;
    return w->at + (w->len - n);
}

void put(struct writer *w, struct bytes b)
{
    uint8_t *to = b.len > 0 ? writer_room(w, b.len) : NULL;

    if (to)
        memcpy(to, b.at, b.len);
}

void put_zeros(struct writer *w, size_t n)
{
    uint8_t *to = n > 0 ? writer_room(w, n) : NULL;

    if (to)
        memset(to, 0, n);
}

static void put_le(struct writer *w, uint64_t v, size_t width)
{
    uint8_t *to = writer_room(w, width);

    for (size_t i = 0; to && i < width; i++)
        to[i] = (uint8_t) (v >> (8 * i));
}

static void put_be(struct writer *w, uint64_t v, size_t width)
{
    uint8_t *to = writer_room(w, width);

    for (size_t i = 0; to && i < width; i++)
        to[i] = (uint8_t) (v >> (8 * (width - 1 - i)));
}

void put_u8(struct writer *w, uint8_t v) { put_le(w, v, 1); }
void put_u16le(struct writer *w, uint16_t v) { put_le(w, v, 2); }
void put_u32le(struct writer *w, uint32_t v) { put_le(w, v, 4); }
void put_u64le(struct writer *w, uint64_t v) { put_le(w, v, 8); }
void put_u16be(struct writer *w, uint16_t v) { put_be(w, v, 2); }
void put_u32be(struct writer *w, uint32_t v) { put_be(w, v, 4); }
void put_u64be(struct writer *w, uint64_t v) { put_be(w, v, 8); }

FALLIBLE writer_ok(const struct writer *w, struct err *err)
{
    if (!w->failed)
        return true;
    return fail_with(err, ERR_LIMIT, "message does not fit in %zu bytes", w->capacity);
}

struct bytes writer_bytes(const struct writer *w)
{
    return (struct bytes){ w->at, w->len };
}

void *zeroed(size_t n, size_t size)
{
    void *at = calloc(n > 0 ? n : 1, size);

    if (!at)
        abort(); /* counts are capped by the callers, as below */
    return at;
}

void wiped_free(void *at)
{
    if (at)
        explicit_bzero(at, malloc_usable_size(at)); /* OpenSSL's own way is many times slower */
    free(at);
}

/* Never in place: what the system's own one leaves behind when it moves a block is not wiped. */
void *wiped_realloc(void *at, size_t size)
{
    size_t held  = at ? malloc_usable_size(at) : 0;
    void  *moved = malloc(size);

    if (!moved)
        return NULL;
    if (at)
        memcpy(moved, at, held < size ? held : size);
    wiped_free(at);
    return moved;
}

enum { PRINTED_USUALLY = 64 };

/* Keeps one byte behind the end, so that buffer_text never has to move the block. */
static void buffer_reserve(struct buffer *b, size_t n)
{
    if (b->capacity > b->len && b->capacity - b->len > n)
        return;
    if (n > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
        abort();

    size_t   capacity = b->capacity < 64 ? 64 : b->capacity;
    uint8_t *moved;

    while (capacity - b->len <= n)
        capacity *= 2;
    moved = b->is_wiped ? wiped_realloc(b->at, capacity) : realloc(b->at, capacity);
    if (!moved)
        abort(); /* sizes are capped by the callers, so this is not something a peer can reach */
    b->at       = moved;
    b->capacity = capacity;
}

void buffer_append(struct buffer *b, struct bytes more)
{
    if (more.len == 0)
        return;
    buffer_reserve(b, more.len);
    memcpy(b->at + b->len, more.at, more.len);
    b->len += more.len;
}

void buffer_append_text(struct buffer *b, const char *text)
{
    buffer_append(b, bytes_of_text(text));
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
    va_list args, again;
    size_t  room;
    int     n;

    buffer_reserve(b, PRINTED_USUALLY);
    room = b->capacity - b->len;
    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf((char *) b->at + b->len, room, fmt, args);
    va_end(args);
    if (n < 0)
        abort();
    if ((size_t) n >= room) {
        buffer_reserve(b, (size_t) n + 1);
        (void) vsnprintf((char *) b->at + b->len, (size_t) n + 1, fmt, again); /* the size was asked for above */
    }
    va_end(again);
    b->len += (size_t) n;
}

uint8_t *buffer_extend(struct buffer *b, size_t n)
{
    buffer_reserve(b, n);
    b->len += n;
    return b->at + (b->len - n);
}

uint8_t *buffer_grow(struct buffer *b, size_t n)
{
    return memset(buffer_extend(b, n), 0, n);
}

const char *buffer_text(struct buffer *b)
{
    buffer_reserve(b, 1);
    b->at[b->len] = 0;
    return (const char *) b->at;
}

struct bytes buffer_bytes(const struct buffer *b)
{
    return (struct bytes){ b->at, b->len };
}

void buffer_free(struct buffer *b)
{
    if (b->is_wiped)
        wiped_free(b->at);
    else
        free(b->at);
    *b = (struct buffer){ .is_wiped = b->is_wiped };
}
