#include "policy/rego/time_zone.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"

enum { ZONE_FILE_MAX = 64 << 10, ZONE_NAME_MAX = 60, COUNT_MAX = 1 << 14 };

struct zone_header {
    uint8_t  version;
    uint32_t n_utc, n_standard, n_leaps, n_times, n_types, n_chars;
};

static bool read_header(struct reader *r, struct zone_header *h, struct err *err)
{
    struct bytes magic = take(r, 4);

    *h         = (struct zone_header){ .version = take_u8(r) };
    take(r, 15); /* reserved */
    h->n_utc      = take_u32be(r);
    h->n_standard = take_u32be(r);
    h->n_leaps    = take_u32be(r);
    h->n_times    = take_u32be(r);
    h->n_types    = take_u32be(r);
    h->n_chars    = take_u32be(r);
    if (!reader_ok(r, err))
        return context(err, "time zone");
    if (!bytes_equal(magic, bytes_of_text("TZif")) || h->version < '2')
        return fail_with(err, ERR_UNSUPPORTED, "time zone: no TZif file of version 2");
    if (h->n_utc > COUNT_MAX || h->n_standard > COUNT_MAX || h->n_leaps > COUNT_MAX || h->n_times > COUNT_MAX ||
        h->n_types > 256 || h->n_chars > COUNT_MAX)
        return fail_with(err, ERR_MALFORMED, "time zone: counts out of range");
    return true;
}

static uint8_t type_at(struct reader times, struct bytes types, int64_t seconds, uint32_t n)
{
    uint8_t type = 0;

    for (uint32_t i = 0; i < n; i++) {
        if ((int64_t) take_u64be(&times) > seconds)
            break;
        type = types.at[i];
    }
    return type;
}


static bool read_types(struct reader *r, const struct zone_header *h, uint8_t type, int *offset, char abbreviation[static 12],
                       struct err *err)
{
    struct reader types = take_reader(r, (size_t) h->n_types * 6);
    struct bytes  chars = take(r, h->n_chars);
    uint8_t       at;

    take(&types, (size_t) type * 6);
    *offset = (int) (int32_t) take_u32be(&types);
    take(&types, 1);
    at = take_u8(&types);
    if (!reader_ok(r, err) || !reader_ok(&types, err))
        return context(err, "time zone");
    if (at >= chars.len || *offset > 100000 || *offset < -100000)
        return fail_with(err, ERR_MALFORMED, "time zone: type out of range");
    size_t n = strnlen((const char *) chars.at + at, chars.len - at);
    (void) snprintf(abbreviation, 12, "%.*s", (int) (n < 11 ? n : 11), (const char *) chars.at + at);
    return true;
}

FALLIBLE time_zone_read(struct bytes file, int64_t seconds, int *offset, char abbreviation[static 12], struct err *err)
{
    struct reader      r = reader_over(file);
    struct zone_header h;

    if (!read_header(&r, &h, err))
        return false;
    /* the first block has 32-bit times, and is there for old readers */
    take(&r, (size_t) h.n_times * 5 + (size_t) h.n_types * 6 + h.n_chars + (size_t) h.n_leaps * 8 + h.n_standard + h.n_utc);
    if (!read_header(&r, &h, err))
        return false;

    struct reader times = take_reader(&r, (size_t) h.n_times * 8);
    struct bytes  types = take(&r, h.n_times);
    if (!reader_ok(&r, err))
        return context(err, "time zone");
    return read_types(&r, &h, type_at(times, types, seconds, h.n_times), offset, abbreviation, err);
}

static bool is_name(struct bytes name)
{
    if (name.len > ZONE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];

        if (c == '/' && (i == 0 || i + 1 == name.len || name.at[i - 1] == '/'))
            return false;
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '/' || c == '_' || c == '-' || c == '+'))
            return false;
    }
    return true;
}

FALLIBLE time_zone_at(struct arena *a, struct bytes name, int64_t seconds, int *offset, char abbreviation[static 12], struct err *err)
{
    char             path[128];
    AUTO(fd) int     fd = NO_FD;
    struct arena_mark mark = arena_mark(a);
    uint8_t         *text;
    ssize_t          n;
    bool             ok;

    *offset = 0;
    (void) snprintf(abbreviation, 12, "UTC");
    if (name.len == 0 || bytes_equal(name, bytes_of_text("UTC")) || bytes_equal(name, bytes_of_text("Local")))
        return true;
    if (!is_name(name))
        return fail_with(err, ERR_NOT_FOUND, "unknown time zone %.*s", (int) (name.len < 60 ? name.len : 60), (const char *) name.at);
    (void) snprintf(path, sizeof path, "/usr/share/zoneinfo/%.*s", (int) name.len, (const char *) name.at);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail_with(err, ERR_NOT_FOUND, "unknown time zone %.*s", (int) name.len, (const char *) name.at);
    text = arena_take(a, ZONE_FILE_MAX);
    if (!text)
        return arena_ok(a, err);
    n  = read(fd, text, ZONE_FILE_MAX);
    ok = n < 0 ? fail_with(err, ERR_NOT_FOUND, "unknown time zone %.*s", (int) name.len, (const char *) name.at)
               : time_zone_read((struct bytes){ text, (size_t) n }, seconds, offset, abbreviation, err);
    arena_release(a, mark);
    return ok;
}
