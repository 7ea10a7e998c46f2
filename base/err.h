/* One error idiom: a fallible function returns true, or fills *err and returns false. */
#pragma once

#include <stdbool.h>

#define FALLIBLE       __attribute__((warn_unused_result)) bool
#define PRINTF_LIKE(f) __attribute__((format(printf, f, (f) + 1)))
#define PRINTF_LIKE_V(f) __attribute__((format(printf, f, 0)))

/* Sorted by what the caller can do next, not by where it happened. */
#define ERR_KINDS(X)                                                    \
    X(ERR_NONE,        "no error")                                      \
    X(ERR_MALFORMED,   "bytes break their format")                      \
    X(ERR_UNSUPPORTED, "well formed, but not something we handle")      \
    X(ERR_UNTRUSTED,   "signature, chain or measurement does not hold") \
    X(ERR_DENIED,      "trusted, but policy says no")                   \
    X(ERR_NOT_FOUND,   "no such thing")                                 \
    X(ERR_LIMIT,       "over a stated limit")                           \
    X(ERR_TIMEOUT,     "not in the time given")                         \
    X(ERR_OS,          "a system call failed")                          \
    X(ERR_CONFIG,      "options or configuration do not fit")           \
    X(ERR_BUG,         "this program is wrong")

#define ERR_ENUM(name, meaning) name,
enum err_kind { ERR_KINDS(ERR_ENUM) };
#undef ERR_ENUM

/* Lives on the caller's stack: nothing to allocate, nothing to free. */
struct err {
    enum err_kind kind;
    int           os_errno;  /* set when kind is ERR_OS, else 0 */
    char          text[256]; /* "outer: inner: cause"; never holds a secret */
};

/* All return false, so that a failing path is one statement: return fail_with(...). */
bool fail_with(struct err *err, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3);
bool err_os(struct err *err, const char *fmt, ...) PRINTF_LIKE(2); /* ERR_OS; appends strerror(errno) */
bool context(struct err *err, const char *what);                   /* puts "what: " in front */
bool contextf(struct err *err, const char *fmt, ...) PRINTF_LIKE(2);

const char *err_kind_name(enum err_kind kind);
