#include "guest/init/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TEXT_LEN = 20, SLACK_S = 1 };

/* As a person reads it. */
struct date { char at[32]; };

static struct date date_of(int64_t seconds)
{
    time_t      at  = (time_t) seconds;
    struct date out = { "a date out of range" };
    struct tm   tm;

    if (gmtime_r(&at, &tm))
        (void) strftime(out.at, sizeof out.at, "%Y-%m-%dT%H:%M:%SZ", &tm); /* years of four digits fit */
    return out;
}

static FALLIBLE set(int64_t seconds, struct err *err)
{
    const struct timespec at = { .tv_sec = (time_t) seconds };

    return clock_settime(CLOCK_REALTIME, &at) == 0 || err_os(err, "set the clock");
}

FALLIBLE clock_raise(struct err *err)
{
    return time(NULL) >= CLOCK_FLOOR_S || set(CLOCK_FLOOR_S, err);
}

FALLIBLE clock_judge(int64_t now_s, int64_t told_s, int64_t floor_s, bool *is_set, struct err *err)
{
    int64_t floor = floor_s > CLOCK_FLOOR_S ? floor_s : CLOCK_FLOOR_S;

    if (told_s < floor)
        return fail_with(err, ERR_UNTRUSTED, "the broker's time %s is before %s, which has passed: see to its clock",
                         date_of(told_s).at, date_of(floor).at);
    *is_set = now_s < told_s - SLACK_S || now_s > told_s + SLACK_S;
    return true;
}

FALLIBLE clock_set(int64_t told_s, int64_t floor_s, struct err *err)
{
    bool is_set;

    return clock_judge((int64_t) time(NULL), told_s, floor_s, &is_set, err) && (!is_set || set(told_s, err));
}

/* Two or four digits. */
static bool number(const char *at, size_t n, int *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        *out = *out * 10 + (at[i] - '0');
    }
    return true;
}

FALLIBLE clock_floor_read(struct bytes text, int64_t *out_s, struct err *err)
{
    const char *t  = (const char *) text.at;
    struct tm   tm = { 0 };
    struct tm   back;
    time_t      at;

    if (text.len > 0 && text.at[text.len - 1] == '\n')
        text.len--;
    if (text.len != TEXT_LEN || t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' || t[16] != ':' || t[19] != 'Z' ||
        !number(t, 4, &tm.tm_year) || !number(t + 5, 2, &tm.tm_mon) || !number(t + 8, 2, &tm.tm_mday) ||
        !number(t + 11, 2, &tm.tm_hour) || !number(t + 14, 2, &tm.tm_min) || !number(t + 17, 2, &tm.tm_sec))
        return fail_with(err, ERR_MALFORMED, "not_before: wanted a time as 2026-11-28T12:00:00Z");
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    back = tm;
    at   = timegm(&tm); /* puts what is out of range right, which is to be noticed */
    if (tm.tm_year != back.tm_year || tm.tm_mon != back.tm_mon || tm.tm_mday != back.tm_mday || tm.tm_hour != back.tm_hour ||
        tm.tm_min != back.tm_min || tm.tm_sec != back.tm_sec)
        return fail_with(err, ERR_MALFORMED, "not_before: there is no such time");
    *out_s = (int64_t) at;
    return true;
}

FALLIBLE clock_floor_check(int64_t now_s, int64_t floor_s, struct err *err)
{
    return now_s >= floor_s || fail_with(err, ERR_UNTRUSTED, "the host's clock says %s; the initdata says not before %s",
                                         date_of(now_s).at, date_of(floor_s).at);
}
