/* The few functions of the C library that base/bytes.c and stage0 need, and base/err.h without a library. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

void  *memcpy(void *restrict to, const void *restrict from, size_t n);
void  *memmove(void *to, const void *from, size_t n);
void  *memset(void *at, int value, size_t n);
int    memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *text);
int    strcmp(const char *a, const char *b);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    void  *at    = to;
    size_t words = n / 8;

    n %= 8;
    __asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if ((uintptr_t) to - (uintptr_t) from >= n)
        return memcpy(to, from, n);

    uint8_t       *t = to;
    const uint8_t *f = from;

    while (n-- > 0)
        t[n] = f[n];
    return to;
}

void *memset(void *at, int value, size_t n)
{
    void  *to    = at;
    size_t words = n / 8;

    n %= 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0x0101010101010101ULL * (uint8_t) value) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return at;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (; n > 0; n--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}

size_t strlen(const char *text)
{
    size_t n = 0;

    while (text[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return (uint8_t) *a - (uint8_t) *b;
}

struct text { char *at; size_t len, room; };

static void add_char(struct text *t, char c)
{
    if (t->len + 1 < t->room)
        t->at[t->len++] = c;
    t->at[t->len] = 0;
}

static void add_text(struct text *t, const char *from)
{
    while (*from)
        add_char(t, *from++);
}

static void add_number(struct text *t, uint64_t value, unsigned base)
{
    char     digits[24];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    while (n > 0)
        add_char(t, digits[--n]);
}

/* Understands what the code in this image uses: %s %d %u %x and their #, z and ll forms. */
static void add_format(struct text *t, const char *fmt, va_list args)
{
    for (; *fmt; fmt++) {
        bool is_long = false, is_alternate = false;

        if (*fmt != '%') {
            add_char(t, *fmt);
            continue;
        }
        for (fmt++; *fmt == '#' || *fmt == 'z' || *fmt == 'l'; fmt++) {
            is_alternate |= *fmt == '#';
            is_long |= *fmt != '#';
        }
        if (*fmt == 's') {
            add_text(t, va_arg(args, const char *));
            continue;
        }
        if (is_alternate)
            add_text(t, "0x");
        add_number(t, is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned), *fmt == 'x' ? 16 : 10);
    }
}

bool fail_with(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    struct text t = { err->text, 0, sizeof err->text };
    va_list     args;

    err->kind     = kind;
    err->os_errno = 0;
    err->text[0]  = 0;
    va_start(args, fmt);
    add_format(&t, fmt, args);
    va_end(args);
    return false;
}

static void put_in_front(struct err *err, struct text *front)
{
    char        old[sizeof err->text];
    struct text t = { err->text, 0, sizeof err->text };

    memcpy(old, err->text, sizeof old);
    add_text(&t, front->at);
    add_text(&t, ": ");
    add_text(&t, old);
}

bool context(struct err *err, const char *what)
{
    return contextf(err, "%s", what);
}

bool contextf(struct err *err, const char *fmt, ...)
{
    char        front[sizeof err->text] = { 0 };
    struct text t                       = { front, 0, sizeof front };
    va_list     args;

    va_start(args, fmt);
    add_format(&t, fmt, args);
    va_end(args);
    put_in_front(err, &t);
    return false;
}
