#include "base/text.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

void hex_append(struct buffer *out, struct bytes b)
{
    uint8_t *to = b.len > 0 ? buffer_extend(out, 2 * b.len) : NULL;

    for (size_t i = 0; i < b.len; i++) {
        *to++ = (uint8_t) hex_digits[b.at[i] >> 4];
        *to++ = (uint8_t) hex_digits[b.at[i] & 15];
    }
}

/* The value of each digit and one more; 0: not a digit. */
static const uint8_t HEX_VALUES[256] = {
    ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

FALLIBLE hex_read(struct bytes text, struct buffer *out, struct err *err)
{
    size_t   start = out->len;
    uint8_t *to;

    if (text.len % 2 != 0)
        return fail_with(err, ERR_MALFORMED, "hex of odd length %zu", text.len);
    if (text.len == 0)
        return true;
    to = buffer_extend(out, text.len / 2);
    for (size_t i = 0; i < text.len; i += 2) {
        unsigned high = HEX_VALUES[text.at[i]], low = HEX_VALUES[text.at[i + 1]];

        if (high == 0 || low == 0) {
            out->len = start;
            return fail_with(err, ERR_MALFORMED, "not a hex digit at offset %zu", high == 0 ? i : i + 1);
        }
        *to++ = (uint8_t) ((high - 1) << 4 | (low - 1));
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

/* The characters of one group of up to three bytes. */
static void base64_group(const char *alphabet, const uint8_t *from, size_t n, uint8_t four[static 4])
{
    uint32_t group = (uint32_t) from[0] << 16 | (n > 1 ? (uint32_t) from[1] << 8 : 0) | (n > 2 ? from[2] : 0U);

    for (unsigned k = 0; k < 4; k++)
        four[k] = (uint8_t) (k <= n ? alphabet[group >> (18 - 6 * k) & 63] : '=');
}

void base64_append(struct buffer *out, struct bytes b, enum base64_form form)
{
    const char *alphabet = form == BASE64_STANDARD ? alphabet_standard : alphabet_url;
    size_t      whole = b.len / 3, rest = b.len % 3;
    uint8_t    *to;

    if (b.len == 0)
        return;
    to = buffer_extend(out, 4 * whole + (rest == 0 ? 0 : form != BASE64_URL ? 4 : rest + 1));
    for (size_t i = 0; i < whole; i++, to += 4)
        base64_group(alphabet, b.at + 3 * i, 3, to);
    if (rest > 0) {
        uint8_t four[4];

        base64_group(alphabet, b.at + 3 * whole, rest, four);
        memcpy(to, four, form != BASE64_URL ? 4 : rest + 1);
    }
}

/* The value of each character and one more, without the last two, which the form decides; 0: not one of them. */
static const uint8_t BASE64_VALUES[256] = {
    ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10,
    ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19,
    ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26,
    ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
    ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44,
    ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52,
    ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62,
};

static int base64_value(uint8_t c, enum base64_form form)
{
    if (c == (form == BASE64_STANDARD ? '+' : '-'))
        return 62;
    if (c == (form == BASE64_STANDARD ? '/' : '_'))
        return 63;
    return BASE64_VALUES[c] - 1;
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
    to = buffer_extend(out, len / 4 * 3 + len % 4 * 3 / 4);
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
