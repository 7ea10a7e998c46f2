#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool fail_with(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    va_list args;

    *err = (struct err){ .kind = kind };
    va_start(args, fmt);
    (void) vsnprintf(err->text, sizeof err->text, fmt, args); /* cut at the record's size by design */
    va_end(args);
    return false;
}

bool err_os(struct err *err, const char *fmt, ...)
{
    int     saved = errno;
    char    what[160];
    char    reason[80];
    va_list args;

    va_start(args, fmt);
    (void) vsnprintf(what, sizeof what, fmt, args); /* cut by design */
    va_end(args);
    (void) fail_with(err, ERR_OS, "%s: %s", what, strerror_r(saved, reason, sizeof reason));
    err->os_errno = saved;
    return false;
}

bool context(struct err *err, const char *what)
{
    char inner[sizeof err->text];

    memcpy(inner, err->text, sizeof inner);
    (void) snprintf(err->text, sizeof err->text, "%.80s: %.170s", what, inner); /* cut by design */
    return false;
}

bool contextf(struct err *err, const char *fmt, ...)
{
    char    what[81];
    va_list args;

    va_start(args, fmt);
    (void) vsnprintf(what, sizeof what, fmt, args); /* cut by design */
    va_end(args);
    return context(err, what);
}

const char *err_kind_name(enum err_kind kind)
{
    switch (kind) { /* no default: the compiler names a forgotten kind */
#define ERR_CASE(name, meaning) case name: return #name;
        ERR_KINDS(ERR_CASE)
#undef ERR_CASE
    }
    return "ERR_?";
}
