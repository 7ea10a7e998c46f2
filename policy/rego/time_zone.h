/*
 * Offsets of named time zones, from the transitions in the TZif files of the system. The rule in their footer
 * is not read: behind the last transition (2037 in files of the usual, fat kind) the last offset stays.
 */
#pragma once

#include "policy/rego/arena.h"

/*
 * The offset and short name in force at `seconds` since 1970. "" and "UTC" need no file. The name may hold
 * letters, digits, + - _ and single slashes, so it stays inside the zone folder. Fails NOT_FOUND, MALFORMED.
 */
FALLIBLE time_zone_at(struct arena *a, struct bytes name, int64_t seconds, int *offset, char abbreviation[static 12], struct err *err);

/* The same from the bytes of a TZif file, version 2 or later. [RFC 8536] */
FALLIBLE time_zone_read(struct bytes file, int64_t seconds, int *offset, char abbreviation[static 12], struct err *err);
