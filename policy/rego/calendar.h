/* Dates of the Gregorian calendar, and seconds since 1970. Pure arithmetic. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128 wide; /* products that pass 64 bits */

struct moment {
    int64_t year;
    int     month, day;           /* from 1 */
    int     hour, minute, second;
    int     nanosecond;
    int     offset;               /* seconds east of UTC */
    char    zone[12];             /* "UTC", "PDT", or "" */
};

int64_t       calendar_days(int64_t year, int64_t month, int64_t day); /* since 1970; month and day may be out of range */
int           calendar_days_in_month(int64_t year, int month);
int           calendar_weekday(int64_t days);                         /* 0 Sunday */
struct moment calendar_moment(int64_t ns, int offset);
bool          calendar_ns(const struct moment *m, int64_t *out);       /* false: outside of 64 bits */
