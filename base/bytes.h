/* Bounded views, the one cursor through which every wire format is read, and its mirror for writing. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A borrowed view. Never freed; valid as long as the buffer it points into. */
struct bytes {
    const uint8_t *at;
    size_t         len;
};

#define BYTES_OF(array) ((struct bytes){ (const uint8_t *) (array), sizeof(array) })

struct bytes bytes_of_text(const char *text); /* without the terminating zero; NULL gives the empty view */
bool         bytes_equal(struct bytes a, struct bytes b); /* not for secrets: see secret_equal */
bool         bytes_are_zero(struct bytes b);

/*
 * A cursor over untrusted bytes. A read past the end returns zero (or an empty
 * view), moves nothing, and makes the reader fail for good. So a parser lists
 * its fields in spec order and asks once; it must ask before it acts on a value.
 */
struct reader {
    struct bytes left;
    size_t       offset; /* from the start of the whole message, for messages */
    size_t       wanted; /* size of the read that failed */
    bool         failed;
};

struct reader reader_over(struct bytes whole);
struct bytes  take_rest(struct reader *r);
struct reader take_reader(struct reader *r, size_t n); /* a cursor over the next n bytes only; fails with its parent */
uint16_t      take_u16le(struct reader *r);
uint32_t      take_u32le(struct reader *r);
uint64_t      take_u64le(struct reader *r);
uint16_t      take_u16be(struct reader *r);
uint32_t      take_u32be(struct reader *r);
uint64_t      take_u64be(struct reader *r);

/* Here, because parsers of text call them for every character. */
static inline struct bytes take(struct reader *r, size_t n)
{
    struct bytes head = { r->left.at, n };

    if (r->failed || n > r->left.len) {
        if (!r->failed)
            r->wanted = n;
        r->failed = true;
        return (struct bytes){ 0 };
    }
    if (n > 0)
        r->left = (struct bytes){ r->left.at + n, r->left.len - n };
    r->offset += n;
    return head;
}

static inline uint8_t take_u8(struct reader *r)
{
    struct bytes one = take(r, 1);

    return one.len > 0 ? *one.at : 0;
}

FALLIBLE reader_ok(const struct reader *r, struct err *err);   /* every read was in bounds */
FALLIBLE reader_done(const struct reader *r, struct err *err); /* ... and nothing is left over */

/* Writes into a caller's array of fixed size; a write past the end writes nothing and fails for good. */
struct writer {
    uint8_t *at;
    size_t   capacity;
    size_t   len;
    bool     failed;
};

struct writer writer_over(uint8_t *at, size_t capacity);
void          put(struct writer *w, struct bytes b);
void          put_zeros(struct writer *w, size_t n);
void          put_u8(struct writer *w, uint8_t v);
void          put_u16le(struct writer *w, uint16_t v);
void          put_u32le(struct writer *w, uint32_t v);
void          put_u64le(struct writer *w, uint64_t v);
void          put_u16be(struct writer *w, uint16_t v);
void          put_u32be(struct writer *w, uint32_t v);
void          put_u64be(struct writer *w, uint64_t v);
FALLIBLE      writer_ok(const struct writer *w, struct err *err); /* everything fitted */
struct bytes  writer_bytes(const struct writer *w);

/* `n` zeroed elements, to be given to free(); not NULL: it ends the program when memory is out, as growth below does. */
void *zeroed(size_t n, size_t size);

/*
 * free() and realloc() for memory that may have held a secret: whole blocks are zeroed before they go back. For what
 * libraries allocate; own secrets are in a struct secret, or pass through a buffer that is wiped.
 */
void  wiped_free(void *at);
void *wiped_realloc(void *at, size_t size); /* NULL when memory is out; then `at` is as it was */

/*
 * Owned, growing bytes. The zero state is empty. Growth aborts when memory is out: whatever a peer
 * can make large is compared with a named limit before it is appended.
 */
struct buffer {
    uint8_t *at;
    size_t   len;
    size_t   capacity;
    bool     is_wiped; /* may hold a secret: no copy of it stays behind when it grows, and none when it is freed */
};

#define WIPED_BUFFER { .is_wiped = true } /* its zero state; outlives buffer_free, but not TAKE */

void         buffer_append(struct buffer *b, struct bytes more);
void         buffer_append_text(struct buffer *b, const char *text);
void         buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2);
uint8_t     *buffer_grow(struct buffer *b, size_t n); /* n zeroed bytes at the end; the pointer is to them */
uint8_t     *buffer_extend(struct buffer *b, size_t n); /* likewise, for the caller to fill: they hold anything */
const char  *buffer_text(struct buffer *b);           /* as C text: a zero is kept behind the end; not NULL */
struct bytes buffer_bytes(const struct buffer *b);
void         buffer_free(struct buffer *b);

static inline void auto_buffer(struct buffer *b) { buffer_free(b); }
