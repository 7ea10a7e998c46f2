#include "policy/rego/calendar.h"

enum { DAY_SECONDS = 86400 };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days from civil: years start in March, so that the leap day is the last. */
int64_t calendar_days(int64_t year, int64_t month, int64_t day)
{
    year += floor_div(month - 1, 12);
    month -= floor_div(month - 1, 12) * 12;
    year -= month <= 2;

    int64_t era = floor_div(year, 400), of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int calendar_days_in_month(int64_t year, int month)
{
    return (int) (calendar_days(year, month + 1, 1) - calendar_days(year, month, 1));
}

int calendar_weekday(int64_t days)
{
    return (int) (days + 4 - floor_div(days + 4, 7) * 7);
}

struct moment calendar_moment(int64_t ns, int offset)
{
    int64_t       seconds = floor_div(ns, 1000000000) + offset;
    int64_t       days    = floor_div(seconds, DAY_SECONDS), of_day = seconds - days * DAY_SECONDS;
    int64_t       shifted = days + 719468, era = floor_div(shifted, 146097), of_era = shifted - era * 146097;
    int64_t       year    = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t       of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    struct moment m       = { .offset = offset };

    m.nanosecond = (int) (ns % 1000000000);
    if (m.nanosecond < 0)
        m.nanosecond += 1000000000;
    m.day    = (int) (of_year - (153 * month + 2) / 5 + 1);
    m.month  = (int) (month < 10 ? month + 3 : month - 9);
    m.year   = year + era * 400 + (m.month <= 2);
    m.hour   = (int) (of_day / 3600);
    m.minute = (int) (of_day / 60 % 60);
    m.second = (int) (of_day % 60);
    return m;
}

bool calendar_ns(const struct moment *m, int64_t *out)
{
    wide     seconds = (wide) calendar_days(m->year, m->month, m->day) * DAY_SECONDS + m->hour * 3600 + m->minute * 60 +
                       m->second - m->offset;
    wide     ns      = seconds * 1000000000 + m->nanosecond;

    if (ns > INT64_MAX || ns < INT64_MIN)
        return false;
    *out = (int64_t) ns;
    return true;
}
