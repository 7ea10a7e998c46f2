#include "guest/image/tar_pax.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"

FALLIBLE pax_number(struct bytes text, uint64_t most, uint64_t *out, struct err *err)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t) text.at[i] - '0';

        if (text.at[i] < '0' || text.at[i] > '9' || digit > most || value > (most - digit) / 10)
            return fail_with(err, ERR_MALFORMED, "not a decimal number in range");
        value = value * 10 + digit;
    }
    if (text.len == 0)
        return fail_with(err, ERR_MALFORMED, "an empty number");
    *out = value;
    return true;
}

static FALLIBLE u32_read(struct bytes value, uint32_t *out, struct err *err)
{
    uint64_t number = 0;

    if (!pax_number(value, UINT32_MAX, &number, err))
        return false;
    *out = (uint32_t) number;
    return true;
}

static FALLIBLE path_read(struct bytes value, struct bytes *out, struct err *err)
{
    if (value.len > TAR_PATH_MAX)
        return fail_with(err, ERR_LIMIT, "a path of %zu bytes; at most %d are allowed", value.len, TAR_PATH_MAX);
    if (memchr(value.at, 0, value.len))
        return fail_with(err, ERR_MALFORMED, "a zero byte in a path");
    *out = value;
    return true;
}

/* Seconds with an optional sign and fraction; digits beyond nanoseconds are dropped. */
static FALLIBLE time_read(struct bytes value, struct pax *pax, struct err *err)
{
    bool           is_negative = value.len > 0 && value.at[0] == '-';
    struct bytes   whole       = { value.at + is_negative, value.len - is_negative };
    const uint8_t *dot         = memchr(whole.at, '.', whole.len);
    uint64_t       seconds     = 0;
    uint32_t       ns          = 0;

    for (size_t i = 1, scale = 100000000; dot && dot + i < whole.at + whole.len; i++, scale /= 10) {
        if (dot[i] < '0' || dot[i] > '9')
            return fail_with(err, ERR_MALFORMED, "not a time");
        ns += (uint32_t) ((size_t) (dot[i] - '0') * scale);
    }
    if (dot)
        whole.len = (size_t) (dot - whole.at);
    if (!pax_number(whole, INT64_MAX, &seconds, err))
        return false;
    pax->mtime    = is_negative ? -(int64_t) seconds : (int64_t) seconds;
    pax->mtime_ns = ns;
    if (is_negative && ns > 0) {
        pax->mtime -= 1; /* no wrap: seconds is at most INT64_MAX */
        pax->mtime_ns = 1000000000 - ns;
    }
    return true;
}

static FALLIBLE extent_add(struct pax *pax, uint64_t offset, struct err *err)
{
    if (pax->n_extents == TAR_EXTENTS_MAX)
        return fail_with(err, ERR_LIMIT, "more than %d pieces of a sparse file", TAR_EXTENTS_MAX);
    if (pax->n_extents % 1024 == 0) {
        struct tar_extent *more = reallocarray(pax->extents, pax->n_extents + 1024, sizeof *more);

        if (!more)
            abort();
        pax->extents = more;
    }
    pax->extents[pax->n_extents++] = (struct tar_extent){ offset, 0 };
    pax->is_extent_open            = true;
    return true;
}

static FALLIBLE extent_end(struct pax *pax, uint64_t len, struct err *err)
{
    if (!pax->is_extent_open)
        return fail_with(err, ERR_MALFORMED, "a length without an offset");
    pax->extents[pax->n_extents - 1].len = len;
    pax->is_extent_open                  = false;
    return true;
}

static FALLIBLE extent_number(struct pax *pax, struct bytes value, struct err *err)
{
    uint64_t number = 0;

    if (!pax_number(value, INT64_MAX, &number, err))
        return false;
    return pax->is_extent_open ? extent_end(pax, number, err) : extent_add(pax, number, err);
}

/* "offset,length,offset,length,..." */
static FALLIBLE map_read(struct pax *pax, struct bytes value, struct err *err)
{
    while (value.len > 0) {
        const uint8_t *comma = memchr(value.at, ',', value.len);
        size_t         len   = comma ? (size_t) (comma - value.at) : value.len;

        if (!extent_number(pax, (struct bytes){ value.at, len }, err))
            return false;
        len += comma ? 1 : 0;
        value = (struct bytes){ value.at + len, value.len - len };
    }
    return true;
}

static FALLIBLE sparse_record(struct pax *pax, struct bytes name, struct bytes value, struct err *err)
{
    uint64_t ignored = 0;

    pax->is_sparse = true;
    if (bytes_equal(name, bytes_of_text("major")))
        return pax_number(value, 1, &pax->sparse_major, err);
    if (bytes_equal(name, bytes_of_text("minor")) || bytes_equal(name, bytes_of_text("numblocks")))
        return pax_number(value, INT64_MAX, &ignored, err);
    if (bytes_equal(name, bytes_of_text("name")))
        return path_read(value, &pax->sparse_name, err);
    if (bytes_equal(name, bytes_of_text("size")) || bytes_equal(name, bytes_of_text("realsize"))) {
        pax->has_real_size = true;
        return pax_number(value, INT64_MAX, &pax->real_size, err);
    }
    if (bytes_equal(name, bytes_of_text("map")))
        return map_read(pax, value, err);
    if (bytes_equal(name, bytes_of_text("offset")) && !pax->is_extent_open)
        return extent_number(pax, value, err);
    if (bytes_equal(name, bytes_of_text("numbytes")) && pax->is_extent_open)
        return extent_number(pax, value, err);
    return fail_with(err, ERR_MALFORMED, "an unknown or misplaced sparse record");
}

static FALLIBLE xattr_add(struct pax *pax, struct bytes name, struct bytes value, struct err *err)
{
    if (pax->n_xattrs == TAR_XATTRS_MAX)
        return fail_with(err, ERR_LIMIT, "more than %d extended attributes", TAR_XATTRS_MAX);
    if (value.len > TAR_XATTR_VALUE_MAX)
        return fail_with(err, ERR_LIMIT, "an extended attribute of %zu bytes", value.len);
    if (name.len == 0 || name.len > TAR_COMPONENT_MAX || memchr(name.at, 0, name.len))
        return fail_with(err, ERR_MALFORMED, "the name of an extended attribute");
    pax->xattrs[pax->n_xattrs++] = (struct tar_xattr){ name, value };
    return true;
}

static bool name_begins(struct bytes name, const char *with, struct bytes *rest)
{
    size_t len = strlen(with);

    if (name.len < len || memcmp(name.at, with, len) != 0)
        return false;
    *rest = (struct bytes){ name.at + len, name.len - len };
    return true;
}

/* True when the record was one that matters; *ok then says whether it was sound. */
static bool record_apply(struct pax *pax, struct bytes name, struct bytes value, bool *ok, struct err *err)
{
    struct bytes rest = { 0 };

    if (name_begins(name, "GNU.sparse.", &rest))
        *ok = sparse_record(pax, rest, value, err);
    else if (name_begins(name, "SCHILY.xattr.", &rest))
        *ok = xattr_add(pax, rest, value, err);
    else if (bytes_equal(name, bytes_of_text("path")))
        *ok = path_read(value, &pax->path, err), pax->has_path = value.len > 0;
    else if (bytes_equal(name, bytes_of_text("linkpath")))
        *ok = path_read(value, &pax->link, err), pax->has_link = value.len > 0;
    else if (bytes_equal(name, bytes_of_text("size")))
        *ok = pax_number(value, INT64_MAX, &pax->size, err), pax->has_size = true;
    else if (bytes_equal(name, bytes_of_text("uid")))
        *ok = u32_read(value, &pax->uid, err), pax->has_uid = true;
    else if (bytes_equal(name, bytes_of_text("gid")))
        *ok = u32_read(value, &pax->gid, err), pax->has_gid = true;
    else if (bytes_equal(name, bytes_of_text("mtime")))
        *ok = time_read(value, pax, err), pax->has_mtime = true;
    else
        return false;
    return true;
}

/* Splits one record off `r`. Its length counts its own digits, the space and the line end. */
static FALLIBLE record_take(struct reader *r, struct bytes *name, struct bytes *value, struct err *err)
{
    const uint8_t *space  = memchr(r->left.at, ' ', r->left.len);
    size_t         digits = space ? (size_t) (space - r->left.at) : 0;
    uint64_t       len    = 0;

    if (!space || digits > 7 || !pax_number((struct bytes){ r->left.at, digits }, TAR_EXTENDED_MAX, &len, err) ||
        len < digits + 3)
        return fail_with(err, ERR_MALFORMED, "a record without a length");
    (void) take(r, digits + 1); /* the length and the space */
    struct bytes body = take(r, (size_t) len - digits - 1);

    if (!reader_ok(r, err) || body.at[body.len - 1] != '\n')
        return fail_with(err, ERR_MALFORMED, "a record whose length is wrong");
    const uint8_t *equals = memchr(body.at, '=', body.len - 1);

    if (!equals || equals == body.at)
        return fail_with(err, ERR_MALFORMED, "a record without a name");
    *name  = (struct bytes){ body.at, (size_t) (equals - body.at) };
    *value = (struct bytes){ equals + 1, body.len - name->len - 2 };
    return true;
}

FALLIBLE pax_read(struct bytes text, enum pax_scope scope, struct pax *out, struct err *err)
{
    struct reader r = reader_over(text);

    while (r.left.len > 0) {
        struct bytes               name = { 0 }, value = { 0 };
        AUTO(buffer) struct buffer shown      = { 0 };
        bool                       is_sound   = true;
        bool                       is_for_us;

        if (!record_take(&r, &name, &value, err))
            return context(err, "extended header");
        is_for_us = record_apply(out, name, value, &is_sound, err);
        printable_append(&shown, name, 60);
        if (!is_sound)
            return contextf(err, "extended header: \"%s\"", buffer_text(&shown));
        if (is_for_us && scope == PAX_GLOBAL)
            return fail_with(err, ERR_UNSUPPORTED, "a global extended header sets \"%s\"", buffer_text(&shown));
    }
    if (out->is_extent_open)
        return fail_with(err, ERR_MALFORMED, "extended header: a sparse offset without a length");
    return true;
}

void pax_free(struct pax *pax)
{
    free(pax->extents);
    *pax = (struct pax){ 0 };
}
