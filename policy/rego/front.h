/* What every pass of the front end shares: memory, names, located errors and the one way out. */
#pragma once

#include <setjmp.h>

#include "policy/rego/arena.h"

enum {
    SOURCE_MAX       = 4 << 20, /* bytes of one module */
    SOURCES_MAX      = 4096,    /* modules of one policy */
    TOKENS_MAX       = 64 << 10, /* scanned, again after each step back; and on top of it ... */
    TOKENS_PER_BYTE  = 8,        /* ... for each byte of source */
    NESTING_MAX      = 256,     /* terms within terms, bodies within bodies */
    CHAIN_MAX        = 1024,    /* operators on one level: a + b + c ... makes a deep tree */
    PASS_STEPS_MAX   = 50 << 20, /* work of all compiler passes */
    ERRORS_MAX       = 10,      /* as OPA: more are not collected */
    REF_PARTS_MAX    = 256,
    WITH_MAX         = 64
};

/* A place in a source. Row and column count from 1, columns in code points. */
struct location {
    uint32_t file; /* index into front.files */
    uint32_t row;
    uint32_t col;
    uint32_t offset; /* bytes from the start of the file */
    uint32_t end;    /* just behind the last byte */
};

/* An identifier, string or number of the source, stored once: equal texts have equal addresses. */
struct name {
    const char  *text; /* followed by a zero, which is not counted */
    uint32_t     len;
    uint32_t     hash;
    struct name *next;
    struct name *original; /* of a generated name: what the source calls it; else NULL */
    void        *mark;     /* the rest is free for the pass that runs, which leaves it zero */
    void        *global;
    uint64_t     stamp;
    bool         safe;
    uint32_t     string_constant; /* index in the plan + 1 */
    uint32_t     number_constant;
};

struct source_file {
    const char *path;
    struct bytes text;
};

/* One error as OPA reports it: `path:row: code: message`. */
struct rego_error {
    const char *code; /* rego_parse_error, rego_compile_error, rego_type_error, rego_unsafe_var_error, rego_recursion_error */
    const char *path;
    uint32_t    row;
    uint32_t    col;
    const char *message;
};

#define PARSE_ERROR     "rego_parse_error"
#define COMPILE_ERROR   "rego_compile_error"
#define TYPE_ERROR      "rego_type_error"
#define UNSAFE_ERROR    "rego_unsafe_var_error"
#define RECURSION_ERROR "rego_recursion_error"
#define LIMIT_ERROR     "rego_limit_error"
#define UNSUPPORTED_BUILTIN_ERROR "rego_unsupported_builtin_error"

/*
 * Front-end memory is one arena, and nothing else is owned, so running out of memory or steps leaves by
 * longjmp to `out`, set once by the entry function: no pass has to carry "no memory" through its results.
 */
struct front {
    struct arena      *arena;
    jmp_buf            out;
    struct name      **names; /* hash table, n_slots is a power of two */
    uint32_t           n_slots;
    uint32_t           n_names;
    uint32_t           n_generated; /* %N: no source can spell it */
    uint32_t           n_wildcards; /* $N */
    uint64_t           steps;
    uint64_t           tokens;
    uint64_t           tokens_most;
    uint64_t           stamp; /* the newest mark given out by front_stamp */
    struct source_file *files;
    uint32_t           n_files;
    bool               experimental; /* keywords that OPA has not released */
    struct rego_error  errors[ERRORS_MAX];
    uint32_t           n_errors;
};

void         front_start(struct front *f, struct arena *arena);
void        *front_take(struct front *f, size_t n); /* zeroed; never NULL */
void        *front_grow(struct front *f, void *at, size_t from, size_t to);
struct name *name_of(struct front *f, const char *text, size_t len);
struct name *name_text(struct front *f, const char *text);
struct name *name_generated(struct front *f); /* a fresh %N */
struct name *name_wildcard(struct front *f);  /* a fresh $N */
bool         name_is(const struct name *n, const char *text);
bool         name_is_generated(const struct name *n); /* %N, as the compiler makes them */
bool         name_is_wildcard(const struct name *n);
const char  *front_printf(struct front *f, const char *fmt, ...) PRINTF_LIKE(2);

/* Notes an error and returns NULL, so that a parser can `return front_error(...)`. */
void *front_error(struct front *f, struct location at, const char *code, const char *fmt, ...) PRINTF_LIKE(4);
_Noreturn void front_leave(struct front *f, const char *why); /* a limit: notes it and jumps */
uint64_t       front_stamp(struct front *f);             /* a number that no name carries as its stamp yet */
void           front_step(struct front *f, uint64_t n);      /* counts work of the passes, leaves at the limit */

/* A growing array of pointers or small structs: use through the macro, `at`, `n` and `room` are fields. */
#define LIST_ADD(f, list, ...)                                                                            \
    do {                                                                                                  \
        if ((list)->n == (list)->room) {                                                                  \
            uint32_t room_ = (list)->room ? (list)->room * 2 : 4;                                         \
            (list)->at   = front_grow((f), (list)->at, (list)->n * sizeof *(list)->at,                    \
                                      room_ * sizeof *(list)->at);                                        \
            (list)->room = room_;                                                                         \
        }                                                                                                 \
        (list)->at[(list)->n++] = (__VA_ARGS__);                                                          \
    } while (0)
