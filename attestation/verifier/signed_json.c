#include "attestation/verifier/signed_json.h"

#include <string.h>

#include "base/text.h"

static void skip_space(struct reader *r)
{
    while (!r->failed && r->left.len > 0 && memchr(" \t\r\n", r->left.at[0], 4))
        take(r, 1);
}

static void take_exactly(struct reader *r, char c)
{
    skip_space(r);
    if (take_u8(r) != (uint8_t) c)
        r->failed = true;
}

/* A string's content, up to its closing quote; Intel's documents need no escape, so there is none. */
static struct bytes take_string(struct reader *r)
{
    take_exactly(r, '"');

    const uint8_t *end  = r->left.len > 0 ? memchr(r->left.at, '"', r->left.len) : NULL;
    struct bytes   text = take(r, end ? (size_t) (end - r->left.at) : 0);

    take_exactly(r, '"');
    if (!end || (text.len > 0 && memchr(text.at, '\\', text.len)))
        r->failed = true;
    return text;
}

/* Numbers in these documents count things: digits only, no sign, fraction or exponent. */
static bool may_stand_outside_strings(uint8_t c, uint8_t before)
{
    if ((c == 'e' || c == 'E') && before >= '0' && before <= '9')
        return false;
    return c != 0 && strchr("{}[]:, \t\r\n0123456789truefalsn", c);
}

/* The whole object that starts at the cursor, by its braces and brackets. */
static struct bytes take_object(struct reader *r)
{
    struct bytes from;
    uint64_t     arrays = 0; /* bit 0: the innermost bracket is [, bit 1: the one around it, ... */
    size_t       depth  = 0;
    uint8_t      c      = 0;

    skip_space(r);
    from = r->left;
    if (r->left.len == 0 || r->left.at[0] != '{')
        r->failed = true;
    while (!r->failed) {
        if (r->left.len > 0 && r->left.at[0] == '"') {
            take_string(r);
            c = '"';
            continue;
        }
        uint8_t before = c;

        c = take_u8(r);
        if (!may_stand_outside_strings(c, before))
            r->failed = true;
        if (c == '{' || c == '[') {
            arrays = arrays << 1 | (c == '[');
            depth++;
        }
        if (depth > SIGNED_JSON_DEPTH_MAX)
            r->failed = true;
        if (c != '}' && c != ']')
            continue;
        if ((arrays & 1) != (c == ']'))
            r->failed = true;
        arrays >>= 1;
        if (--depth == 0)
            break;
    }
    return r->failed ? (struct bytes){ 0 } : (struct bytes){ from.at, from.len - r->left.len };
}

/* One letter case throughout: else flipping a bit of the text would leave the same signature. */
static FALLIBLE signature_read(struct bytes hex, uint8_t out[static 64], struct err *err)
{
    char text[2 * 64 + 1] = { 0 };
    bool upper = false, lower = false;

    if (hex.len != sizeof text - 1)
        return fail_with(err, ERR_MALFORMED, "signature of %zu characters; 128 are wanted", hex.len);
    memcpy(text, hex.at, hex.len);
    for (size_t i = 0; i < hex.len; i++) {
        upper = upper || (text[i] >= 'A' && text[i] <= 'F');
        lower = lower || (text[i] >= 'a' && text[i] <= 'f');
    }
    if (upper && lower)
        return fail_with(err, ERR_MALFORMED, "signature in mixed case");
    return hex_read_exact(text, out, 64, err) || context(err, "signature");
}

FALLIBLE signed_json_split(struct bytes whole, const char *name, struct signed_json *out, struct err *err)
{
    struct reader      r        = reader_over(whole);
    struct signed_json found    = { 0 };
    struct bytes       hex      = { 0 };
    bool               has_body = false, has_signature = false;

    if (whole.len > SIGNED_JSON_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "signed document of %zu bytes; at most %d are allowed", whole.len,
                         SIGNED_JSON_LEN_MAX);
    take_exactly(&r, '{');
    for (size_t i = 0; i < 2; i++) {
        struct bytes member = take_string(&r);

        take_exactly(&r, ':');
        if (!has_body && bytes_equal(member, bytes_of_text(name))) {
            found.body = take_object(&r);
            has_body   = true;
        } else if (!has_signature && bytes_equal(member, bytes_of_text("signature"))) {
            hex           = take_string(&r);
            has_signature = true;
        } else {
            r.failed = true;
        }
        take_exactly(&r, i == 0 ? ',' : '}');
    }
    skip_space(&r);
    if (!reader_done(&r, err))
        return fail_with(err, ERR_MALFORMED, "not {\"%s\":{...},\"signature\":\"...\"}: wrong at offset %zu", name,
                         r.offset);
    if (!signature_read(hex, found.signature, err))
        return false;
    *out = found;
    return true;
}
