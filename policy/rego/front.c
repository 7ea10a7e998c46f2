#include "policy/rego/front.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_SLOTS = 256 };

void front_start(struct front *f, struct arena *arena)
{
    memset(f, 0, sizeof *f);
    f->arena       = arena;
    f->tokens_most = TOKENS_MAX;
}

void *front_take(struct front *f, size_t n)
{
    void *at = arena_zeroed(f->arena, n);

    if (!at)
        front_leave(f, "memory");
    return at;
}

void *front_grow(struct front *f, void *at, size_t from, size_t to)
{
    void *fresh = front_take(f, to);

    if (from > 0)
        memcpy(fresh, at, from);
    return fresh;
}

static uint32_t hash_of(const char *text, size_t len)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t) text[i]) * 16777619u;
    return h ^ (h >> 15);
}

static void grow_names(struct front *f)
{
    uint32_t      n_slots = f->n_slots ? f->n_slots * 4 : FIRST_SLOTS;
    struct name **names   = front_take(f, n_slots * sizeof *names);

    for (uint32_t i = 0; i < f->n_slots; i++) {
        for (struct name *n = f->names[i], *next; n; n = next) {
            next                          = n->next;
            n->next                       = names[n->hash & (n_slots - 1)];
            names[n->hash & (n_slots - 1)] = n;
        }
    }
    f->names   = names;
    f->n_slots = n_slots;
}

struct name *name_of(struct front *f, const char *text, size_t len)
{
    uint32_t hash = hash_of(text, len);

    if (f->n_names >= f->n_slots)
        grow_names(f);
    for (struct name *n = f->names[hash & (f->n_slots - 1)]; n; n = n->next)
        if (n->hash == hash && n->len == len && memcmp(n->text, text, len) == 0)
            return n;

    struct name *n    = front_take(f, sizeof *n);
    char        *copy = front_take(f, len + 1);
    if (len > 0)
        memcpy(copy, text, len);
    n->text = copy;
    n->len  = (uint32_t) len;
    n->hash = hash;
    n->next = f->names[hash & (f->n_slots - 1)];
    f->names[hash & (f->n_slots - 1)] = n;
    f->n_names++;
    return n;
}

struct name *name_text(struct front *f, const char *text)
{
    return name_of(f, text, strlen(text));
}

struct name *name_generated(struct front *f)
{
    char text[32];
    int  len = snprintf(text, sizeof text, "%%%u", f->n_generated++);

    return name_of(f, text, (size_t) len);
}

struct name *name_wildcard(struct front *f)
{
    char text[16];
    int  len = snprintf(text, sizeof text, "$%u", f->n_wildcards++);

    return name_of(f, text, (size_t) len);
}

bool name_is(const struct name *n, const char *text)
{
    return strcmp(n->text, text) == 0 && strlen(text) == n->len;
}

bool name_is_generated(const struct name *n)
{
    return n->text[0] == '%';
}

bool name_is_wildcard(const struct name *n)
{
    return n->text[0] == '$';
}

uint64_t front_stamp(struct front *f)
{
    return ++f->stamp;
}

static const char *print_into_arena(struct front *f, const char *fmt, va_list args) PRINTF_LIKE_V(2);
static const char *print_into_arena(struct front *f, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int   len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0)
        return "";

    char *text = arena_take(f->arena, (size_t) len + 1);
    if (!text)
        return fmt; /* the unfilled message still says what went wrong */
    (void) vsnprintf(text, (size_t) len + 1, fmt, args); /* measured above */
    return text;
}

const char *front_printf(struct front *f, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    const char *text = print_into_arena(f, fmt, args);
    va_end(args);
    return text;
}

void *front_error(struct front *f, struct location at, const char *code, const char *fmt, ...)
{
    va_list args;

    if (f->n_errors == ERRORS_MAX)
        return NULL;
    va_start(args, fmt);
    f->errors[f->n_errors++] = (struct rego_error){
        .code    = code,
        .path    = at.file < f->n_files ? f->files[at.file].path : "",
        .row     = at.row,
        .col     = at.col,
        .message = print_into_arena(f, fmt, args),
    };
    va_end(args);
    return NULL;
}

_Noreturn void front_leave(struct front *f, const char *why)
{
    f->errors[0] = (struct rego_error){ .code = LIMIT_ERROR, .path = "", .message = why };
    f->n_errors  = 1;
    longjmp(f->out, 1);
}

void front_step(struct front *f, uint64_t n)
{
    f->steps += n;
    if (f->steps > PASS_STEPS_MAX)
        front_leave(f, "compile steps");
}
