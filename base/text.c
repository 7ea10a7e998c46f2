#include "base/text.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

void hex_append(struct buffer *out, struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        char pair[2] = { hex_digits[b.at[i] >> 4], hex_digits[b.at[i] & 15] };

        buffer_append(out, BYTES_OF(pair));
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

FALLIBLE hex_read(struct bytes text, struct buffer *out, struct err *err)
{
    if (text.len % 2 != 0)
        return fail_with(err, ERR_MALFORMED, "hex of odd length %zu", text.len);
    for (size_t i = 0; i < text.len; i++)
        if (hex_value(text.at[i]) < 0)
            return fail_with(err, ERR_MALFORMED, "not a hex digit at offset %zu", i);
    for (size_t i = 0; i < text.len; i += 2) {
        uint8_t byte = (uint8_t) (hex_value(text.at[i]) << 4 | hex_value(text.at[i + 1]));

        buffer_append(out, (struct bytes){ &byte, 1 });
    }
    return true;
}

FALLIBLE hex_read_exact(const char *text, uint8_t *out, size_t len, struct err *err)
{
    struct buffer read = { 0 };
    bool          fits;

    if (!hex_read(bytes_of_text(text), &read, err)) {
        buffer_free(&read);
        return false;
    }
    fits = read.len == len;
    if (fits && len > 0)
        memcpy(out, read.at, len);
    buffer_free(&read);
    return fits || fail_with(err, ERR_MALFORMED, "hex of %zu bytes wanted, found %zu digits", len, strlen(text));
}

static const char alphabet_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[]      = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64_append(struct buffer *out, struct bytes b, enum base64_form form)
{
    const char *alphabet  = form == BASE64_STANDARD ? alphabet_standard : alphabet_url;
    bool        is_padded = form != BASE64_URL;

    for (size_t i = 0; i < b.len; i += 3) {
        size_t   n     = b.len - i < 3 ? b.len - i : 3;
        uint32_t group = (uint32_t) b.at[i] << 16;
        char     four[4];

        if (n > 1)
            group |= (uint32_t) b.at[i + 1] << 8;
        if (n > 2)
            group |= b.at[i + 2];
        for (unsigned k = 0; k < 4; k++)
            four[k] = k <= n ? alphabet[group >> (18 - 6 * k) & 63] : '=';
        buffer_append(out, (struct bytes){ (const uint8_t *) four, is_padded ? 4 : n + 1 });
    }
}

static int base64_value(uint8_t c, enum base64_form form)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (form == BASE64_STANDARD ? '+' : '-'))
        return 62;
    if (c == (form == BASE64_STANDARD ? '/' : '_'))
        return 63;
    return -1;
}

/* The length of `text` without its padding; fails when the padding is not what `form` asks for. */
static FALLIBLE base64_body(struct bytes text, enum base64_form form, size_t *len, struct err *err)
{
    size_t n = text.len;

    if (form != BASE64_URL) {
        if (n % 4 != 0)
            return fail_with(err, ERR_MALFORMED, "base64 of length %zu lacks padding", n);
        for (int i = 0; i < 2 && n > 0 && text.at[n - 1] == '='; i++)
            n--;
    }
    if (n % 4 == 1)
        return fail_with(err, ERR_MALFORMED, "base64 of impossible length %zu", text.len);
    *len = n;
    return true;
}

FALLIBLE base64_read(struct bytes text, enum base64_form form, struct buffer *out, struct err *err)
{
    size_t   len   = 0;
    uint32_t group = 0;
    size_t   bits  = 0;
    size_t   start = out->len;
    uint8_t *to;

    if (!base64_body(text, form, &len, err))
        return false;
    if (len == 0)
        return true;
    to = buffer_grow(out, len / 4 * 3 + len % 4 * 3 / 4);
    for (size_t i = 0; i < len; i++) {
        int value = base64_value(text.at[i], form);

        if (value < 0) {
            out->len = start;
            return fail_with(err, ERR_MALFORMED, "not a base64 character at offset %zu", i);
        }
        group = group << 6 | (uint32_t) value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *to++ = (uint8_t) (group >> bits);
            group &= (1U << bits) - 1;
        }
    }
    if (group != 0) {
        out->len = start;
        return fail_with(err, ERR_MALFORMED, "stray bits in the last base64 character");
    }
    return true;
}

/* The number of continuation bytes that `lead` announces, and the range of the first of them. [Unicode 15, table 3-7] */
static int utf8_tail(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low  = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 1;
    if (lead >= 0xe0 && lead <= 0xef)
        return 2;
    if (lead >= 0xf0 && lead <= 0xf4)
        return 3;
    return lead < 0x80 ? 0 : -1;
}

/* Eight at once where all are ASCII. */
static size_t ascii_run(struct bytes b, size_t from)
{
    size_t   i = from;
    uint64_t eight;

    for (; b.len - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, b.at + i, sizeof eight);
        if (eight & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

bool is_utf8(struct bytes b)
{
    for (size_t i = 0; i < b.len;) {
        uint8_t low, high;

        i = ascii_run(b, i);
        if (i == b.len)
            return true;

        int tail = utf8_tail(b.at[i++], &low, &high);

        if (tail < 0 || (size_t) tail > b.len - i)
            return false;
        for (; tail > 0; tail--, i++, low = 0x80, high = 0xbf)
            if (b.at[i] < low || b.at[i] > high)
                return false;
    }
    return true;
}

void printable_append(struct buffer *out, struct bytes b, size_t most)
{
    for (size_t i = 0; i < b.len && i < most; i++) {
        uint8_t c = b.at[i];

        if (c >= 0x20 && c < 0x7f && c != '\\')
            buffer_append(out, (struct bytes){ &c, 1 });
        else
            buffer_printf(out, "\\x%02x", c);
    }
    if (b.len > most)
        buffer_append_text(out, "...");
}
