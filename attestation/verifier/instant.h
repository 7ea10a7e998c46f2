/* Points in time as documents write them, in seconds since 1970 UTC. */
#pragma once

#include "base/bytes.h"

enum { INSTANT_TEXT_LEN = 20 }; /* "2025-06-19T10:16:03Z" */

/* All true only for exactly the named form and a date that exists. */
bool instant_of_text(struct bytes text, int64_t *out);             /* YYYY-MM-DDThh:mm:ssZ [RFC 3339] */
bool instant_of_utc_time(struct bytes text, int64_t *out);         /* YYMMDDhhmmssZ, 1950 to 2049 [RFC 5280] */
bool instant_of_generalized_time(struct bytes text, int64_t *out); /* YYYYMMDDhhmmssZ [RFC 5280] */

void instant_write(int64_t at, char out[static INSTANT_TEXT_LEN + 1]); /* RFC 3339; before 1970 and after 9999: the nearest */
