#include "base/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

static const char    *log_program = "cloister";
static enum log_level log_most    = LOG_LEVEL_INFO;
static bool           log_is_json = false;

void log_open(const char *program, enum log_level most)
{
    log_program = program;
    log_most    = most;
}

void log_as_json(void) { log_is_json = true; }

/* ---- JSON ---- */

static void member(struct buffer *out, const char *name, size_t name_len, const char *value, size_t len)
{
    buffer_printf(out, ",\"%.*s\":\"", (int) name_len, name);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t) value[i];

        if (c == '"' || c == '\\')
            buffer_append(out, (struct bytes){ (const uint8_t *) "\\", 1 });
        if (c >= 0x20 && c < 0x7f)
            buffer_append(out, (struct bytes){ &c, 1 });
        else
            buffer_printf(out, "\\u%04x", c);
    }
    buffer_append_text(out, "\"");
}

/* The length of "key=" at `at`; 0: there is none. */
static size_t key_len(const char *at)
{
    size_t n = 0;

    while (isalnum((unsigned char) at[n]) || at[n] == '_')
        n++;
    return n > 0 && at[n] == '=' ? n + 1 : 0;
}

/* A value in quotes may hold quotes: it ends at the first one behind which a key or nothing stands. */
static size_t quoted_len(const char *value)
{
    const char *at = value + 1;

    for (; *at; at++) {
        if (*at == '"' && (at[1] == 0 || (at[1] == ' ' && key_len(at + 2) > 0)))
            break;
    }
    return (size_t) (at - value);
}

void log_json_line(struct buffer *out, int64_t at, const char *program, const char *level, const char *event,
                   const char *pairs)
{
    char      date[32];
    time_t    when = (time_t) at;
    struct tm tm   = { 0 };

    (void) gmtime_r(&when, &tm);                               /* the zero state for a year beyond all */
    (void) strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm); /* fits */
    buffer_printf(out, "{\"time\":\"%s\"", date);
    member(out, "level", 5, level, strlen(level));
    member(out, "program", 7, program, strlen(program));
    member(out, "event", 5, event, strlen(event));
    while (*pairs) {
        size_t      key   = key_len(pairs);
        const char *value = pairs + key;
        bool        is_quoted = key > 0 && *value == '"';
        size_t      len   = key == 0 ? strlen(value) : is_quoted ? quoted_len(value) : strcspn(value, " ");

        if (key == 0)
            member(out, "text", 4, value, len);
        else
            member(out, pairs, key - 1, value + is_quoted, len - is_quoted);
        pairs = value + len + (is_quoted && value[len] == '"');
        pairs += *pairs == ' ';
    }
    buffer_append_text(out, "}\n");
}

/* One write per line, so that lines of several processes do not mix. */
static void line_write(struct bytes line)
{
    if (fwrite(line.at, 1, line.len, stderr) == 0)
        return; /* nobody is left to tell */
    (void) fflush(stderr); /* as above */
}

static void log_line(enum log_level level, const char *event, const char *fmt, va_list args) PRINTF_LIKE_V(3);
static void log_line(enum log_level level, const char *event, const char *fmt, va_list args)
{
    static const char *const   names[] = { "error", "info", "debug" };
    AUTO(buffer) struct buffer line    = { 0 };
    char                       pairs[1024];

    if (level > log_most || vsnprintf(pairs, sizeof pairs, fmt, args) < 0)
        return;
    if (log_is_json)
        log_json_line(&line, (int64_t) time(NULL), log_program, names[level], event, pairs);
    else
        buffer_printf(&line, "%s: %s: %s%s%s\n", log_program, names[level], event, pairs[0] ? " " : "", pairs);
    line_write(buffer_bytes(&line));
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
