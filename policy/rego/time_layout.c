#include "policy/rego/time_layout.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const months[] = { "January", "February", "March", "April", "May", "June", "July", "August",
                                      "September", "October", "November", "December" };
static const char *const days[]   = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };

enum piece {
    PIECE_TEXT, PIECE_YEAR, PIECE_YEAR_2, PIECE_MONTH_NAME, PIECE_MONTH_SHORT, PIECE_MONTH_2, PIECE_MONTH, PIECE_DAY_NAME,
    PIECE_DAY_SHORT, PIECE_DAY_2, PIECE_DAY_PADDED, PIECE_DAY, PIECE_YEAR_DAY, PIECE_HOUR_24, PIECE_HOUR_2, PIECE_HOUR,
    PIECE_MINUTE_2, PIECE_MINUTE, PIECE_SECOND_2, PIECE_SECOND, PIECE_PM, PIECE_PM_LOWER, PIECE_ZONE_NAME, PIECE_OFFSET,
    PIECE_OFFSET_COLON, PIECE_OFFSET_HOUR, PIECE_Z_OFFSET, PIECE_Z_OFFSET_COLON, PIECE_Z_OFFSET_HOUR, PIECE_FRACTION, PIECE_FRACTION_TRIMMED
};

/* Longer ones first where one starts another. */
static const struct {
    const char *text;
    enum piece  piece;
} pieces[] = {
    { "January", PIECE_MONTH_NAME }, { "Jan", PIECE_MONTH_SHORT }, { "Monday", PIECE_DAY_NAME }, { "Mon", PIECE_DAY_SHORT },
    { "MST", PIECE_ZONE_NAME }, { "2006", PIECE_YEAR }, { "002", PIECE_YEAR_DAY }, { "01", PIECE_MONTH_2 }, { "02", PIECE_DAY_2 },
    { "03", PIECE_HOUR_2 }, { "04", PIECE_MINUTE_2 }, { "05", PIECE_SECOND_2 }, { "06", PIECE_YEAR_2 }, { "15", PIECE_HOUR_24 },
    { "_2", PIECE_DAY_PADDED }, { "1", PIECE_MONTH }, { "2", PIECE_DAY }, { "3", PIECE_HOUR }, { "4", PIECE_MINUTE },
    { "5", PIECE_SECOND }, { "PM", PIECE_PM }, { "pm", PIECE_PM_LOWER }, { "-07:00", PIECE_OFFSET_COLON }, { "-0700", PIECE_OFFSET },
    { "-07", PIECE_OFFSET_HOUR }, { "Z07:00", PIECE_Z_OFFSET_COLON }, { "Z0700", PIECE_Z_OFFSET }, { "Z07", PIECE_Z_OFFSET_HOUR },
};

struct bytes time_layout_named(struct bytes layout)
{
    static const char *const rows[][2] = {
        { "ANSIC", "Mon Jan _2 15:04:05 2006" }, { "UnixDate", "Mon Jan _2 15:04:05 MST 2006" },
        { "RubyDate", "Mon Jan 02 15:04:05 -0700 2006" }, { "RFC822", "02 Jan 06 15:04 MST" },
        { "RFC822Z", "02 Jan 06 15:04 -0700" }, { "RFC850", "Monday, 02-Jan-06 15:04:05 MST" },
        { "RFC1123", "Mon, 02 Jan 2006 15:04:05 MST" }, { "RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700" },
        { "RFC3339", "2006-01-02T15:04:05Z07:00" }, { "RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bytes_equal(layout, bytes_of_text(rows[i][0])))
            return bytes_of_text(rows[i][1]);
    return layout;
}

/* .000 and ,999: a fraction of a second, as many digits as there are, when no digit follows. */
static size_t fraction_at(const char *at, size_t len, enum piece *out)
{
    size_t n = 1;

    if (len < 2 || (at[0] != '.' && at[0] != ',') || (at[1] != '0' && at[1] != '9'))
        return 0;
    while (n < len && at[n] == at[1])
        n++;
    if (n < len && at[n] >= '0' && at[n] <= '9')
        return 0;
    *out = at[1] == '0' ? PIECE_FRACTION : PIECE_FRACTION_TRIMMED;
    return n;
}

/* The piece at the front of a layout and its length; plain text is one character. */
static size_t piece_at(const char *at, size_t len, enum piece *out)
{
    size_t n = fraction_at(at, len, out);

    if (n > 0)
        return n;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        n = strlen(pieces[i].text);
        if (n > len || memcmp(at, pieces[i].text, n) != 0)
            continue;
        if (pieces[i].piece == PIECE_MONTH_SHORT && len > 3 && at[3] >= 'a' && at[3] <= 'z')
            continue; /* a word, not the month */
        *out = pieces[i].piece;
        return n;
    }
    *out = PIECE_TEXT;
    return 1;
}

static void put_number(struct text_out *t, int64_t v, int width, char pad)
{
    char text[32];
    int  n = snprintf(text, sizeof text, pad == '0' ? "%0*lld" : "%*lld", width, (long long) v);

    text_put(t, text, (size_t) n);
}

static void put_text(struct text_out *t, const char *text, size_t len)
{
    text_put(t, text, strnlen(text, len));
}

static void put_offset(struct text_out *t, enum piece piece, int offset)
{
    bool     has_z = piece == PIECE_Z_OFFSET || piece == PIECE_Z_OFFSET_COLON || piece == PIECE_Z_OFFSET_HOUR;
    unsigned minutes = (unsigned) (offset < 0 ? -offset : offset) / 60;

    if (has_z && offset == 0) {
        text_put_char(t, 'Z');
        return;
    }
    text_put_char(t, offset < 0 ? '-' : '+');
    put_number(t, minutes / 60, 2, '0');
    if (piece == PIECE_OFFSET_HOUR || piece == PIECE_Z_OFFSET_HOUR)
        return;
    if (piece == PIECE_OFFSET_COLON || piece == PIECE_Z_OFFSET_COLON)
        text_put_char(t, ':');
    put_number(t, minutes % 60, 2, '0');
}

static void put_fraction(struct text_out *t, enum piece piece, char point, size_t n, int nanosecond)
{
    char digits[16];

    (void) snprintf(digits, sizeof digits, "%09d", nanosecond); /* always nine */
    if (n > 9)
        n = 9;
    while (piece == PIECE_FRACTION_TRIMMED && n > 0 && digits[n - 1] == '0')
        n--;
    if (n == 0)
        return;
    text_put_char(t, point);
    text_put(t, digits, n);
}

static void put_date_piece(struct text_out *t, enum piece piece, const struct moment *m)
{
    int64_t today = calendar_days(m->year, m->month, m->day);

    switch ((int) piece) {
    case PIECE_YEAR:        put_number(t, m->year, 4, '0'); return;
    case PIECE_YEAR_2:      put_number(t, m->year % 100, 2, '0'); return;
    case PIECE_MONTH_NAME:  put_text(t, months[m->month - 1], 20); return;
    case PIECE_MONTH_SHORT: put_text(t, months[m->month - 1], 3); return;
    case PIECE_MONTH_2:     put_number(t, m->month, 2, '0'); return;
    case PIECE_MONTH:       put_number(t, m->month, 0, ' '); return;
    case PIECE_DAY_NAME:    put_text(t, days[calendar_weekday(today)], 20); return;
    case PIECE_DAY_SHORT:   put_text(t, days[calendar_weekday(today)], 3); return;
    case PIECE_DAY_2:       put_number(t, m->day, 2, '0'); return;
    case PIECE_DAY_PADDED:  put_number(t, m->day, 2, ' '); return;
    case PIECE_DAY:         put_number(t, m->day, 0, ' '); return;
    case PIECE_YEAR_DAY:    put_number(t, today - calendar_days(m->year, 1, 1) + 1, 3, '0'); return;
    default:                return;
    }
}

static void put_piece(struct text_out *t, enum piece piece, const char *at, size_t n, const struct moment *m)
{
    int hour = m->hour % 12 ? m->hour % 12 : 12;

    switch ((int) piece) {
    case PIECE_TEXT:      text_put(t, at, n); return;
    case PIECE_HOUR_24:   put_number(t, m->hour, 2, '0'); return;
    case PIECE_HOUR_2:    put_number(t, hour, 2, '0'); return;
    case PIECE_HOUR:      put_number(t, hour, 0, ' '); return;
    case PIECE_MINUTE_2:  put_number(t, m->minute, 2, '0'); return;
    case PIECE_MINUTE:    put_number(t, m->minute, 0, ' '); return;
    case PIECE_SECOND_2:  put_number(t, m->second, 2, '0'); return;
    case PIECE_SECOND:    put_number(t, m->second, 0, ' '); return;
    case PIECE_PM:        put_text(t, m->hour < 12 ? "AM" : "PM", 2); return;
    case PIECE_PM_LOWER:  put_text(t, m->hour < 12 ? "am" : "pm", 2); return;
    case PIECE_ZONE_NAME: put_text(t, m->zone, sizeof m->zone); return;
    case PIECE_FRACTION:
    case PIECE_FRACTION_TRIMMED:
        put_fraction(t, piece, at[0], n - 1, m->nanosecond);
        return;
    case PIECE_OFFSET:
    case PIECE_OFFSET_COLON:
    case PIECE_OFFSET_HOUR:
    case PIECE_Z_OFFSET:
    case PIECE_Z_OFFSET_COLON:
    case PIECE_Z_OFFSET_HOUR:
        put_offset(t, piece, m->offset);
        return;
    default:
        put_date_piece(t, piece, m);
        return;
    }
}

void time_layout_write(struct text_out *t, struct bytes layout, const struct moment *m)
{
    const char *at = (const char *) layout.at;

    for (size_t i = 0, n; i < layout.len && !t->failed; i += n) {
        enum piece piece;

        n = piece_at(at + i, layout.len - i, &piece);
        put_piece(t, piece, at + i, n, m);
    }
}

struct clock_text {
    const char *at;
    size_t      len;
    size_t      i;
    bool        is_pm, has_pm;
};

static bool read_digits(struct clock_text *t, size_t least, size_t most, int64_t *out)
{
    size_t from = t->i;

    for (*out = 0; t->i < t->len && t->i - from < most && t->at[t->i] >= '0' && t->at[t->i] <= '9'; t->i++)
        *out = *out * 10 + (t->at[t->i] - '0');
    return t->i - from >= least;
}

static bool read_part(struct clock_text *t, size_t least, size_t most, int *out)
{
    int64_t v;
    bool    ok = read_digits(t, least, most, &v);

    *out = (int) v;
    return ok;
}

static bool read_name(struct clock_text *t, const char *const *names, int n_names, bool is_short, int *out)
{
    for (int i = 0; i < n_names; i++) {
        size_t n = is_short ? 3 : strlen(names[i]);

        if (t->len - t->i >= n && strncasecmp(t->at + t->i, names[i], n) == 0) {
            t->i += n;
            *out = i + 1;
            return true;
        }
    }
    return false;
}

static bool read_fraction(struct clock_text *t, int *out)
{
    int scale = 100000000, v = 0;

    t->i++;
    if (t->i >= t->len || t->at[t->i] < '0' || t->at[t->i] > '9')
        return false;
    for (; t->i < t->len && t->at[t->i] >= '0' && t->at[t->i] <= '9'; t->i++, scale /= 10)
        v += scale * (t->at[t->i] - '0');
    *out = v;
    return true;
}

static bool read_offset(struct clock_text *t, enum piece piece, int *out)
{
    bool has_z     = piece == PIECE_Z_OFFSET || piece == PIECE_Z_OFFSET_COLON || piece == PIECE_Z_OFFSET_HOUR;
    bool has_colon = piece == PIECE_OFFSET_COLON || piece == PIECE_Z_OFFSET_COLON;
    int  sign, hours, minutes = 0;

    if (has_z && t->i < t->len && t->at[t->i] == 'Z') {
        t->i++;
        *out = 0;
        return true;
    }
    if (t->i >= t->len || (t->at[t->i] != '+' && t->at[t->i] != '-'))
        return false;
    sign = t->at[t->i++] == '-' ? -1 : 1;
    if (!read_part(t, 2, 2, &hours))
        return false;
    if (has_colon && (t->i >= t->len || t->at[t->i++] != ':'))
        return false;
    if (piece != PIECE_OFFSET_HOUR && piece != PIECE_Z_OFFSET_HOUR && !read_part(t, 2, 2, &minutes))
        return false;
    *out = sign * (hours * 3600 + minutes * 60);
    return hours <= 24 && minutes < 60;
}

static bool read_pm(struct clock_text *t)
{
    if (t->len - t->i < 2 || (strncasecmp(t->at + t->i, "am", 2) != 0 && strncasecmp(t->at + t->i, "pm", 2) != 0))
        return false;
    t->has_pm = true;
    t->is_pm  = (t->at[t->i] | 0x20) == 'p';
    t->i += 2;
    return true;
}

/* Capital letters; only UTC and GMT mean an offset to us. */
static bool read_zone_name(struct clock_text *t, struct moment *m)
{
    size_t from = t->i;

    while (t->i < t->len && t->i - from < 5 && t->at[t->i] >= 'A' && t->at[t->i] <= 'Z')
        t->i++;
    (void) snprintf(m->zone, sizeof m->zone, "%.*s", (int) (t->i - from), t->at + from);
    return t->i - from >= 3;
}

static bool read_date_piece(struct clock_text *t, enum piece piece, struct moment *m)
{
    int64_t v;
    int     ignored;

    switch ((int) piece) {
    case PIECE_YEAR:
        return read_digits(t, 4, 4, &m->year);
    case PIECE_YEAR_2:
        if (!read_digits(t, 2, 2, &v))
            return false;
        m->year = v >= 69 ? 1900 + v : 2000 + v;
        return true;
    case PIECE_MONTH_NAME:
    case PIECE_MONTH_SHORT:
        return read_name(t, months, 12, piece == PIECE_MONTH_SHORT, &m->month);
    case PIECE_MONTH_2:
        return read_part(t, 2, 2, &m->month);
    case PIECE_MONTH:
        return read_part(t, 1, 2, &m->month);
    case PIECE_DAY_NAME:
    case PIECE_DAY_SHORT:
        return read_name(t, days, 7, piece == PIECE_DAY_SHORT, &ignored);
    case PIECE_DAY_2:
        return read_part(t, 2, 2, &m->day);
    case PIECE_DAY_PADDED:
        t->i += t->i < t->len && t->at[t->i] == ' ';
        return read_part(t, 1, 2, &m->day);
    case PIECE_DAY:
        return read_part(t, 1, 2, &m->day);
    default:
        return false; /* the day of the year is for writing only */
    }
}

static bool read_piece(struct clock_text *t, enum piece piece, const char *at, struct moment *m)
{
    switch ((int) piece) {
    case PIECE_TEXT:
        return t->i < t->len && t->at[t->i++] == at[0];
    case PIECE_HOUR_24:
    case PIECE_HOUR_2:
        return read_part(t, 2, 2, &m->hour);
    case PIECE_HOUR:
        return read_part(t, 1, 2, &m->hour);
    case PIECE_MINUTE_2:
        return read_part(t, 2, 2, &m->minute);
    case PIECE_MINUTE:
        return read_part(t, 1, 2, &m->minute);
    case PIECE_SECOND_2:
    case PIECE_SECOND:
        if (!read_part(t, piece == PIECE_SECOND_2 ? 2 : 1, 2, &m->second))
            return false;
        /* a fraction may follow that the layout does not name */
        return !(t->i + 1 < t->len && (t->at[t->i] == '.' || t->at[t->i] == ',') && t->at[t->i + 1] >= '0' && t->at[t->i + 1] <= '9') ||
               read_fraction(t, &m->nanosecond);
    case PIECE_FRACTION:
    case PIECE_FRACTION_TRIMMED:
        return true; /* taken with the second */
    case PIECE_PM:
    case PIECE_PM_LOWER:
        return read_pm(t);
    case PIECE_ZONE_NAME:
        return read_zone_name(t, m);
    case PIECE_OFFSET:
    case PIECE_OFFSET_COLON:
    case PIECE_OFFSET_HOUR:
    case PIECE_Z_OFFSET:
    case PIECE_Z_OFFSET_COLON:
    case PIECE_Z_OFFSET_HOUR:
        return read_offset(t, piece, &m->offset);
    default:
        return read_date_piece(t, piece, m);
    }
}

/* The part that is out of range, or NULL. */
static const char *out_of_range(const struct moment *m)
{
    if (m->month < 1 || m->month > 12)
        return "month";
    if (m->day < 1 || m->day > calendar_days_in_month(m->year, m->month))
        return "day";
    return m->hour > 23 ? "hour" : m->minute > 59 ? "minute" : m->second > 59 ? "second" : NULL;
}

FALLIBLE time_layout_read(struct bytes layout, struct bytes text, struct moment *out, struct err *err)
{
    struct clock_text t  = { .at = (const char *) text.at, .len = text.len };
    struct moment     m  = { .month = 1, .day = 1 };
    const char       *at = (const char *) layout.at;
    int               n_text = (int) (text.len < 60 ? text.len : 60), n_layout = (int) (layout.len < 60 ? layout.len : 60);

    for (size_t i = 0, n; i < layout.len; i += n) {
        enum piece piece;
        size_t     from = t.i;

        n = piece_at(at + i, layout.len - i, &piece);
        if (!read_piece(&t, piece, at + i, &m))
            return fail_with(err, ERR_MALFORMED, "parsing time \"%.*s\" as \"%.*s\": cannot parse \"%.*s\" as \"%.*s\"", n_text, t.at,
                             n_layout, at, (int) (t.len - from < 60 ? t.len - from : 60), t.at + from, (int) n, at + i);
    }
    if (t.i != t.len)
        return fail_with(err, ERR_MALFORMED, "parsing time \"%.*s\": extra text", n_text, t.at);
    if (t.has_pm && (m.hour > 12 || m.hour < 1))
        return fail_with(err, ERR_MALFORMED, "parsing time \"%.*s\": hour out of range", n_text, t.at);
    if (t.has_pm)
        m.hour = m.hour % 12 + (t.is_pm ? 12 : 0);
    if (out_of_range(&m))
        return fail_with(err, ERR_MALFORMED, "parsing time \"%.*s\": %s out of range", n_text, t.at, out_of_range(&m));
    *out = m;
    return true;
}
