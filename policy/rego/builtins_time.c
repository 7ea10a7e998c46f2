#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rego/arguments.h"
#include "policy/rego/builtins_table.h"
#include "policy/rego/time_layout.h"
#include "policy/rego/time_zone.h"

#define BUILTIN_PROTOTYPE(name, n, function) builtin_function builtin_##function;
BUILTIN_ROWS_TIME(BUILTIN_PROTOTYPE)
#undef BUILTIN_PROTOTYPE

#define RFC3339_NANO "2006-01-02T15:04:05.999999999Z07:00"

bool builtin_time_now_ns(struct call *c, const struct value *args, struct value *out)
{
    (void) args;
    return give(out, value_int(c->evaluation->options->now_ns));
}

static struct bytes bytes_of(struct value text)
{
    return (struct bytes){ (const uint8_t *) text.text, text.len };
}

static bool give_ns(struct call *c, const struct moment *m, struct value *out)
{
    int64_t ns;

    if (!calendar_ns(m, &ns))
        return builtin_error(c, "time outside of valid range");
    return give(out, value_int(ns));
}

static bool parse_time(struct call *c, struct bytes layout, struct value text, struct value *out)
{
    struct moment m;
    struct err    err;

    if (!charge_bytes(c, layout.len * 4) || !charge_bytes(c, text.len))
        return false;
    if (!time_layout_read(layout, bytes_of(text), &m, &err))
        return builtin_error(c, "%s", err.text);
    return give_ns(c, &m, out);
}

bool builtin_time_parse_rfc3339_ns(struct call *c, const struct value *args, struct value *out)
{
    return want(c, args, 0, VALUE_STRING) && parse_time(c, bytes_of_text("2006-01-02T15:04:05Z07:00"), args[0], out);
}

bool builtin_time_parse_ns(struct call *c, const struct value *args, struct value *out)
{
    return want(c, args, 0, VALUE_STRING) && want(c, args, 1, VALUE_STRING) &&
           parse_time(c, time_layout_named(bytes_of(args[0])), args[1], out);
}

static bool unit_of(const char *at, size_t len, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t     ns;
    } units[] = {
        { "ns", 1 }, { "us", 1000 }, { "\xc2\xb5s", 1000 }, { "\xce\xbcs", 1000 }, { "ms", 1000000 }, { "s", 1000000000 },
        { "m", 60000000000 }, { "h", 3600000000000 }, { "d", 86400000000000 }, { "w", 604800000000000 }, { "y", 31536000000000000 },
    };

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strlen(units[i].name) == len && memcmp(units[i].name, at, len) == 0) {
            *out = units[i].ns;
            return true;
        }
    }
    return false;
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* One number with its unit, as 1.5h; `total` grows. */
static bool add_duration(const char *at, size_t len, size_t *i, int64_t *total)
{
    int64_t whole = 0, unit, fraction = 0, scale = 1;
    size_t  from = *i;

    for (; *i < len && is_digit(at[*i]); ++*i)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, at[*i] - '0', &whole))
            return false;
    if (*i < len && at[*i] == '.') {
        for (++*i; *i < len && is_digit(at[*i]); ++*i) {
            if (scale < 1000000000000000) {
                fraction = fraction * 10 + (at[*i] - '0');
                scale *= 10;
            }
        }
        if (*i - from < 2)
            return false;
    }
    if (*i == from)
        return false;
    from = *i;
    while (*i < len && at[*i] != '.' && !is_digit(at[*i]))
        ++*i;
    if (!unit_of(at + from, *i - from, &unit) || __builtin_mul_overflow(whole, unit, &whole))
        return false;
    whole += (int64_t) ((wide) fraction * unit / scale);
    return !__builtin_add_overflow(*total, whole, total);
}

bool builtin_time_parse_duration_ns(struct call *c, const struct value *args, struct value *out)
{
    int64_t total = 0;
    size_t  i     = 0;
    bool    minus, ok;

    if (!want(c, args, 0, VALUE_STRING) || !charge_bytes(c, args[0].len))
        return false;
    minus = args[0].len > 0 && args[0].text[0] == '-';
    i     = minus || (args[0].len > 0 && args[0].text[0] == '+');
    ok    = i < args[0].len;
    if (args[0].len - i == 1 && args[0].text[i] == '0')
        return give(out, value_int(0));
    while (ok && i < args[0].len)
        ok = add_duration(args[0].text, args[0].len, &i, &total);
    if (!ok)
        return builtin_error(c, "time: invalid duration \"%.*s\"", (int) (args[0].len < 60 ? args[0].len : 60), args[0].text);
    return give(out, value_int(minus ? -total : total));
}

/* Nanoseconds, or an array of them with a zone and perhaps a layout. */
struct when {
    int64_t       ns;
    struct moment m;
    struct value  layout; /* undefined: none */
};

static bool read_ns(struct call *c, struct value v, int64_t *out)
{
    if (!number_is_integer(v))
        return builtin_error(c, "timestamp must be an integer");
    return number_to_int64(v, out) || builtin_error(c, "timestamp too big");
}

static bool read_when(struct call *c, const struct value *args, unsigned i, struct when *out)
{
    struct value v = args[i], zone = value_text("", 0), ns = v;
    struct err   err;
    int          offset;

    out->layout = value_undefined();
    if (!want_one_of(c, args, i, TYPE_BIT(VALUE_NUMBER) | TYPE_BIT(VALUE_ARRAY), "number, array"))
        return false;
    if (v.type == VALUE_ARRAY) {
        if (v.in->n == 0 || v.in->n > 3)
            return type_error(c, "operand %u must be a number or an array of two or three elements", i + 1);
        ns   = array_at(v, 0);
        zone = v.in->n > 1 ? array_at(v, 1) : zone;
        if (v.in->n > 2)
            out->layout = array_at(v, 2);
    }
    if (ns.type != VALUE_NUMBER)
        return elements_error(c, args, i, "numbers", ns);
    if (zone.type != VALUE_STRING || (v.type == VALUE_ARRAY && v.in->n > 2 && out->layout.type != VALUE_STRING))
        return elements_error(c, args, i, "strings", zone.type != VALUE_STRING ? zone : out->layout);
    if (!read_ns(c, ns, &out->ns))
        return false;

    char name[12];
    if (!time_zone_at(c->arena, bytes_of(zone), out->ns / 1000000000 - (out->ns % 1000000000 < 0), &offset, name, &err))
        return !c->arena->failed && builtin_error(c, "%s", err.text);
    out->m = calendar_moment(out->ns, offset);
    memcpy(out->m.zone, name, sizeof name);
    return true;
}

static bool give_ints(struct call *c, const int64_t *v, size_t n, struct value *out)
{
    if (!give_new(c, VALUE_ARRAY, n, out))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!array_append(c->arena, *out, value_int(v[i])))
            return false;
    return true;
}

bool builtin_time_date(struct call *c, const struct value *args, struct value *out)
{
    struct when w;

    return read_when(c, args, 0, &w) && give_ints(c, (int64_t[]){ w.m.year, w.m.month, w.m.day }, 3, out);
}

bool builtin_time_clock(struct call *c, const struct value *args, struct value *out)
{
    struct when w;

    return read_when(c, args, 0, &w) && give_ints(c, (int64_t[]){ w.m.hour, w.m.minute, w.m.second }, 3, out);
}

bool builtin_time_weekday(struct call *c, const struct value *args, struct value *out)
{
    static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
    struct when              w;

    return read_when(c, args, 0, &w) &&
           give(out, value_of_text(days[calendar_weekday(calendar_days(w.m.year, w.m.month, w.m.day))]));
}

bool builtin_time_add_date(struct call *c, const struct value *args, struct value *out)
{
    struct when w;
    int64_t     by[3], days;

    if (!read_when(c, args, 0, &w))
        return false;
    for (unsigned i = 0; i < 3; i++) {
        if (!want_int(c, args, i + 1, &by[i]))
            return false;
        if (by[i] > 10000000 || by[i] < -10000000)
            return builtin_error(c, "time outside of valid range");
    }
    days     = calendar_days(w.m.year + by[0], w.m.month + by[1], w.m.day + by[2]);
    w.m.year = 1970; /* days since then, as a day of January 1970 */
    w.m.month = 1;
    if (days > INT32_MAX - 1 || days < INT32_MIN + 1)
        return builtin_error(c, "time outside of valid range");
    w.m.day = (int) days + 1;
    return give_ns(c, &w.m, out);
}

static void borrow(int *part, int *next, int size)
{
    if (*part < 0) {
        *part += size;
        --*next;
    }
}

bool builtin_time_diff(struct call *c, const struct value *args, struct value *out)
{
    struct when   x, y;
    struct moment a, b;
    int           year, month, day, hour, minute, second;

    if (!read_when(c, args, 0, &x) || !read_when(c, args, 1, &y))
        return false;
    y.m = calendar_moment(y.ns, x.m.offset); /* both in the zone of the first */
    a   = x.ns <= y.ns ? x.m : y.m;
    b   = x.ns <= y.ns ? y.m : x.m;
    year   = (int) (b.year - a.year);
    month  = b.month - a.month;
    day    = b.day - a.day;
    hour   = b.hour - a.hour;
    minute = b.minute - a.minute;
    second = b.second - a.second;
    borrow(&second, &minute, 60);
    borrow(&minute, &hour, 60);
    borrow(&hour, &day, 24);
    borrow(&day, &month, calendar_days_in_month(a.year, a.month));
    borrow(&month, &year, 12);
    return give_ints(c, (int64_t[]){ year, month, day, hour, minute, second }, 6, out);
}

bool builtin_time_format(struct call *c, const struct value *args, struct value *out)
{
    struct text_out t = text_for(c);
    struct when     w;
    struct bytes    layout;

    if (!read_when(c, args, 0, &w))
        return false;
    layout = w.layout.type == VALUE_STRING ? time_layout_named(bytes_of(w.layout)) : bytes_of_text(RFC3339_NANO);
    if (!charge_bytes(c, layout.len * 4))
        return false;
    time_layout_write(&t, layout, &w.m);
    return text_take(&t, out);
}
