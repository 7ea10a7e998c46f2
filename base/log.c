#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char    *log_program = "cloister";
static enum log_level log_most    = LOG_LEVEL_INFO;

void log_open(const char *program, enum log_level most)
{
    log_program = program;
    log_most    = most;
}

/* One write per line, so that lines of several processes do not mix. */
static void log_line(enum log_level level, const char *event, const char *fmt, va_list args) PRINTF_LIKE_V(3);
static void log_line(enum log_level level, const char *event, const char *fmt, va_list args)
{
    static const char *const names[] = { "error", "info", "debug" };
    char                     line[1024];
    int                      n, more;

    if (level > log_most)
        return;
    n    = snprintf(line, sizeof line, "%s: %s: %s%s", log_program, names[level], event, fmt[0] ? " " : "");
    more = n < 0 || (size_t) n >= sizeof line ? 0 : vsnprintf(line + n, sizeof line - (size_t) n, fmt, args);
    n    = (int) strnlen(line, sizeof line - 2);
    line[n] = '\n';
    if (more < 0 || fwrite(line, 1, (size_t) n + 1, stderr) == 0)
        return; /* nobody is left to tell */
    (void) fflush(stderr); /* as above */
}

#define LOG_AT(name, level)                              \
    void name(const char *event, const char *fmt, ...)   \
    {                                                    \
        va_list args;                                    \
                                                         \
        va_start(args, fmt);                             \
        log_line(level, event, fmt, args);               \
        va_end(args);                                    \
    }

LOG_AT(log_error, LOG_LEVEL_ERROR)
LOG_AT(log_info, LOG_LEVEL_INFO)
LOG_AT(log_debug, LOG_LEVEL_DEBUG)

struct log_peer log_peer(struct bytes from_peer)
{
    AUTO(buffer) struct buffer escaped = { 0 };
    struct log_peer            out     = { { 0 } };

    printable_append(&escaped, from_peer, LOG_PEER_MAX);
    memcpy(out.text, buffer_text(&escaped), escaped.len < sizeof out.text ? escaped.len : sizeof out.text - 1);
    return out;
}
