#include "attestation/verifier/der.h"

#include "attestation/verifier/instant.h"

enum { LENGTH_BYTES_MAX = 3 }; /* 16 MiB: more than any document we read */

bool der_next_is(const struct reader *r, enum der_tag tag)
{
    return !r->failed && r->left.len > 0 && r->left.at[0] == (uint8_t) tag;
}

static size_t take_length(struct reader *r)
{
    uint8_t first = take_u8(r);
    size_t  len   = 0;

    if (first < 0x80)
        return first;

    struct bytes more = take(r, first & 0x7f);

    if (more.len == 0 || more.len > LENGTH_BYTES_MAX || more.at[0] == 0) {
        r->failed = true;
        return 0;
    }
    for (size_t i = 0; i < more.len; i++)
        len = len << 8 | more.at[i];
    if (len < 0x80)
        r->failed = true; /* the short form was possible */
    return len;
}

struct bytes take_der_any(struct reader *r, uint8_t *tag)
{
    *tag = take_u8(r);
    if ((*tag & 0x1f) == 0x1f)
        r->failed = true; /* a tag of more than one byte */

    size_t len = take_length(r);

    return take(r, len);
}

struct bytes take_der(struct reader *r, enum der_tag tag)
{
    uint8_t found = 0;

    if (!der_next_is(r, tag))
        r->failed = true;
    return take_der_any(r, &found);
}

struct reader take_der_reader(struct reader *r, enum der_tag tag)
{
    struct bytes  content = take_der(r, tag);
    struct reader inner   = reader_over(content);

    inner.offset = r->offset - content.len;
    inner.failed = r->failed;
    return inner;
}

struct bytes take_der_whole(struct reader *r, enum der_tag tag)
{
    struct bytes before = r->left;

    (void) take_der(r, tag); /* only to step over it */
    return r->failed ? (struct bytes){ 0 } : (struct bytes){ before.at, before.len - r->left.len };
}

uint64_t take_der_u64(struct reader *r, enum der_tag tag, uint64_t most)
{
    struct bytes content = take_der(r, tag);
    uint64_t     value   = 0;

    if (content.len == 0 || content.len > 8 || content.at[0] >= 0x80 ||
        (content.len > 1 && content.at[0] == 0 && content.at[1] < 0x80)) {
        r->failed = true;
        return 0;
    }
    for (size_t i = 0; i < content.len; i++)
        value = value << 8 | content.at[i];
    if (value > most)
        r->failed = true;
    return r->failed ? 0 : value;
}

struct bytes take_der_unsigned(struct reader *r)
{
    struct bytes content = take_der(r, DER_INTEGER);

    if (content.len == 0 || content.at[0] >= 0x80 || (content.len > 1 && content.at[0] == 0 && content.at[1] < 0x80)) {
        r->failed = true;
        return (struct bytes){ 0 };
    }
    return content.at[0] == 0 ? (struct bytes){ content.at + 1, content.len - 1 } : content;
}

bool take_der_bool(struct reader *r)
{
    struct bytes content = take_der(r, DER_BOOLEAN);

    if (content.len != 1 || (content.at[0] != 0 && content.at[0] != 0xff))
        r->failed = true;
    return !r->failed && content.at[0] != 0;
}

struct bytes take_der_bits(struct reader *r)
{
    struct bytes content = take_der(r, DER_BIT_STRING);

    if (content.len < 1 || content.at[0] != 0) {
        r->failed = true;
        return (struct bytes){ 0 };
    }
    return (struct bytes){ content.at + 1, content.len - 1 };
}

int64_t take_der_time(struct reader *r)
{
    bool         is_utc  = der_next_is(r, DER_UTC_TIME);
    struct bytes content = take_der(r, is_utc ? DER_UTC_TIME : DER_TIME);
    int64_t      at      = 0;

    if (r->failed || !(is_utc ? instant_of_utc_time(content, &at) : instant_of_generalized_time(content, &at)))
        r->failed = true;
    return at;
}
