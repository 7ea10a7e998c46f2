#include "attestation/verifier/instant.h"

#include <string.h>
#include <time.h>

static const int64_t latest_instant = 253402300799; /* 9999-12-31T23:59:59Z */

/* The number that the next `n` digits make; a character that is no digit fails the reader. */
static int take_digits(struct reader *r, size_t n)
{
    struct bytes digits = take(r, n);
    int          value  = 0;

    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            r->failed = true;
        value = value * 10 + (digits.at[i] - '0');
    }
    return value;
}

static void take_exactly(struct reader *r, char c)
{
    if (take_u8(r) != (uint8_t) c)
        r->failed = true;
}

/* timegm turns 30 February into March: a date that comes back changed does not exist. */
static bool instant_of_parts(const struct reader *r, const struct tm *parts, int64_t *out)
{
    struct tm wanted = *parts, back;
    time_t    at;

    if (r->failed || r->left.len > 0)
        return false;
    at = timegm(&wanted);
    if (!gmtime_r(&at, &back) || back.tm_year != parts->tm_year || back.tm_mon != parts->tm_mon ||
        back.tm_mday != parts->tm_mday || back.tm_hour != parts->tm_hour || back.tm_min != parts->tm_min ||
        back.tm_sec != parts->tm_sec)
        return false;
    *out = at;
    return true;
}

bool instant_of_text(struct bytes text, int64_t *out)
{
    struct reader r = reader_over(text);
    struct tm     t = { 0 };

    t.tm_year = take_digits(&r, 4) - 1900;
    take_exactly(&r, '-');
    t.tm_mon = take_digits(&r, 2) - 1;
    take_exactly(&r, '-');
    t.tm_mday = take_digits(&r, 2);
    take_exactly(&r, 'T');
    t.tm_hour = take_digits(&r, 2);
    take_exactly(&r, ':');
    t.tm_min = take_digits(&r, 2);
    take_exactly(&r, ':');
    t.tm_sec = take_digits(&r, 2);
    take_exactly(&r, 'Z');
    return instant_of_parts(&r, &t, out);
}

static bool instant_of_compact(struct reader *r, int year, int64_t *out)
{
    struct tm t = { .tm_year = year - 1900 };

    t.tm_mon  = take_digits(r, 2) - 1;
    t.tm_mday = take_digits(r, 2);
    t.tm_hour = take_digits(r, 2);
    t.tm_min  = take_digits(r, 2);
    t.tm_sec  = take_digits(r, 2);
    take_exactly(r, 'Z');
    return instant_of_parts(r, &t, out);
}

bool instant_of_utc_time(struct bytes text, int64_t *out)
{
    struct reader r    = reader_over(text);
    int           year = take_digits(&r, 2);

    return instant_of_compact(&r, year + (year < 50 ? 2000 : 1900), out);
}

bool instant_of_generalized_time(struct bytes text, int64_t *out)
{
    struct reader r = reader_over(text);

    return instant_of_compact(&r, take_digits(&r, 4), out);
}

void instant_write(int64_t at, char out[static INSTANT_TEXT_LEN + 1])
{
    time_t    t = (time_t) (at < 0 ? 0 : at > latest_instant ? latest_instant : at);
    struct tm parts;

    if (!gmtime_r(&t, &parts) || strftime(out, INSTANT_TEXT_LEN + 1, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        memcpy(out, "1970-01-01T00:00:00Z", INSTANT_TEXT_LEN + 1);
}
